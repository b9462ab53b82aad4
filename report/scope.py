"""Which condition a figure is for: strategies are compared at one CPU and memory availability, never over several.

The reference condition of a model is the highest CPU availability that a repartition of it was measured at, and
the highest memory availability there. Frame rates and both directions of change are pooled: a downtime is stamped
on the edge, independent of how often frames come. Whoever shows a figure says both, in `condition`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from report import text

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, order=True)
class Cell:
    """A CPU and a memory availability (%)."""

    cpu_pct: float
    mem_pct: float

    @property
    def text(self) -> str:
        """How to print it."""
        return f"{self.cpu_pct:g} % CPU, {self.mem_pct:g} % memory"


def references(downtime: pd.DataFrame) -> dict[str, Cell]:
    """Return the reference condition of every model.

    That of runs with a downtime; where a model has none, of its ok runs, else of all.
    """
    ok = downtime[downtime["status"] == "ok"]
    found: dict[str, Cell] = {}
    for runs in (ok.dropna(subset=["downtime_ms"]), ok, downtime):
        for model, of_model in runs.groupby("model"):
            found.setdefault(str(model), max(cells_of(of_model)))
    return found


def at_reference(table: pd.DataFrame, of_models: dict[str, Cell]) -> pd.DataFrame:
    """Return the rows of a table that were measured at their model's reference condition."""
    inside = np.zeros(len(table), dtype=bool)
    for model, cell in of_models.items():
        there = (table["cpu_pct"] == cell.cpu_pct) & (table["mem_pct"] == cell.mem_pct)
        inside |= (there & (table["model"] == model)).to_numpy(dtype=bool, na_value=False)
    return table[inside]


def cells_of(runs: pd.DataFrame) -> list[Cell]:
    """Return the cells of a table, in order."""
    pairs = runs[["cpu_pct", "mem_pct"]].drop_duplicates().itertuples(index=False)
    return sorted(Cell(float(cpu), float(mem)) for cpu, mem in pairs)


def described(of_models: dict[str, Cell]) -> str:
    """Say which the reference conditions are, once where all models have the same."""
    if not of_models:
        return "no condition"
    distinct = set(of_models.values())
    if len(distinct) == 1:
        return distinct.pop().text
    return "; ".join(f"{model} at {cell.text}" for model, cell in sorted(of_models.items()))


def pooled(runs: pd.DataFrame) -> str:
    """Say which frame rates and changes of speed are together in these runs."""
    rates = [f"{fps:g}" for fps in sorted(runs["fps"].unique())]
    changes = len(runs[["from_mbps", "to_mbps"]].drop_duplicates())
    said = [f"{text.listing(rates)} FPS" + (" pooled" if len(rates) > 1 else "")]
    if changes > 1:
        said.append("both directions pooled" if changes == 2 else f"{changes} changes of speed pooled")  # noqa: PLR2004
    return ", ".join(said)


def condition(runs: pd.DataFrame) -> str:
    """Say at which cells, frame rates and changes of speed these runs were measured."""
    if runs.empty:
        return ""
    cells = cells_of(runs)
    where = (
        cells[0].text if len(cells) == 1 else f"{_levels(runs, 'cpu_pct')} % CPU, {_levels(runs, 'mem_pct')} % memory"
    )
    return f"{where}; {pooled(runs)}"


def _levels(runs: pd.DataFrame, column: str) -> str:
    return text.listing([f"{level:g}" for level in sorted(runs[column].unique(), reverse=True)])
