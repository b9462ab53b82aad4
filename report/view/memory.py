"""The section on memory: Table I as measured beside the paper's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from report import text
from report.reference import paper
from report.scope import described
from report.summaries import memory_rows
from report.view.grid import Cell, Column, Grid, group_by_first, numeric

if TYPE_CHECKING:
    from report.reference import PaperMemory
    from report.summaries import MemoryRow
    from report.tables import Tables


def memory_grid(tables: Tables) -> Grid:
    """Return Table I as measured."""
    return Grid(
        "table-memory",
        "Table I as measured: memory of all pipelines of a tier (PSS, MB = 10⁶ bytes), medians over all runs "
        f"at {described(tables.references)}",
        [
            Column("Strategy"),
            Column("Tier"),
            numeric("Initial", "one pipeline at rest"),
            numeric("Additional", "at its largest"),
            Column("When"),
            numeric("Total", "[95 % of the peak]"),
            numeric("Total / initial"),
            numeric("cgroup total", "anonymous memory"),
            numeric("n", "runs"),
            numeric("Paper: total"),
        ],
        group_by_first([(row.model, _row(row)) for row in memory_rows(tables.memory)]),
    )


def memory_notes(tables: Tables) -> list[str]:
    """Say which rows could not be compared with the baseline."""
    return [
        f"{row.model}, {row.strategy}, {row.tier}: no run of pause-resume to compare with; "
        f"initial is that of {row.initial_from}."
        for row in memory_rows(tables.memory)
        if row.initial_from != "pause-resume"
    ]


def _paper(reference: PaperMemory | None) -> Cell:
    if reference is None:
        return Cell(text.NONE, note="not in the paper")
    multiple = f"{reference.total_mb / reference.initial_mb:.0f}{text.TIMES}"
    when = "" if reference.additional_when == "never" else f", {reference.additional_when}"
    return Cell(f"{reference.total_mb:,.1f}", note=f"{multiple}{when}")


def _row(row: MemoryRow) -> list[Cell]:
    reference = paper().memory.get(row.strategy)
    low, high = text.megabytes(row.peak_low_mb), text.megabytes(row.peak_high_mb)
    return [
        Cell(row.strategy, swatch=row.strategy),
        Cell(row.tier),
        Cell(text.megabytes(row.initial_mb)),
        Cell(text.megabytes(row.additional_mb), note="noise" if row.additional_when == "never" else ""),
        Cell(row.additional_when),
        Cell(text.megabytes(row.total_mb), note="" if low == text.NONE else f"[{low}, {high}]"),
        Cell(f"{row.total_over_initial:.2f}{text.TIMES}"),
        Cell(text.megabytes(row.cgroup_total_mb)),
        Cell(f"{row.n}"),
        _paper(reference),
    ]
