"""The table of what each strategy had prepared before its first change, whatever its downtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from report import text
from report.preparation import converted
from report.scope import described
from report.view.grid import Cell, Column, Grid, group_by_first, numeric

if TYPE_CHECKING:
    from report.metrics.statistics import Interval
    from report.preparation import Prepared, Resident
    from report.tables import Tables

_S_MS = 1000.0


def prepared_grid(tables: Tables) -> Grid:
    """Return what was done and kept in advance, by model and strategy."""
    return Grid(
        "table-prepared",
        f"Prepared in advance, before the first frame, at {described(tables.references)}; medians over blocks (n), "
        "re-arming over runs; edge and cloud work at the same time",
        [
            Column("Strategy"),
            numeric("Conversion", "of the model, once"),
            numeric("Pairs launched", "the first pipeline is one"),
            numeric("Points built", "beside it, in running containers"),
            numeric("Ready after", "from the first order"),
            numeric("Resident, edge", "beyond one pipeline at rest"),
            numeric("Resident, cloud", "beyond one pipeline at rest"),
            numeric("Re-arming", "after each change"),
            numeric("n", "blocks"),
        ],
        group_by_first([(one.model, _row(one)) for one in tables.preparations]),
    )


def _row(one: Prepared) -> list[Cell]:
    more_s = one.launch.median - one.first_pair.median
    beyond = f"beyond the first: {_seconds(more_s)}" if one.more_pairs > 0 else ""
    resident = {found.tier: _resident(found) for found in one.resident}
    works = f"{one.rearming_work}; " if one.rearming_work else ""
    return [
        Cell(one.strategy, swatch=one.strategy),
        Cell(converted(one)),
        Cell(_counted(one.pairs, one.launch), note=beyond),
        Cell(_counted(one.points, one.build), note=_by_tier(one) if one.points.median > 0 else ""),
        Cell(_seconds(one.armed.median)),
        *(resident.get(tier, Cell(text.NONE)) for tier in ("edge", "cloud")),
        Cell(text.duration(one.rearming.median), note=f"{works}n = {one.rearming.n}"),
        Cell(f"{one.armed.n}"),
    ]


def _counted(count: Interval, took: Interval) -> str:
    if not count.n:
        return "not known"
    return f"{count.median:g} in {_seconds(took.median)}" if count.median else "none"


def _by_tier(one: Prepared) -> str:
    return f"edge {_seconds(one.build_edge.median)}, cloud {_seconds(one.build_cloud.median)}"


def _resident(found: Resident) -> Cell:
    return Cell(found.said, note=found.charged)


def _seconds(value: float) -> str:
    return text.duration(value * _S_MS)
