"""What was made before the first change: counted and timed from the edge's events of run 0."""

import pytest

from report.metrics.preparation import preparation
from tests.synthetic import CLOCKS, FIRST_PIPELINE, MS, Order, setup_events
from workers.records import Event, EventKind

HOT = (
    FIRST_PIPELINE,
    Order("build", 901, 971, "p1", 35, {"edge_build_ms": 3.0, "edge_instantiate_ms": 14.0, "cloud_build_ms": 13.0}),
    Order("build", 972, 1087, "p1", 155, {"edge_build_ms": 25.0, "cloud_build_ms": 1.0}),
)


def test_one_pipeline_is_all_that_a_strategy_starts_with():
    found = preparation(setup_events([FIRST_PIPELINE]))
    assert (found.pairs_launched, found.points_built) == (1, 0)
    assert found.launch_s == found.first_pair_s == pytest.approx(0.9)
    assert found.build_s == found.build_edge_s == found.build_cloud_s == 0
    assert found.armed_s == pytest.approx(0.901)


def test_a_standby_pair_is_told_apart_from_the_first():
    found = preparation(setup_events([FIRST_PIPELINE, Order("launch", 901, 1851, "p2", 21)]))
    assert found.pairs_launched == 2
    assert (found.launch_s, found.first_pair_s) == (pytest.approx(1.85), pytest.approx(0.9))


def test_points_are_counted_and_each_tiers_parts_added_up():
    found = preparation(setup_events(HOT))
    assert (found.pairs_launched, found.points_built) == (1, 2)
    assert found.build_s == pytest.approx(0.07 + 0.115)
    assert (found.build_edge_s, found.build_cloud_s) == (pytest.approx(0.042), pytest.approx(0.014))


def test_what_failed_is_not_there():
    failed = setup_events(HOT[:1], armed=False)
    detail = {"work": "build", "container": "p1", "point": 35}
    failed += [
        Event(0, CLOCKS["edge"] + 901 * MS, EventKind.WORK_STARTED, dict(detail)),
        Event(0, CLOCKS["edge"] + 950 * MS, EventKind.WORK_FAILED, {**detail, "reason": "it does not fit"}),
        Event(0, CLOCKS["edge"] + 951 * MS, EventKind.REARMED),
    ]
    found = preparation(failed)
    assert (found.points_built, found.armed_s) == (0, pytest.approx(0.951))


def test_only_the_first_session_that_became_ready_counts():
    broken = setup_events(HOT[:2], armed=False)
    whole = setup_events(HOT, CLOCKS["edge"] + 60_000 * MS)
    later = setup_events(HOT, CLOCKS["edge"] + 120_000 * MS)
    assert preparation([*broken, *whole, *later]) == preparation(setup_events(HOT))


def test_without_a_strategy_that_became_ready_nothing_is_known():
    assert preparation([]) is None
    assert preparation(setup_events(HOT, armed=False)) is None
