"""The downtime cell by cell of CPU and memory availability, with a state where there is no number."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from report.metrics.statistics import Interval, median_interval
from report.scope import Cell
from report.summaries import directions_of, models_of, strategies_of
from report.theme import ordered

if TYPE_CHECKING:
    import pandas as pd

    from report.asked import AskedGrid

_Place = tuple[str, str, float, float, Cell]  # model, strategy, from, to (Mbit/s), cell
_Run = tuple[str, float]  # status, downtime (ms)

MEASURED = "measured"
NOT_MEASURED = "not measured"
NOT_ASKED = "not in the grid"
STAYED = "cut stays"
_COLUMNS = ("model", "strategy", "from_mbps", "to_mbps", "cpu_pct", "mem_pct", "status", "downtime_ms")
_WORST_FIRST = ("infeasible", "failed", "invalid")


@dataclass(frozen=True)
class CellSummary:
    """Downtime of a model and strategy in one direction and cell (ms), frame rates pooled.

    `runs` counts the cell's runs by status; only the ok ones are in `downtime`. `asked` is False for a cell that the
    config leaves out.
    """

    model: str
    strategy: str
    from_mbps: float
    to_mbps: float
    cell: Cell
    downtime: Interval
    runs: Counter[str]
    asked: bool = True

    @property
    def state(self) -> str:
        """`MEASURED`, or why there is no number: the worst status, that nothing ran, or that the cut did not move."""
        if self.downtime.n:
            return MEASURED
        if not self.asked and not self.runs:
            return NOT_ASKED
        worst = next((status for status in _WORST_FIRST if self.runs[status]), NOT_MEASURED)
        return STAYED if self.runs["ok"] else worst

    @property
    def left_out(self) -> int:
        """How many of the cell's runs are not ok."""
        return self.runs.total() - self.runs["ok"]


def cell_summaries(downtime: pd.DataFrame, asked: AskedGrid | None = None) -> list[CellSummary]:
    """Summarise every cell of every model, strategy and direction; those asked for but not there are in it, too."""
    runs = _by_cell(downtime)
    return [
        _summary(
            (model, strategy),
            pair,
            cell,
            runs.get((model, strategy, *pair, cell), []),
            asked=asked is None or not asked.leaves_out(model, strategy, cell.cpu_pct, cell.mem_pct),
        )
        for model in models_of(downtime)
        for strategy in _strategies(downtime, model, asked)
        for pair in directions_of(downtime)
        for cell in _grid(downtime[downtime["model"] == model], model, asked)
    ]


def _by_cell(downtime: pd.DataFrame) -> dict[_Place, list[_Run]]:
    """Sort the runs into their cells in one pass."""
    found: dict[_Place, list[_Run]] = {}
    columns = (downtime[column].tolist() for column in _COLUMNS)
    for model, strategy, from_mbps, to_mbps, cpu_pct, mem_pct, status, downtime_ms in zip(*columns, strict=True):
        place = (model, strategy, from_mbps, to_mbps, Cell(cpu_pct, mem_pct))
        found.setdefault(place, []).append((status, downtime_ms))
    return found


def _strategies(downtime: pd.DataFrame, model: str, asked: AskedGrid | None) -> list[str]:
    measured = strategies_of(downtime[downtime["model"] == model])
    return ordered([*measured, *asked.strategies]) if asked and model in asked.models else measured


def _grid(of_model: pd.DataFrame, model: str, asked: AskedGrid | None) -> list[Cell]:
    """Return all combinations of the levels that a model was, or was to be, measured at."""
    cpu, mem = set(of_model["cpu_pct"].tolist()), set(of_model["mem_pct"].tolist())
    if asked and model in asked.models:
        cpu, mem = cpu | set(asked.cpu_pct), mem | set(asked.mem_pct)
    return [Cell(*levels) for levels in itertools.product(sorted(cpu, reverse=True), sorted(mem, reverse=True))]


def _summary(
    of_what: tuple[str, str], pair: tuple[float, float], cell: Cell, runs: list[_Run], *, asked: bool
) -> CellSummary:
    values = [downtime_ms for status, downtime_ms in runs if status == "ok"]  # NaN where the cut stayed
    return CellSummary(*of_what, *pair, cell, median_interval(values), Counter(status for status, _ in runs), asked)
