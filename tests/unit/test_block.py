"""A block has a row for every run, whatever happens to its sessions."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.agents import AgentTrouble
from hosts.block import SESSIONS_WITHOUT_A_RUN, BlockMeasurement, requested, run_specs
from hosts.burst import Limits
from hosts.config import parse
from hosts.errors import AgentError, ConnectError, RemoteError, TestbedError
from hosts.grid import Block
from tests.unit.fakes import FakeSession, Script
from workers.records import ClockOffset, Conditions, Status

CONFIG = parse({"models": {"vgg19": {}}, "strategies": ["switch-b2"], "repeats": 2, "deadline_ms": 900}, "c")
BLOCK = Block("vgg19", "switch-b2", 100.0, 100.0)
POINTS = {20.0: 16, 5.0: 21}
SPECS = run_specs(CONFIG, POINTS)
GONE = AgentError("edge (198.18.0.12): the edge agent is gone")
NO_MEMORY = AgentTrouble("edge: container p1 ended (exit code 137)", exit_code=137, oom_kills=1)
OK, FAILED, INFEASIBLE = Status.OK, Status.FAILED, Status.INFEASIBLE


class Measurement:
    """Measures a block whose sessions go by these scripts; sessions beyond them go well."""

    def __init__(self, *scripts, limits=None):
        self.log, self.told = [], []
        self._scripts = list(scripts)
        self.sessions = 0
        self.result = BlockMeasurement(CONFIG, BLOCK, SPECS, self._open, self.told.append, limits).measure()

    def _open(self):
        self.sessions += 1
        return FakeSession(self._scripts.pop(0) if self._scripts else Script(), self.log)

    @property
    def statuses(self):
        return [run.status for run in self.result.runs]


def test_runs_go_there_and_back_and_each_starts_where_the_last_one_ended():
    ends = [(spec.from_mbps, spec.to_mbps, spec.from_point, spec.to_point) for spec in SPECS]
    assert ends == [(20.0, 5.0, 16, 21), (5.0, 20.0, 21, 16)] * 2
    assert [(spec.run, spec.repeat) for spec in SPECS] == [(1, 1), (2, 1), (3, 2), (4, 2)]


@given(
    fps=st.lists(st.floats(0.5, 60), min_size=1, max_size=4, unique=True),
    repeats=st.integers(1, 5),
    speeds=st.permutations([20.0, 5.0]),
)
def test_the_specs_of_any_grid(fps, repeats, speeds):
    config = parse(
        {
            "models": {"vgg19": {}},
            "strategies": ["switch-b2"],
            "fps": fps,
            "repeats": repeats,
            "network": {"speeds_mbps": speeds},
        },
        "c",
    )
    specs = run_specs(config, POINTS)
    assert [spec.run for spec in specs] == list(range(1, 2 * repeats * len(fps) + 1))
    for before, after in itertools.pairwise(specs):
        assert (before.to_mbps, before.to_point) == (after.from_mbps, after.from_point)
    assert sorted({spec.fps for spec in specs}) == sorted(fps)


def test_a_block_that_goes_well_needs_one_session():
    measured = Measurement()
    assert measured.statuses == [OK] * 4
    assert measured.log == ["enter", "deploy 16", "warm up 5 at 5", "run 1", "run 2", "run 3", "run 4", "exit"]
    assert measured.told == measured.result.runs
    assert {run.session for run in measured.result.runs} == {0}
    assert measured.result.choices == {"edge_runtime": "podman"}
    assert measured.result.clock_before == {"edge": ClockOffset(1, 2)}
    assert measured.result.clock_after == {"edge": ClockOffset(3, 4)}
    assert measured.result.agent_logs == {"edge-agent-0": "after 7"}


def test_a_row_says_what_was_asked_for_and_what_was_found():
    row = Measurement().result.runs[1]
    assert row.requested == Conditions(5.0, 20.0, 20.0, 100.0, 100.0, 5.0)
    assert row.requested == requested(CONFIG, BLOCK, SPECS[1])
    assert row.achieved == Conditions(4.5, 19.75, 20.25, 97.0, 99.0, 5.0)
    assert (row.run, row.repeat, row.from_point, row.to_point, row.deadline_ms) == (2, 1, 21, 16, 900.0)
    assert row.reason is None
    assert row.started_utc.endswith("+00:00")


def test_a_run_whose_worker_dies_has_its_row_and_the_rest_goes_on_in_a_new_session():
    measured = Measurement(Script(runs=[None, GONE]))
    assert measured.statuses == [OK, FAILED, OK, OK]
    assert [run.run for run in measured.result.runs] == [1, 2, 3, 4]
    assert [run.session for run in measured.result.runs] == [0, 0, 1, 1]
    assert measured.result.runs[1].reason == str(GONE)
    assert measured.result.runs[1].achieved == Conditions()
    assert measured.log[6:9] == ["deploy 16", "warm up 5 at 5", "run 3"]


def test_the_new_session_starts_at_the_cut_of_the_next_run():
    measured = Measurement(Script(runs=[GONE]))
    assert measured.log[5:8] == ["deploy 21", "warm up 5 at 5", "run 2"]


def test_a_repartition_that_fails_in_good_order_is_one_row_and_a_new_session():
    measured = Measurement(Script(runs=[None, "edge: no memory"]))
    assert measured.statuses == [OK, FAILED, OK, OK]
    failed = measured.result.runs[1]
    assert failed.reason == "edge: no memory"
    assert failed.achieved.link_mbps_after == 19.75  # it came to its end: what was found is kept
    assert measured.sessions == 2


def test_sessions_that_lead_nowhere_give_up_the_rest():
    measured = Measurement(Script(deployed=GONE), Script(entered=GONE))
    assert measured.sessions == SESSIONS_WITHOUT_A_RUN == 2
    assert measured.statuses == [FAILED] * 4
    assert [run.reason for run in measured.result.runs] == [str(GONE)] * 2 + [f"not tried again after: {GONE}"] * 2


@pytest.mark.parametrize("step", ["opened", "entered", "deployed", "warmed_up"])
def test_without_a_host_there_is_no_block_and_running_again_measures_it(step):
    with pytest.raises(ConnectError, match="no route"):
        Measurement(Script(**{step: ConnectError("no route")}))


@pytest.mark.parametrize("step", ["opened", "entered", "deployed", "warmed_up"])
@pytest.mark.parametrize("error", [GONE, RemoteError("disk full")], ids=repr)
def test_a_session_that_does_not_come_up_costs_one_run(step, error):
    measured = Measurement(Script(**{step: error}))
    assert measured.statuses == [FAILED, OK, OK, OK]
    assert measured.result.runs[0].reason == str(error)


def test_failures_with_a_run_between_them_do_not_add_up():
    measured = Measurement(Script(deployed=GONE), Script(runs=[None, GONE]), Script(deployed=GONE))
    assert measured.statuses == [FAILED, OK, FAILED, FAILED]
    assert measured.result.runs[3].reason == str(GONE)


@pytest.mark.parametrize(
    "script", [Script(deployed=NO_MEMORY), Script(runs=[NO_MEMORY])], ids=["at the start", "in the run"]
)
def test_want_of_memory_makes_the_block_infeasible_at_once(script):
    measured = Measurement(script)
    assert measured.sessions == 1
    assert measured.statuses == [INFEASIBLE] * 4
    assert measured.result.runs[0].reason == str(NO_MEMORY)
    assert [(run.exit_code, run.oom_kills) for run in measured.result.runs] == [(137, 1), *[(None, 0)] * 3]


def test_trouble_without_a_kill_for_want_of_memory_is_a_failure():
    measured = Measurement(Script(runs=[AgentTrouble("edge: something broke", exit_code=None, oom_kills=0)]))
    assert measured.statuses == [FAILED, OK, OK, OK]


def test_trouble_after_the_last_run_costs_no_run():
    measured = Measurement(Script(closing=GONE))
    assert measured.statuses == [OK] * 4
    assert measured.sessions == 1
    assert measured.log[-1] == "exit"


def test_broken_tooling_is_not_taken_for_a_result():
    with pytest.raises(TestbedError):
        Measurement(Script(opened=TestbedError("no namespaces")))


def test_time_is_accounted_for_by_phase():
    phases = Measurement(Script(runs=[None, GONE])).result.seconds.phases()
    assert all(0 <= seconds < 5 for seconds in (phases.setup_s, phases.warmup_s))
    assert 6.0 <= phases.observation_s < 7.0  # three runs of 2 s by the session's own count, one cut short
    assert phases.controller_s == 0.0


ERRORS = st.sampled_from([GONE, NO_MEMORY, RemoteError("disk full")])
MAYBE = st.one_of(st.none(), st.none(), ERRORS)
SCRIPTS = st.builds(
    Script,
    opened=MAYBE,
    entered=MAYBE,
    deployed=MAYBE,
    warmed_up=MAYBE,
    runs=st.lists(st.one_of(MAYBE, st.just("it failed")), max_size=5),
    closing=MAYBE,
)


@given(st.lists(SCRIPTS, max_size=6))
def test_there_is_exactly_one_row_for_every_spec(scripts):
    measured = Measurement(*scripts)
    runs = measured.result.runs
    assert [run.run for run in runs] == [spec.run for spec in SPECS]
    assert measured.told == runs
    assert measured.sessions <= len(SPECS)
    assert all((run.reason is None) == (run.status is OK) for run in runs)
    for run, spec in zip(runs, SPECS, strict=True):
        assert (run.from_mbps, run.to_mbps, run.repeat, run.fps) == (
            spec.from_mbps,
            spec.to_mbps,
            spec.repeat,
            spec.fps,
        )


def test_a_burst_follows_the_last_run_in_its_session():
    measured = Measurement(limits=Limits(8.0, 2))
    assert measured.log[-6:] == ["run 4", "frames 5 at 5", "change 6", "change 7", "stop 5", "exit"]
    (burst,) = measured.result.bursts
    assert (burst.status, [change.run for change in burst.changes]) == (OK, [6, 7])
    assert burst.changes[0].from_point == SPECS[-1].to_point


def test_without_limits_there_is_no_burst():
    assert Measurement().result.bursts == []


def test_a_burst_that_breaks_costs_no_run():
    measured = Measurement(Script(changed=GONE, closing=GONE), limits=Limits(8.0, 2))
    assert measured.statuses == [OK] * 4
    assert measured.sessions == 1
    (burst,) = measured.result.bursts
    assert (burst.status, burst.reason, burst.changes) == (FAILED, str(GONE), ())


def test_the_burst_comes_in_the_session_that_measures_the_last_run():
    measured = Measurement(Script(runs=[None, GONE]), limits=Limits(8.0, 1))
    assert measured.sessions == 2
    assert len(measured.result.bursts) == 1
