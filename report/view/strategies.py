"""What the strategies do, in a line each, for a reader who knows the paper at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from report.summaries import strategies_of
from report.view.grid import Cell, Column, Grid, Group

if TYPE_CHECKING:
    from report.tables import Tables

# At rest, and on a change; as in docs/glossary.md.
DOES = {
    "pause-resume": (
        "one pipeline",
        "stop the intake, pause the containers, hand over the new cut, resume; the application starts again",
    ),
    "pause-resume-inprocess": ("one pipeline", "the same, but the running process loads the model again"),
    "switch-a1": ("an active and a standby pipeline in containers of their own", "route to the standby"),
    "switch-a2": ("an active and a standby pipeline in the same containers", "route to the standby"),
    "switch-b1": ("one pipeline", "start new containers, route to them, remove the old"),
    "switch-b2": ("one pipeline", "build the new pipeline in the running containers, route to it, drop the old"),
    "switch-hot": ("every useful point built over one copy of the weights (not the paper's)", "route to the point"),
    "switch-warm": (
        "one pipeline, beside it containers that have imported their runtime and hold no model (not the paper's)",
        "load the model and build the cut there, route to it, remove the old, start such containers anew",
    ),
}
_UNKNOWN = ("not one of this project's own strategies", "see its source at the commit named above")


def strategies_grid(tables: Tables) -> Grid:
    """Return what the strategies that were measured do."""
    rows = [
        [Cell(strategy, swatch=strategy), *map(Cell, DOES.get(strategy, _UNKNOWN))]
        for strategy in strategies_of(tables.downtime)
    ]
    columns = [Column("Strategy"), Column("Has ready"), Column("On a change")]
    return Grid("table-strategies", "What the strategies do", columns, [Group("", rows)])
