"""Part of the section on downtime: how long the edge took to notice a change by itself, where it was not told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from report import text
from report.metrics.statistics import median_interval
from report.summaries import directions_of, good, models_of, of, of_direction, strategies_of
from report.view.grid import Cell, Column, Grid, group_by_first, numeric

if TYPE_CHECKING:
    import pandas as pd

    from report.tables import Tables


def detection_grid(tables: Tables) -> Grid:
    """Return delays and wrong decisions by model, strategy and direction; empty where the edge was told."""
    runs = tables.downtime.dropna(subset=["wrong_decisions"])
    return Grid(
        "table-detection",
        "How long the edge took to notice the new speed by itself, all availabilities and frame rates pooled",
        [
            Column("Strategy"),
            Column("Change", "Mbit/s"),
            numeric("Delay", "median [95 %]"),
            numeric("Longest"),
            numeric("n", "runs that are ok"),
            numeric("Took it for", "Mbit/s, median"),
            numeric("Wrong decisions", "in all runs"),
            numeric("Runs"),
        ],
        group_by_first(
            [
                (model, _row(strategy, pair, rows))
                for model in models_of(runs)
                for strategy in strategies_of(runs[runs["model"] == model])
                for pair in directions_of(of(runs, model, strategy))
                if not (rows := of_direction(of(runs, model, strategy), pair)).empty
            ]
        ),
    )


def _row(strategy: str, pair: tuple[float, float], runs: pd.DataFrame) -> list[Cell]:
    delays = good(runs)["detection_ms"].dropna()
    wrong = int(runs["wrong_decisions"].sum())
    return [
        Cell(strategy, swatch=strategy),
        Cell(f"{pair[0]:g} → {pair[1]:g}"),
        Cell(text.durations(median_interval(delays))),
        Cell(text.duration(float(delays.max()))),
        Cell(f"{len(delays)}"),
        Cell(text.digits(median_interval(good(runs)["noticed_mbps"]).median)),
        Cell(f"{wrong}", tone="bad" if wrong else ""),
        Cell(f"{len(runs)}"),
    ]
