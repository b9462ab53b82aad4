"""What all drawings share: the look, a grid of labelled panels, and saving the same bytes every time."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from report.theme import INK, MUTED, RULE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_LEGEND_MARK_INCHES = 0.6
_LEGEND_LETTER_INCHES = 0.08
_LEGEND_ROW_INCHES = 0.22
_LOOK: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.titlesize": 10,
    "figure.facecolor": "none",
    "font.family": "DejaVu Sans",
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",  # text stays text: it can be searched, selected and restyled
    "svg.hashsalt": "neukonfig",
    "text.color": INK,
    "text.parse_math": False,  # a dollar in the name of a layer is a dollar
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8.5,
}


def panels(
    rows: Sequence[str], columns: Sequence[str], *, width: float, height: float
) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """Return a figure and its axes by (row, column) label; sizes are of one panel, in inches."""
    figure = Figure(figsize=(width * len(columns), height * len(rows) + 0.7), layout="constrained")
    axes = figure.subplots(len(rows), len(columns), sharex=True, sharey=True, squeeze=False)
    by_label = {(row, column): axes[i, j] for i, row in enumerate(rows) for j, column in enumerate(columns)}
    for (row, column), panel in by_label.items():
        panel.set_title(" · ".join(label for label in (row, column) if label), loc="left", color=INK)
        sns.despine(ax=panel)
    return figure, by_label


def blank(width: float, height: float) -> Figure:
    """Return a figure without axes, sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def legend(figure: Figure, marks: Sequence[Artist]) -> None:
    """Put a legend below a figure, in as many rows as it takes; panels keep their height."""
    longest = max(len(str(mark.get_label())) for mark in marks)
    column_inches = _LEGEND_MARK_INCHES + _LEGEND_LETTER_INCHES * longest
    columns = max(1, min(int(figure.get_figwidth() // column_inches), len(marks)))
    rows = -(-len(marks) // columns)
    figure.set_figheight(figure.get_figheight() + (rows - 1) * _LEGEND_ROW_INCHES)
    figure.legend(handles=list(marks), loc="outside lower left", ncols=columns)


def labels(found: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """Return the distinct row and column labels of panels, in order."""
    pairs = list(found)
    return list(dict.fromkeys(row for row, _ in pairs)), list(dict.fromkeys(column for _, column in pairs))


def outer_labels(axes: dict[Any, Axes], rows: list[str], columns: list[str], x: str, y: str) -> None:
    """Label the axes at the left and at the bottom of a grid of panels."""
    for column in columns:
        axes[rows[-1], column].set_xlabel(x)
    for row in rows:
        axes[row, columns[0]].set_ylabel(y)


def look() -> Any:
    """Return the context in which figures are drawn and saved."""
    settings: dict[Any, Any] = {**sns.axes_style("white"), **sns.plotting_context("paper"), **_LOOK}
    return mpl.rc_context(settings)


def spread(count: int, width: float) -> list[float]:
    """Return offsets that keep `count` points of one place apart, the same every time."""
    golden = 0.618033988749895
    return [width * ((index * golden) % 1 - 0.5) for index in range(count)]


def log_ms_axis(panel: Axes, axis: str, values: Iterable[float]) -> None:
    """Give a panel a logarithmic axis of milliseconds that shows all `values`, with plain numbers."""
    known = [value for value in values if value > 0]
    low, high = (min(known) / 2, max(known) * 2) if known else (0.1, 10_000.0)
    set_scale, set_limits = (panel.set_xscale, panel.set_xlim) if axis == "x" else (panel.set_yscale, panel.set_ylim)
    set_scale("log")
    set_limits(low, high)
    ticks = panel.xaxis if axis == "x" else panel.yaxis
    ticks.set_major_formatter(lambda ms, _: f"{ms / 1000:g} s" if ms >= 1000 else f"{ms:g} ms")  # noqa: PLR2004
    ticks.set_minor_formatter("")


def save(figure: Figure, kind: str) -> bytes:
    """Render a figure as ``svg`` or ``pdf``; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"CreationDate": None, "Creator": None}
    with look():
        figure.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()


def nothing(reason: str) -> Figure:
    """Return a figure that says why there is nothing to see."""
    figure = Figure(figsize=(6, 1.2))
    figure.text(0.5, 0.5, reason, ha="center", va="center", color=MUTED, size=10)
    return figure
