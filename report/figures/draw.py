"""Drawing: series of points -> matplotlib figures. No number is computed here."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from matplotlib.lines import Line2D

from report.figures import canvas
from report.theme import INK, MUTED, RULE, Style, ordered, part_colour, style

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from report.figures.numbers import DowntimeSeries, DropPoint, PartBar
    from report.metrics.statistics import Interval

_NO_FRAME = -14.0  # where on the axis of drop rates stands what has none (%)


def downtime_overview(series: Sequence[DowntimeSeries]) -> Figure:
    """Draw downtimes on a log axis: dots are runs, the bar is the median with its interval."""
    rows, columns = canvas.labels(one.panel for one in series)
    strategies = ordered(one.strategy for one in series)[::-1]
    height = 0.42 * len(strategies) + 0.6
    figure, axes = canvas.panels(rows, columns, width=4.6, height=height)
    for one in series:
        panel, place = axes[one.panel], strategies.index(one.strategy)
        colour = style(one.strategy).light
        spread = [place + offset for offset in canvas.spread(len(one.values), 0.42)]
        panel.scatter(one.values, spread, s=10, color=colour, alpha=0.45, linewidths=0, zorder=2)
        _median_on_x(panel, one.median, place, colour, style(one.strategy).marker)
        if one.paper_ms is not None:
            panel.plot([one.paper_ms] * 2, [place - 0.36, place + 0.36], color=INK, lw=1.6, ls=":", zorder=4)
    shown = [value for one in series for value in (*one.values, one.paper_ms or 0)]
    for panel in axes.values():
        canvas.log_ms_axis(panel, "x", shown)
        panel.set_yticks(range(len(strategies)), [style(name).name for name in strategies])
        panel.set_ylim(-0.6, len(strategies) - 0.4)
        panel.grid(visible=False, axis="y")
    for column in columns:
        axes[rows[-1], column].set_xlabel("downtime (log scale)")
    marks = [
        _mark("one run", MUTED, "o", size=3),
        _mark("median, 95 % interval", MUTED, "s"),
        Line2D([], [], color=INK, lw=1.6, ls=":", label="the paper's"),
    ]
    canvas.legend(figure, marks)
    return figure


def drop_rates(points: Sequence[DropPoint]) -> Figure:
    """Draw the drop rate over the frame rate with its interval, one line a strategy and one row a window.

    Where no frame was offered there is no rate: hollow marks on a line of their own say so.
    """
    rows, columns = canvas.labels(point.panel for point in points)
    figure, axes = canvas.panels(rows, columns, width=4.6, height=2.7)
    strategies = ordered(point.strategy for point in points)
    rates = sorted({point.fps for point in points})
    apart = 0.025 * max(rates[-1] - rates[0], 2.0)
    for (label, strategy), group in _grouped(points):
        shift = (strategies.index(strategy) - (len(strategies) - 1) / 2) * apart
        _drop_line(axes[label], style(strategy), [point for point in group if point.offered], shift)
        none = [point.fps + shift for point in group if not point.offered]
        colour, marker = style(strategy).light, style(strategy).marker
        axes[label].plot(none, [_NO_FRAME] * len(none), marker, mfc="none", mec=colour, mew=1.1, ms=5, ls="none")
    for panel in axes.values():
        panel.axhline(_NO_FRAME / 2, color=RULE, lw=0.8)
        panel.set_ylim(1.6 * _NO_FRAME, 104)
        panel.set_yticks([_NO_FRAME, 0, 25, 50, 75, 100], ["no frame offered", "0", "25", "50", "75", "100"])
        panel.set_xlim(rates[0] - 5 * apart, rates[-1] + 5 * apart)
        panel.set_xticks(rates, [f"{fps:g}" for fps in rates])
    canvas.outer_labels(axes, rows, columns, "frames offered per second", "dropped (%)")
    canvas.legend(figure, [_mark(style(s).name, style(s).light, style(s).marker) for s in strategies])
    return figure


def _drop_line(panel: Axes, look: Style, points: Sequence[DropPoint], shift: float) -> None:
    x = [point.fps + shift for point in points]
    y = [100 * point.rate.rate for point in points]
    below = [100 * (point.rate.rate - point.rate.low) for point in points]
    above = [100 * (point.rate.high - point.rate.rate) for point in points]
    panel.errorbar(
        x, y, yerr=[below, above], color=look.light, marker=look.marker, ms=5, lw=1.3, capsize=2.5, elinewidth=1
    )


def work_parts(bars: Sequence[PartBar]) -> Figure:
    """Draw what each tier spent its time on, stacked."""
    models = sorted({bar.model for bar in bars})
    lanes = list(dict.fromkeys((bar.strategy, bar.tier) for bar in bars))
    rank = {strategy: index for index, strategy in enumerate(ordered(bar.strategy for bar in bars))}
    lanes.sort(key=lambda lane: (rank[lane[0]], lane[1] == "cloud"), reverse=True)
    names = list(dict.fromkeys(name for bar in bars for name, _ in bar.parts))
    figure, axes = canvas.panels([""], models, width=4.8, height=0.32 * len(lanes) + 0.9)
    for bar in bars:
        left, place = 0.0, lanes.index((bar.strategy, bar.tier))
        for name, ms in bar.parts:
            colour = part_colour(name)
            axes["", bar.model].barh(place, ms, left=left, height=0.66, color=colour, ec="white", lw=0.4)
            left += ms
    for panel in axes.values():
        panel.set_yticks(range(len(lanes)), [f"{strategy}, {tier}" for strategy, tier in lanes])
        panel.set_xlabel("median time (ms)")
        panel.grid(visible=False, axis="y")
    marks = [_mark(name.replace("_", " "), part_colour(name), "s") for name in names]
    canvas.legend(figure, marks)
    return figure


def _grouped(points: Sequence[DropPoint]) -> Iterable[tuple[tuple[tuple[str, str], str], list[DropPoint]]]:
    def key(point: DropPoint) -> tuple[tuple[str, str], str]:
        return point.panel, point.strategy

    for label, group in itertools.groupby(sorted(points, key=key), key):
        yield label, sorted(group, key=lambda point: point.fps)


def _median_on_x(panel: Axes, median: Interval, y: float, colour: str, marker: str) -> None:
    if not math.isnan(median.low):
        panel.plot([median.low, median.high], [y, y], color=colour, lw=2.2, solid_capstyle="butt", zorder=3)
    panel.plot(median.median, y, marker, color=colour, ms=6, mec="white", mew=0.6, zorder=5, ls="none")


def _mark(label: str, colour: str, marker: str, size: float = 6) -> Line2D:
    return Line2D([], [], color=colour, marker=marker, ms=size, ls="none", label=label)
