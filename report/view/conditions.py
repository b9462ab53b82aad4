"""Conditions: what was requested, what was achieved, and which runs are flagged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from report import text
from report.metrics.conditions import POINTS, QUANTITIES
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
            numeric("Worst deviation"),
            numeric("n", "runs measured"),
            numeric("Out of tolerance", "runs"),
            numeric("Not measured", "runs"),
        ],
        [Group("", [_row(row) for row in rows])],
    )


def flagged_grid(tables: Tables) -> Grid:
    """Return the runs with a condition out of tolerance, those of one block and request together."""
    flagged = tables.conditions[tables.conditions["out_of_tolerance"].notna()]
    gathered: dict[tuple[str, str, str, float], list[tuple[int, float]]] = {}
    for row in flagged.to_dict("records"):
        for quantity in str(row["out_of_tolerance"]).split(", "):
            key = (str(row["model"]), str(row["source"]), quantity, float(row[f"{quantity}_requested"]))
            gathered.setdefault(key, []).append((int(row["run"]), float(row[f"{quantity}_achieved"])))
    return Grid(
        "table-flagged",
        "Runs out of tolerance; they count in the statistics above",
        [
            Column("Raw logs"),
            Column("Out of tolerance"),
            numeric("Requested"),
            numeric("Achieved", "worst"),
            numeric("Deviation", "worst"),
            numeric("Runs"),
            Column("Which"),
        ],
        group_by_first([(key[0], _flagged_row(*key[1:], runs)) for key, runs in gathered.items()]),
    )


def _row(row: ConditionSummary) -> list[Cell]:
    name, unit = NAMES[row.quantity]
    return [
        Cell(name, note=unit),
        Cell(f"{row.requested:g}"),
        Cell(text.digits(row.achieved.median)),
        Cell(text.digits(row.smallest)),
        Cell(text.digits(row.largest)),
        Cell(_deviation(row.worst, row.requested, row.quantity)),
        Cell(f"{row.achieved.n}"),
        Cell(f"{row.outside}", tone="bad" if row.outside else "quiet"),
        Cell(f"{row.not_measured}", tone="" if row.not_measured else "quiet"),
    ]


def _flagged_row(source: str, quantity: str, requested: float, runs: list[tuple[int, float]]) -> list[Cell]:
    name, unit = NAMES[quantity]
    worst = max((achieved for _, achieved in runs), key=lambda achieved: abs(achieved - requested))
    return [
        Cell(source),
        Cell(name, note=unit),
        Cell(f"{requested:g}"),
        Cell(text.digits(worst)),
        Cell(_deviation(worst - requested, requested, quantity)),
        Cell(f"{len(runs)}"),
        Cell(", ".join(str(run) for run, _ in sorted(runs))),
    ]


def _deviation(deviation: float, requested: float, quantity: str) -> str:
    """Return a deviation as its tolerance is given: in points of a percentage, or as a share of what was asked for."""
    if math.isnan(deviation):
        return text.NONE
    if quantity in POINTS:
        shown, unit = deviation, "points"
    elif requested:
        shown, unit = 100 * deviation / requested, "%"
    else:
        shown, unit = deviation, NAMES[quantity][1]
    return f"{shown:+.1f}{text.SPACE}{unit}".replace("-", "−")
