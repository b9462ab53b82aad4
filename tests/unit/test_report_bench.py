"""From a bench's folder to its numbers: pooled over rounds and bursts, ratios within the bench, failures as rows."""

import csv
import io
import json
import shutil
from dataclasses import replace

import msgspec
import pytest

from report.bench.__main__ import main, make_bench
from report.bench.plane import plane
from report.bench.records import Bench
from report.bench.spread import read_bench, spread
from report.bench.table import comma_separated, markdown
from report.errors import NothingToReport, SchemaError
from tests.synthetic import (
    CLOCKS,
    FIRST_PIPELINE,
    MS,
    RUN_LENGTH_NS,
    Order,
    RunSpec,
    Work,
    block_record,
    edge_events,
    frames,
    write_block,
    write_log,
)
from workers.bench_records import BENCH_VERSION, BenchedBlock, BenchRun, PlaneRecord, PlaneStep
from workers.records import (
    Burst,
    Change,
    DeviceFrame,
    EdgeFrame,
    Event,
    JsonLines,
    Outcome,
    Status,
)

CONFIG = {
    "models": {"vgg19": {}},
    "strategies": ["pause-resume", "switch-a2", "switch-b1"],
    "cpu_pct": [100.0],
    "mem_pct": [100.0],
    "bench": {"rounds": 2, "baseline": "pause-resume"},
}


def paused(ms):
    works = (Work("rebuild", ms, {"edge_import_ms": 4000.0, "cloud_import_ms": 3000.0}),)
    return RunSpec(works=works, stopped_ms=0.1, resumed_ms=ms, rest_mb={"edge": 700.0, "cloud": 900.0})


def switched(ms):
    return RunSpec(routed_ms=ms, rest_mb={"edge": 840.0, "cloud": 900.0}, peak_mb={"edge": 840.0, "cloud": 900.0})


def write_bench(root, *, version=BENCH_VERSION, complete=True):
    run = BenchRun(version, "2026-11-25T20:00:00+00:00", "abc123", False, "d", CONFIG, complete)
    root.mkdir(parents=True, exist_ok=True)
    (root / "bench.json").write_bytes(msgspec.json.encode(run))
    log = JsonLines(root / "blocks.jsonl")
    for number, (slow, fast) in enumerate(((6000.0, 0.4), (7000.0, 0.6)), start=1):
        folder = root / f"round-0{number}"
        write_block(folder, [paused(slow), paused(slow + 100)], strategy="pause-resume")
        write_block(folder, [switched(fast), switched(fast + 0.1)], strategy="switch-a2")
        for strategy in CONFIG["strategies"]:
            failed = strategy == "switch-b1"
            status, reason = (Status.FAILED, "edge: no route") if failed else (Status.OK, None)
            log.write(BenchedBlock(number, "vgg19", strategy, 100.0, 100.0, "f", status, reason, 20.0))
    log.close()


def add_burst(folder, downtimes_ms, *, damage=False, **changed):
    """Append a burst to a written block: frames of run 3, changes from 4 on, each with a downtime of its own."""
    spec = switched(0.5)
    t0_ns = CLOCKS["edge"] + 3 * RUN_LENGTH_NS
    device, edge = frames(spec, 3, t0_ns)
    events = []
    for number, ms in enumerate(downtimes_ms, start=4):
        own = edge_events(switched(ms), number, t0_ns + number * 20 * MS)
        events += [event for event in own if event.at_ns >= t0_ns + number * 20 * MS]
    for name, rows in (
        ("device-frames", device[:-1] if damage else device),
        ("edge-frames", edge),
        ("edge-events", events),
    ):
        write_log(folder / f"{name}.jsonl", rows)
    changes = tuple(Change(number, 20.0, 5.0, 16, 21) for number in range(4, 4 + len(downtimes_ms)))
    burst = Burst(3, 10.0, Status.OK, None, 1000.0, 1.0, changes)
    record = json.loads((folder / "run.json").read_text())
    record["bursts"] = [msgspec.to_builtins(msgspec.structs.replace(burst, **changed))]
    (folder / "run.json").write_text(json.dumps(record))


A2 = "runs/vgg19/switch-a2/cpu100-mem100"


@pytest.fixture
def root(tmp_path):
    write_bench(tmp_path / "bench")
    return tmp_path / "bench"


def row_of(bench, strategy):
    return next(row for row in bench.rows if row.strategy == strategy)


def test_runs_of_all_rounds_are_pooled(root):
    row = row_of(make_bench(root), "pause-resume")
    assert (row.changes, row.changes_of_bursts) == (4, 0)
    assert row.downtime_p50_ms.value == pytest.approx((6100 + 7000) / 2)
    assert (row.downtime_p50_ms.low, row.downtime_p50_ms.high) == pytest.approx((6000, 7100))
    assert row.downtime_max_ms == pytest.approx(7100)
    assert row.blocks == {"ok": 2}


def test_the_ratio_is_to_the_baseline_of_the_same_bench(root):
    row = row_of(make_bench(root), "switch-a2")
    assert row.ratio_to_baseline.value == pytest.approx(0.55 / 6550)
    assert row.ratio_to_baseline.low == pytest.approx(0.4 / 7100)
    assert row.ratio_to_baseline.high == pytest.approx(0.7 / 6000)
    assert row_of(make_bench(root), "pause-resume").ratio_to_baseline.value == 1.0


def test_a_99th_percentile_of_four_values_says_that_it_is_the_largest(root):
    bench = make_bench(root)
    p99 = row_of(bench, "switch-a2").downtime_p99_ms
    assert (p99.value, p99.high, p99.n, p99.extreme) == (pytest.approx(0.7), None, 4, True)
    assert "(largest of 4)" in markdown(bench)


def test_changes_of_a_burst_count_as_those_of_runs_do(root):
    add_burst(root / "round-01" / A2, [0.2, 0.3, 0.9])
    row = row_of(make_bench(root), "switch-a2")
    assert (row.changes, row.changes_of_bursts, row.reasons) == (7, 3, ())
    assert row.downtime_p50_ms.value == pytest.approx(0.5)
    assert row.downtime_max_ms == pytest.approx(0.9)


def test_frames_of_a_burst_are_counted(root):
    before = row_of(make_bench(root), "switch-a2").frames.offered
    add_burst(root / "round-01" / A2, [0.2])
    assert row_of(make_bench(root), "switch-a2").frames.offered > before


def test_a_burst_whose_frames_do_not_add_up_gives_its_reason_and_no_value(root):
    add_burst(root / "round-01" / A2, [0.2, 0.3], damage=True)
    row = row_of(make_bench(root), "switch-a2")
    assert row.changes == 4
    assert "seen by the edge but never offered" in row.reasons[0]


def test_a_burst_that_broke_keeps_the_changes_before(root):
    add_burst(root / "round-01" / A2, [0.2, 0.3], status=Status.FAILED, reason="change 6: gone")
    row = row_of(make_bench(root), "switch-a2")
    assert row.changes == 6
    assert row.reasons == ("runs/vgg19/switch-a2/cpu100-mem100, burst: change 6: gone",)


def test_a_block_that_failed_in_every_round_has_its_row_and_reasons(root):
    bench = make_bench(root)
    row = row_of(bench, "switch-b1")
    assert (row.changes, row.blocks, row.downtime_p50_ms.value) == (0, {"failed": 2}, None)
    assert row.reasons == ("round 1: edge: no route", "round 2: edge: no route")
    assert "edge: no route" in markdown(bench)


def test_additional_memory_is_beyond_the_baseline_at_rest(root):
    edge, cloud = row_of(make_bench(root), "switch-a2").memory
    assert (edge.tier, edge.additional_mb.value, edge.additional_mb.n) == ("edge", pytest.approx(140.0), 4)
    assert edge.additional_share == edge.charged_share == pytest.approx(0.2)
    assert edge.charged_mb.value == pytest.approx(126.0)  # nine tenths of the set size are anonymous here
    assert cloud.additional_mb.value == pytest.approx(0.0)


def test_memory_is_compared_at_the_cuts_where_it_is_most(root):
    # The baseline's second run begins at another cut, which takes a tenth more.
    for number in (1, 2):
        folder = root / f"round-0{number}/runs/vgg19/pause-resume/cpu100-mem100"
        shutil.rmtree(folder)
        other = replace(paused(6000.0), rest_mb={"edge": 770.0, "cloud": 900.0})
        write_block(root / f"round-0{number}", [paused(6000.0), other], strategy="pause-resume")
        record = json.loads((folder / "run.json").read_text())
        record["runs"][1]["from_point"] = 21
        (folder / "run.json").write_text(json.dumps(record))
    bench = make_bench(root)
    assert row_of(bench, "switch-a2").memory[0].additional_mb.value == pytest.approx(840 - 770)
    assert row_of(bench, "pause-resume").memory[0].additional_mb.value == pytest.approx(0)


def test_steady_frames_are_compared_at_the_same_cut_and_speed(root):
    # Synthetic frames have no head and tail times; these have, half as much again with the strategy.
    for number in (1, 2):
        for strategy, head_ms in (("pause-resume", 20.0), ("switch-a2", 30.0)):
            path = root / f"round-0{number}/runs/vgg19/{strategy}/cpu100-mem100/edge-frames.jsonl"
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            for row in rows:
                done_ns = row["received_ns"] + round((head_ms + 1) * MS)
                row |= {"head_ms": head_ms, "tail_ms": 10.0, "head_done_ns": done_ns}
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (steady,) = row_of(make_bench(root), "switch-a2").steady
    assert (steady.mbps, steady.point) == (20.0, 16)
    assert steady.compute_ratio.value == pytest.approx(40 / 30)
    assert steady.round_trip_ratio.value == pytest.approx(1.0)
    assert steady.waiting_ms.value == pytest.approx(1.0)
    assert steady.compute_ms.n > 10


def test_parts_of_the_work_explain_a_downtime(root):
    parts = {(part.work, part.tier, part.part): part.ms for part in row_of(make_bench(root), "pause-resume").parts}
    assert parts["rebuild", "edge", "import"].value == 4000.0
    assert parts["rebuild", "edge", "import"].n == 4


def test_a_folder_without_a_bench_says_how_to_make_one(tmp_path, capsys):
    with pytest.raises(NothingToReport, match="make bench"):
        make_bench(tmp_path)
    assert main(["--results", str(tmp_path)]) == 1
    assert "make bench" in capsys.readouterr().err


def test_another_version_is_refused_with_the_commit_to_go_back_to(tmp_path):
    write_bench(tmp_path, version=BENCH_VERSION + 1)
    with pytest.raises(SchemaError, match="git checkout abc123"):
        make_bench(tmp_path)


# --- the files ----------------------------------------------------------------------------------------------


def test_what_was_found_infeasible_is_a_result(root):
    rows = [json.loads(line) for line in (root / "blocks.jsonl").read_text().splitlines()]
    infeasible = [row | {"status": "infeasible"} if row["strategy"] == "switch-b1" else row for row in rows]
    (root / "blocks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in infeasible))
    assert main(["--results", str(root)]) == 0


def test_the_command_writes_json_markdown_and_csv(root, capsys):
    assert main(["--results", str(root)]) == 1  # switch-b1 has no value
    written = root.with_name("bench.json")
    bench = read_bench(written)
    assert bench == msgspec.json.decode(written.read_bytes(), type=Bench, strict=True)
    assert bench.schema_version == BENCH_VERSION
    assert written.with_suffix(".md").read_text() in capsys.readouterr().out + "\n"
    rows = list(csv.DictReader(io.StringIO(written.with_suffix(".csv").read_text())))
    assert [row["strategy"] for row in rows] == CONFIG["strategies"]
    assert float(rows[1]["ratio_to_baseline"]) == pytest.approx(0.55 / 6550)


def test_every_number_that_is_not_known_is_null_in_the_file(root):
    encoded = msgspec.json.encode(make_bench(root))
    assert b"NaN" not in encoded
    assert json.loads(encoded)["rows"][2]["downtime_p50_ms"]["value"] is None


def test_a_bench_that_was_cut_short_says_so(tmp_path):
    write_bench(tmp_path, complete=False)
    assert "did not come to its end" in markdown(make_bench(tmp_path))
    assert "did not come to its end" not in comma_separated(make_bench(tmp_path))


def test_spread_of_ratios_over_benches(root):
    bench = make_bench(root)
    row = row_of(bench, "switch-a2")
    doubled = msgspec.structs.replace(
        row, ratio_to_baseline=msgspec.structs.replace(row.ratio_to_baseline, value=2 * row.ratio_to_baseline.value)
    )
    other = msgspec.structs.replace(bench, rows=(doubled,))
    line = next(line for line in spread([bench, other, bench]).splitlines() if "switch-a2" in line)
    assert line.endswith("100\N{NO-BREAK SPACE}% |")  # (2 - 1) / 1


def test_a_bench_of_another_version_is_not_compared(root):
    main(["--results", str(root)])
    written = root.with_name("bench.json")
    written.write_text(written.read_text().replace(f'"schema_version": {BENCH_VERSION},', '"schema_version": 99,', 1))
    with pytest.raises(SchemaError, match="version 99"):
        read_bench(written)
    assert main(["--spread", str(written)]) == 1


# --- the data plane -----------------------------------------------------------------------------------------


def write_plane(root, cut_bytes=12):
    """20 FPS: overhead 0.5 ms and once 9 ms; two paces of a ceiling."""
    folder = root / "plane/null-small"
    folder.mkdir(parents=True)
    edge, device = [], []
    for number in range(10):
        at_ns, extra_ms = number * 50 * MS, 9.0 if number == 9 else 0.5
        device.append(DeviceFrame(1, number, at_ns + (MS if number == 4 else 0), Outcome.ANSWERED, at_ns + 5 * MS))
        edge.append(
            EdgeFrame(
                1, number, at_ns, Outcome.ANSWERED, 3, "p1", at_ns + round((3.0 + extra_ms) * MS), 1.0,
                at_ns + round(1.2 * MS), 0, 7, 2.0, 9,
            )
        )  # fmt: skip
    write_log(folder / "edge-frames.jsonl", edge)
    write_log(folder / "device-frames.jsonl", device)
    steps = (
        PlaneStep(1, "overhead", 3, cut_bytes, 20.0, 0.5, 10, 10, 20.0, True),
        PlaneStep(2, "ceiling", 1, 768, 400.0, 2.0, 800, 800, 400.0, True),
        PlaneStep(3, "ceiling", 1, 768, 800.0, 2.0, 1600, 900, 800.0, False),
    )
    record = PlaneRecord(BENCH_VERSION, "null-small", Status.OK, None, 192, 1000.0, 0.0, steps, {})
    (folder / "plane.json").write_bytes(msgspec.json.encode(record))


def test_overhead_schedule_and_goals_of_the_plane(root):
    write_plane(root)
    found = plane(root)
    step = found.steps[0]
    assert step.overhead_p50_ms.value == pytest.approx(0.5)
    assert step.overhead_p99_ms.value == pytest.approx(9.0)
    assert step.before_p50_ms.value == pytest.approx(0.2)
    assert step.off_schedule_p99_ms.value == pytest.approx(1.0)
    assert [(goal.limit_ms, goal.met) for goal in found.goals] == [(1.0, True), (5.0, False)]


def test_where_the_wire_takes_long_the_overhead_has_no_goal(root):
    write_plane(root, cut_bytes=602_112)
    found = plane(root)
    assert found.steps[0].wire_ms == pytest.approx(5.0, rel=0.05)  # 602,112 bytes and their headers at 1 Gbit/s
    assert found.steps[0].overhead_p50_ms.n == 10
    assert not found.goals
    assert "beyond the computed wire" in markdown(make_bench(root))


def test_the_ceiling_is_the_fastest_pace_that_was_held(root):
    write_plane(root)
    (ceiling,) = plane(root).ceilings
    assert (ceiling.held_fps, ceiling.first_not_held_fps) == (400.0, 800.0)
    assert ceiling.ingress_mb_s == pytest.approx(0.0768)
    assert ceiling.link_mb_s == pytest.approx(0.3072)


def test_the_plane_stands_in_the_table(root):
    write_plane(root)
    text = markdown(make_bench(root))
    assert "not met" in text
    assert "null-small" in text


def test_without_a_plane_there_is_none(root):
    assert make_bench(root).plane is None


def test_the_events_of_other_runs_do_not_count(root):
    """A burst's change takes its own events alone, whatever else the block logged."""
    folder = root / "round-01" / A2
    add_burst(folder, [0.2])
    stray = Event(99, CLOCKS["edge"], edge_events(switched(5), 99, CLOCKS["edge"])[0].kind, {"mbps": 5.0})
    write_log(folder / "edge-events.jsonl", [stray])
    assert row_of(make_bench(root), "switch-a2").changes == 5


def test_an_interval_of_too_few_values_says_what_it_covers(root):
    line = next(line for line in markdown(make_bench(root)).splitlines() if line.startswith("| vgg19 | switch-a2"))
    assert "(covers 88%)" in line  # the median of four: 1 - 2/16


def table_lines(bench, heading, strategy):
    """Return a strategy's line of the table below a heading."""
    section = markdown(bench).split(f"## {heading}")[1].split("\n## ")[0]
    return next(line for line in section.splitlines() if f"| {strategy} |" in line)


def test_an_interval_that_covers_less_than_half_is_not_printed(tmp_path):
    root = tmp_path / "bench"
    write_bench(root)
    shutil.rmtree(root / "round-02")
    bench = make_bench(root)
    edge = row_of(bench, "switch-a2").memory[0].additional_mb
    assert (edge.n, edge.coverage) == (2, 0.0)  # two medians of two values each
    line = table_lines(bench, "Memory", "switch-a2")
    assert "| +140 MB (+20 %) |" in line
    assert line.endswith("| 2 |")
    assert "[" not in line


def test_every_table_says_its_n(root):
    bench = make_bench(root)
    assert table_lines(bench, "Memory", "switch-a2").endswith("| 4 |")
    assert table_lines(bench, "What the time goes into", "pause-resume").startswith(
        "| vgg19 | pause-resume | rebuild | 4 |"
    )


def test_drops_are_named_by_reason_with_the_share_and_its_interval(root):
    bench = make_bench(root)
    frames = row_of(bench, "pause-resume").frames
    assert (frames.downtime_paused, frames.downtime_dropped) == (frames.paused, frames.paused)
    cells = table_lines(bench, "Frames", "pause-resume").split(" | ")
    share = 100 * frames.paused / frames.offered
    assert cells[2].startswith(f"{frames.paused} of {frames.downtime_offered}: ")
    assert cells[2].endswith(f"({frames.paused} paused)")
    assert cells[3].startswith(f"{frames.paused} of {frames.offered}: {share:.0f} % [")
    assert table_lines(bench, "Frames", "switch-a2").split(" | ")[2].startswith("0 of 4: 0 % [")
    assert table_lines(bench, "Frames", "switch-b1").split(" | ")[2:4] == ["no frame offered"] * 2


def test_steady_latency_has_its_n_and_stands_in_the_spreadsheet(root):
    for number in (1, 2):
        for strategy in ("pause-resume", "switch-a2"):
            path = root / f"round-0{number}/runs/vgg19/{strategy}/cpu100-mem100/edge-frames.jsonl"
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            for row in rows:
                row |= {"head_ms": 20.0, "tail_ms": 10.0, "head_done_ns": row["received_ns"] + 21 * MS}
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    bench = make_bench(root)
    n = row_of(bench, "switch-a2").steady[0].round_trip_ratio.n
    assert n > 10
    assert f", n = {n} |" in table_lines(bench, "Frames", "switch-a2")
    rows = list(csv.DictReader(io.StringIO(comma_separated(bench))))
    assert float(rows[1]["steady_20mbps_round_trip_ratio"]) == pytest.approx(1.0)
    assert int(rows[1]["steady_20mbps_round_trip_ratio_n"]) == n
    assert rows[2]["steady_20mbps_round_trip_ratio"] == ""  # the one that failed


def test_what_was_prepared_stands_beside_the_downtime_it_is_bought_for(root):
    for number in (1, 2):
        folder = root / f"round-0{number}"
        shutil.rmtree(folder / A2)
        built = Order("build", 901, 961, "p1", 21, {"edge_build_ms": 30.0, "cloud_build_ms": 40.0})
        facts = {**block_record((), "vgg19", "switch-a2", 100, 100).model_facts, "conversion_s": 12.5}
        setup = (FIRST_PIPELINE, built)
        write_block(folder, [switched(0.4)], strategy="switch-a2", setup=setup, model_facts=facts)
    bench = make_bench(root)
    prepared = row_of(bench, "switch-a2").prepared
    assert (prepared.pairs.value, prepared.points.value, prepared.points.n) == (1, 1, 2)
    assert (prepared.build_s.value, prepared.build_edge_s.value) == (pytest.approx(0.06), pytest.approx(0.03))
    assert prepared.conversion_s == 12.5
    assert markdown(bench).split("## ")[0].count("| 1 point in 60.0 ms |") == 1
    line = table_lines(bench, "Prepared in advance", "switch-a2")
    assert "| 400 µs | 1 in 900 ms (first: 900 ms) | 1 in 60.0 ms (edge 30.0 ms, cloud 40.0 ms) | 962 ms " in line
    assert line.endswith("| 12.5 s, once | 2 |")
    nothing = table_lines(bench, "Prepared in advance", "pause-resume")
    assert "| none |" in nothing
    assert "| not known | 2 |" in nothing  # no conversion was noted in its blocks
    assert "| not known | not known | not known | not known | 0 |" in table_lines(
        bench, "Prepared in advance", "switch-b1"
    )
    rows = list(csv.DictReader(io.StringIO(comma_separated(bench))))
    assert (rows[1]["points"], rows[1]["conversion_s"]) == ("1.0", "12.5")
