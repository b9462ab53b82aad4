"""Drawing the trade-off: additional memory against downtime, with the Pareto front."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from report.figures import canvas
from report.text import TIMES
from report.theme import INK, MUTED, ordered, style
from report.tradeoff import front

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from report.tradeoff import TradeOff

_NEAR_NONE = 0.02


def trade_off(points: Sequence[TradeOff], paper: Sequence[TradeOff]) -> Figure:
    """Draw one panel a model: our strategies with intervals both ways, the paper's hollow, the front dashed."""
    models = sorted({point.model for point in points})
    figure, axes = canvas.panels([""], models, width=5.2, height=3.7)
    furthest = max(_high(point) for point in (*points, *paper))
    for model in models:
        panel, ours = axes["", model], [point for point in points if point.model == model]
        panel.set_xlim(-0.35, furthest + 0.4)
        canvas.log_ms_axis(panel, "y", [point.downtime.median for point in (*points, *paper)])
        _front(panel, front(ours))
        for point in paper:
            look = style(point.strategy)
            x, y = point.memory.median, point.downtime.median
            panel.plot(x, y, look.marker, mfc="none", mec=look.light, mew=1.4, ms=9, zorder=3, ls="none")
        for point in ours:
            _point(panel, point)
        panel.xaxis.set_major_locator(MultipleLocator(0.5))
        panel.xaxis.set_major_formatter(lambda times, _: f"{times:+g}{TIMES}" if abs(times) > 1e-9 else "none")  # noqa: PLR2004
        panel.set_xlabel(f"additional memory on the edge ({TIMES} one pipeline at rest)")
    axes["", models[0]].set_ylabel("downtime (log scale)")
    canvas.legend(figure, _marks(points, paper))
    return figure


def _point(panel: Axes, point: TradeOff) -> None:
    look, x, y = style(point.strategy), point.memory, point.downtime
    if not math.isnan(x.low):
        panel.plot([x.low, x.high], [y.median] * 2, color=look.light, lw=1.6, zorder=4)
    if not math.isnan(y.low):
        panel.plot([x.median] * 2, [y.low, y.high], color=look.light, lw=1.6, zorder=4)
    panel.plot(x.median, y.median, look.marker, color=look.light, ms=8, mec="white", mew=0.6, zorder=5, ls="none")
    to_the_left = x.median < -_NEAR_NONE  # the right is the paper's
    panel.annotate(
        point.strategy,
        (x.median, y.median),
        (-7 if to_the_left else 7, 7),
        textcoords="offset points",
        ha="right" if to_the_left else "left",
        size=8,
        color=INK,
    )


def _front(panel: Axes, members: Sequence[TradeOff]) -> None:
    """Draw the edge of what can be had: up from the member with the least memory, down to the right to the others."""
    corners = [(point.memory.median, point.downtime.median) for point in members]
    if not corners:
        return
    xs, ys = [corners[0][0]], [panel.get_ylim()[1]]
    for x, y in corners:
        xs += [x, x]
        ys += [ys[-1], y]
    panel.plot([*xs, panel.get_xlim()[1]], [*ys, ys[-1]], color=MUTED, lw=1.1, ls="--", zorder=2)


def _high(point: TradeOff) -> float:
    return point.memory.median if math.isnan(point.memory.high) else point.memory.high


def _marks(points: Sequence[TradeOff], paper: Sequence[TradeOff]) -> list[Line2D]:
    looks = [style(strategy) for strategy in ordered(point.strategy for point in (*points, *paper))]
    return [
        *(Line2D([], [], color=look.light, marker=look.marker, ms=6, ls="none", label=look.name) for look in looks),
        Line2D([], [], marker="o", mfc="none", mec=MUTED, mew=1.4, ms=7, ls="none", label="the paper's"),
        Line2D([], [], color=MUTED, lw=1.1, ls="--", label="Pareto front"),
    ]
