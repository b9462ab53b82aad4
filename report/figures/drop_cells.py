"""Fig. 14 and 15 as the paper draws them: the drop rate during the downtime over CPU and memory, by frame rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from report import text
from report.cells import MEASURED, cell_summaries
from report.figures.heatmap import Square, squares
from report.metrics.statistics import Rate, wilson
from report.reference import paper
from report.summaries import good

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from report.asked import AskedGrid
    from report.tables import Tables

NO_FRAME = "no frame offered"
_SHOWN_BY_THE_PAPER = ("switch-b1", "switch-b2")  # frames of A fall between its downtimes, of the baseline all drop


@dataclass(frozen=True)
class DropCell:
    """Frames offered during the downtime in one cell at one frame rate, pooled over runs; or why there are none."""

    panel: tuple[str, str]
    strategy: str
    cpu_pct: float
    mem_pct: float
    rate: Rate
    offered: int
    state: str


def drop_cells(tables: Tables, asked: AskedGrid | None, *, to_faster: bool) -> list[DropCell]:
    """Return the cells of Scenario B and of the strategies that are not the paper's, changes to one side pooled."""
    frames = good(tables.frames)
    during = frames[(frames["window"] == "downtime") & ((frames["to_mbps"] > frames["from_mbps"]) == to_faster)]
    place = ["model", "strategy", "cpu_pct", "mem_pct", "fps"]
    counts = during.groupby(place)[["dropped", "offered"]].sum().to_dict("index")
    rates = sorted(tables.downtime["fps"].unique())
    found = {}
    for cell in cell_summaries(tables.downtime, asked):
        ours = cell.strategy not in paper().downtime and not cell.strategy.startswith("pause")
        if (cell.to_mbps > cell.from_mbps) != to_faster or not (ours or cell.strategy in _SHOWN_BY_THE_PAPER):
            continue
        for fps in rates:
            key = (cell.model, cell.strategy, cell.cell.cpu_pct, cell.cell.mem_pct, fps)
            count = counts.get(key, {"dropped": 0, "offered": 0})
            offered = int(count["offered"])
            measured = MEASURED if offered else NO_FRAME
            state = measured if key in counts else "not measured" if cell.state == MEASURED else cell.state
            rate = wilson(int(count["dropped"]), offered)
            panel = (f"{cell.model}, {cell.strategy}", f"{fps:g} FPS")
            found[key] = DropCell(panel, cell.strategy, cell.cell.cpu_pct, cell.cell.mem_pct, rate, offered, state)
    return list(found.values())


def draw(cells: Sequence[DropCell]) -> Figure:
    """Draw one panel a model, strategy and frame rate; the deeper a cell's colour, the more was dropped."""
    return squares(
        [
            Square(
                cell.panel,
                cell.strategy,
                cell.cpu_pct,
                cell.mem_pct,
                text.percent(cell.rate.rate),
                f"[{100 * cell.rate.low:.0f}, {100 * cell.rate.high:.0f}]\n{text.plural(cell.offered, 'frame')}",
                cell.rate.rate,
                None if cell.state == MEASURED else cell.state,
            )
            for cell in cells
        ]
    )


def finding(cells: Sequence[DropCell]) -> str:
    """Name the range of the drop rates by strategy and frame rate."""
    said = []
    for panel in dict.fromkeys(cell.panel for cell in cells):
        rates = [cell.rate.rate for cell in cells if cell.panel == panel and cell.state == MEASURED]
        if rates:
            low, high = text.percent(min(rates)), text.percent(max(rates))
            said.append(f"{panel[0]} at {panel[1]} {low if low == high else f'{low} to {high}'}")
    return f"Dropped during the downtime over all cells: {', '.join(said)}." if said else ""
