"""The downtime cell by cell of CPU and memory availability, with a state where there is no number."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from report.metrics.statistics import Interval, median_interval
from report.scope import Cell, at
from report.summaries import directions_of, models_of, of, of_direction, strategies_of
from report.theme import ordered

if TYPE_CHECKING:
    import pandas as pd

    from report.asked import AskedGrid

MEASURED = "measured"
NOT_MEASURED = "not measured"
STAYED = "cut stays"
_WORST_FIRST = ("infeasible", "failed", "invalid")


@dataclass(frozen=True)
class CellSummary:
    """Downtime of a model and strategy in one direction and cell (ms), frame rates pooled.

    `runs` counts the cell's runs by status; only the ok ones are in `downtime`.
    """

    model: str
    strategy: str
    from_mbps: float
    to_mbps: float
    cell: Cell
    downtime: Interval
    runs: Counter[str]

    @property
    def state(self) -> str:
        """`MEASURED`, or why there is no number: the worst status, `NOT_MEASURED`, or that the cut did not move."""
        if self.downtime.n:
            return MEASURED
        worst = next((status for status in _WORST_FIRST if self.runs[status]), NOT_MEASURED)
        return STAYED if self.runs["ok"] else worst

    @property
    def left_out(self) -> int:
        """How many of the cell's runs are not ok."""
        return self.runs.total() - self.runs["ok"]


def cell_summaries(downtime: pd.DataFrame, asked: AskedGrid | None = None) -> list[CellSummary]:
    """Summarise every cell of every model, strategy and direction; those asked for but not there are in it, too."""
    return [
        _summary(of_direction(of(downtime, model, strategy), pair), (model, strategy), pair, cell)
        for model in models_of(downtime)
        for strategy in _strategies(downtime, model, asked)
        for pair in directions_of(downtime)
        for cell in _grid(downtime[downtime["model"] == model], model, asked)
    ]


def _strategies(downtime: pd.DataFrame, model: str, asked: AskedGrid | None) -> list[str]:
    measured = strategies_of(downtime[downtime["model"] == model])
    return ordered([*measured, *asked.strategies]) if asked and model in asked.models else measured


def _grid(of_model: pd.DataFrame, model: str, asked: AskedGrid | None) -> list[Cell]:
    """Return all combinations of the levels that a model was, or was to be, measured at."""
    cpu, mem = set(of_model["cpu_pct"].tolist()), set(of_model["mem_pct"].tolist())
    if asked and model in asked.models:
        cpu, mem = cpu | set(asked.cpu_pct), mem | set(asked.mem_pct)
    return [Cell(*levels) for levels in itertools.product(sorted(cpu, reverse=True), sorted(mem, reverse=True))]


def _summary(runs: pd.DataFrame, of_what: tuple[str, str], pair: tuple[float, float], cell: Cell) -> CellSummary:
    runs = at(runs, cell)
    ok = runs[runs["status"] == "ok"]
    return CellSummary(*of_what, *pair, cell, median_interval(ok["downtime_ms"].dropna()), Counter(runs["status"]))
