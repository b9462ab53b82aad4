"""Drawing Fig. 11 to 15 over CPU and memory availability: a value in every cell, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Square:
    """A cell as it is drawn: its value and what stands below it, how deep its colour is (0 to 1), or its `state`."""

    panel: tuple[str, str]
    strategy: str
    cpu_pct: float
    mem_pct: float
    value: str
    below: str
    depth: float
    state: str | None = None


def downtime_grid(cells: Sequence[GridCell]) -> Figure:
    """Draw one panel a model, strategy and direction; the deeper a cell's colour, the longer its downtime."""
    longest_ms: dict[str, float] = {}
    for cell in cells:
        if cell.state == MEASURED:
            longest_ms[cell.panel[0]] = max(longest_ms.get(cell.panel[0], 0.0), cell.median.median)
    return squares([_downtime(cell, longest_ms.get(cell.panel[0], 0.0)) for cell in cells])


def squares(cells: Sequence[Square]) -> Figure:
    """Draw cells, CPU availability to the right and memory availability upwards, one grid of them a panel."""
    rows, columns = canvas.labels(cell.panel for cell in cells)
    cpus = sorted({cell.cpu_pct for cell in cells})
    mems = sorted({cell.mem_pct for cell in cells})
    width = max(3.4, _CELL_WIDTH * len(cpus) + 0.8)
    figure, axes = canvas.panels(rows, columns, width=width, height=_CELL_HEIGHT * len(mems) + 0.6)
    for cell in cells:
        x, y = cpus.index(cell.cpu_pct), mems.index(cell.mem_pct)
        if cell.state is None:
            _value(axes[cell.panel], cell, x, y)
        else:
            _state(axes[cell.panel], cell.state, x, y)
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


def _downtime(cell: GridCell, longest_ms: float) -> Square:
    median, _, interval = text.durations(cell.median).partition(" [")
    counted = f"n = {cell.median.n}" + (f", {cell.left_out} not ok" if cell.left_out else "")
    return Square(
        cell.panel,
        cell.strategy,
        cell.cpu_pct,
        cell.mem_pct,
        median,
        f"[{interval}\n{counted}" if interval else counted,
        cell.median.median / longest_ms if longest_ms > 0 else 0.0,
        None if cell.state == MEASURED else cell.state,
    )


def _state(panel: Axes, state: str, x: int, y: int) -> None:
    """Draw why a cell has no number: hatched where it was tried, dashed where it was not."""
    tried = state not in {NOT_MEASURED, NOT_ASKED}
    hatch, line = _HATCHES.get(state), "-" if tried else "--"
    panel.add_patch(Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, fc="none", ec=RULE, lw=0.8, ls=line, hatch=hatch))
    behind = {"boxstyle": "round,pad=0.25", "fc": "white", "ec": "none"}
    panel.text(x, y, state, ha="center", va="center", size=7.5, color=INK if tried else MUTED, bbox=behind)


def _value(panel: Axes, cell: Square, x: int, y: int) -> None:
    strength = _FAINTEST + (_STRONGEST - _FAINTEST) * cell.depth
    colour = style(cell.strategy).light
    panel.add_patch(Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, fc=colour, ec="none", alpha=strength))
    panel.text(x, y + 0.2, cell.value, ha="center", va="center", size=8.5, weight="bold")
    panel.text(x, y - 0.2, cell.below, ha="center", va="center", size=6, linespacing=1.25)
