"""The numbers that each figure shows: tables -> series of points, nothing of how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from report import text
from report.metrics.statistics import Interval, Rate, median_interval, wilson
from report.reference import paper
from report.summaries import (
    directions_of,
    good,
    memory_rows,
    models_of,
    moved,
    of,
    part_summaries,
    strategies_of,
)

if TYPE_CHECKING:
    import pandas as pd

    from report.tables import Tables

Panel = tuple[str, str]  # row and column label


@dataclass(frozen=True)
class DowntimeSeries:
    """All runs of one strategy in one panel, their median, and what the paper reports (ms)."""

    panel: Panel
    strategy: str
    values: tuple[float, ...]
    median: Interval
    paper_ms: float | None


@dataclass(frozen=True)
class GridPoint:
    """Downtime of one cell of CPU and memory availability."""

    panel: Panel
    strategy: str
    cpu_pct: float
    mem_pct: float
    values: tuple[float, ...]
    median: Interval


@dataclass(frozen=True)
class DropPoint:
    """Drop rate during the downtime at one frame rate."""

    panel: Panel
    strategy: str
    fps: float
    rate: Rate
    offered: int


@dataclass(frozen=True)
class TradeOff:
    """Memory at its largest (multiple of one pipeline at rest, edge) against downtime."""

    model: str
    strategy: str
    memory: float
    downtime: Interval


@dataclass(frozen=True)
class PartBar:
    """What the parts of the work of one tier took (median ms), stacked in the order they ran in."""

    model: str
    strategy: str
    tier: str
    parts: tuple[tuple[str, float], ...]


def downtime_series(tables: Tables) -> list[DowntimeSeries]:
    """Return the overview: one panel a model and direction, one series a strategy."""
    runs = moved(tables.downtime)
    reference = paper().downtime
    return [
        DowntimeSeries(
            panel=(model, text.direction(*pair)),
            strategy=strategy,
            values=tuple(values),
            median=median_interval(values),
            paper_ms=reference[strategy].ms if strategy in reference else None,
        )
        for model in models_of(runs)
        for pair in directions_of(runs)
        for strategy in strategies_of(runs)
        if (values := _of_direction(of(runs, model, strategy), pair)["downtime_ms"].tolist())
    ]


def grid_points(tables: Tables, strategies: tuple[str, ...]) -> list[GridPoint]:
    """Return the downtime of some strategies cell by cell."""
    runs = moved(tables.downtime)
    return [
        GridPoint(
            panel=(model, text.direction(*pair)),
            strategy=strategy,
            cpu_pct=cpu_pct,
            mem_pct=mem_pct,
            values=tuple(values),
            median=median_interval(values),
        )
        for model in models_of(runs)
        for strategy in strategies
        for pair in directions_of(runs)
        for cpu_pct, mem_pct, values in _cells(_of_direction(of(runs, model, strategy), pair))
    ]


def drop_points(tables: Tables, *, to_faster: bool) -> list[DropPoint]:
    """Return drop rates during the downtime of changes to the faster (or the slower) speed."""
    frames = good(tables.frames)
    frames = frames[(frames["window"] == "downtime") & (frames["offered"] > 0)]
    rows = frames[(frames["to_mbps"] > frames["from_mbps"]) == to_faster]
    return [
        DropPoint((text.direction(*pair), model), strategy, fps, wilson(dropped, offered), offered)
        for model in models_of(rows)
        for pair in directions_of(rows)
        for strategy in strategies_of(rows)
        for fps, dropped, offered in _by_fps(_of_direction(of(rows, model, strategy), pair))
    ]


def trade_offs(tables: Tables) -> list[TradeOff]:
    """Return memory on the edge against downtime, for each model and strategy."""
    runs = moved(tables.downtime)
    found = (
        TradeOff(
            row.model,
            row.strategy,
            row.total_over_initial,
            median_interval(of(runs, row.model, row.strategy)["downtime_ms"]),
        )
        for row in memory_rows(tables.memory)
        if row.tier == "edge"
    )
    return [point for point in found if point.downtime.n]


def part_bars(tables: Tables) -> list[PartBar]:
    """Return what each tier spent its time on while the new partition was prepared."""
    bars: dict[tuple[str, str, str], list[tuple[str, float]]] = {}
    for part in part_summaries(tables.parts):
        key = (part.model, part.strategy, part.tier)
        bars.setdefault(key, []).append((part.part, part.took.median))
    return [PartBar(*key, tuple(parts)) for key, parts in bars.items()]


def _of_direction(table: pd.DataFrame, pair: tuple[float, float]) -> pd.DataFrame:
    return table[(table["from_mbps"] == pair[0]) & (table["to_mbps"] == pair[1])]


def _cells(runs: pd.DataFrame) -> list[tuple[float, float, list[float]]]:
    cells = runs[["cpu_pct", "mem_pct"]].drop_duplicates().sort_values(["cpu_pct", "mem_pct"])
    return [
        (cpu, mem, runs[(runs["cpu_pct"] == cpu) & (runs["mem_pct"] == mem)]["downtime_ms"].tolist())
        for cpu, mem in zip(cells["cpu_pct"].tolist(), cells["mem_pct"].tolist(), strict=True)
    ]


def _by_fps(frames: pd.DataFrame) -> list[tuple[float, int, int]]:
    pooled = frames.groupby("fps")[["dropped", "offered"]].sum()
    return [
        (float(fps), int(dropped), int(offered))
        for fps, dropped, offered in zip(
            pooled.index.tolist(), pooled["dropped"].tolist(), pooled["offered"].tolist(), strict=True
        )
    ]
