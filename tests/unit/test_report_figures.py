"""The numbers that figures show, and that files come out the same every time."""

import itertools
import math
import re

import pytest

from report import tradeoff
from report.figures import drop_cells, numbers, plots
from report.figures.__main__ import main as draw_figures
from report.load import load_results
from report.svg import inline, width_of
from report.tables import build_tables, write_tables
from tests.synthetic import RunSpec, Work, write_block
from workers.records import Status

NAMES = [
    *("timeline", "downtime", "parts", "tradeoff", "fig11", "fig12", "fig13"),
    *("fig14", "fig14_cells", "fig15", "fig15_cells", "fig02", "fig03", "best_point"),
]


@pytest.fixture
def tables(tmp_path):
    parts = {"edge_load_ms": 100.0, "edge_trace_ms": 300.0, "cloud_load_ms": 250.0}
    b2 = [
        RunSpec(works=(Work("build", 400.0 + i, parts),), routed_ms=401.0 + i, fps=fps, repeat=i, busy_every=2)
        for i in range(3)
        for fps in (5.0, 10.0)
    ]
    back = [RunSpec(from_mbps=5.0, to_mbps=20.0, works=(Work("build", 500.0),), routed_ms=501.0)]
    write_block(tmp_path, [*b2, *back, RunSpec(status=Status.FAILED, reason="agent died")])
    write_block(tmp_path, [RunSpec(routed_ms=0.4)], strategy="switch-a1")
    built = build_tables(load_results(tmp_path))
    write_tables(built, tmp_path / "tables")
    return built


def named(tables):
    return {plot.name: plot for plot in plots(tables)}


def test_the_overview_has_a_series_for_each_strategy_and_direction(tables):
    series = {(one.panel[1], one.strategy): one for one in numbers.downtime_series(tables)}
    assert set(series) == {
        ("20 → 5 Mbit/s", "switch-b2"),
        ("20 → 5 Mbit/s", "switch-a1"),
        ("5 → 20 Mbit/s", "switch-b2"),
    }
    drop = series["20 → 5 Mbit/s", "switch-b2"]
    assert sorted(drop.values) == pytest.approx([401, 401, 402, 402, 403, 403])
    assert drop.median.median == pytest.approx(402)
    assert drop.paper_ms == 600


def test_drop_rates_are_pooled_by_frame_rate(tables):
    points = {
        (point.panel[0], point.fps): point
        for point in numbers.drop_points(tables, to_faster=False)
        if point.strategy == "switch-b2"
    }
    assert set(points) == {(window, fps) for window in ("during the downtime", "whole run") for fps in (5.0, 10.0)}
    # Every 200 ms from 0 to 401 ms are 3 frames a run, the second of which is dropped.
    during, whole = points["during the downtime", 5.0], points["whole run", 5.0]
    assert (during.offered, during.rate.rate) == (9, pytest.approx(3 / 9))
    assert (whole.offered, whole.rate.rate) == (81, pytest.approx(3 / 81))


def test_a_window_without_a_frame_is_a_point_without_a_rate(tmp_path):
    write_block(tmp_path, [RunSpec(routed_ms=0.4, before_ms=2050)], strategy="switch-a1")
    built = build_tables(load_results(tmp_path))
    during, whole = numbers.drop_points(built, to_faster=False)
    assert during.offered == 0
    assert math.isnan(during.rate.rate)
    assert whole.offered == 50
    found = {plot.name: plot for plot in plots(built)}["fig15"]
    assert "during the downtime: switch-a1 (no frame offered)" in found.finding
    assert "whole run: switch-a1 0 %" in found.finding.replace("\xa0", " ")
    assert "no frame offered" in found.render()["svg"].decode()


def test_parts(tables):
    bars = {(bar.strategy, bar.tier): bar.parts for bar in numbers.part_bars(tables)}
    assert bars["switch-b2", "edge"] == (("load", 100.0), ("trace", 300.0))
    assert bars["switch-b2", "cloud"] == (("load", 250.0),)


def test_cells_of_the_grid(tables):
    cells = numbers.grid_cells(tables)
    found = {
        c.panel: (c.cpu_pct, c.mem_pct, c.median.n, c.state, c.left_out) for c in cells if c.strategy == "switch-b2"
    }
    assert found == {
        ("vgg19, switch-b2", "20 → 5 Mbit/s"): (100.0, 100.0, 6, "measured", 1),
        ("vgg19, switch-b2", "5 → 20 Mbit/s"): (100.0, 100.0, 1, "measured", 0),
    }


def test_drop_rates_stand_in_cells_by_frame_rate(tables):
    found = {cell.panel: cell for cell in drop_cells.drop_cells(tables, None, to_faster=False)}
    assert set(found) == {("vgg19, switch-b2", "5 FPS"), ("vgg19, switch-b2", "10 FPS")}
    slow, fast = found["vgg19, switch-b2", "5 FPS"], found["vgg19, switch-b2", "10 FPS"]
    # 3 runs of 3 frames (0, 200, 400 ms) and of 5, every second one dropped: 1 and 2 a run.
    assert (slow.offered, slow.rate.rate, slow.state) == (9, pytest.approx(3 / 9), "measured")
    assert (fast.offered, fast.rate.rate, fast.state) == (15, pytest.approx(6 / 15), "measured")
    said = named(tables)["fig15_cells"].finding.replace("\xa0", " ")
    assert "vgg19, switch-b2 at 5 FPS 33 %, vgg19, switch-b2 at 10 FPS 40 %." in said
    drawn = named(tables)["fig15_cells"].render()["svg"].decode().replace("\xa0", " ")
    assert all(f">{value}<" in drawn for value in ("33 %", "40 %", "9 frames"))


def test_a_cell_without_a_frame_or_a_run_says_so(tmp_path):
    write_block(tmp_path, [RunSpec(routed_ms=0.4, before_ms=2050)])
    write_block(tmp_path, [RunSpec(status=Status.INFEASIBLE, reason="OOM")], mem_pct=10)
    write_block(tmp_path, [RunSpec(routed_ms=301.0, fps=20.0)], cpu_pct=50)
    found = drop_cells.drop_cells(build_tables(load_results(tmp_path)), None, to_faster=False)
    states = {(cell.cpu_pct, cell.mem_pct, cell.panel[1]): cell.state for cell in found}
    assert states == {
        (100.0, 100.0, "10 FPS"): "no frame offered",
        (100.0, 100.0, "20 FPS"): "not measured",
        (100.0, 10.0, "10 FPS"): "infeasible",
        (100.0, 10.0, "20 FPS"): "infeasible",
        (50.0, 100.0, "10 FPS"): "not measured",
        (50.0, 100.0, "20 FPS"): "measured",
        (50.0, 10.0, "10 FPS"): "not measured",
        (50.0, 10.0, "20 FPS"): "not measured",
    }


def test_a_cell_without_a_number_is_drawn_with_its_state(tmp_path):
    write_block(tmp_path, [RunSpec(), RunSpec(from_mbps=5.0, to_mbps=20.0)], strategy="switch-a1")
    refused = RunSpec(status=Status.INFEASIBLE, reason="OOM")
    write_block(tmp_path, [refused], strategy="switch-a1", mem_pct=10)
    write_block(tmp_path, [RunSpec(status=Status.FAILED, reason="agent died")], strategy="switch-a1", cpu_pct=50)
    found = {plot.name: plot for plot in plots(build_tables(load_results(tmp_path)))}["fig12"]
    said = found.finding.replace("\xa0", " ")
    assert "over 2 cells with a number, besides 1 infeasible, 1 failed and 4 not measured" in said
    drawn = found.render()["svg"].decode().replace("\xa0", " ")
    assert all(f">{state}<" in drawn for state in ("infeasible", "failed", "not measured", "0.500 ms"))
    assert "url(#" in drawn  # hatched


def test_the_overview_and_the_trade_off_are_of_the_reference_condition_alone(tmp_path):
    for cpu_pct, ms in ((100, 1.0), (50, 1000.0)):
        write_block(tmp_path, [RunSpec(routed_ms=ms)] * 3, strategy="switch-a1", cpu_pct=cpu_pct)
    built = build_tables(load_results(tmp_path))
    (series,) = numbers.downtime_series(built)
    assert series.values == pytest.approx([1.0] * 3)
    (point,) = tradeoff.trade_offs(built)
    assert point.downtime.median == pytest.approx(1.0)
    assert "100 % CPU, 100 % memory; 10 FPS" in named(built)["downtime"].finding


def test_every_figure_is_there_and_says_so_where_it_is_empty(tables):
    found = {plot.name: plot for plot in plots(tables)}
    assert list(found) == NAMES
    assert found["fig11"].empty == "Pause and resume: no run."
    assert "switch-a1 0.400" in found["downtime"].finding.replace("\xa0", " ")


def test_the_same_tables_give_the_same_bytes(tables):
    for name in ("timeline", "downtime", "tradeoff", "fig15_cells"):
        assert named(tables)[name].render() == named(tables)[name].render()


def test_the_command_writes_svg_and_pdf(tables, tmp_path):
    del tables
    assert draw_figures(["--results", str(tmp_path)]) == 0
    written = {path.name for path in (tmp_path / "figures").iterdir()}
    assert written == {f"{name}.{kind}" for name in NAMES for kind in ("svg", "pdf")}
    assert "<text" in (tmp_path / "figures" / "downtime.svg").read_text()  # text stays text


def test_without_tables_the_command_says_what_to_do(tmp_path, capsys):
    assert draw_figures(["--results", str(tmp_path)]) == 1
    assert "python -m report.tables" in capsys.readouterr().err


def test_inlined_figures_have_ids_of_their_own(tables):
    drawn = named(tables)["downtime"].render()["svg"].decode()
    one, two = inline(drawn, "one", "Finding A"), inline(drawn, "two", "Finding B")
    ids = re.findall(r'\bid="([^"]+)"', one + two)
    assert len(ids) == len(set(ids))
    for reference in re.findall(r'(?:href="#|url\(#)([^")]+)', one):
        assert f'id="{reference}"' in one
    assert one.startswith('<svg id="one" role="img" aria-label="Finding A"')
    assert "<metadata" not in one
    assert "#1b2027" not in one  # ink is the page's
    assert "DejaVu" not in one
    assert width_of(drawn) > 300


@pytest.mark.parametrize("count", [0, 1, 300, 301, 10_000])
def test_of_many_runs_as_many_are_drawn_as_can_be_told_apart(count):
    values = [float(n) for n in range(count)][::-1]
    drawn = numbers.evenly(values)
    assert len(drawn) == min(count, numbers.MOST_DOTS)
    if count > numbers.MOST_DOTS:
        assert (drawn[0], drawn[-1]) == (0, count - 1)
        steps = {round(b - a) for a, b in itertools.pairwise(drawn)}
        assert max(steps) - min(steps) <= 1


def test_a_figure_that_does_not_draw_every_run_says_so(tables, monkeypatch):
    monkeypatch.setattr(numbers, "MOST_DOTS", 3)
    monkeypatch.setattr(numbers.evenly, "__defaults__", (3,))
    (found,) = [plot for plot in plots(tables) if plot.name == "downtime"]
    assert "Of more than 3 runs in one row that many are drawn, evenly by rank" in found.finding
