"""The numbers that each figure shows: tables -> series of points, nothing of how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from report import text
from report.cells import cell_summaries
from report.metrics.statistics import Interval, Rate, median_interval, wilson
from report.reference import paper
from report.summaries import (
    directions_of,
    good,
    models_of,
    moved,
    of,
    of_direction,
    part_summaries,
    strategies_of,
)

if TYPE_CHECKING:
    import pandas as pd

    from report.asked import AskedGrid
    from report.tables import Tables

Panel = tuple[str, str]  # row and column label
MOST_DOTS = 300  # of one strategy in one panel; more cannot be told apart and make the page large
WINDOWS = {"downtime": "during the downtime", "whole": "whole run"}


@dataclass(frozen=True)
class DowntimeSeries:
    """The runs of one strategy in one panel, the median of all, and what the paper reports (ms); see `evenly`."""

    panel: Panel
    strategy: str
    values: tuple[float, ...]
    median: Interval
    paper_ms: float | None


@dataclass(frozen=True)
class GridCell:
    """One cell of CPU and memory availability: its median downtime, or the state that stands for it."""

    panel: Panel
    strategy: str
    cpu_pct: float
    mem_pct: float
    median: Interval
    state: str
    left_out: int


@dataclass(frozen=True)
class DropPoint:
    """Drop rate within a window at one frame rate; the rate is NaN where no frame was offered."""

    panel: Panel
    strategy: str
    fps: float
    rate: Rate
    offered: int


@dataclass(frozen=True)
class PartBar:
    """What the parts of the work of one tier took (median ms), stacked in the order they ran in."""

    model: str
    strategy: str
    tier: str
    parts: tuple[tuple[str, float], ...]


def downtime_series(tables: Tables) -> list[DowntimeSeries]:
    """Return the overview at the reference condition: one panel a model and direction, one series a strategy."""
    runs = moved(tables.at_reference(tables.downtime))
    reference = paper().downtime
    return [
        DowntimeSeries(
            panel=(model, text.direction(*pair)),
            strategy=strategy,
            values=evenly(values),
            median=median_interval(values),
            paper_ms=reference[strategy].ms if strategy in reference else None,
        )
        for model in models_of(runs)
        for pair in directions_of(runs)
        for strategy in strategies_of(runs)
        if (values := of_direction(of(runs, model, strategy), pair)["downtime_ms"].tolist())
    ]


def evenly(values: list[float], most: int = MOST_DOTS) -> tuple[float, ...]:
    """Return the values, of more than `most` so many evenly spaced by rank: the smallest and the largest stay."""
    if len(values) <= most:
        return tuple(values)
    ordered = sorted(values)
    return tuple(ordered[round(place * (len(ordered) - 1) / (most - 1))] for place in range(most))


def grid_cells(tables: Tables, asked: AskedGrid | None = None) -> list[GridCell]:
    """Return the downtime of all strategies cell by cell; frame rates are pooled."""
    return [
        GridCell(
            panel=(f"{found.model}, {found.strategy}", text.direction(found.from_mbps, found.to_mbps)),
            strategy=found.strategy,
            cpu_pct=found.cell.cpu_pct,
            mem_pct=found.cell.mem_pct,
            median=found.downtime,
            state=found.state,
            left_out=found.left_out,
        )
        for found in cell_summaries(tables.downtime, asked)
    ]


def drop_points(tables: Tables, *, to_faster: bool) -> list[DropPoint]:
    """Return drop rates of changes to the faster (or slower) speed at the reference condition, by window and model."""
    frames = good(tables.at_reference(tables.frames))
    rows = frames[(frames["to_mbps"] > frames["from_mbps"]) == to_faster]
    several = len(directions_of(rows)) > 1
    return [
        DropPoint((f"{shown}, {text.direction(*pair)}" if several else shown, model), strategy, fps, rate, offered)
        for window, shown in WINDOWS.items()
        for pair in directions_of(rows)
        for model in models_of(rows)
        for strategy in strategies_of(rows)
        for fps, rate, offered in _by_fps(of_direction(of(rows[rows["window"] == window], model, strategy), pair))
    ]


def part_bars(tables: Tables) -> list[PartBar]:
    """Return what each tier spent its time on at the reference condition while the new partition was prepared."""
    bars: dict[tuple[str, str, str], list[tuple[str, float]]] = {}
    for part in part_summaries(tables.at_reference(tables.parts)):
        key = (part.model, part.strategy, part.tier)
        bars.setdefault(key, []).append((part.part, part.took.median))
    return [PartBar(*key, tuple(parts)) for key, parts in bars.items()]


def _by_fps(frames: pd.DataFrame) -> list[tuple[float, Rate, int]]:
    pooled = frames.groupby("fps")[["dropped", "offered"]].sum()
    return [
        (float(fps), wilson(int(dropped), int(offered)), int(offered))
        for fps, dropped, offered in zip(
            pooled.index.tolist(), pooled["dropped"].tolist(), pooled["offered"].tolist(), strict=True
        )
    ]
