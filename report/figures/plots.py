"""The list of figures: what each is called, what it finds, and how it is drawn."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from report import text, tradeoff
from report.cells import MEASURED, NOT_MEASURED
from report.figures import draw, drop_cells, heatmap, timeline, timeline_numbers, trade_off
from report.figures import numbers as nb
from report.figures.plot import Plot
from report.figures.point_plots import point_plots
from report.metrics.statistics import median_interval
from report.preparation import beside
from report.scope import condition, described
from report.summaries import models_of, moved, of, strategies_of
from report.theme import ordered

if TYPE_CHECKING:
    from report.asked import AskedGrid
    from report.tables import Tables

SCENARIO_A = ("switch-a1", "switch-a2")


def plots(tables: Tables, asked: AskedGrid | None = None) -> list[Plot]:
    """Return all figures of the report in the order in which it shows them.

    Args:
        tables: what was measured.
        asked: the grid, where it is known: its cells that were not measured are shown as such.
    """
    series, points = nb.downtime_series(tables), tradeoff.trade_offs(tables)
    bars, cells = nb.part_bars(tables), nb.grid_cells(tables, asked)
    strips, advance = timeline_numbers.strips(tables), beside(tables.preparations)
    return [
        Plot(
            "timeline",
            "One repartition by each strategy, moment by moment",
            _joined(timeline_numbers.finding(strips), advance),
            lambda: timeline.timelines(strips),
            None if any(strip.missing is None for strip in strips) else "No run with a downtime.",
        ),
        Plot(
            "downtime",
            "Downtime of every run, by strategy",
            _joined(f"{_ranking(tables)}{_thinned(series)}", advance),
            lambda: draw.downtime_overview(series),
            None if series else "No run with a downtime.",
        ),
        Plot(
            "parts",
            "What the time went into, by tier",
            _longest_parts(bars),
            lambda: draw.work_parts(bars),
            None if bars else "No strategy had work to do before it switched.",
        ),
        Plot(
            "tradeoff",
            "Downtime against memory",
            _joined(f"{tradeoff.finding(points)} At {described(tables.references)}, 95 % intervals both ways.", advance)
            if points
            else "",
            lambda: trade_off.trade_off(points, tradeoff.paper_trade_offs()),
            None if points else "No run with both a downtime and a measurement of memory.",
        ),
        _grid("fig11", "Pause and resume", ("pause-resume", "pause-resume-inprocess"), cells),
        _grid("fig12", "Scenario A", SCENARIO_A, cells, beside(tables.preparations, SCENARIO_A)),
        _grid("fig13", "Scenario B", ("switch-b1", "switch-b2"), cells),
        _drops("fig14", "faster", tables),
        _drop_cells("fig14_cells", "faster", tables, asked),
        _drops("fig15", "slower", tables),
        _drop_cells("fig15_cells", "slower", tables, asked),
        *point_plots(tables, asked),
    ]


def _joined(finding: str, advance: str) -> str:
    return " ".join(filter(None, (finding, advance)))


def _grid(name: str, what: str, strategies: tuple[str, ...], every_cell: list[nb.GridCell], advance: str = "") -> Plot:
    cells = [cell for cell in every_cell if cell.strategy in strategies]
    return Plot(
        name,
        f"{what}: downtime over CPU and memory availability (Fig. {name[3:]} of the paper)",
        _joined(_grid_finding(what, cells), advance),
        lambda: heatmap.downtime_grid(cells),
        None if any(cell.state != NOT_MEASURED for cell in cells) else f"{what}: no run.",
    )


def _grid_finding(what: str, cells: list[nb.GridCell]) -> str:
    medians = [cell.median.median for cell in cells if cell.state == MEASURED]
    others = Counter(cell.state for cell in cells if cell.state != MEASURED)
    found = (
        f"median downtime between {text.duration(min(medians))} and {text.duration(max(medians))} "
        f"over {text.plural(len(medians), 'cell')} with a number"
        if medians
        else "no cell has a number"
    )
    without = [f"{count} {state}" for state, count in others.items()]
    return (
        f"{what}: {found}{', besides ' if without else ''}{text.listing(without) if without else ''}. "
        "Median, 95 % interval, runs; frame rates pooled."
    )


def _drops(name: str, speed: str, tables: Tables) -> Plot:
    points = nb.drop_points(tables, to_faster=speed == "faster")
    said = [f"{shown}: {_rates([p for p in points if p.panel[0].startswith(shown)])}." for shown in nb.WINDOWS.values()]
    return Plot(
        name,
        f"Frames dropped when the link gets {speed} (Fig. {name[3:]} of the paper)",
        f"Drop rates at {described(tables.references)}; {' '.join(said)}" if points else "",
        lambda: draw.drop_rates(points),
        None if points else f"Link gets {speed}: no frame of such a change at the reference condition.",
    )


def _drop_cells(name: str, speed: str, tables: Tables, asked: AskedGrid | None) -> Plot:
    cells = drop_cells.drop_cells(tables, asked, to_faster=speed == "faster")
    measured = any(cell.state == MEASURED for cell in cells)
    return Plot(
        name,
        f"Drop rate over CPU and memory availability when the link gets {speed} (Fig. {name[3:5]}, the paper's axes)",
        f"{drop_cells.finding(cells)} With Wilson's 95 % interval and the frames offered meanwhile.",
        lambda: drop_cells.draw(cells),
        None if measured else f"Link gets {speed}: no frame was offered during a downtime of Scenario B.",
    )


def _rates(points: list[nb.DropPoint]) -> str:
    found = []
    for strategy in ordered(point.strategy for point in points):
        rates = [point.rate.rate for point in points if point.strategy == strategy and point.offered]
        found.append(f"{strategy} {_range(rates) if rates else '(no frame offered)'}")
    return ", ".join(found)


def _range(rates: list[float]) -> str:
    low, high = text.percent(min(rates)), text.percent(max(rates))
    return low if low == high else f"{low} to {high}"


def _ranking(tables: Tables) -> str:
    runs = moved(tables.at_reference(tables.downtime))
    sentences = []
    for model in models_of(runs):
        of_model = runs[runs["model"] == model]
        medians = {
            strategy: median_interval(of(runs, model, strategy)["downtime_ms"]).median
            for strategy in strategies_of(of_model)
        }
        shown = [f"{s} {text.duration(ms)}" for s, ms in sorted(medians.items(), key=lambda item: item[1])]
        sentences.append(f"{model} ({condition(of_model)}), shortest first: {', '.join(shown)}.")
    return " ".join(sentences)


def _thinned(series: list[nb.DowntimeSeries]) -> str:
    """Say so where not every run is drawn."""
    if all(len(one.values) == one.median.n for one in series):
        return ""
    return f" Of more than {nb.MOST_DOTS} runs in one row that many are drawn, evenly by rank; medians are of all."


def _longest_parts(bars: list[nb.PartBar]) -> str:
    """Name, for the tier that works longest, the part that takes most of its time."""
    longest: dict[tuple[str, str], tuple[float, str]] = {}
    for bar in bars:
        total_ms = sum(ms for _, ms in bar.parts)
        name, ms = max(bar.parts, key=lambda part: part[1])
        if total_ms > longest.get((bar.model, bar.strategy), (0.0, ""))[0]:
            finding = f"{name.replace('_', ' ')} {text.percent(ms / total_ms)} ({bar.tier})"
            longest[bar.model, bar.strategy] = (total_ms, finding)
    models = dict.fromkeys(model for model, _ in longest)
    return " ".join(
        f"Largest part for {model}: "
        + ", ".join(f"{strategy} {finding}" for (of, strategy), (_, finding) in longest.items() if of == model)
        + "."
        for model in models
    )
