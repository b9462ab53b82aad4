"""The section on memory: Table I as measured beside the paper's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from report import text
from report.metrics.memory import DOUBTFUL, noise_mb
from report.reference import paper
from report.scope import described
from report.summaries import memory_rows
from report.view.grid import Cell, Column, Grid, group_by_first, numeric

if TYPE_CHECKING:
    from report.reference import PaperMemory
    from report.summaries import MemoryRow
    from report.tables import Tables


def memory_grid(tables: Tables) -> Grid:
    """Return Table I as measured, each figure with the paper's below it."""
    return Grid(
        "table-memory",
        "Table I as measured: memory of all pipelines of a tier (PSS, MB = 10⁶ bytes), medians over all runs "
        f"at {described(tables.references)}; below each figure the paper's, which has one for both tiers",
        [
            Column("Strategy"),
            Column("Tier"),
            numeric("Initial", "one pipeline at rest"),
            numeric("Additional", "at its largest"),
            Column("When"),
            numeric("Total", "[95 %]"),
            numeric("Total / initial"),
            numeric("The same charged", "to the cgroups: anonymous memory"),
            numeric("n", "runs"),
        ],
        group_by_first([(row.model, _row(row)) for row in memory_rows(tables.memory)]),
    )


def memory_notes(tables: Tables) -> list[str]:
    """Say which rows could not be compared with the baseline, and which are doubtful."""
    rows = memory_rows(tables.memory)
    without = [
        f"{row.model}, {row.strategy}, {row.tier}: no run of pause-resume to compare with; "
        f"initial is that of {row.initial_from}."
        for row in rows
        if row.initial_from != "pause-resume"
    ]
    doubtful = [
        f"{row.model}, {row.strategy}, {row.tier}: doubtful. The set size at rest is "
        f"{text.megabytes(abs(row.rest_mb - row.initial_mb))} MB {'more' if row.rest_mb > row.initial_mb else 'less'} "
        "than the baseline's, also a single pipeline, and the charge does not account for it. It is shared pages: of "
        "libraries that something else on the host mapped while one of the two was measured, or of mapped weights that "
        "one has touched and the other has not. Where it was the baseline, other rows are off, too."
        for row in rows
        if row.additional_when == DOUBTFUL
    ]
    return [*without, *doubtful]


def _row(row: MemoryRow) -> list[Cell]:
    reference = paper().memory.get(row.strategy)
    notes = _paper(reference) if reference else ["not in the paper", "", "", "", ""]
    initial, additional, when, total, multiple = notes
    noise = " (noise)" if abs(row.additional_mb) <= noise_mb(row.initial_mb) else ""
    charged = row.cgroup_total_mb / row.cgroup_initial_mb if row.cgroup_initial_mb else math.nan
    interval = _interval(row)
    return [
        Cell(row.strategy, swatch=row.strategy),
        Cell(row.tier),
        Cell(text.megabytes(row.initial_mb), note=initial),
        Cell(f"{text.megabytes(row.additional_mb)}{noise}", note=additional),
        Cell(row.additional_when, note=when),
        Cell(f"{text.megabytes(row.total_mb)}{f' {interval}' if interval else ''}", note=total),
        Cell(f"{row.total_over_initial:.2f}{text.TIMES}", note=multiple),
        Cell(text.megabytes(row.cgroup_total_mb), note=_multiple(charged)),
        Cell(f"{row.n}"),
    ]


def _paper(reference: PaperMemory) -> list[str]:
    """Return the paper's initial, additional, when, total and multiple."""
    return [
        f"paper: {reference.initial_mb:,.1f}",
        f"paper: {reference.additional_mb:,.1f}" if reference.additional_mb else "paper: none",
        f"paper: {reference.additional_when}",
        f"paper: {reference.total_mb:,.1f}",
        f"paper: {reference.total_mb / reference.initial_mb:.0f}{text.TIMES}",
    ]


def _interval(row: MemoryRow) -> str:
    low, high = row.total_low_mb, row.total_high_mb
    return "" if math.isnan(low) else f"[{text.megabytes(low)}, {text.megabytes(high)}]"


def _multiple(times: float) -> str:
    return "" if math.isnan(times) else f"{times:.2f}{text.TIMES}"
