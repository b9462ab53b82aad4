"""The section on conditions: what was requested, what was achieved, and which runs are flagged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from report import text
from report.metrics.conditions import QUANTITIES
from report.summaries import condition_summaries
from report.view.grid import Cell, Column, Grid, Group, group_by_first, numeric

if TYPE_CHECKING:
    from report.summaries import ConditionSummary
    from report.tables import Tables

NAMES = {
    "link_mbps_before": ("Link before the change", "Mbit/s"),
    "link_mbps_after": ("Link after the change", "Mbit/s"),
    "link_delay_ms": ("Link delay, one way", "ms"),
    "cpu_pct": ("CPU availability", "%"),
    "mem_pct": ("Memory availability", "%"),
    "fps": ("Frames offered", "per second"),
}


def conditions_grid(tables: Tables) -> Grid:
    """Return every requested value beside what was achieved."""
    rows = condition_summaries(tables.conditions, QUANTITIES)
    return Grid(
        "table-conditions",
        "Requested against achieved, all runs that measured it",
        [
            Column("Quantity"),
            numeric("Requested"),
            numeric("Achieved", "median"),
            numeric("Smallest"),
            numeric("Largest"),
            numeric("n", "runs measured"),
            numeric("Out of tolerance", "runs"),
            numeric("Not measured", "runs"),
        ],
        [Group("", [_row(row) for row in rows])],
    )


def flagged_grid(tables: Tables) -> Grid:
    """Return the runs with a condition out of tolerance."""
    flagged = tables.conditions[tables.conditions["out_of_tolerance"].notna()]
    return Grid(
        "table-flagged",
        "Runs out of tolerance; they count in the statistics above",
        [Column("Raw logs"), numeric("Run"), Column("Out of tolerance"), numeric("Requested"), numeric("Achieved")],
        group_by_first(
            [
                (str(row["model"]), _flagged_row(row, quantity))
                for row in flagged.to_dict("records")
                for quantity in str(row["out_of_tolerance"]).split(", ")
            ]
        ),
    )


def _row(row: ConditionSummary) -> list[Cell]:
    name, unit = NAMES[row.quantity]
    return [
        Cell(name, note=unit),
        Cell(f"{row.requested:g}"),
        Cell(text.digits(row.achieved.median)),
        Cell(text.digits(row.smallest)),
        Cell(text.digits(row.largest)),
        Cell(f"{row.achieved.n}"),
        Cell(f"{row.outside}", tone="bad" if row.outside else "quiet"),
        Cell(f"{row.not_measured}", tone="" if row.not_measured else "quiet"),
    ]


def _flagged_row(row: dict[str, object] | dict[object, object], quantity: str) -> list[Cell]:
    values: dict[str, object] = {str(key): value for key, value in row.items()}
    name, unit = NAMES[quantity]
    return [
        Cell(str(values["source"])),
        Cell(str(values["run"])),
        Cell(name, note=unit),
        Cell(f"{float(str(values[f'{quantity}_requested'])):g}"),
        Cell(text.digits(float(str(values[f"{quantity}_achieved"])))),
    ]
