"""The timelines: which run is shown, what stands in its rows, and what the figure says of it."""

import json

import pytest

from report.figures import plots
from report.figures.timeline_numbers import strips
from report.load import load_results
from report.metrics.clocks import Shift
from report.metrics.downtime import timeline
from report.metrics.marks import frame_marks, step_marks
from report.tables import build_tables
from report.timelines import Chosen, chosen_runs
from tests.synthetic import CLOCKS, MS, RunSpec, Work, edge_events, run_record, write_block
from workers.records import DeviceFrame, EdgeFrame, Event, EventKind, Outcome, Status

T0 = CLOCKS["edge"]
LAUNCH = Work("launch", 900.0, {"edge_container_ms": 100.0, "edge_import_ms": 600.0, "cloud_import_ms": 850.0})


def marks_of(spec, kind):
    events = edge_events(spec, 1, T0)
    steps = timeline(run_record(spec, 1, 100, 100), events)
    found = [mark for mark in step_marks(steps, reversed(events)) if mark.kind == kind]
    return [(mark.label, mark.tier, pytest.approx(mark.start_ms), pytest.approx(mark.end_ms)) for mark in found]


def test_a_stopped_intake_splits_the_downtime_into_degraded_and_outage():
    spec = RunSpec(stopped_ms=2.0, resumed_ms=500.0, routed_ms=499.0, rearmed_ms=700.0, works=(Work("rebuild", 498.0),))
    assert marks_of(spec, "span") == [
        ("degraded", "edge", 0, 2),
        ("outage", "edge", 2, 500),
        ("re-arming", "edge", 500, 700),
    ]


def test_without_a_stop_all_of_the_downtime_is_degraded():
    assert marks_of(RunSpec(routed_ms=0.3), "span") == [("degraded", "edge", 0, 0.3), ("re-arming", "edge", 0.3, 1.3)]


def test_a_run_whose_cut_stays_has_no_downtime():
    spans = marks_of(RunSpec(moved=False), "span")
    assert [label for label, *_ in spans] == ["re-arming"]


def test_the_parts_of_a_tier_are_laid_end_to_end_from_the_order_on():
    assert marks_of(RunSpec(works=(LAUNCH,), routed_ms=901.0), "work") == [("launch", "edge", 0.01, 900)]
    assert marks_of(RunSpec(works=(LAUNCH,), routed_ms=901.0), "part") == [
        ("container", "edge", 0.01, 100.01),
        ("import", "edge", 100.01, 700.01),
        ("import", "cloud", 0.01, 850.01),
    ]


def test_work_whose_order_is_not_in_the_log_starts_at_t0():
    spec = RunSpec(works=(LAUNCH,), routed_ms=901.0)
    events = [event for event in edge_events(spec, 1, T0) if event.kind is not EventKind.WORK_STARTED]
    steps = timeline(run_record(spec, 1, 100, 100), events)
    starts = {mark.label: mark.start_ms for mark in step_marks(steps, events) if mark.kind == "work"}
    assert starts == {"launch": 0}


def test_every_event_stands_at_its_time():
    found = marks_of(RunSpec(routed_ms=0.3), "event")
    assert ("link_set", "edge", -1500, -1500) in found
    assert ("routed", "edge", 0.3, 0.3) in found
    assert all(start == end for _, _, start, end in found)


def test_frames_stand_on_the_edges_clock_with_their_final_outcome():
    device = [
        DeviceFrame(1, 0, 1000 * MS, Outcome.ANSWERED, 1060 * MS, 17),
        DeviceFrame(1, 1, 1200 * MS, Outcome.ANSWERED, 3300 * MS, 17),  # 2.1 s: late
        DeviceFrame(1, 2, 1400 * MS, Outcome.LOST),
    ]
    edge = [EdgeFrame(1, 2, 5402 * MS, Outcome.PAUSED, settled_ns=5402 * MS)]
    found = frame_marks(device, edge, 2000.0, 5100 * MS, Shift(4000 * MS, 1))
    assert [(m.frame, m.label, m.tier, m.start_ms, m.end_ms, m.point) for m in found] == [
        (0, "answered", "device", -100, -40, 17),
        (1, "late", "device", 100, 2200, 17),
        (2, "paused", "device", 300, None, None),
    ]


def test_without_offsets_frames_stand_where_the_edge_received_and_settled_them():
    device = [DeviceFrame(1, 0, 1000 * MS, Outcome.ANSWERED, 1060 * MS), DeviceFrame(1, 1, 1200 * MS, Outcome.LOST)]
    edge = [EdgeFrame(1, 0, 5001 * MS, Outcome.ANSWERED, 17, settled_ns=5059 * MS)]
    (found,) = frame_marks(device, edge, 2000.0, 5100 * MS, None)
    assert (found.tier, found.label, found.start_ms, found.end_ms, found.point) == ("edge", "answered", -99, -41, 17)


def b2(ms, **fields):
    return RunSpec(works=(Work("build", ms - 1, {"edge_build_ms": 5.0}),), routed_ms=ms, **fields)


def chosen(root):
    return chosen_runs(build_tables(load_results(root)).downtime)


def test_the_run_nearest_to_the_median_at_the_highest_frame_rate_to_the_slower_link_is_shown(tmp_path):
    slower = [b2(ms, fps=20.0, repeat=i) for i, ms in enumerate((400.0, 410.0, 460.0, 470.0, 900.0))]
    others = [b2(455.0, fps=5.0), b2(460.0, fps=20.0, from_mbps=5.0, to_mbps=20.0), RunSpec(status=Status.FAILED)]
    write_block(tmp_path, [*others, *slower])
    assert chosen(tmp_path) == [Chosen("runs/vgg19/switch-b2/cpu100-mem100", 6)]  # 460 ms is the median


def test_of_equally_near_runs_the_first_is_shown(tmp_path):
    write_block(tmp_path, [b2(400.0), b2(500.0)])
    assert chosen(tmp_path) == [Chosen("runs/vgg19/switch-b2/cpu100-mem100", 1)]


def test_where_no_link_got_slower_a_change_to_the_faster_one_is_shown(tmp_path):
    write_block(tmp_path, [b2(400.0, from_mbps=5.0, to_mbps=20.0)])
    assert [one.run for one in chosen(tmp_path)] == [1]


def test_the_table_holds_the_run_with_its_origin(tmp_path):
    write_block(tmp_path, [b2(401.0, fps=10.0, busy_every=2)])
    table = build_tables(load_results(tmp_path)).timelines
    assert set(table["kind"]) == {"span", "event", "work", "part", "frame"}
    assert set(table["source"]) == {"runs/vgg19/switch-b2/cpu100-mem100"}
    frames = table[table["kind"] == "frame"]
    assert len(frames) == 54  # every 100 ms from 2 s before t0 for 5.401 s
    assert frames["start_ms"].iloc[0] == pytest.approx(-2000)
    busy = frames[frames["label"] == "busy"]["start_ms"].tolist()
    assert busy == pytest.approx([100, 300])  # every second one of those within the downtime
    assert table["clock_bound_ms"].iloc[0] == pytest.approx(0.08)


def test_a_strip_counts_what_became_of_the_frames_meanwhile(tmp_path):
    write_block(tmp_path, [b2(401.0, fps=10.0, busy_every=2)])
    (strip,) = strips(build_tables(load_results(tmp_path)))
    assert strip.downtime_ms == pytest.approx(401)
    assert strip.outage_ms == 0
    assert [frame.outcome for frame in strip.meanwhile] == ["answered", "busy", "answered", "busy", "answered"]
    assert strip.window_ms == pytest.approx((-400, 401 + 800))  # four frames before, eight after
    (part,) = strip.shown_parts
    assert (part.tier, part.label, part.end_ms - part.start_ms) == ("edge", "build", pytest.approx(5))


def test_the_finding_says_outage_or_degraded_and_what_was_served(tmp_path):
    stopped = RunSpec(
        stopped_ms=0.0, resumed_ms=1000.0, works=(Work("rebuild", 999.0),), routed_ms=999.5, before_ms=2050
    )
    write_block(tmp_path, [stopped], strategy="pause-resume")
    write_block(tmp_path, [b2(401.0, busy_every=2)])
    write_block(tmp_path, [RunSpec(routed_ms=0.3, before_ms=2050)], strategy="switch-a2")
    found = plots(build_tables(load_results(tmp_path)))[0]
    assert found.name == "timeline"
    assert found.finding.replace("\xa0", " ").split(" Prepared in advance")[0] == (
        "vgg19, 20 → 5 Mbit/s: pause-resume 1.00 s outage, 0 of 10 frames offered meanwhile answered; "
        "switch-a2 0.300 ms degraded, over before the next frame; "
        "switch-b2 401 ms degraded, 3 of 5 frames offered meanwhile answered."
    )
    drawn = found.render()["svg"].decode().replace("\xa0", " ")
    assert "vgg19, switch-b2, cut 16 → 21" in drawn
    assert "the switch, about 2,000 times as wide" in drawn  # 1.2 s in 0.55 of the width / 0.39 ms
    assert ">dropped: busy<" in drawn
    assert ">dropped: lost<" not in drawn


def test_a_strategy_without_a_run_to_show_says_why(tmp_path):
    folder = write_block(tmp_path, [b2(401.0)])
    (folder / "edge-events.jsonl").unlink()
    write_block(tmp_path, [RunSpec(routed_ms=0.3)], strategy="switch-a1")
    write_block(tmp_path, [RunSpec(moved=False)], strategy="switch-a2")
    missing = {strip.strategy: strip.missing for strip in strips(build_tables(load_results(tmp_path)))}
    assert missing["switch-a1"] is None
    assert missing["switch-a2"] == "the cut did not move: no downtime to show"
    assert missing["switch-b2"].startswith("no run is ok: 1 invalid. runs/vgg19/switch-b2/cpu100-mem100/edge-events")
    assert missing["switch-b2"].endswith("is missing")
    drawn = plots(build_tables(load_results(tmp_path)))[0].render()["svg"].decode()
    assert "no run is ok" in drawn


def test_a_block_elsewhere_is_not_the_reference_condition(tmp_path):
    write_block(tmp_path, [RunSpec(routed_ms=0.3)], strategy="switch-a1")
    write_block(tmp_path, [b2(401.0)], cpu_pct=50)
    missing = {strip.strategy: strip.missing for strip in strips(build_tables(load_results(tmp_path)))}
    assert missing["switch-b2"] == "no run at 100 % CPU, 100 % memory"


def test_events_that_fail_do_not_count_as_work():
    failed = Event(1, T0 + MS, EventKind.WORK_FAILED, {"work": "build", "reason": json.dumps("OOM")})
    spec = RunSpec(routed_ms=0.3)
    events = [*edge_events(spec, 1, T0), failed]
    steps = timeline(run_record(spec, 1, 100, 100), events)
    kinds = [mark.label for mark in step_marks(steps, events) if mark.kind in {"work", "part"}]
    assert kinds == []
