"""Tables from raw logs: the data contract's columns, hand-computed cells, and runs that are no good."""

import math

import pandas as pd
import pytest

from report.errors import TableError
from report.load import load_results
from report.schema import COLUMNS
from report.tables import build_tables, main, read_tables
from tests.synthetic import RunSpec, Work, write_block
from workers.records import Conditions, Status

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
