"""Tables from raw logs: the data contract's columns, hand-computed cells, and runs that are no good."""

import json
import math
from dataclasses import replace

import pandas as pd
import pytest

from report.errors import TableError
from report.load import load_results
from report.schema import COLUMNS
from report.summaries import downtime_summaries
from report.tables import build_tables, main, read_tables
from report.view.memory import memory_notes
from tests.synthetic import RunSpec, Work, write_block
from workers.records import ClockOffset, Conditions, Status

RESTART = RunSpec(
    works=(Work("rebuild", 5900, {"edge_start_ms": 250.0, "cloud_start_ms": 240.0}),),
    stopped_ms=1,
    resumed_ms=6000,
    routed_ms=5990,
)
KEYS = ["model", "strategy", "cpu_pct", "mem_pct", "fps", "from_mbps", "to_mbps", "repeat", "status"]
CONTRACT = {
    "downtime": [
        *KEYS,
        *("downtime_ms", "outage_ms", "degraded_ms", "t_update_ms", "t_initialisation_ms"),
        *("t_exec_ms", "t_switch_ms", "service_gap_ms"),
    ],
    "frames": [
        *KEYS,
        *("window", "offered", "answered", "dropped", "dropped_paused", "dropped_busy"),
        *("dropped_late", "dropped_lost", "dropped_failed", "drop_rate"),
    ],
    "memory": [
        *("model", "strategy", "tier", "initial_mb", "additional_mb", "additional_when", "total_mb", "n"),
    ],
    "conditions": [*KEYS, "link_mbps_requested", "link_mbps_achieved"],
}


def tables_of(root):
    return build_tables(load_results(root))


@pytest.mark.parametrize("name", CONTRACT)
def test_the_contracts_columns_come_first(name):
    assert list(COLUMNS[name][: len(CONTRACT[name])]) == CONTRACT[name]


def test_one_run_by_hand(tmp_path):
    write_block(tmp_path, [RESTART], strategy="pause-resume", cpu_pct=50, mem_pct=25)
    tables = tables_of(tmp_path)
    row = tables.downtime.iloc[0]
    assert (row.model, row.strategy, row.cpu_pct, row.mem_pct, row.status) == (
        *("vgg19", "pause-resume"),
        *(50, 25, "ok"),
    )
    assert row.downtime_ms == row.t_update_ms == pytest.approx(6000)
    assert row.outage_ms == pytest.approx(5999)
    # Frames come every 100 ms. The last before the stop is offered at 0 ms and answered, the next at 6000 ms.
    assert row.service_gap_ms == pytest.approx(6000 - 100)
    assert row.service_gap_resolution_ms == 100
    assert row.clock_bound_ms == pytest.approx(0.08)
    assert row.source == "runs/vgg19/pause-resume/cpu50-mem25"
    before, during, whole = (tables.frames.iloc[row] for row in range(3))
    assert (before.window, before.offered, before.answered) == ("before", 20, 20)
    # Offered at 0, 100, ..., 6000 ms: 61 frames, the first and the last of which meet an open intake.
    assert (during.window, during.offered, during.answered, during.dropped_paused) == ("downtime", 61, 2, 59)
    assert during.drop_rate == pytest.approx(59 / 61)
    assert during.drop_rate_low < 59 / 61 < during.drop_rate_high
    assert (whole.window, whole.offered, whole.dropped) == ("whole", 110, 59)
    assert dict(zip(tables.parts.tier, tables.parts.ms, strict=True)) == {"edge": 250.0, "cloud": 240.0}


def test_a_frame_in_flight_when_the_change_came_is_not_dropped_before_it(tmp_path):
    write_block(tmp_path, [replace(RESTART, latency_ms=150, lost_after_ms=-100)], strategy="pause-resume")
    before = tables_of(tmp_path).frames.iloc[0]
    assert (before.window, before.offered, before.dropped) == ("before", 19, 0)


def test_a_frame_that_was_lost_before_the_change_counts_though_its_deadline_came_after(tmp_path):
    write_block(tmp_path, [replace(RESTART, lost_after_ms=-500)], strategy="pause-resume")
    before = tables_of(tmp_path).frames.iloc[0]
    assert (before.offered, before.dropped) == (20, 5)


def test_a_switch_between_two_frames_has_no_rate(tmp_path):
    write_block(tmp_path, [RunSpec(routed_ms=0.4, before_ms=2050)], strategy="switch-a1")
    during = tables_of(tmp_path).frames.iloc[1]
    assert (during.window, during.offered) == ("downtime", 0)
    assert math.isnan(during.drop_rate)
    assert during.note == "no frame offered"


def test_memory_is_compared_over_strategies(tmp_path):
    write_block(tmp_path, [RESTART], strategy="pause-resume")
    twice = {"edge": 1400.0, "cloud": 1800.0}
    b1 = RunSpec(works=(Work("launch", 1900),), routed_ms=1901, peak_mb=twice)
    write_block(tmp_path, [b1], strategy="switch-b1")
    memory = tables_of(tmp_path).memory.set_index(["strategy", "tier"])
    b1_edge = memory.loc[("switch-b1", "edge")]
    assert (b1_edge.initial_mb, b1_edge.additional_mb, b1_edge.total_mb) == (700, 700, 1400)
    assert b1_edge.additional_when == "during switching"
    assert b1_edge.cgroup_total_mb == pytest.approx(1260)
    assert memory.loc[("switch-b1", "cloud")].total_over_initial == 2
    assert memory.loc[("pause-resume", "cloud")].additional_when == "never"
    assert b1_edge.sources == "runs/vgg19/switch-b1/cpu100-mem100"


def test_table_one_is_of_the_reference_condition_alone(tmp_path):
    small, large = ({"edge": size, "cloud": size} for size in (500.0, 900.0))
    write_block(tmp_path, [RunSpec(rest_mb=small, peak_mb=small)])
    write_block(tmp_path, [RunSpec(rest_mb=large, peak_mb=large)], cpu_pct=25)
    memory = tables_of(tmp_path).memory
    assert memory.rest_mb.tolist() == [500, 500]
    assert memory.n.tolist() == [1, 1]
    assert (memory.cpu_pct[0], memory.mem_pct[0]) == (100, 100)


def test_a_block_says_what_its_time_went_into_and_how_its_runs_ended(tmp_path):
    failed = RunSpec(status=Status.FAILED, reason="agent died")
    write_block(tmp_path, [RunSpec(), RunSpec(routed_ms=None), failed], stress={"tool": "stress-ng", "set_s": 2.0})
    (row,) = tables_of(tmp_path).blocks.to_dict("records")
    assert (row["runs_ok"], row["runs_infeasible"], row["runs_failed"], row["runs_invalid"]) == (1, 0, 1, 1)
    assert row["observation_share"] == pytest.approx(120 / 133)
    assert row["other_s"] == pytest.approx(0)
    assert row["stress"] == '{"set_s":2.0,"tool":"stress-ng"}'


def test_clocks_have_offsets_bounds_and_drift(tmp_path):
    before = {"edge": ClockOffset(5_000, 40_000), "device": ClockOffset(-2_000, 30_000)}
    after = {"edge": ClockOffset(-1_000, 50_000)}
    write_block(tmp_path, [RunSpec()], clock_before=before, clock_after=after)
    clocks = tables_of(tmp_path).clocks.set_index("host")
    edge = clocks.loc["edge"]
    assert (edge.before_offset_us, edge.after_offset_us, edge.drift_us) == (5, -1, -6)
    assert (edge.before_bound_us, edge.after_bound_us) == (40, 50)
    assert edge.probed == "block"
    assert clocks.loc["device"][["after_offset_us", "drift_us"]].isna().all()


def test_evidence_stands_in_the_row_of_its_run(tmp_path):
    refused = RunSpec(status=Status.INFEASIBLE, reason="OOM", exit_code=137, oom_kills=2)
    write_block(tmp_path, [refused, RunSpec()])
    downtime = tables_of(tmp_path).downtime
    assert (downtime.exit_code[0], downtime.oom_kills[0]) == (137, 2)
    assert pd.isna(downtime.exit_code[1])


def test_a_run_that_fell_back_keeps_its_downtime_and_enters_no_statistic(tmp_path):
    fell_back = RunSpec(status=Status.FAILED, reason="its standby died", measured=True, routed_ms=2900)
    write_block(tmp_path, [RunSpec(routed_ms=0.4), fell_back], strategy="switch-a1")
    tables = tables_of(tmp_path)
    assert tables.downtime.downtime_ms[1] == pytest.approx(2900)
    (summary,) = downtime_summaries(tables.downtime)
    assert (summary.downtime.n, summary.downtime.median) == (1, pytest.approx(0.4))
    assert tables.memory.n.tolist() == [1, 1]


def test_a_gap_that_never_closed_is_a_lower_bound(tmp_path):
    write_block(tmp_path, [RunSpec(), RunSpec(lost_after_ms=0.0), RunSpec(lost_after_ms=0.0)])
    tables = tables_of(tmp_path)
    assert tables.downtime.service_gap_is_lower_bound.tolist() == [False, True, True]
    # The last answer came 40 ms before the change, the last frame was offered 2900 ms after it.
    assert tables.downtime.service_gap_ms[1] == pytest.approx(2900 + 40 - 100)
    (summary,) = downtime_summaries(tables.downtime)
    assert (summary.gap_is_lower_bound, summary.unserved) == (True, 2)


def test_bounds_above_the_median_leave_it_exact(tmp_path):
    write_block(tmp_path, [RunSpec(), RunSpec(), RunSpec(lost_after_ms=0.0)])
    (summary,) = downtime_summaries(tables_of(tmp_path).downtime)
    assert (summary.gap_is_lower_bound, summary.unserved) == (False, 1)


def test_logs_on_which_edge_and_cloud_do_not_agree_make_the_run_invalid(tmp_path):
    folder = write_block(tmp_path, [RunSpec(), RunSpec()])
    log = folder / "edge-frames.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    rows[3]["tail_done_ns"] = None
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    downtime = tables_of(tmp_path).downtime
    assert downtime.status.tolist() == ["invalid", "ok"]
    assert downtime.reason[0] == "frame 3 answered by the edge without a stamp of the cloud"


def test_runs_of_every_status_stay_as_rows(tmp_path):
    specs = [
        RunSpec(),
        RunSpec(status=Status.INFEASIBLE, reason="OOM-killed: exit code 137"),
        RunSpec(status=Status.FAILED, reason="agent died"),
        RunSpec(routed_ms=None),
    ]
    write_block(tmp_path, specs)
    downtime = tables_of(tmp_path).downtime
    assert list(downtime.status) == ["ok", "infeasible", "failed", "invalid"]
    assert downtime.reason[1] == "OOM-killed: exit code 137"
    assert "no routed after change_learned" in downtime.reason[3]
    assert downtime.downtime_ms.isna().tolist() == [False, True, True, True]


def test_a_point_that_stays_is_said_and_stays_ok(tmp_path):
    write_block(tmp_path, [RunSpec(moved=False)])
    tables = tables_of(tmp_path)
    row = tables.downtime.iloc[0]
    assert row.status == "ok"
    assert pd.isna(row.downtime_ms)
    assert "did not move" in row.note
    assert list(tables.frames.window) == ["whole"]


def test_conditions_out_of_tolerance_are_flagged(tmp_path):
    off = Conditions(20, 5, 31.0, 100, 100, None)
    write_block(tmp_path, [RunSpec(), RunSpec(achieved=off)])
    conditions = tables_of(tmp_path).conditions
    assert conditions.within_tolerance.tolist() == [True, False]
    assert conditions.out_of_tolerance[1] == "link_delay_ms"
    assert conditions.not_measured[1] == "fps"
    assert conditions.link_mbps_achieved[0] == pytest.approx(4.8)


def test_every_row_says_where_it_came_from(tmp_path):
    write_block(tmp_path, [RunSpec()], dirty=True)
    row = tables_of(tmp_path).downtime.iloc[0]
    assert row.commit.startswith("0123456")
    assert row.dirty
    assert row.runtime == "podman 4.3.1"
    assert '"kernel":"6.1.0-synthetic"' in row.host_facts


def test_no_clock_offsets_means_no_gap_but_still_a_window(tmp_path):
    write_block(tmp_path, [RESTART], clock_before={}, clock_after={})
    tables = tables_of(tmp_path)
    assert tables.downtime.service_gap_ms.isna().all()
    assert tables.frames.offered[1] == 60  # received 1 ms later, the one offered at 6000 ms is outside
    assert tables.memory.tier.tolist() == ["edge"]


def test_csv_and_parquet_hold_the_same(tmp_path):
    write_block(tmp_path, [RunSpec(), RunSpec(status=Status.FAILED, reason="agent died")])
    assert main(["--results", str(tmp_path)]) == 0
    tables = read_tables(tmp_path / "tables")
    for name in COLUMNS:
        csv = pd.read_csv(tmp_path / "tables" / f"{name}.csv")
        assert list(csv.columns) == list(COLUMNS[name]) == list(getattr(tables, name).columns)
        assert len(csv) == len(getattr(tables, name))
    pd.testing.assert_frame_equal(tables.downtime, tables_of(tmp_path).downtime)


def test_results_without_a_good_run_still_make_tables(tmp_path):
    write_block(tmp_path, [RunSpec(status=Status.FAILED, reason="agent died")])
    assert main(["--results", str(tmp_path)]) == 0
    tables = read_tables(tmp_path / "tables")
    assert tables.memory.empty
    assert len(tables.downtime) == 1


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert main(["--results", str(tmp_path / "nowhere")]) == 1
    assert capsys.readouterr().err.startswith("report: No results folder at ")


def test_tables_that_are_missing_or_of_other_code_are_refused(tmp_path):
    with pytest.raises(TableError, match=r"downtime\.parquet is missing.*python -m report\.tables"):
        read_tables(tmp_path)
    write_block(tmp_path, [RunSpec()])
    main(["--results", str(tmp_path)])
    old = tmp_path / "tables" / "downtime.parquet"
    pd.read_parquet(old).drop(columns=["outage_ms"]).to_parquet(old)
    with pytest.raises(TableError, match="lacks the columns outage_ms"):
        read_tables(tmp_path / "tables")


def test_a_doubtful_row_of_table_one_says_why_nothing_is_concluded(tmp_path):
    moved = {"edge": 760.0, "cloud": 900.0}
    write_block(tmp_path, [RESTART], strategy="pause-resume")
    folder = write_block(tmp_path, [RunSpec(routed_ms=400, works=(Work("build", 399),), rest_mb=moved, peak_mb=moved)])
    log = folder / "edge-memory.jsonl"  # 60 MB more by set size, 2 MB by charge
    samples = [json.loads(line) | {"cgroup_bytes": 632_000_000} for line in log.read_text().splitlines()]
    log.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    (note,) = memory_notes(tables_of(tmp_path))
    assert note.startswith("vgg19, switch-b2, edge: doubtful. The set size at rest is 60 MB more than the baseline's")
