"""Drawing Fig. 2 and 3, a stacked bar for every partition point, and the best point against the network speed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator

from report import text
from report.figures import canvas
from report.figures.point_numbers import ceiling_ms, computing_is_drowned, labelled
from report.theme import INK, MUTED, RULE, STAGES
from workers.latency import HIGH_MBPS, LOW_MBPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from report.cuts import CutPoint, Ranking
    from report.figures.point_numbers import BestCurve, Segment

_MANY = 40  # from so many points on bars are thin and marks small
_NAMES = {"edge": "edge", "transfer": "transfer", "cloud": "cloud"}
_PANEL_POINTS, _LETTER_POINTS = 300, 5.2  # width of a panel of speeds, and of a letter in it
_PALE = 0.5
_BEST_WIDTH = 4.5  # of the best point's line: a cut that stays is drawn on it where it is the best
_LIFT = 0.035  # of the axis, by which a mark stands above its bar


def stacked(rankings: Sequence[Ranking]) -> Figure:
    """Draw Eq. 1 point by point, one panel a speed with a scale of its own; output size on the right axis.

    Bars that are longer than the axis end in a small triangle. Where computing is too short beside the transfer, one
    more panel has it alone.
    """
    alone = computing_is_drowned(rankings)
    figure = canvas.blank(9.6, 2.75 * (len(rankings) + alone) + 1.5)
    axes = figure.subplots(len(rankings) + alone, 1, sharex=True, squeeze=False)[:, 0]
    names = labelled(rankings)
    for panel, ranking in zip(axes[: len(rankings)], rankings, strict=True):
        ceiling = ceiling_ms(ranking)
        _bars(panel, ranking, ceiling)
        _marks(panel, ranking, ceiling)
        _sizes(panel, ranking)
        panel.set_title(_title(ranking), loc="left", color=INK)
        panel.set_ylim(0, ceiling)
        _frame(panel)
    if alone:
        _stack(axes[-1], rankings[0], ("edge", "cloud"))
        axes[-1].set_title("Computing alone, at any speed", loc="left", color=INK)
        _frame(axes[-1])
    small = len(rankings[0].points) >= _MANY
    axes[-1].set_xticks(list(names), list(names.values()), rotation=90, size=6.5 if small else 7.5)
    axes[-1].set_xlim(-0.8, len(rankings[0].points) - 0.2)
    axes[-1].set_xlabel("partition point: index and name of the last layer on the edge")
    canvas.legend(figure, _legend_of(rankings))
    return figure


def best_by_speed(curves: Sequence[BestCurve]) -> Figure:
    """Draw the smallest latency against speed, both on log axes; dotted lines are where the best point changes."""
    columns = min(len(curves), 2)
    rows = -(-len(curves) // columns)
    figure = canvas.blank(4.8 * columns, 3.9 * rows + 0.5)
    axes = figure.subplots(rows, columns, squeeze=False)
    for panel in axes.flat[len(curves) :]:
        panel.set_visible(False)
    for panel, curve in zip(axes.flat, curves, strict=False):
        _curves(panel, curve)
        panel.set_title(curve.model, loc="left", color=INK)
        panel.set_xscale("log")
        panel.set_xlim(LOW_MBPS, HIGH_MBPS)
        ticks = [0.5, 1, 2, 5, 10, 20, 50, 100, 200]
        panel.set_xticks(ticks, [f"{mbps:g}" for mbps in ticks])
        panel.xaxis.set_minor_formatter("")
        panel.set_xlabel("network speed (Mbit/s, log scale)")
        low, high = _range(curve)
        canvas.log_ms_axis(panel, "y", (low, high))
        panel.set_ylim(low / 1.4, high)
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    for panel in axes[:, 0]:
        panel.set_ylabel("latency (log scale)")
    handles = [
        Line2D([], [], color=INK, lw=_BEST_WIDTH, label="best point"),
        Line2D([], [], color=STAGES["cloud"].light, lw=1.3, label="all in the cloud"),
        Line2D([], [], color=STAGES["edge"].light, lw=1.3, label="all on the edge"),
        Line2D([], [], color=MUTED, lw=1.3, ls="--", label="the paper's points"),
        Line2D([], [], color=INK, marker="o", ms=6, mfc="white", ls="none", label="speeds of the experiments"),
        Line2D([], [], color=MUTED, lw=1, ls=":", label="best point changes"),
    ]
    canvas.legend(figure, handles)
    return figure


def _frame(panel: Axes) -> None:
    panel.set_ylabel("latency")
    panel.yaxis.set_major_formatter(lambda ms, _: f"{ms / 1000:g} s" if ms >= 1000 else f"{ms:g} ms")  # noqa: PLR2004
    panel.grid(visible=False, axis="x")
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def _bars(panel: Axes, ranking: Ranking, ceiling: float) -> None:
    tops = _stack(panel, ranking, tuple(STAGES))
    beyond = [place for place, top in enumerate(tops) if top > ceiling]
    panel.plot(beyond, [0.975 * ceiling] * len(beyond), "^", color=INK, ms=3, zorder=3, ls="none")


def _stack(panel: Axes, ranking: Ranking, stages: Sequence[str]) -> list[float]:
    """Draw a bar of these stages for every point, transfers pale beside computing, and return how high they are."""
    places = range(len(ranking.points))
    tops = [0.0] * len(ranking.points)
    for stage in stages:
        heights = [getattr(point, f"{stage}_ms") for point in ranking.points]
        alpha = _PALE if stage == "transfer" else 1.0
        panel.bar(
            *(places, heights), bottom=tops, width=0.84, linewidth=0, zorder=2, color=STAGES[stage].light, alpha=alpha
        )
        tops = [below + height for below, height in zip(tops, heights, strict=True)]
    return tops


def _marks(panel: Axes, ranking: Ranking, ceiling: float) -> None:
    """Mark the best point, the paper's, and what was measured with its interval."""
    size = 3.5 if len(ranking.points) >= _MANY else 5
    for place, point in enumerate(ranking.points):
        if point.measured.n:
            _measured(panel, place, point, size)
        lift = _top(point) + _LIFT * ceiling
        if point.best:
            panel.plot(place, lift, "v", color=INK, ms=size + 2.5, zorder=6, ls="none", clip_on=False)
            lift += 1.9 * _LIFT * ceiling
        if point.paper_layer is not None:
            panel.plot(
                place, lift, "D", mfc="white", mec=INK, mew=1.3, ms=size + 0.5, zorder=6, ls="none", clip_on=False
            )


def _top(point: CutPoint) -> float:
    return max(point.total_ms, point.measured.high if point.measured.n > 1 else point.total_ms)


def _measured(panel: Axes, place: int, point: CutPoint, size: float) -> None:
    if point.measured.n > 1:
        panel.plot([place] * 2, [point.measured.low, point.measured.high], color=INK, lw=1.2, zorder=4)
    panel.plot(place, point.measured.median, "o", mfc="white", mec=INK, mew=1.1, ms=size, zorder=5, ls="none")


def _sizes(panel: Axes, ranking: Ranking) -> None:
    """Draw the bytes sent on a logarithmic axis at the right."""
    right: Any = panel.twinx()
    kilobytes = [point.output_bytes / 1000 for point in ranking.points]
    right.plot(range(len(kilobytes)), kilobytes, color=INK, lw=0.9, marker=".", ms=2.5, alpha=0.75, zorder=4)
    right.set_yscale("log")
    right.set_ylim(min(kilobytes) / 2, max(kilobytes) * 4)
    right.yaxis.set_major_formatter(lambda kb, _: f"{kb / 1000:g} MB" if kb >= 1000 else f"{kb:g} kB")  # noqa: PLR2004
    right.yaxis.set_minor_formatter("")
    right.set_ylabel("output size (log scale)")
    right.grid(visible=False)
    right.tick_params(which="both", right=True)
    for side in ("top", "left"):
        right.spines[side].set_visible(False)


def _title(ranking: Ranking) -> str:
    best, paper = ranking.best, ranking.paper
    said = f"{text.speed(ranking.mbps)} · best: {best.text}, {text.duration(best.total_ms)}"
    if paper is None:
        return said
    return f"{said} · paper: {paper.paper_layer} ({paper.name}), here {text.duration(paper.total_ms)}"


def _legend_of(rankings: Sequence[Ranking]) -> list[Any]:
    marks: list[Any] = [
        Patch(fc=look.light, alpha=_PALE if stage == "transfer" else 1.0, label=_NAMES[stage])
        for stage, look in STAGES.items()
    ]
    marks.append(Line2D([], [], color=INK, lw=0.9, marker=".", ms=4, label="output size"))
    marks.append(Line2D([], [], color=INK, marker="v", ms=7, ls="none", label="best"))
    points = [point for ranking in rankings for point in ranking.points]
    if any(point.paper_layer is not None for point in points):
        marks.append(Line2D([], [], mfc="white", mec=INK, mew=1.3, marker="D", ms=5.5, ls="none", label="the paper's"))
    if any(point.measured.n for point in points):
        marks.append(
            Line2D([], [], color=INK, mfc="white", mec=INK, marker="o", ms=5, lw=1.2, label="measured, 95 % interval")
        )
    return marks


def _curves(panel: Axes, curve: BestCurve) -> None:
    colours = {"cloud": STAGES["cloud"].light, "edge": STAGES["edge"].light, "paper": MUTED}
    for kind, label, values in curve.kept:
        panel.plot(
            *zip(*values, strict=True), color=colours[kind], lw=1.3, ls="--" if kind == "paper" else "-", zorder=3
        )
        if kind == "paper":
            panel.annotate(label, values[3], xytext=(0, 4), textcoords="offset points", size=7, color=MUTED)
    for segment in curve.segments:
        panel.plot(*zip(*segment.curve, strict=True), color=INK, lw=_BEST_WIDTH, solid_capstyle="butt", zorder=2)
        middle = (segment.from_mbps * segment.to_mbps) ** 0.5
        panel.text(
            *(middle, 0.97, segment.label),
            transform=panel.get_xaxis_transform(),
            rotation=0 if _is_wide(segment) else 90,
            ha="center",
            va="top",
            size=8,
            bbox={"boxstyle": "square,pad=0.15", "fc": "white", "ec": "none"},
        )
    for segment in curve.segments[1:]:
        panel.axvline(segment.from_mbps, color=MUTED, lw=1, ls=":", zorder=1)
    panel.plot(*zip(*curve.asked, strict=True), "o", mfc="white", mec=INK, ms=6, zorder=4, ls="none")
    panel.grid(visible=True, axis="y", color=RULE)


def _range(curve: BestCurve) -> tuple[float, float]:
    """Return the range of latencies to show: names stand above the curves, and upright ones take more room."""
    best = [ms for segment in curve.segments for _, ms in segment.curve]
    kept = [ms for _, _, values in curve.kept for _, ms in values]
    return min(best), max(*best, *kept) * (2 if all(_is_wide(segment) for segment in curve.segments) else 6)


def _is_wide(segment: Segment) -> bool:
    """Say whether a segment's name can lie between the speeds that it is for."""
    share = math.log(segment.to_mbps / segment.from_mbps) / math.log(HIGH_MBPS / LOW_MBPS)
    return share * _PANEL_POINTS > _LETTER_POINTS * len(segment.label)
