"""The condition that strategies are compared at, cells, coverage of the grid, noise and efficiency."""

import json
import math
import shutil

import msgspec
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from report import text
from report.asked import AskedGrid
from report.cells import cell_summaries
from report.load import load_results
from report.metrics.statistics import Interval
from report.noise import noise_summaries
from report.provenance import machines
from report.scope import Cell, at_reference, condition, described, pooled, references
from report.tables import build_tables
from report.view.conditions import flagged_grid
from report.view.efficiency import efficiency, efficiency_blocks_grid, efficiency_grid
from report.view.runs import coverage_counts, coverage_grid
from report.view.strategies import DOES, strategies_grid
from report.view.trust import accounts, clocks_grid, machine, stress_grid
from tests.synthetic import CLOCKS, RunSpec, write_block
from workers.records import Conditions, Event, EventKind, Status
from workers.strategies import STRATEGIES

LEVEL = st.sampled_from([100.0, 75.0, 50.0, 25.0])
ROW = st.tuples(st.sampled_from(["mobilenetv2", "vgg19"]), LEVEL, LEVEL, st.sampled_from(["ok", "failed"]))


def runs_of(*rows):
    """Runs of (model, CPU, memory, status), those that are ok with a downtime."""
    return pd.DataFrame(
        [
            {"model": model, "cpu_pct": cpu, "mem_pct": mem, "status": status, "downtime_ms": 1.0 * (status == "ok")}
            | {"fps": 5.0, "from_mbps": 20.0, "to_mbps": 5.0}
            for model, cpu, mem, status in rows
        ]
    )


def tables_of(root):
    return build_tables(load_results(root))


def rows_of(grid):
    return [[cell.text.replace("\xa0", " ") for cell in row] for group in grid.groups for row in group.rows]


def test_the_reference_is_the_highest_cpu_and_there_the_highest_memory():
    runs = runs_of(("vgg19", 50, 100, "ok"), ("vgg19", 100, 25, "ok"), ("vgg19", 100, 50, "ok"))
    assert references(runs) == {"vgg19": Cell(100, 50)}


def test_a_cell_where_nothing_was_measured_is_no_reference_unless_there_is_no_other():
    runs = runs_of(("vgg19", 100, 100, "failed"), ("vgg19", 50, 100, "ok"), ("mobilenetv2", 75, 75, "failed"))
    assert references(runs) == {"vgg19": Cell(50, 100), "mobilenetv2": Cell(75, 75)}


@given(st.lists(ROW, max_size=20))
def test_rows_at_the_reference_are_of_one_cell_a_model(rows):
    runs = runs_of(*rows) if rows else runs_of(("vgg19", 100, 100, "ok")).iloc[:0]
    found = at_reference(runs, references(runs))
    assert set(found["model"]) == set(runs["model"])
    assert all(
        len(cells) == 1 for _, cells in found.groupby("model")[["cpu_pct", "mem_pct"]].value_counts().groupby("model")
    )


def test_conditions_are_said_once_where_all_models_share_them():
    assert described({"a": Cell(100, 100), "b": Cell(100, 100)}) == "100 % CPU, 100 % memory"
    assert described({"b": Cell(50, 100), "a": Cell(100, 100)}) == (
        "a at 100 % CPU, 100 % memory; b at 50 % CPU, 100 % memory"
    )
    assert described({}) == "no condition"


def test_what_is_pooled_is_said():
    there = runs_of(("vgg19", 100, 100, "ok"))
    assert pooled(there) == "5 FPS"
    back = there.assign(fps=20.0, from_mbps=5.0, to_mbps=20.0)
    assert pooled(pd.concat([there, back])) == "5 and 20 FPS pooled, both directions pooled"
    assert condition(there.iloc[:0]) == ""
    assert condition(pd.concat([there, there.assign(cpu_pct=25)])) == "100 and 25 % CPU, 100 % memory; 5 FPS"


def test_a_cell_has_a_number_or_the_worst_reason_why_not(tmp_path):
    write_block(tmp_path, [RunSpec(), RunSpec(status=Status.FAILED, reason="died")])
    write_block(tmp_path, [RunSpec(moved=False)], cpu_pct=50)
    write_block(tmp_path, [RunSpec(status=s, reason="no") for s in (Status.FAILED, Status.INFEASIBLE)], mem_pct=10)
    found = {
        (c.cell.cpu_pct, c.cell.mem_pct): (c.state, c.left_out) for c in cell_summaries(tables_of(tmp_path).downtime)
    }
    assert found == {
        (100, 100): ("measured", 1),
        (50, 100): ("cut stays", 0),
        (100, 10): ("infeasible", 2),
        (50, 10): ("not measured", 0),
    }


def test_cells_and_strategies_that_were_asked_for_and_are_not_there_are_shown_as_such(tmp_path):
    write_block(tmp_path, [RunSpec()])
    asked = AskedGrid(("vgg19",), ("switch-a1", "switch-b2"), (100.0, 25.0), (100.0,), 1)
    found = cell_summaries(tables_of(tmp_path).downtime, asked)
    assert [(c.strategy, c.cell.cpu_pct, c.state) for c in found] == [
        ("switch-a1", 100, "not measured"),
        ("switch-a1", 25, "not measured"),
        ("switch-b2", 100, "measured"),
        ("switch-b2", 25, "not measured"),
    ]


CONFIG = (
    '{"models": {"vgg19": {}}, "strategies": ["switch-a1", "switch-b2"], "cpu_pct": [100, 50], "mem_pct": [100, 10]}'
)


def test_every_block_that_was_asked_for_is_accounted_for(tmp_path):
    (tmp_path / "config.json").write_text(CONFIG)
    out_of_memory = RunSpec(status=Status.INFEASIBLE, reason="OOM")
    write_block(tmp_path, [RunSpec(), RunSpec()], strategy="switch-a1")
    write_block(tmp_path, [RunSpec(), RunSpec(status=Status.FAILED, reason="died")])
    write_block(tmp_path, [out_of_memory] * 2, mem_pct=10)
    write_block(tmp_path, [RunSpec(status=Status.FAILED, reason="died")] * 2, cpu_pct=50)
    write_block(tmp_path, [RunSpec()], strategy="switch-a1", cpu_pct=50)
    write_block(tmp_path, [RunSpec()], strategy="switch-a1", mem_pct=10, schema_version=99)
    results, tables = load_results(tmp_path), tables_of(tmp_path)
    counts = coverage_counts(results, tables)
    assert counts == {
        "ok": 1,
        "partly ok": 1,
        "incomplete": 1,
        "infeasible": 1,
        "failed": 1,
        "unreadable": 1,
        "missing": 2,
    }
    assert ["switch-b2", "missing", "1", "50/10"] in rows_of(coverage_grid(results, tables))


def test_what_the_config_leaves_out_is_neither_missing_nor_not_measured(tmp_path):
    exclude = [{"strategy": ["switch-b2"], "cpu_pct": 50, "mem_pct": None}, {"mem_pct": [10.0]}]
    (tmp_path / "config.json").write_text(json.dumps(json.loads(CONFIG) | {"exclude": exclude}))
    write_block(tmp_path, [RunSpec()])
    write_block(tmp_path, [RunSpec()], strategy="switch-a1")
    results, tables = load_results(tmp_path), tables_of(tmp_path)
    assert coverage_counts(results, tables) == {"incomplete": 2, "missing": 1}
    asked = AskedGrid.from_config(results.config)
    states = {
        (cell.strategy, cell.cell.cpu_pct, cell.cell.mem_pct): cell.state
        for cell in cell_summaries(tables.downtime, asked)
    }
    assert states["switch-a1", 50, 100] == "not measured"
    assert states["switch-b2", 50, 100] == states["switch-b2", 100, 10] == "not in the grid"


@pytest.mark.parametrize("exclude", [[5], "all", {"mem_pct": 10}], ids=str)
def test_exclusions_that_cannot_be_read_are_no_grid(exclude):
    assert AskedGrid.from_config(json.loads(CONFIG) | {"exclude": exclude}) is None


def test_without_a_config_there_is_no_coverage(tmp_path):
    write_block(tmp_path, [RunSpec()])
    results, tables = load_results(tmp_path), tables_of(tmp_path)
    assert coverage_counts(results, tables) == {}
    assert coverage_grid(results, tables).is_empty


def test_noise_is_the_range_over_the_repeats_of_one_scenario(tmp_path):
    calm = [RunSpec(routed_ms=ms, fps=5) for ms in (100, 101, 102)]
    wild = [RunSpec(routed_ms=ms, fps=20) for ms in (100, 200)]
    write_block(tmp_path, [*calm, *wild, RunSpec(routed_ms=7.0, fps=10)])
    (found,) = noise_summaries(tables_of(tmp_path).downtime)
    assert found.scenarios == 2
    assert found.typical == pytest.approx((2 / 101 + 100 / 150) / 2)
    assert (found.worst.range_ms, found.worst.n) == (pytest.approx(100), 2)
    assert found.worst.scenario == "100 % CPU, 100 % memory, 20 FPS, 20 → 5 Mbit/s"


def test_runs_out_of_tolerance_are_listed_by_block_with_the_worst(tmp_path):
    slow = [RunSpec(achieved=Conditions(20, mbps, 20, 100, 88, 10)) for mbps in (4.4, 5.9, 4.0)]
    write_block(tmp_path, [RunSpec(), *slow])
    source = "runs/vgg19/switch-b2/cpu100-mem100"
    assert rows_of(flagged_grid(tables_of(tmp_path))) == [
        [source, "Link after the change", "5", "4.00", "−20.0 %", "3", "2, 3, 4"],
        [source, "Memory availability", "100", "88.0", "−12.0 points", "3", "2, 3, 4"],
    ]


def test_what_the_stressor_did_is_shown_where_there_was_one(tmp_path):
    write_block(tmp_path, [RunSpec()])
    stress = {"tool": "stress-ng 0.15", "set_s": 2.0, "cpu_pct": 49.2, "mem_taken_bytes": 1e9}
    write_block(tmp_path, [RunSpec()], cpu_pct=50, stress=stress)
    ((source, cpu, memory, to_set, to_release, rest),) = rows_of(stress_grid(tables_of(tmp_path)))
    assert source.endswith("cpu50-mem100")
    assert (cpu, memory, to_set, to_release) == ("49.2 %", text.NONE, "2.00", text.NONE)
    assert rest == "mem taken bytes 1000000000.0, tool stress-ng 0.15"


def launching(root, strategy, factor, **changed):
    """Write a block whose first containers took 400 ms on the edge and 200 ms in the cloud, times a factor."""
    folder = write_block(root, [RunSpec()], strategy=strategy, **changed)
    parts = {"edge_start_ms": 100.0, "edge_import_ms": 300.0, "cloud_start_ms": 50.0, "cloud_import_ms": 150.0}
    detail = {"work": "launch", **{name: factor * ms for name, ms in parts.items()}}
    log = folder / "edge-events.jsonl"
    event = Event(0, CLOCKS["edge"], EventKind.WORK_DONE, detail)
    log.write_bytes(msgspec.json.encode(event) + b"\n" + log.read_bytes())


def test_how_much_the_machine_differs_is_told_from_what_every_block_begins_with(tmp_path):
    for strategy, factor in (("pause-resume", 1.0), ("switch-a1", 1.1), ("switch-b1", 1.0 / 1.1)):
        launching(tmp_path, strategy, factor)
    launching(tmp_path, "switch-b1", 3.0, cpu_pct=50)  # not at the reference condition
    tables = tables_of(tmp_path)
    spread = tables.machine
    assert (spread.blocks, spread.shortest_ms, spread.longest_ms) == (3, pytest.approx(400 / 1.1), pytest.approx(440))
    assert spread.deviation == pytest.approx(math.log(1.1))  # of -ln 1.1, 0 and ln 1.1
    apart = 1.1 ** (1.96 * 2**0.5)
    assert spread.between_sessions == pytest.approx(apart - 1)
    assert spread.another_session(Interval(5, 4, 6, 8, 0.96)) == (pytest.approx(4 / apart), pytest.approx(6 * apart))
    assert "took 364 ms to 440 ms on the edge over 3 blocks" in machine(tables).replace("\xa0", " ")


def test_blocks_of_another_availability_and_copies_do_not_tell_how_much_the_machine_differs(tmp_path):
    for strategy, factor in (("pause-resume", 1.0), ("switch-a1", 1.1), ("switch-b1", 1.0 / 1.1)):
        launching(tmp_path, strategy, factor)
    for strategy in ("pause-resume", "switch-a1"):  # the reference of a model that was not measured at 100 %
        launching(tmp_path, strategy, 3.0, model="mobilenetv2", cpu_pct=50)
    home = tmp_path / "runs/vgg19/pause-resume/cpu100-mem100"
    shutil.copytree(home, home.with_name("copy-of-cpu100-mem100"))
    spread = tables_of(tmp_path).machine
    assert (spread.blocks, spread.deviation) == (3, pytest.approx(math.log(1.1)))


def test_too_few_blocks_do_not_tell_how_much_the_machine_differs(tmp_path):
    launching(tmp_path, "pause-resume", 1.0)
    launching(tmp_path, "switch-b1", 2.0)
    write_block(tmp_path, [RunSpec()])  # of a runtime that does not say what its start took
    assert machine(tables_of(tmp_path)) == ""


@pytest.mark.parametrize(
    ("boots", "said"),
    [
        (("a", "a", "a"), "device, edge and cloud are one machine"),
        (("a", "a", "b"), "device and edge are one machine"),
        (("a", "b", "c"), "device, edge and cloud are machines of their own"),
        (("a", None, "a"), ""),
        ((), ""),
    ],
)
def test_hosts_that_are_one_machine_are_called_so(boots, said):
    hosts = {role: {"boot_id": boot} for role, boot in zip(("device", "edge", "cloud"), boots, strict=False)}
    assert machines(hosts) == said


def test_what_a_strategy_does_is_said_of_the_projects_own(tmp_path):
    write_block(tmp_path, [RunSpec()])
    write_block(tmp_path, [RunSpec()], strategy="my-own")
    known, unknown = rows_of(strategies_grid(tables_of(tmp_path)))
    assert known[2] == "build the new pipeline in the running containers, route to it, drop the old"
    assert unknown[1].startswith("not one of this project")
    assert DOES.keys() == STRATEGIES.keys()


def test_accounts_of_frames_name_the_runs_that_do_not_add_up(tmp_path):
    write_block(tmp_path, [RunSpec(), RunSpec(routed_ms=None)])
    said = accounts(tables_of(tmp_path))
    assert said.startswith("In the runs that are ok (1) the device offered 50 frames: 50 were answered and 0 dropped")
    assert "1 run did not add up" in said


def test_drift_of_clocks_is_the_largest_over_the_blocks(tmp_path):
    write_block(tmp_path, [RunSpec()])
    rows = rows_of(clocks_grid(tables_of(tmp_path)))
    assert rows[0] == ["device", "± 40.0", "± 40.0", "0", "1"]


def test_efficiency_is_the_share_of_observation(tmp_path):
    write_block(tmp_path, [RunSpec()])
    write_block(tmp_path, [RunSpec()], cpu_pct=50, duration_s=240.0)
    tables = tables_of(tmp_path)
    said = efficiency(tables).replace("\xa0", " ")
    assert said == "2 blocks took 6 min of wall time; 64 % of it was observation."
    strategy, whole = rows_of(efficiency_grid(tables))
    assert strategy[:3] == ["switch-b2", "2", "6 min"]
    assert whole[0] == "all"
    assert len(rows_of(efficiency_blocks_grid(tables))) == 2


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (float("nan"), text.NONE),
        (0, "0 s"),
        (4.26, "4.26 s"),
        (133, "2 min"),
        (7199, "2 h 0 min"),
        (31_388, "8 h 43 min"),
    ],
)
def test_wall_time_is_said_as_one_waits_for_it(seconds, shown):
    assert text.wall_time(seconds).replace("\xa0", " ") == shown
