"""Summaries over runs: DataFrame -> typed rows that figures and the page show. Only ok runs count.

Each pools all rows that it is given: callers hand in rows of one condition (`report.scope`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from report.metrics.statistics import Interval, Rate, median_interval, wilson
from report.theme import ordered

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

COMPONENTS = ("t_update_ms", "t_initialisation_ms", "t_exec_ms", "t_switch_ms")


@dataclass(frozen=True)
class DowntimeSummary:
    """Downtime of a model and strategy in one direction, all frame rates together.

    `service_gap` is a lower bound where it rests on a run in which service did not come back:
    `unserved` counts those.
    """

    model: str
    strategy: str
    from_mbps: float
    to_mbps: float
    downtime: Interval
    outage: Interval
    degraded: Interval
    service_gap: Interval
    gap_is_lower_bound: bool
    unserved: int
    gap_resolution_ms: float
    clocks_compared: bool
    components: dict[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class PartSummary:
    """What one tier spends on one part of the work (ms), over both directions."""

    model: str
    strategy: str
    tier: str
    part: str
    took: Interval


@dataclass(frozen=True)
class FramesSummary:
    """Frames offered within a window at one frame rate, after changes to one speed, pooled over runs."""

    model: str
    strategy: str
    to_mbps: float
    fps: float
    runs: int
    offered: int
    answered: int
    dropped: dict[str, int]
    rate: Rate


@dataclass(frozen=True)
class MemoryRow:
    """A row of Table I as measured, see `report.metrics.memory`."""

    model: str
    strategy: str
    tier: str
    initial_mb: float
    additional_mb: float
    additional_when: str
    total_mb: float
    total_low_mb: float
    total_high_mb: float
    n: int
    rest_mb: float
    peak_mb: float
    total_over_initial: float
    cgroup_initial_mb: float
    cgroup_rest_mb: float
    cgroup_total_mb: float
    initial_from: str
    cpu_pct: float
    mem_pct: float
    sources: str


@dataclass(frozen=True)
class ConditionSummary:
    """One requested value of one quantity and what was achieved in all runs that asked for it.

    `worst` is the deviation from the request that is largest in size, in the quantity's unit.
    """

    quantity: str
    requested: float
    achieved: Interval
    smallest: float
    largest: float
    worst: float
    outside: int
    not_measured: int


def good(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of ok runs."""
    return table[table["status"] == "ok"]


def moved(downtime: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of ok runs that have a downtime."""
    return good(downtime).dropna(subset=["downtime_ms"])


def of(table: pd.DataFrame, model: str, strategy: str) -> pd.DataFrame:
    """Return the rows of a model and strategy."""
    return table[(table["model"] == model) & (table["strategy"] == strategy)]


def models_of(table: pd.DataFrame) -> list[str]:
    """Return the models of a table, sorted."""
    return sorted(table["model"].unique())


def strategies_of(table: pd.DataFrame) -> list[str]:
    """Return the strategies of a table in their fixed order."""
    return ordered(table["strategy"].unique())


def directions_of(table: pd.DataFrame) -> list[tuple[float, float]]:
    """Return the changes of speed in a table, drops first."""
    pairs = table[["from_mbps", "to_mbps"]].drop_duplicates().itertuples(index=False)
    return sorted(((float(a), float(b)) for a, b in pairs), key=lambda pair: (pair[1] - pair[0], pair))


def of_direction(table: pd.DataFrame, pair: tuple[float, float]) -> pd.DataFrame:
    """Return the rows of one change of speed, (from, to) in Mbit/s."""
    return table[(table["from_mbps"] == pair[0]) & (table["to_mbps"] == pair[1])]


def downtime_summaries(downtime: pd.DataFrame) -> list[DowntimeSummary]:
    """Summarise downtimes by model, strategy and direction."""
    runs = moved(downtime)
    return [
        _downtime_summary(model, strategy, pair, group)
        for model, strategy, of_both in _groups(runs)
        for pair in directions_of(of_both)
        if not (group := of_direction(of_both, pair)).empty
    ]


def part_summaries(parts: pd.DataFrame) -> list[PartSummary]:
    """Summarise the parts of the work, in the order in which they were logged."""
    return [
        PartSummary(model, strategy, tier, part, median_interval(group["ms"]))
        for model, strategy, of_both in _groups(good(parts))
        for (tier, part), group in _split(of_both, "tier", "part", sort=False)
    ]


def frames_summaries(frames: pd.DataFrame, window: str) -> list[FramesSummary]:
    """Pool the frames of all runs of a model, strategy, new speed and frame rate."""
    rows = good(frames)
    return [
        _frames_summary(model, strategy, (to_mbps, fps), group)
        for model, strategy, of_both in _groups(rows[rows["window"] == window])
        for (to_mbps, fps), group in _split(of_both, "to_mbps", "fps")
    ]


def memory_rows(memory: pd.DataFrame) -> list[MemoryRow]:
    """Return Table I row by row, in the order of the paper's."""
    names = [column.name for column in fields(MemoryRow)]
    return [
        MemoryRow(**{name: row[name] for name in names})
        for _, _, of_both in _groups(memory)
        for row in of_both.sort_values("tier", ascending=False)[names].to_dict("records")
    ]


def condition_summaries(conditions: pd.DataFrame, quantities: tuple[str, ...]) -> list[ConditionSummary]:
    """Set every requested value beside what was achieved."""
    return [
        _condition_summary(quantity, requested, group)
        for quantity in quantities
        for (requested,), group in _split(conditions, f"{quantity}_requested")
    ]


def _groups(table: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    for model in models_of(table):
        of_model = table[table["model"] == model]
        for strategy in strategies_of(of_model):
            yield model, strategy, of(table, model, strategy)


def _split(table: pd.DataFrame, *columns: str, sort: bool = True) -> Iterator[tuple[Any, pd.DataFrame]]:
    yield from table.groupby(list(columns), sort=sort)


def _downtime_summary(model: str, strategy: str, pair: tuple[float, float], group: pd.DataFrame) -> DowntimeSummary:
    gap = median_interval(group["service_gap_ms"])
    bounded = group.loc[group["service_gap_is_lower_bound"].fillna(value=False).astype(bool), "service_gap_ms"]
    return DowntimeSummary(
        model=model,
        strategy=strategy,
        from_mbps=pair[0],
        to_mbps=pair[1],
        downtime=median_interval(group["downtime_ms"]),
        outage=median_interval(group["outage_ms"]),
        degraded=median_interval(group["degraded_ms"]),
        service_gap=gap,
        gap_is_lower_bound=bool((bounded <= gap.median).any()),
        unserved=len(bounded),
        gap_resolution_ms=float(group["service_gap_resolution_ms"].max()),
        clocks_compared=bool(group["clock_bound_ms"].notna().any()),
        components={name: median_interval(group[name]) for name in COMPONENTS if group[name].notna().any()},
    )


def _frames_summary(model: str, strategy: str, setting: tuple[float, float], group: pd.DataFrame) -> FramesSummary:
    reasons = ("paused", "busy", "late", "lost", "failed")
    offered, dropped = int(group["offered"].sum()), int(group["dropped"].sum())
    return FramesSummary(
        model=model,
        strategy=strategy,
        to_mbps=setting[0],
        fps=setting[1],
        runs=len(group),
        offered=offered,
        answered=int(group["answered"].sum()),
        dropped={reason: int(group[f"dropped_{reason}"].sum()) for reason in reasons},
        rate=wilson(dropped, offered),
    )


def _condition_summary(quantity: str, requested: float, group: pd.DataFrame) -> ConditionSummary:
    achieved = group[f"{quantity}_achieved"]
    flagged = group["out_of_tolerance"].value_counts()
    return ConditionSummary(
        quantity=quantity,
        requested=requested,
        achieved=median_interval(achieved),
        smallest=float(achieved.min()),
        largest=float(achieved.max()),
        worst=max((float(value) - requested for value in achieved.dropna()), key=abs, default=math.nan),
        outside=sum(int(count) for names, count in flagged.items() if quantity in str(names).split(", ")),
        not_measured=int(achieved.isna().sum()),
    )
