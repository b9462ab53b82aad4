"""The pipeline manager with tiers that a test controls: what it logs, in which order, and what it cleans up."""

import asyncio
import contextlib
import itertools
import time

import pytest

from tests.unit.fakes import FakeTier, settle
from workers import messages as m
from workers.errors import ContainerError, IllegalTransition
from workers.frames import FrameHeader
from workers.intake import Intake
from workers.manager import PipelineManager
from workers.records import EventKind, Outcome
from workers.strategies import STRATEGIES
from workers.strategies.base import Cut, Phase

PORTS = range(7000, 7003)
WORK_MS = {kind: {"trace": 1.5} for kind in (m.Launch, m.Build, m.Rebuild)}
T0 = EventKind.CHANGE_LEARNED


class Edge:
    """A manager between two fake tiers, with everything it says kept."""

    def __init__(self, strategy, *, by_itself=True):
        self.tiers = {"edge": FakeTier(by_itself=by_itself), "cloud": FakeTier(by_itself=by_itself)}
        self.events, self.reports, self.settled = [], [], []
        self.intake = Intake(4, lambda _, record, __: self.settled.append(record))
        self.manager = PipelineManager(
            STRATEGIES[strategy], self.tiers, self.intake, PORTS, self.reports.append, self.events.append
        )

    @property
    def phase(self):
        return self.manager._state.phase

    async def deploy(self):
        self.manager.deploy(m.Deploy(16, 21))
        await self.release_all()

    async def change(self, point=21, standby=16, run=1, mbps=5.0):
        """Deliver a change; return its t0."""
        learned_ns = time.monotonic_ns()
        self.manager.change(m.NetworkChanged(run, mbps, point, standby), learned_ns)
        await settle()
        return learned_ns

    async def release_all(self):
        """Answer whatever the tiers are asked until nothing is asked any more."""
        await settle()
        while any(tier._waiting for tier in self.tiers.values()):
            for tier in self.tiers.values():
                if tier._waiting:
                    await tier.release()

    def story(self, run=1):
        """Return kinds and works of a run's events by the clock."""
        events = sorted((event for event in self.events if event.run == run), key=lambda event: event.at_ns)
        return [" ".join([event.kind.value, *filter(None, [event.detail.get("work")])]) for event in events]

    def said(self, kind):
        return [report for report in self.reports if isinstance(report, kind)]


@contextlib.asynccontextmanager
async def serving(strategy, **options):
    edge = Edge(strategy, **options)
    for tier in edge.tiers.values():
        tier.parts_ms = WORK_MS
    await edge.deploy()
    edge.reports.clear()
    try:
        yield edge
    finally:
        await edge.manager.stop()


def run(scenario):
    """Run a test's coroutine; a task that dies unheard of fails the test."""
    asyncio.run(scenario())


PAUSED_STORY = [
    "change_learned",
    "intake_stopped",
    "work_started rebuild",
    "work_done rebuild",
    "routed",
    "intake_resumed",
    "repartitioned",
    "rearmed",
]
STANDBY_STORY = ["change_learned", "routed", "repartitioned", "rearmed"]
STORIES = {
    "pause-resume": PAUSED_STORY,
    "pause-resume-inprocess": PAUSED_STORY,
    "switch-a1": STANDBY_STORY,
    "switch-a2": STANDBY_STORY,
    "switch-b1": [
        "change_learned",
        "work_started launch",
        "work_done launch",
        "routed",
        "repartitioned",
        "work_started remove",
        "work_done remove",
        "rearmed",
    ],
    "switch-b2": [
        "change_learned",
        "work_started build",
        "work_done build",
        "routed",
        "repartitioned",
        "work_started drop",
        "work_done drop",
        "rearmed",
    ],
    "switch-hot": STANDBY_STORY,
    "switch-warm": [
        "change_learned",
        "work_started build",
        "work_done build",
        "routed",
        "repartitioned",
        "work_started remove",
        "work_done remove",
        "work_started launch",
        "work_done launch",
        "rearmed",
    ],
}
HOT_POINTS = {"switch-hot": (16, 21)}


def test_every_strategy_has_its_story_told():
    assert STORIES.keys() == STRATEGIES.keys()


@pytest.mark.parametrize("strategy", STORIES)
@pytest.mark.parametrize("by_itself", [True, False])
def test_the_story_of_a_change_by_the_clock(strategy, by_itself):
    async def scenario():
        async with serving(strategy, by_itself=by_itself) as edge:
            learned_ns = await edge.change()
            await edge.release_all()
            assert edge.story() == STORIES[strategy]
            learned = next(event for event in edge.events if event.kind is T0)
            assert learned.at_ns == learned_ns
            assert learned.detail == {"mbps": 5.0, "from_point": 16, "to_point": 21}
            armed = m.Rearmed(1, HOT_POINTS.get(strategy, ()))
            assert edge.reports == [m.Repartitioned(1, 21, moved=True, ok=True, reason=None), armed]
            assert edge.intake.route.point == 21

    run(scenario)


@pytest.mark.parametrize("strategy", STORIES)
def test_a_change_that_moves_nothing_is_over_at_once(strategy):
    async def scenario():
        async with serving(strategy) as edge:
            await edge.change(16, 21)
            assert edge.story() == ["change_learned", "repartitioned", "rearmed"]
            armed = m.Rearmed(1, HOT_POINTS.get(strategy, ()))
            assert edge.reports == [m.Repartitioned(1, 16, moved=False, ok=True, reason=None), armed]

    run(scenario)


@pytest.mark.parametrize("strategy", STORIES)
def test_both_tiers_get_the_same_orders(strategy):
    async def scenario():
        async with serving(strategy) as edge:
            await edge.change()
            await edge.change(16, 21, run=2)
            assert edge.tiers["edge"].orders == edge.tiers["cloud"].orders
            numbers = [order.order for order in edge.tiers["edge"].orders]
            assert numbers == sorted(set(numbers))

    run(scenario)


def test_what_each_tier_took_is_logged_with_the_work():
    async def scenario():
        async with serving("switch-b2") as edge:
            edge.tiers["edge"].parts_ms = {m.Build: {"head": 1.23456}}
            edge.tiers["cloud"].parts_ms = {m.Build: {"tail": 2.5, "warm": 3.0}}
            await edge.change()
            done = next(event for event in edge.events if event.run == 1 and event.kind is EventKind.WORK_DONE)
            assert done.detail == {
                "work": "build",
                "container": "p1",
                "point": 21,
                "edge_head_ms": 1.235,
                "cloud_tail_ms": 2.5,
                "cloud_warm_ms": 3.0,
            }

    run(scenario)


def test_a_port_that_a_pair_still_has_goes_to_no_other():
    """B1's launches fail one after another beside the first pair, which serves on."""

    async def scenario():
        async with serving("switch-b1") as edge:
            edge.tiers["cloud"].refusals[m.Launch] = "no memory"
            for number in range(1, 6):
                await edge.change(21, 16, run=number)
            launches = [order for order in edge.tiers["cloud"].orders if isinstance(order, m.Launch)]
            assert [launch.tail_port for launch in launches] == [7000, 7001, 7002, 7001, 7002, 7001]

    run(scenario)


def test_each_pair_of_containers_gets_the_next_port():
    async def scenario():
        async with serving("switch-b1") as edge:
            for run_number, (point, standby) in enumerate([(21, 16), (16, 21), (21, 16)], start=1):
                await edge.change(point, standby, run=run_number)
            launches = [order for order in edge.tiers["cloud"].orders if isinstance(order, m.Launch)]
            assert [launch.tail_port for launch in launches] == [7000, 7001, 7002, 7000]
            assert [launch.container for launch in launches] == ["p1", "p2", "p3", "p4"]
            assert [launch.points for launch in launches] == [(16,), (21,), (16,), (21,)]

    run(scenario)


def test_a_pipeline_is_ready_when_both_tiers_are():
    async def scenario():
        async with serving("switch-b2", by_itself=False) as edge:
            await edge.change()
            await edge.tiers["edge"].release()
            assert edge.intake.route.point == 16
            await edge.tiers["cloud"].release()
            assert edge.intake.route.point == 21

    run(scenario)


def test_a_pipeline_is_put_away_once_its_last_frame_has_settled():
    async def scenario():
        async with serving("switch-b1") as edge:
            header = FrameHeader(1, 0, "uint8", (0,))
            edge.intake.admit(b"device", header, 1)
            await edge.change()
            assert edge.phase is Phase.RETIRING
            assert edge.tiers["edge"].kinds()[-1] == "Launch"
            edge.intake.answer(header, 1, 2)
            async with asyncio.timeout(10):
                while edge.phase is not Phase.SERVING:  # noqa: ASYNC110 - the manager polls, too
                    await asyncio.sleep(0.001)
            assert edge.tiers["edge"].kinds()[-1] == "Remove"
            assert [record.outcome for record in edge.settled] == [Outcome.ANSWERED]

    run(scenario)


# --- failures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "fails", "undone_by"), [("switch-b1", m.Launch, m.Remove), ("switch-b2", m.Build, m.Drop)]
)
@pytest.mark.parametrize("tier", ["edge", "cloud"])
def test_what_one_tier_could_not_do_the_other_undoes(strategy, fails, undone_by, tier):
    async def scenario():
        async with serving(strategy) as edge:
            edge.tiers[tier].refusals = {fails: f"{tier}: no memory"}
            await edge.change()
            for each in edge.tiers.values():
                assert isinstance(each.orders[-2], fails)
                assert isinstance(each.orders[-1], undone_by)
                assert each.orders[-1].container == each.orders[-2].container
            work = fails.__name__.lower()
            begun = ["change_learned", f"work_started {work}", f"work_failed {work}"]
            assert edge.story() == [*begun, "repartitioned", "rearmed"]
            assert edge.reports == [
                m.Repartitioned(1, 16, moved=False, ok=False, reason=f"{tier}: no memory"),
                m.Rearmed(1),
            ]
            assert edge.intake.route == Cut("p1", 16)

    run(scenario)


def test_when_both_tiers_fail_both_are_quoted():
    async def scenario():
        async with serving("switch-b2") as edge:
            for name, tier in edge.tiers.items():
                tier.refusals = {m.Build: f"{name}: no memory"}
            await edge.change()
            assert edge.said(m.Repartitioned)[0].reason == "edge: no memory; cloud: no memory"

    run(scenario)


@pytest.mark.parametrize("strategy", STORIES)
def test_a_deployment_that_fails_is_trouble_at_once(strategy):
    async def scenario():
        edge = Edge(strategy)
        edge.tiers["cloud"].refusals = {m.Launch: "cloud: no image"}
        await edge.deploy()
        (trouble,) = edge.said(m.Trouble)
        assert trouble.reason == "nothing serves any more: launch of p1 failed: cloud: no image"
        assert edge.said(m.Rearmed) == []
        assert edge.tiers["edge"].kinds() == ["Launch", "Remove"]
        assert edge.intake.admit(b"d", FrameHeader(0, 0, "uint8", (0,)), 1) is None

    run(scenario)


def test_a_rebuild_that_fails_is_trouble_because_nothing_serves():
    async def scenario():
        async with serving("pause-resume") as edge:
            edge.tiers["edge"].refusals = {m.Rebuild: "edge: no memory"}
            await edge.change()
            assert edge.reports == [
                m.Repartitioned(1, 21, moved=False, ok=False, reason="edge: no memory"),
                m.Trouble("nothing serves any more: rebuild of p1 failed: edge: no memory"),
            ]

    run(scenario)


def test_a_tier_that_breaks_is_reported_and_not_swallowed(capsys):
    async def scenario():
        async with serving("switch-b2") as edge:
            edge.tiers["cloud"].refusals = {m.Build: ContainerError("socket gone")}
            await edge.change()
            assert edge.said(m.Trouble) == [m.Trouble("edge: pipeline manager: ContainerError: socket gone")]

    run(scenario)
    assert "socket gone" in capsys.readouterr().err


# --- changes while the strategy is at work ------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["pause-resume", "switch-b1", "switch-b2"])
def test_a_change_during_work_is_held_back_and_only_the_newest_delivered(strategy):
    async def scenario():
        async with serving(strategy, by_itself=False) as edge:
            await edge.change(21, 16, run=1)
            await edge.change(16, 21, run=2, mbps=20.0)
            await edge.change(30, 16, run=3, mbps=1.0)
            learned_ns = await edge.change(16, 21, run=4, mbps=20.0)
            assert [event.run for event in edge.events if event.kind is T0] == [1]
            await edge.release_all()
            assert [report.run for report in edge.said(m.Repartitioned)] == [1, 4]
            learned = [event for event in edge.events if event.kind is T0]
            assert [event.run for event in learned] == [1, 4]
            assert learned[-1].at_ns == learned_ns
            assert edge.intake.route.point == 16

    run(scenario)


def test_a_change_that_was_held_back_does_not_overtake_a_newer_one():
    async def scenario():
        async with serving("switch-b2", by_itself=False) as edge:
            await edge.change(21, 16, run=1)
            await edge.change(16, 21, run=2)  # held back
            newer = m.NetworkChanged(3, 1.0, 30, 16)
            loop = asyncio.get_running_loop()

            def report_and_learn_of_a_newer_change(report):
                edge.reports.append(report)
                if report == m.Rearmed(1):  # the newer order was already on its way when the strategy re-armed
                    loop.call_soon(edge.manager.change, newer, time.monotonic_ns())

            edge.manager._report = report_and_learn_of_a_newer_change
            await edge.release_all()
            assert edge.intake.route.point == 30
            assert [report.run for report in edge.said(m.Repartitioned)] == [1, 3]

    run(scenario)


def test_the_standby_is_armed_before_a_change_is_taken():
    async def scenario():
        edge = Edge("switch-a2", by_itself=False)
        edge.manager.deploy(m.Deploy(16, 21))
        await edge.tiers["edge"].release()
        await edge.tiers["cloud"].release()
        assert edge.phase is Phase.ARMING
        await edge.change(21, 16)
        assert edge.intake.route.point == 16
        await edge.release_all()
        assert edge.intake.route.point == 21
        await edge.manager.stop()

    run(scenario)


def test_a_second_deployment_is_refused_and_changes_nothing():
    async def scenario():
        async with serving("switch-a1") as edge:
            before = edge.manager._state
            with pytest.raises(IllegalTransition):
                edge.manager.deploy(m.Deploy(1, 2))
            assert edge.manager._state == before
            assert edge.reports == []

    run(scenario)


# --- deaths -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STORIES)
@pytest.mark.parametrize("tier", ["edge", "cloud"])
def test_a_death_is_trouble_with_its_evidence_and_fails_its_frames(strategy, tier):
    async def scenario():
        async with serving(strategy) as edge:
            edge.intake.admit(b"d", FrameHeader(1, 0, "uint8", (0,)), 1)
            edge.manager.container_died(tier, m.Died("p1", 137, 2, "container p1 ended (exit code 137)"))
            assert edge.said(m.Trouble) == [m.Trouble(f"{tier}: container p1 ended (exit code 137)", 137, 2)]
            assert [record.outcome for record in edge.settled] == [Outcome.FAILED]
            died = next(event for event in edge.events if event.kind is EventKind.CONTAINER_DIED)
            assert died.detail["container"] == "p1"
            assert (died.detail["exit_code"], died.detail["oom_kills"]) == (137, 2)
            serves_on = strategy == "switch-a1"
            answer = edge.intake.admit(b"d", FrameHeader(1, 1, "uint8", (0,)), 2)
            assert answer == (Cut("p2", 21) if serves_on else None)

    run(scenario)


@pytest.mark.parametrize("well", [True, False])
@pytest.mark.parametrize("strategy", ["pause-resume", "switch-b1", "switch-b2"])
def test_a_death_during_work_is_trouble_and_the_work_that_is_reported_later_no_surprise(strategy, well):
    async def scenario():
        async with serving(strategy, by_itself=False) as edge:
            await edge.change()
            work = edge.tiers["edge"].orders[-1]
            edge.manager.container_died("cloud", m.Died(work.container, 1, 0, "it ended"))
            if not well:
                edge.tiers["cloud"].refusals = {type(work): "it ended"}
            await edge.release_all()
            if strategy == "switch-b1":  # the new pipeline died, the old one serves
                assert edge.said(m.PipelineLost) == [m.PipelineLost(1, "cloud: it ended")]
            else:
                assert edge.said(m.Trouble)[0] == m.Trouble("cloud: it ended", 1, 0)
            assert not any("IllegalTransition" in trouble.reason for trouble in edge.said(m.Trouble))
            assert len(edge.said(m.Repartitioned)) == 1
            assert not edge.said(m.Repartitioned)[0].ok
            assert edge.phase is (Phase.SERVING if strategy == "switch-b1" else Phase.DOWN)

    run(scenario)


@pytest.mark.parametrize("tier", ["edge", "cloud"])
def test_a_standby_that_dies_is_said_and_service_goes_on(tier):
    async def scenario():
        async with serving("switch-a1") as edge:
            edge.manager.container_died(tier, m.Died("p2", 1, 0, "container p2 ended (exit code 1)"))
            assert edge.said(m.Trouble) == []
            assert edge.said(m.PipelineLost) == [m.PipelineLost(0, f"{tier}: container p2 ended (exit code 1)")]
            assert edge.intake.admit(b"d", FrameHeader(1, 1, "uint8", (0,)), 2) == Cut("p1", 16)

    run(scenario)


@pytest.mark.parametrize("tier", ["edge", "cloud"])
def test_a_launch_that_one_tier_refuses_is_called_off_on_the_other(tier):
    async def scenario():
        async with serving("switch-b1", by_itself=False) as edge:
            await edge.change()
            other = edge.tiers["cloud" if tier == "edge" else "edge"]
            edge.tiers[tier].refusals = {m.Launch: f"{tier}: no image"}
            await edge.tiers[tier].release()
            assert other.kinds()[-2:] == ["Launch", "Remove"]  # not waited for: its partner will never answer
            await edge.release_all()
            (concluded,) = edge.said(m.Repartitioned)
            assert not concluded.ok
            assert "no image" in concluded.reason
            assert edge.phase is Phase.SERVING

    run(scenario)


def test_to_stop_abandons_the_work_under_way():
    async def scenario():
        async with serving("switch-b1", by_itself=False) as edge:
            await edge.change()
            assert edge.phase is Phase.PREPARING
            await edge.manager.stop()
            assert edge.manager._tasks == set()
            assert edge.said(m.Trouble) == []

    run(scenario)


def test_events_of_work_carry_their_run_and_stamps_that_do_not_go_back():
    async def scenario():
        async with serving("switch-b1") as edge:
            for number, (point, standby) in enumerate([(21, 16), (16, 21)], start=1):
                await edge.change(point, standby, run=number)
            for number in (1, 2):
                stamps = {
                    event.kind: event.at_ns
                    for event in edge.events
                    if event.run == number and event.detail.get("work") != "remove"
                }
                order = [T0, EventKind.WORK_STARTED, EventKind.WORK_DONE, EventKind.ROUTED, EventKind.REPARTITIONED]
                assert all(stamps[one] <= stamps[other] for one, other in itertools.pairwise(order))

    run(scenario)
