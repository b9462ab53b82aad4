"""The numbers that figures show, and that files come out the same every time."""

import re

import pytest

from report.figures import numbers, plots
from report.figures.__main__ import main as draw_figures
from report.load import load_results
from report.svg import inline, width_of
from report.tables import build_tables, write_tables
from tests.synthetic import RunSpec, Work, write_block
from workers.records import Status

NAMES = ["downtime", "parts", "tradeoff", "fig11", "fig12", "fig13", "fig14", "fig15"]


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
    points = {point.fps: point for point in numbers.drop_points(tables, to_faster=False)}
    assert set(points) == {5.0, 10.0}
    # Every 200 ms from 0 to 401 ms are 3 frames a run, the second of which is dropped.
    assert (points[5.0].offered, points[5.0].rate.rate) == (9, pytest.approx(3 / 9))


def test_trade_off_and_parts(tables):
    points = {point.strategy: point for point in numbers.trade_offs(tables)}
    assert points["switch-b2"].memory == 1
    bars = {(bar.strategy, bar.tier): bar.parts for bar in numbers.part_bars(tables)}
    assert bars["switch-b2", "edge"] == (("load", 100.0), ("trace", 300.0))
    assert bars["switch-b2", "cloud"] == (("load", 250.0),)


def test_cells_of_the_grid(tables):
    points = numbers.grid_points(tables, ("switch-b1", "switch-b2"))
    found = {p.panel[1]: (p.strategy, p.cpu_pct, p.mem_pct, len(p.values)) for p in points}
    assert found == {
        "20 → 5 Mbit/s": ("switch-b2", 100.0, 100.0, 6),
        "5 → 20 Mbit/s": ("switch-b2", 100.0, 100.0, 1),
    }


def test_every_figure_is_there_and_says_so_where_it_is_empty(tables):
    found = {plot.name: plot for plot in plots(tables)}
    assert list(found) == NAMES
    assert found["fig11"].empty == "Pause and resume: no run with a downtime."
    assert "switch-a1 0.400" in found["downtime"].finding.replace("\xa0", " ")


def test_the_same_tables_give_the_same_bytes(tables):
    assert plots(tables)[0].render() == plots(tables)[0].render()


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
    drawn = plots(tables)[0].render()["svg"].decode()
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
