"""The section on frames: what became of those offered, by strategy, change and frame rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from report import text
from report.scope import described
from report.summaries import frames_summaries
from report.view.grid import Cell, Column, Grid, group_by_first, numeric

if TYPE_CHECKING:
    from report.summaries import FramesSummary
    from report.tables import Tables

_WINDOWS = {
    "before": "before the change, at the old cut and speed",
    "downtime": "during the downtime",
    "whole": "over whole runs",
}


def frames_grid(tables: Tables, window: str) -> Grid:
    """Return what became of the frames offered within a window, at the reference condition."""
    return Grid(
        f"table-frames-{window}",
        f"Frames {_WINDOWS[window]}: every frame offered ends in exactly one of the outcomes. "
        f"Drop rate with Wilson's 95 % interval, frames of all runs at {described(tables.references)} pooled",
        [
            Column("Strategy"),
            Column("Change to"),
            numeric("FPS", "offered"),
            numeric("Offered"),
            numeric("Answered"),
            *(numeric(reason) for reason in ("Paused", "Busy", "Late", "Lost", "Failed")),
            numeric("Drop rate", "[95 %]"),
            numeric("n", "runs"),
        ],
        group_by_first(
            [(row.model, _row(row)) for row in frames_summaries(tables.at_reference(tables.frames), window)]
        ),
    )


def _row(row: FramesSummary) -> list[Cell]:
    nothing = Cell("no frame offered", tone="quiet")
    return [
        Cell(row.strategy, swatch=row.strategy),
        Cell(text.speed(row.to_mbps)),
        Cell(f"{row.fps:g}"),
        Cell(f"{row.offered:,}"),
        Cell(f"{row.answered:,}"),
        *(Cell(f"{count:,}", tone="" if count else "quiet") for count in row.dropped.values()),
        Cell(text.rate(row.rate)) if row.offered else nothing,
        Cell(f"{row.runs}"),
    ]
