"""What a session asks of the agents for one change of a burst, and for a soak that waits for nothing."""

import pytest

from hosts.agents import AgentClient
from hosts.config import parse
from hosts.errors import AgentError
from hosts.grid import Block
from hosts.inventory import load
from hosts.session import Session
from hosts.setup_orders import SetUpOrders, Site
from hosts.soak_session import SoakSession
from tests.unit.fakes import FakeChannel, FakeConnection
from tests.unit.test_jobs import INVENTORY
from workers import messages as m
from workers.records import Change

CONFIG = parse({"models": {"vgg19": {}}, "strategies": ["switch-a2"], "repartition_timeout_s": 1}, "c")
BLOCK = Block("vgg19", "switch-a2", 100.0, 100.0)
CHANGE = Change(6, 20.0, 5.0, 16, 21)


class Bed:
    """An edge that says `replies` to every order to change, in a session of the given kind."""

    def __init__(self, kind=Session, replies=None):
        self.replies = replies or (lambda run: [_moved(run), m.Rearmed(run)])
        self.channel = FakeChannel([m.Hello(m.PROTOCOL_VERSION, "edge", 42, netem=True)], self._answer)
        self.session = kind(CONFIG, None, {}, BLOCK, (224, 224))
        self.session._agents = {"edge": AgentClient(FakeConnection(self.channel), ["python"], "edge")}

    def _answer(self, order):
        match order:
            case m.ShapeLink():
                return [m.LinkShaped(order.mbps, 3.0)]
            case m.NetworkChanged():
                return self.replies(order.run)
            case _:
                return []

    @property
    def asked(self):
        return [order for order in self.channel.orders if not isinstance(order, m.Ping)]


def _moved(run, *, ok=True, reason=None):
    return m.Repartitioned(run, 21, moved=ok, ok=ok, reason=reason)


def test_a_change_shapes_the_link_tells_the_edge_and_waits_until_it_has_re_armed():
    bed = Bed()
    assert bed.session.change(CHANGE) == _moved(6)
    assert bed.asked == [m.ShapeLink(6, 5.0, 20.0), m.NetworkChanged(6, 5.0, 21, 16)]


def test_the_re_arming_of_an_earlier_change_does_not_count():
    bed = Bed(replies=lambda run: [m.Rearmed(run - 1), _moved(run), m.Rearmed(run)])
    bed.session.change(CHANGE)
    assert bed.session._agents["edge"].take(m.Rearmed) == []


def test_a_change_whose_outcome_is_of_another_is_refused():
    bed = Bed(replies=lambda run: [_moved(run - 1), m.Rearmed(run)])
    with pytest.raises(AgentError, match="run 5 while change 6"):
        bed.session.change(CHANGE)


def test_an_edge_that_does_not_re_arm_is_not_waited_for_for_ever():
    with pytest.raises(AgentError, match="Rearmed within 1 s"):
        Bed(replies=lambda run: [_moved(run)]).session.change(CHANGE)


def test_an_order_waits_for_nothing_and_forgets_what_was_said_of_earlier_ones():
    bed = Bed(SoakSession)
    for run in (2, 3, 4):
        bed.session.order(run, 1000.0, 16, 21)
    assert [order.run for order in bed.asked] == [2, 3, 4]
    bed.session.settle(4)
    assert len(bed.session._agents["edge"]._held) <= 3  # what earlier orders left does not pile up


def test_a_soak_settles_with_its_last_order_however_many_were_overtaken():
    said = {2: [_moved(2), m.Rearmed(2)], 3: [], 4: [_moved(4), m.Rearmed(4)]}
    bed = Bed(SoakSession, said.get)
    for run in (2, 3, 4):
        bed.session.order(run, 1000.0, 16, 21)
    bed.session.settle(4)


def test_trouble_is_heard_before_the_next_order():
    bed = Bed(SoakSession, lambda _: [m.Trouble("edge: nothing serves any more")])
    bed.session.order(2, 1000.0, 16, 21)
    with pytest.raises(AgentError, match="nothing serves"):
        bed.session.settle(2)


@pytest.mark.parametrize("keep", [True, False])
def test_logits_are_kept_on_request_only(keep):
    inventory = load(INVENTORY)
    sites = {role: Site(None, None, "/code", "/logs", "/model") for role in ("device", "edge", "cloud")}
    keys = {role: m.KeyPair("p", "s") for role in sites}
    asked = {"keep_answers": True} if keep else {}
    orders = SetUpOrders(CONFIG, inventory, sites, BLOCK, keys, delay_at_cloud=False, **asked)
    assert orders.edge().keep_answers is keep


@pytest.mark.parametrize(("delay_ms", "held_back_ms"), [(20, 20.0), (0, None)])
def test_a_link_without_delay_takes_no_delay_line(delay_ms, held_back_ms):
    config = parse({"models": {"vgg19": {}}, "strategies": ["switch-a2"], "network": {"delay_ms": delay_ms}}, "c")
    sites = {role: Site(None, None, "/code", "/logs", "/model") for role in ("device", "edge", "cloud")}
    keys = {role: m.KeyPair("p", "s") for role in sites}
    orders = SetUpOrders(config, load(INVENTORY), sites, BLOCK, keys, delay_at_cloud=True)
    assert orders.cloud().delay_ms == held_back_ms
