"""A profile always ends in a record: ok, infeasible or failed, whatever happens to its sessions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.agents import AgentTrouble
from hosts.config import parse
from hosts.errors import AgentError, ConnectError, RemoteError
from hosts.grid import Level
from hosts.profile_session import MeasuredPoint
from hosts.profiling import SESSIONS, ProfileMeasurement
from workers import messages as m
from workers.partition import PartitionPoint
from workers.records import ClockOffset, Conditions, Status, TierTimings

CONFIG = parse({"models": {"vgg19": {"partition": {20: 1, 5: 3}}}, "strategies": ["switch-a2"]}, "c")
LEVEL = Level("vgg19", 50.0, 100.0)
POINTS = tuple(
    PartitionPoint(index, name, str(index), (1,), size, 0, 0, 0, 0)
    for index, name, size in [(1, "input", 602_112), (2, "block4_pool", 401_408), (3, "block5_pool", 4_000)]
)
TIERS = {
    "edge": TierTimings((1, 1), (40.0,), ((0.0,), (30.0,), (10.0,)), {}),
    "cloud": TierTimings((2, 2), (20.0,), ((0.0,), (15.0,), (5.0,)), {}),
}
GONE = AgentError("edge (198.18.0.12): the edge agent is gone")
NO_MEMORY = AgentTrouble("edge: container p1 ended (exit code 137)", exit_code=137, oom_kills=1)
TROUBLE = AgentTrouble("the model was not profiled", exit_code=1, oom_kills=0)
CLOCKS = {"edge": ClockOffset(1, 2)}


class FakeSession:
    """A session whose steps end in the errors of a script: step -> error; a point's step is its run."""

    choices = {"edge_runtime": "podman"}  # noqa: RUF012 - never changed
    stress = {"tool": "none"}  # noqa: RUF012

    def __init__(self, fails, log):
        self._fails, self.log = fails, log
        self.last_words = {}

    def __enter__(self):
        self._step("enter")
        return self

    def __exit__(self, *_):
        self.last_words = {"edge": f"after {len(self.log)}"}

    def deploy(self, spec):
        self._step("deploy", spec.from_point)

    def profile(self, points, repetitions):
        self._step("profile", *points, repetitions)
        return TIERS

    def set_speed(self, mbps):
        self._step("speed", mbps)

    def measure_point(self, run, spec, frames):
        self._step("point", run, spec.mbps, spec.point, frames)
        link = m.LinkMeasured(spec.mbps - 0.1, 20.3)
        stopped = m.FramesStopped(run, frames, frames, spec.fps)
        return MeasuredPoint(stopped, link, link, m.AvailabilityRead(run, 49.0, 98.0), CLOCKS, CLOCKS)

    def _step(self, name, *what):
        self.log.append((name, *what))
        if name in self._fails:
            raise self._fails[name]


class Measurement:
    """A profile whose sessions go by these scripts; sessions beyond them go well."""

    def __init__(self, *scripts):
        self.scripts, self.log, self.said, self.sessions = list(scripts), [], [], 0
        self.result = ProfileMeasurement(CONFIG, LEVEL, POINTS, self._open, self.said.append).measure()

    def _open(self):
        self.sessions += 1
        return FakeSession(self.scripts.pop(0) if self.scripts else {}, self.log)


def test_a_profile_that_goes_well():
    made = Measurement()
    result = made.result
    assert (result.status, result.reason, result.tiers) == (Status.OK, None, TIERS)
    assert made.log[:3] == [("enter",), ("deploy", 1), ("profile", 1, 2, 3, 15)]
    assert [step[1:] for step in made.log if step[0] == "speed"] == [(20.0,), (5.0,)]
    assert [(row.run, row.mbps, row.point) for row in result.measured] == [
        (1, 20.0, 1),  # cloud-only
        (2, 20.0, 2),  # the paper's, and the best one's neighbour
        (3, 20.0, 3),  # edge-only, and the best
        (4, 5.0, 1),
        (5, 5.0, 2),
        (6, 5.0, 3),
    ]
    assert {step[-1] for step in made.log if step[0] == "point"} == {6}
    assert result.choices == {"edge_runtime": "podman"}
    assert result.agent_logs == {"edge-agent-0": f"after {len(made.log)}"}


def test_a_row_says_what_was_asked_for_and_what_was_found():
    row = Measurement().result.measured[2]
    assert row.why == ("best", "edge-only", "config", "paper")
    assert row.requested == Conditions(20.0, 20.0, 20.0, 50.0, 100.0, row.fps)
    assert row.achieved == Conditions(19.9, 19.9, 20.3, 49.0, 98.0, row.fps)
    assert row.clock_before == row.clock_after == CLOCKS


@pytest.mark.parametrize("step", ["enter", "deploy", "profile", "speed", "point"])
@pytest.mark.parametrize("error", [GONE, TROUBLE, RemoteError("disk full")], ids=repr)
def test_a_session_that_is_lost_is_tried_again(step, error):
    made = Measurement({step: error})
    assert made.sessions == 2
    assert (made.result.status, made.result.reason) == (Status.OK, None)
    assert f"lost: {error}" in made.said
    assert "edge-agent-1" in made.result.agent_logs


def test_runs_are_numbered_through_all_sessions_because_they_log_into_the_same_files():
    made = Measurement({"point": GONE})
    numbers = [step[1] for step in made.log if step[0] == "point"]
    assert numbers == sorted(set(numbers))
    assert [row.run for row in made.result.measured] == numbers[1:]


@pytest.mark.parametrize("step", ["enter", "deploy", "profile", "speed", "point"])
def test_sessions_that_lead_nowhere_end_in_a_failed_profile(step):
    made = Measurement(*[{step: GONE}] * 5)
    assert made.sessions == SESSIONS
    result = made.result
    assert (result.status, result.reason) == (Status.FAILED, str(GONE))
    assert (result.tiers, result.measured) == ({}, ())
    if step != "enter":
        assert set(result.agent_logs) == {"edge-agent-0", "edge-agent-1"}


@pytest.mark.parametrize("step", ["enter", "deploy", "profile", "speed", "point"])
def test_want_of_memory_is_a_result_with_its_evidence(step):
    made = Measurement({step: NO_MEMORY})
    result = made.result
    assert made.sessions == 1
    assert (result.status, result.reason) == (Status.INFEASIBLE, str(NO_MEMORY))
    assert (result.exit_code, result.oom_kills) == (137, 1)
    assert (result.tiers, result.measured) == ({}, ())


def test_what_a_lost_session_left_as_evidence_is_not_that_of_the_one_that_went_well():
    result = Measurement({"profile": TROUBLE}).result
    assert (result.status, result.exit_code, result.oom_kills) == (Status.OK, None, 0)


def test_without_a_host_there_is_no_profile_and_running_again_makes_it():
    with pytest.raises(ConnectError, match="no route"):
        Measurement({"deploy": ConnectError("no route")})


STEPS = st.sampled_from(["enter", "deploy", "profile", "speed", "point"])
ERRORS = st.sampled_from([GONE, TROUBLE, NO_MEMORY, RemoteError("disk full")])


@given(st.lists(st.dictionaries(STEPS, ERRORS, max_size=2), max_size=3))
def test_a_profile_is_ok_and_whole_or_says_why_it_is_not(scripts):
    result = Measurement(*scripts).result
    assert (result.status is Status.OK) == bool(result.tiers) == bool(result.measured) == (result.reason is None)
    assert (result.status is Status.INFEASIBLE) == (result.oom_kills > 0)
