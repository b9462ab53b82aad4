"""The controller tells the edge of a new speed, or waits until it notices; decisions without a cause are refused."""

import pytest

from hosts import notice
from hosts.agents import AgentClient
from hosts.config import parse
from hosts.errors import AgentError, ConfigError
from hosts.session import RunSpec
from tests.unit.fakes import FakeChannel, FakeConnection
from workers import messages as m
from workers.detection import Detection
from workers.partition import PartitionPoint
from workers.speed_map import SpeedMap

SPEC = RunSpec(run=3, repeat=1, fps=10.0, from_mbps=20.0, to_mbps=5.0, from_point=1, to_point=2)
HELLO = m.Hello(m.PROTOCOL_VERSION, "edge", 42, netem=True)


def edge_that_says(*reports, answer=None):
    channel = FakeChannel([HELLO, *reports], answer)
    return AgentClient(FakeConnection(channel), ["python"], "edge"), channel


def await_notice(client):
    notice.await_notice(client, lambda _, kind, timeout_s: client.expect(kind, timeout_s), SPEC)


def heard(client):
    """Wait until everything said so far is kept for later."""
    with pytest.raises(AgentError, match="said no Finished"):
        client.expect(m.Finished, 0.2)


def test_the_edge_is_told_the_speed_and_both_cuts():
    client, channel = edge_that_says()
    with client:
        notice.tell(client, SPEC)
    assert channel.orders == [m.NetworkChanged(3, 5.0, 2, 1)]


def test_the_edge_that_notices_need_not_be_told():
    client, channel = edge_that_says(m.SpeedNoticed(3, 5.2, 2))
    with client:
        await_notice(client)
    assert channel.orders == []


@pytest.mark.parametrize(
    ("noticed", "said"),
    [
        (m.SpeedNoticed(3, 11.0, 7), "took it for 11.0 Mbit/s and moved the cut to point 7 instead of 2"),
        (m.SpeedNoticed(2, 5.0, 2), "run 2"),
    ],
)
def test_another_cut_or_one_for_another_run_is_a_wrong_decision(noticed, said):
    client, _ = edge_that_says(noticed)
    with client, pytest.raises(AgentError, match=f"edge .*wrong decision: the link went from 20 to 5.*{said}"):
        await_notice(client)


@pytest.mark.parametrize(
    ("mbps", "said"), [(18.93, r"its last estimate is 18.9 Mbit/s"), (None, "it has seen no speed at all")]
)
def test_an_edge_that_does_not_notice_is_asked_what_it_makes_of_the_link(monkeypatch, mbps, said):
    monkeypatch.setattr(notice, "NOTICE_TIMEOUT_S", 0.2)
    client, channel = edge_that_says(answer=lambda _: [m.SpeedRead(mbps)])
    with client, pytest.raises(AgentError, match=rf"did not notice within 0.2 s .* from 20 to 5 Mbit/s; {said}\. "):
        await_notice(client)
    assert channel.orders == [m.ReadSpeed()]


def test_a_decision_without_a_cause_is_refused_once():
    client, _ = edge_that_says(m.SpeedNoticed(3, 6.5, 2))
    with client:
        heard(client)
        with pytest.raises(AgentError, match=r"wrong decision in run 3: .* had 20 Mbit/s, for 6.5 Mbit/s .* point 2"):
            notice.refuse_wrong(client, SPEC.from_mbps)
        notice.refuse_wrong(client, SPEC.from_mbps)


def test_no_decision_is_no_wrong_one():
    client, _ = edge_that_says(m.Rearmed(3))
    with client:
        heard(client)
        notice.refuse_wrong(client, SPEC.to_mbps)
        assert client.take(m.Rearmed)


# --- what it takes ------------------------------------------------------------------------------------------


def config(**keys):
    partition = {20: "input", 5: "b"}
    return parse(
        {"models": {"tiny": {"source": "m:f", "partition": partition}}, "strategies": ["switch-a2"]} | keys, "c"
    )


def point(index, name):
    return PartitionPoint(index, name, name, (1,), 4, 0, 0, 0, 0)


def test_an_edge_that_is_told_needs_no_map():
    assert notice.detection(config(), "tiny", []) is None


def test_an_edge_that_notices_gets_the_map_of_the_configs_points():
    points = [point(1, "input"), point(5, "b")]
    found = notice.detection(config(detection="estimated"), "tiny", points)
    assert found == Detection(SpeedMap.from_points({20.0: 1, 5.0: 5}))


def test_the_best_cuts_need_a_profile():
    best = {"models": {"vgg19": {"partition": "optimal"}}, "detection": "estimated"}
    with pytest.raises(ConfigError, match="there is none"):
        notice.detection(config(**best), "vgg19", [])
