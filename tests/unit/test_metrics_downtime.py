"""Downtime from the edge's events, by hand: Eq. 2 to 5 and what goes wrong."""

import pytest

from report.metrics.downtime import IncompleteRunError, downtime, parts, timeline, unknown_works
from tests.synthetic import MS, RunSpec, Work, edge_events, run_record
from workers.records import Event, EventKind

T0 = 10_000 * MS


def steps_of(spec, drop=()):
    events = [event for event in edge_events(spec, 1, T0) if event.kind not in drop]
    return timeline(run_record(spec, 1, 100, 100), events)


def approx(**values):
    return {name: pytest.approx(value) for name, value in values.items()}


def fields_of(found):
    return {name: getattr(found, name) for name in found.__dataclass_fields__}


def test_pause_and_resume_is_all_t_update():
    spec = RunSpec(works=(Work("rebuild", 5900),), stopped_ms=2, resumed_ms=6000, routed_ms=5990)
    assert fields_of(downtime(steps_of(spec))) == approx(
        downtime_ms=6000.0, outage_ms=5998.0, degraded_ms=2.0, t_update_ms=6000.0
    ) | {"t_initialisation_ms": None, "t_exec_ms": None, "t_switch_ms": None}


def test_scenario_a_is_all_t_switch():
    found = downtime(steps_of(RunSpec(routed_ms=0.4, rearmed_ms=4000)))
    assert found.t_switch_ms == pytest.approx(0.4)
    assert found.downtime_ms == pytest.approx(0.4)
    assert (found.outage_ms, found.t_exec_ms, found.t_initialisation_ms) == (0, None, None)


def test_scenario_b1_is_initialisation_and_switch():
    found = downtime(steps_of(RunSpec(works=(Work("launch", 1900),), routed_ms=1900.5)))
    assert found.t_initialisation_ms == pytest.approx(1900)
    assert found.t_switch_ms == pytest.approx(0.5)
    assert found.degraded_ms == pytest.approx(1900.5)
    assert (found.t_exec_ms, found.t_update_ms, found.outage_ms) == (None, None, 0)


def test_scenario_b2_is_exec_and_switch():
    found = downtime(steps_of(RunSpec(works=(Work("build", 600),), routed_ms=600.25)))
    assert found.t_exec_ms == pytest.approx(600)
    assert found.t_switch_ms == pytest.approx(0.25)


def test_a_strategy_that_launches_then_builds_has_both_terms():
    works = (Work("launch", 100), Work("build", 130))
    found = downtime(steps_of(RunSpec(works=works, routed_ms=131)))
    assert (found.t_initialisation_ms, found.t_exec_ms) == (pytest.approx(100), pytest.approx(30))
    assert found.t_switch_ms == pytest.approx(1)


def test_a_short_stop_splits_into_degraded_and_outage():
    spec = RunSpec(works=(Work("build", 200),), stopped_ms=210, resumed_ms=215, routed_ms=214)
    found = downtime(steps_of(spec))
    assert (found.downtime_ms, found.outage_ms) == (pytest.approx(215), pytest.approx(5))
    assert found.degraded_ms == pytest.approx(210)
    assert found.t_exec_ms == pytest.approx(200)
    assert found.t_switch_ms == pytest.approx(15)
    assert found.t_update_ms is None


@pytest.mark.parametrize(
    "spec",
    [
        RunSpec(works=(Work("rebuild", 50),), stopped_ms=1, resumed_ms=60),
        RunSpec(works=(Work("launch", 5), Work("build", 9)), routed_ms=12),
        RunSpec(works=(Work("build", 5),), stopped_ms=7, resumed_ms=8),
    ],
)
def test_components_and_kinds_of_service_each_add_up_to_the_downtime(spec):
    found = downtime(steps_of(spec))
    components = (found.t_update_ms, found.t_initialisation_ms, found.t_exec_ms, found.t_switch_ms)
    assert sum(value or 0 for value in components) == pytest.approx(found.downtime_ms)
    assert found.outage_ms + found.degraded_ms == pytest.approx(found.downtime_ms)


def test_work_after_the_switch_is_not_counted():
    spec = RunSpec(works=(Work("build", 600), Work("launch", 2500)), routed_ms=601, rearmed_ms=2600)
    steps = steps_of(spec)
    assert downtime(steps).t_initialisation_ms is None
    assert steps.settled_ns == T0 + 2600 * MS


def test_the_change_is_the_one_to_the_new_speed_not_the_setting_of_the_old_one():
    assert steps_of(RunSpec()).learned_ns == T0


def test_a_partition_point_that_stays_has_no_downtime():
    steps = steps_of(RunSpec(moved=False))
    assert not steps.moved
    assert downtime(steps) is None


def test_parts_name_tier_and_part():
    work = Work("build", 600, {"edge_load_ms": 200.0, "cloud_first_inference_ms": 90, "edge_pid": 7})
    found = {(p.work, p.tier, p.part): p.ms for p in parts(steps_of(RunSpec(works=(work,), routed_ms=601)))}
    assert found == {("build", "edge", "load"): 200.0, ("build", "cloud", "first_inference"): 90.0}


def test_work_of_an_unknown_kind_is_named_and_left_in_t_switch():
    steps = steps_of(RunSpec(works=(Work("teleport", 30),), routed_ms=31))
    assert unknown_works(steps) == ("teleport",)
    assert downtime(steps).t_switch_ms == pytest.approx(31)


def test_without_the_change_there_is_no_downtime():
    with pytest.raises(IncompleteRunError, match="no change_learned"):
        steps_of(RunSpec(), drop={EventKind.CHANGE_LEARNED})


def test_without_routing_there_is_no_end():
    with pytest.raises(IncompleteRunError, match="no routed"):
        steps_of(RunSpec(routed_ms=None))


def test_an_intake_that_stays_stopped_is_said():
    spec = RunSpec(works=(Work("rebuild", 50),), stopped_ms=1, resumed_ms=60)
    with pytest.raises(IncompleteRunError, match="never resumed"):
        steps_of(spec, drop={EventKind.INTAKE_RESUMED})


def test_two_stops_are_both_outage():
    spec = RunSpec(works=(Work("rebuild", 50),), stopped_ms=1, resumed_ms=11, routed_ms=None)
    events = edge_events(spec, 1, T0)
    again = [
        Event(1, T0 + 11_200_000, EventKind.INTAKE_STOPPED),
        Event(1, T0 + 16_200_000, EventKind.INTAKE_RESUMED),
    ]
    found = downtime(timeline(run_record(spec, 1, 100, 100), [*events, *again]))
    assert found.outage_ms == pytest.approx(15)
    assert found.downtime_ms == pytest.approx(16.2)


def test_a_failed_repartition_is_no_unmoved_point():
    events = edge_events(RunSpec(), 1, T0)
    detail = {"point": 16, "moved": False, "ok": False, "reason": "cloud: out of memory"}
    failed = [
        Event(event.run, event.at_ns, event.kind, detail) if event.kind is EventKind.REPARTITIONED else event
        for event in events
    ]
    with pytest.raises(IncompleteRunError, match="the repartition failed: cloud: out of memory"):
        timeline(run_record(RunSpec(), 1, 100, 100), failed)
