"""Drawing Fig. 11 to 13: a value for every cell of CPU and memory availability, or why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.patches import Rectangle

from report import text
from report.cells import MEASURED, NOT_ASKED, NOT_MEASURED
from report.figures import canvas
from report.theme import INK, MUTED, RULE, style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from report.figures.numbers import GridCell

_CELL_WIDTH, _CELL_HEIGHT = 0.92, 0.5  # inches
_FAINTEST, _STRONGEST = 0.05, 0.42  # opacity: the value's text must stay readable on it, light and dark
_HATCHES = {"infeasible": "////", "failed": "xxxx", "invalid": "...."}


def downtime_grid(cells: Sequence[GridCell]) -> Figure:
    """Draw one panel a model, strategy and direction; the deeper a cell's colour, the longer its downtime."""
    rows, columns = canvas.labels(cell.panel for cell in cells)
    cpus = sorted({cell.cpu_pct for cell in cells})
    mems = sorted({cell.mem_pct for cell in cells})
    width = max(3.4, _CELL_WIDTH * len(cpus) + 0.8)
    figure, axes = canvas.panels(rows, columns, width=width, height=_CELL_HEIGHT * len(mems) + 0.6)
    longest_ms = {
        row: max((cell.median.median for cell in cells if cell.panel[0] == row and _is_value(cell)), default=0.0)
        for row in rows
    }
    for cell in cells:
        place = cpus.index(cell.cpu_pct), mems.index(cell.mem_pct)
        _cell(axes[cell.panel], cell, place, longest_ms[cell.panel[0]])
    for panel in axes.values():
        panel.set_xticks(range(len(cpus)), [f"{cpu:g} %" for cpu in cpus])
        panel.set_yticks(range(len(mems)), [f"{mem:g} %" for mem in mems])
        panel.set_xlim(-0.5, len(cpus) - 0.5)
        panel.set_ylim(-0.5, len(mems) - 0.5)
        panel.tick_params(length=0)
        panel.grid(visible=False)
        panel.spines[:].set_visible(False)
    canvas.outer_labels(axes, rows, columns, "CPU availability", "memory availability")
    return figure


def _is_value(cell: GridCell) -> bool:
    return cell.state == MEASURED


def _state(panel: Axes, state: str, x: int, y: int) -> None:
    """Draw why a cell has no number: hatched where it was tried, dashed where it was not."""
    tried = state not in {NOT_MEASURED, NOT_ASKED}
    hatch, line = _HATCHES.get(state), "-" if tried else "--"
    panel.add_patch(Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, fc="none", ec=RULE, lw=0.8, ls=line, hatch=hatch))
    behind = {"boxstyle": "round,pad=0.25", "fc": "white", "ec": "none"}
    panel.text(x, y, state, ha="center", va="center", size=7.5, color=INK if tried else MUTED, bbox=behind)


def _cell(panel: Axes, cell: GridCell, place: tuple[int, int], longest_ms: float) -> None:
    x, y = place
    if not _is_value(cell):
        _state(panel, cell.state, x, y)
        return
    share = cell.median.median / longest_ms if longest_ms > 0 else 0.0
    strength = _FAINTEST + (_STRONGEST - _FAINTEST) * share
    panel.add_patch(
        Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, fc=style(cell.strategy).light, ec="none", alpha=strength)
    )
    median, _, interval = text.durations(cell.median).partition(" [")
    panel.text(x, y + 0.2, median, ha="center", va="center", size=8.5, weight="bold")
    panel.text(x, y - 0.2, _small_print(cell, interval), ha="center", va="center", size=6, linespacing=1.25)


def _small_print(cell: GridCell, interval: str) -> str:
    counted = f"n = {cell.median.n}" + (f", {cell.left_out} not ok" if cell.left_out else "")
    return f"[{interval}\n{counted}" if interval else counted
