"""Drawing the timelines: frames, service and work of one run each, every panel on a time scale of its own."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from report import text
from report.figures import canvas
from report.metrics.marks import DEGRADED, OUTAGE
from report.theme import BAD, INK, MUTED, OPEN, RULE, ordered, part_colour, style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from report.figures.timeline_numbers import Strip

_LANES = {"offered": 4.0, "answered": 3.0, "service": 2.0, "edge": 1.0, "cloud": 0.0}
_LANE_NAMES = ("frames offered", "results", "service", "work on the edge", "work in the cloud")
_MARKERS = {"paused": "x", "busy": "v", "late": "d", "lost": "o", "failed": "*"}
_TOO_SMALL = 1 / 100  # of the window: a downtime below this is magnified
_WIDTH, _HEIGHT = 5.6, 1.95  # inches of a panel
_INSET_LEFT, _INSET_WIDTH = 0.42, 0.55  # shares of the panel's width


def timelines(strips: Sequence[Strip]) -> Figure:
    """Draw one panel a model (column) and strategy (row)."""
    models = list(dict.fromkeys(strip.model for strip in strips))
    rows = ordered(strip.strategy for strip in strips)
    figure = canvas.blank(_WIDTH * len(models) + 1.0, _HEIGHT * len(rows) + 0.7)
    axes = figure.subplots(len(rows), len(models), squeeze=False)
    shown = {(strip.strategy, strip.model): strip for strip in strips}
    for i, strategy in enumerate(rows):
        for j, model in enumerate(models):
            panel, strip = axes[i, j], shown.get((strategy, model))
            cuts = f", cut {strip.cuts}" if strip and strip.cuts else ""
            panel.set_title(f"{model}, {strategy}{cuts}", loc="left", color=INK)
            if strip is None or strip.missing is not None:
                _nothing(panel, "not measured" if strip is None else strip.missing or "")
            else:
                _strip(panel, strip)
            if j:
                panel.set_yticklabels([])
    canvas.legend(figure, _marks(strips))
    return figure


def _strip(panel: Axes, strip: Strip) -> None:
    low, high = strip.window_ms
    panel.set_xlim(low, high)
    _axes(panel, strip)
    _frames(panel, strip)
    _service(panel, strip, (low, high))
    panel.axvline(0, color=INK, lw=0.9, ls=":", zorder=1)
    panel.axvline(strip.downtime_ms, color=INK, lw=0.9, ls=":", zorder=1)
    for part in strip.shown_parts:
        look: dict[str, Any] = {"color": part_colour(part.label), "ec": "white", "lw": 0.3, "zorder": 3}
        panel.barh(_LANES[part.tier], part.end_ms - part.start_ms, left=part.start_ms, height=0.62, **look)
    if strip.downtime_ms < _TOO_SMALL * (high - low):
        _magnified(panel, strip)


def _axes(panel: Axes, strip: Strip) -> None:
    panel.set_ylim(-0.6, 4.6)
    panel.set_yticks(list(_LANES.values()), _LANE_NAMES)
    panel.grid(visible=False, axis="y")
    panel.tick_params(axis="y", length=0)
    panel.xaxis.set_major_formatter(lambda ms, _: f"{ms / 1000:g} s")
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
    panel.set_title(f"{text.duration(strip.downtime_ms)}", loc="right", color=INK, size=13, weight="bold")


def _frames(panel: Axes, strip: Strip) -> None:
    """Draw a tick for every frame where it was offered and one where its result came; drops as marks."""
    low, high = strip.window_ms
    ticks: dict[tuple[str, bool], list[float]] = defaultdict(list)
    drops: dict[str, list[float]] = defaultdict(list)
    for frame in strip.frames:
        if frame.outcome == "answered":
            ticks["offered", frame.by_new_cut].append(frame.offered_ms)
            ticks["answered", frame.by_new_cut].append(frame.settled_ms)
        else:
            drops[frame.outcome].append(frame.offered_ms)
    for (lane, by_new_cut), times in ticks.items():
        y, shown = _LANES[lane], [at_ms for at_ms in times if low <= at_ms <= high]
        colour, half = (style(strip.strategy).light, 0.36) if by_new_cut else (MUTED, 0.22)
        panel.vlines(shown, y - half, y + half, color=colour, lw=1.5, zorder=4, capstyle="butt")
    for outcome, times in drops.items():
        shown, marker = [at_ms for at_ms in times if low <= at_ms <= high], _MARKERS.get(outcome, "X")
        panel.plot(shown, [_LANES["offered"]] * len(shown), marker, color=BAD, ms=4.5, mew=1.2, ls="none", zorder=4)


def _service(panel: Axes, strip: Strip, window: tuple[float, float]) -> None:
    y, (low, high) = _LANES["service"], window
    panel.barh(y, -low, left=low, height=0.5, color=RULE, lw=0, zorder=2)
    _stretches(panel, strip, y, high)
    if strip.rearmed_ms > strip.downtime_ms:
        until_ms = min(strip.rearmed_ms, high)
        panel.barh(
            y - 0.37, until_ms - strip.downtime_ms, left=strip.downtime_ms, height=0.14, color=MUTED, lw=0, zorder=3
        )
    if strip.rearmed_ms > high:
        said = f"until {text.duration(strip.rearmed_ms)} "
        panel.text(high, y - 0.5, said, ha="right", va="top", size=7.5, color=MUTED)


def _stretches(panel: Axes, strip: Strip, y: float, until_ms: float) -> None:
    """Draw how frames were served from t0 on: not at all, by the old cut, by the new one."""
    looks: dict[str, dict[str, Any]] = {
        OUTAGE: {"color": BAD, "lw": 0},
        DEGRADED: {"fc": "none", "ec": OPEN, "hatch": "/////", "lw": 0.8},
    }
    for span in strip.service:
        if span.label in looks:
            width = span.end_ms - span.start_ms
            panel.barh(y, width, left=span.start_ms, height=0.5, zorder=3, **looks[span.label])
    colour, left = style(strip.strategy).light, strip.downtime_ms
    panel.barh(y, until_ms - left, left=left, height=0.5, color=colour, alpha=0.55, lw=0, zorder=2)


def _magnified(panel: Axes, strip: Strip) -> None:
    """Draw a downtime that is too short to see on a scale of its own, below the service that it is part of."""
    inset = panel.inset_axes((_INSET_LEFT, 0.16, _INSET_WIDTH, 0.18))
    until_ms = 1.25 * strip.downtime_ms
    inset.set_xlim(-0.05 * strip.downtime_ms, until_ms)
    inset.set_ylim(-0.3, 0.3)
    inset.set_yticks([])
    _stretches(inset, strip, 0, until_ms)
    inset.xaxis.set_major_locator(MaxNLocator(4))
    inset.xaxis.set_major_formatter(lambda ms, _: f"{ms:g} ms")
    inset.tick_params(axis="x", labelsize=7.5, length=2, pad=1)
    low, high = panel.get_xlim()
    times = _INSET_WIDTH * (high - low) / (1.3 * strip.downtime_ms)
    inset.set_title(
        f"the switch, about {float(f'{times:.1g}'):,.0f} times as wide", loc="left", size=7.5, color=MUTED, pad=2
    )
    for side in ("top", "right", "left"):
        inset.spines[side].set_visible(False)
    panel.plot([0, low + _INSET_LEFT * (high - low)], [1.7, 1.0], color=MUTED, lw=0.7, zorder=1)


def _nothing(panel: Axes, why: str) -> None:
    panel.set_axis_off()
    panel.text(0.5, 0.5, why, ha="center", va="center", color=MUTED, size=8.5, transform=panel.transAxes, wrap=True)


def _marks(strips: Sequence[Strip]) -> list[Artist]:
    """Return the legend: of drops and parts only what there is."""
    outcomes = {frame.outcome for strip in strips for frame in strip.frames}
    labels = dict.fromkeys(part.label for strip in strips for part in strip.shown_parts)
    drops = [name for name in _MARKERS if name in outcomes]
    return [
        Line2D([], [], color=MUTED, marker="|", ms=7, mew=1.5, ls="none", label="frame, old cut"),
        Line2D([], [], color=INK, marker="|", ms=11, mew=1.5, ls="none", label="frame, new cut"),
        *(Line2D([], [], color=BAD, marker=_MARKERS[n], ms=4.5, ls="none", label=f"dropped: {n}") for n in drops),
        Line2D([], [], color=INK, lw=0.9, ls=":", label="t0, switched"),
        Patch(fc=BAD, label="outage"),
        Patch(fc="none", ec=OPEN, hatch="/////", label="degraded"),
        Line2D([], [], color=MUTED, lw=3, label="re-arming"),
        *(Patch(fc=part_colour(name), label=name.replace("_", " ")) for name in labels),
    ]
