"""A change whose cut is ready is routed by the thread that hears of it; the strategy hears of it before all else."""

import asyncio
import threading
import time

import pytest

from tests.unit.test_manager import STANDBY_STORY, Edge, run, serving
from workers import messages as m
from workers.records import EventKind
from workers.strategies.base import Cut

STANDBYS = ["switch-a1", "switch-a2", "switch-hot"]
BUILDERS = ["pause-resume", "switch-b1", "switch-b2", "switch-warm"]


def hear(edge, order):
    """Let another thread hear of a change, as the one that reads the controller's orders does; return t0."""
    learned_ns = time.monotonic_ns()
    thread = threading.Thread(target=edge.manager.route_ahead, args=(order, learned_ns))
    thread.start()
    thread.join()
    return learned_ns


def to(point, standby=16, number=1):
    return m.NetworkChanged(number, 5.0, point, standby)


@pytest.mark.parametrize("strategy", STANDBYS)
def test_the_route_is_set_before_the_loop_has_its_turn_and_the_story_is_the_same(strategy):
    async def scenario():
        async with serving(strategy) as edge:
            order = to(21)
            learned_ns = hear(edge, order)
            routed_by_ns = time.monotonic_ns()
            assert edge.intake.route.point == 21
            assert edge.story() == []
            edge.manager.change(order, learned_ns)
            await edge.release_all()
            assert edge.story() == STANDBY_STORY
            stamps = {event.kind: event.at_ns for event in edge.events if event.run == 1}
            assert stamps[EventKind.CHANGE_LEARNED] == learned_ns
            assert learned_ns < stamps[EventKind.ROUTED] <= routed_by_ns
            assert edge.manager._state.active.point == 21

    run(scenario)


@pytest.mark.parametrize("strategy", BUILDERS)
def test_what_is_not_ready_is_not_routed_ahead(strategy):
    async def scenario():
        async with serving(strategy) as edge:
            before = edge.intake.route
            hear(edge, to(21))
            assert edge.intake.route == before

    run(scenario)


def test_nothing_is_routed_ahead_while_the_strategy_is_at_work():
    async def scenario():
        edge = Edge("switch-a2", by_itself=False)
        edge.manager.deploy(m.Deploy(16, 21))
        await edge.tiers["edge"].release()
        await edge.tiers["cloud"].release()
        hear(edge, to(21))
        assert edge.intake.route.point == 16
        await edge.manager.stop()

    run(scenario)


def test_a_second_change_waits_for_the_strategy_to_hear_of_the_first():
    async def scenario():
        async with serving("switch-hot") as edge:
            first, second = to(21, number=1), to(16, 21, number=2)
            hear(edge, first)
            hear(edge, second)
            assert edge.intake.route.point == 21
            edge.manager.change(first, time.monotonic_ns())
            edge.manager.change(second, time.monotonic_ns())
            assert edge.intake.route.point == 16
            assert [report.run for report in edge.said(m.Repartitioned)] == [1, 2]

    run(scenario)


def test_a_loss_between_route_and_turn_is_heard_after_the_change():
    """Frames were routed to the standby, which dies before the strategy has heard of the change."""

    async def scenario():
        async with serving("switch-a1") as edge:
            order = to(21)
            learned_ns = hear(edge, order)
            edge.manager.container_died("edge", m.Died("p2", 137, 0, "killed"))
            assert edge.intake.route == Cut("p1", 16)
            edge.manager.change(order, learned_ns)
            await edge.release_all()
            assert [report.moved for report in edge.said(m.Repartitioned)] == [True]
            assert edge.intake.route.container == "p1"

    run(scenario)


def test_every_hot_point_can_be_routed_ahead():
    async def scenario():
        edge = Edge("switch-hot")
        edge.manager.deploy(m.Deploy(16, 21, (1, 17)))
        await edge.release_all()
        for number, point in enumerate((1, 17, 21, 16, 1), start=1):
            order = to(point, number=number)
            learned_ns = hear(edge, order)
            assert edge.intake.route.point == point
            edge.manager.change(order, learned_ns)
            await asyncio.sleep(0)
        assert edge.said(m.Rearmed)[-1].hot == (1, 16, 17, 21)
        await edge.manager.stop()

    run(scenario)


def test_a_point_that_stays_cold_is_told_in_one_line_and_with_each_rearming(capsys):
    async def scenario():
        edge = Edge("switch-hot")
        edge.manager._names = {1: "input"}
        tier, obey = edge.tiers["edge"], edge.tiers["edge"].obey

        async def refuse_the_first(order):
            if isinstance(order, m.Build) and order.point == 1:
                return m.Refused(order.order, "edge: no room", lasting=True)
            return await obey(order)

        tier.obey = refuse_the_first
        edge.manager.deploy(m.Deploy(16, 21, (1,)))
        await edge.release_all()
        assert edge.said(m.Rearmed) == [m.Rearmed(0, (16, 21), ((1, "edge: no room"),))]
        order = to(1, number=4)
        edge.manager.change(order, time.monotonic_ns())
        await edge.release_all()
        assert edge.said(m.Repartitioned)[-1].reason.startswith("point 1 (input) is not hot: built at the change")

    run(scenario)
    assert capsys.readouterr().err == "edge: point 1 (input) stays cold: edge: no room\n"
