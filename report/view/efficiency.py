"""The section on efficiency: what the wall time of the blocks went into, and how much of it was observation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from report import text
from report.blocks import PHASES
from report.summaries import models_of, of, strategies_of
from report.view.grid import Cell, Column, Grid, Group, group_by_first, numeric

if TYPE_CHECKING:
    import pandas as pd

    from report.tables import Tables

_SPLIT = (*PHASES, "other_s")
_COLUMNS = (
    numeric("Wall time"),
    numeric("Set-up"),
    numeric("Warm-up"),
    numeric("Observation"),
    numeric("Tear-down"),
    numeric("Controller"),
    numeric("Other", "of no phase"),
    numeric("Share", "observation"),
)


def efficiency(tables: Tables) -> str:
    """Say which share of the grid's wall time was observation."""
    blocks = tables.blocks
    total_s = float(blocks["duration_s"].sum())
    if not total_s:
        return "No block says how long it took."
    observed_s = float(blocks["observation_s"].sum())
    return (
        f"{text.plural(len(blocks), 'block')} took {text.wall_time(total_s)} of wall time; "
        f"{text.percent(observed_s / total_s)} of it was observation."
    )


def efficiency_grid(tables: Tables) -> Grid:
    """Return how the wall time splits, by model and strategy and over the grid."""
    blocks = tables.blocks
    groups = [
        Group(
            model,
            [
                _row([Cell(strategy, swatch=strategy), Cell(f"{len(found)}")], found)
                for strategy in strategies_of(blocks[blocks["model"] == model])
                if not (found := of(blocks, model, strategy)).empty
            ],
        )
        for model in models_of(blocks)
    ]
    whole = Group("The grid", [_row([Cell("all"), Cell(f"{len(blocks)}")], blocks)])
    return Grid(
        "table-efficiency",
        "What the wall time of the blocks went into",
        [Column("Strategy"), numeric("Blocks"), *_COLUMNS],
        [*groups, whole] if groups else [],
    )


def efficiency_blocks_grid(tables: Tables) -> Grid:
    """Return how the wall time of every block splits."""
    blocks = tables.blocks
    return Grid(
        "table-efficiency-blocks",
        "What the wall time of every block went into",
        [Column("Raw logs"), *_COLUMNS],
        group_by_first(
            [
                (str(blocks["model"].iloc[i]), _row([Cell(str(blocks["source"].iloc[i]))], blocks.iloc[i : i + 1]))
                for i in range(len(blocks))
            ]
        ),
    )


def _row(head: list[Cell], blocks: pd.DataFrame) -> list[Cell]:
    total_s, observed_s = float(blocks["duration_s"].sum()), float(blocks["observation_s"].sum())
    share = observed_s / total_s if total_s > 0 else float("nan")
    times = [text.wall_time(float(blocks[column].sum())) for column in ("duration_s", *_SPLIT)]
    return [*head, *map(Cell, times), Cell(text.percent(share))]
