"""What a session asks of the agents to profile, and in which order."""

import pytest

from hosts.agents import AgentClient
from hosts.config import parse
from hosts.errors import AgentError
from hosts.grid import Block
from hosts.profile_points import PointSpec
from hosts.profile_session import ProfileSession
from tests.unit.fakes import FakeChannel, FakeConnection
from workers import messages as m
from workers.records import TierTimings

CONFIG = parse({"models": {"vgg19": {}}, "strategies": ["switch-b2"], "repartition_timeout_s": 1}, "c")
BLOCK = Block("vgg19", "switch-b2", 100.0, 100.0)
SPEC = PointSpec(5.0, 17, ("paper",), 100.0)
TIMINGS = {role: TierTimings((1, 1), (3.0,), ((3.0,),), {1: (1.0,)}) for role in ("edge", "cloud")}


class Bed:
    """Three agents that answer as real ones do."""

    def __init__(self, *, moves=True, profiled=None):
        self.moves = moves
        self.profiled = profiled or m.TiersProfiled(TIMINGS)
        self.channels = {role: FakeChannel([self.hello(role)], self.answer) for role in ("device", "edge", "cloud")}
        self.session = ProfileSession(CONFIG, None, {}, BLOCK, (224, 224))
        self.session._agents = {
            role: AgentClient(FakeConnection(channel), ["python"], role) for role, channel in self.channels.items()
        }

    @staticmethod
    def hello(role):
        return m.Hello(m.PROTOCOL_VERSION, role, 42, netem=True)

    def answer(self, order):
        moved = {"moved": self.moves, "ok": self.moves, "reason": None if self.moves else "edge: no memory"}
        replies = {
            m.Ping: lambda: [m.Pong(order.sent_ns, order.sent_ns + 7)],
            m.ShapeLink: lambda: [m.LinkShaped(order.mbps, 3.0)],
            m.ProbeLink: lambda: [m.LinkMeasured(4.0 + order.run, 20.5)],
            m.ReadAvailability: lambda: [m.AvailabilityRead(order.run, 97.0, 99.0)],
            m.ProfileTiers: lambda: [self.profiled],
            m.NetworkChanged: lambda: [m.Repartitioned(order.run, order.point, **moved), m.Rearmed(order.run)],
            m.StopFrames: lambda: [m.FramesStopped(order.run, 3, 3, 99.5)],
        }
        return replies.get(type(order), list)()

    def asked(self, role):
        return [order for order in self.channels[role].orders if not isinstance(order, m.Ping)]

    def kinds(self, role):
        return [type(order).__name__ for order in self.asked(role)]


def test_both_tiers_are_timed_by_one_order_to_the_edge():
    bed = Bed()
    assert bed.session.profile([1, 17], 15) == TIMINGS
    assert bed.asked("edge") == [m.ProfileTiers((1, 17), 15)]
    assert bed.asked("device") == bed.asked("cloud") == []


def test_trouble_while_the_model_is_timed_ends_the_session():
    trouble = m.Trouble("cloud: container p1 ended", exit_code=137, oom_kills=1)
    with pytest.raises(AgentError, match="container p1 ended") as caught:
        Bed(profiled=trouble).session.profile([1], 5)
    assert caught.value.oom_kills == 1


def test_the_cut_is_moved_and_warm_before_the_frames_that_count():
    bed = Bed()
    bed.session.set_speed(5.0)
    measured = bed.session.measure_point(4, SPEC, 3)
    assert bed.asked("edge") == [
        m.ShapeLink(0, 5.0, 20.0),
        m.ProbeLink(0),
        m.NetworkChanged(4, 5.0, 17, 17),
        m.ReadAvailability(4),
        m.ReadAvailability(4),
        m.ProbeLink(4),
    ]
    assert bed.asked("device") == [m.StartFrames(0, 100.0), m.StopFrames(0), m.StartFrames(4, 100.0), m.StopFrames(4)]
    assert measured.frames == m.FramesStopped(4, 3, 3, 99.5)
    assert (measured.link_before.mbps, measured.link_after.mbps) == (4.0, 8.0)
    assert measured.left.cpu_pct == 97.0
    assert set(measured.clock_after) == {"device", "edge", "cloud"}


def test_what_is_found_after_one_point_is_found_before_the_next():
    bed = Bed()
    bed.session.set_speed(5.0)
    first, second = (bed.session.measure_point(run, SPEC, 1) for run in (1, 2))
    assert second.link_before == first.link_after
    assert second.clock_before == first.clock_after


def test_a_cut_that_cannot_be_moved_ends_the_session():
    bed = Bed(moves=False)
    bed.session.set_speed(5.0)
    with pytest.raises(AgentError, match=r"edge .*the cut could not be moved to point 17: edge: no memory"):
        bed.session.measure_point(1, SPEC, 3)
    assert bed.asked("device") == []


def test_nothing_is_measured_before_the_link_is_known():
    with pytest.raises(AgentError, match="only after deploy"):
        Bed().session.measure_point(1, SPEC, 3)
