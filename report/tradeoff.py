"""Downtime against memory: where every strategy stands, the paper's too, and which ones no other one beats."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from report import text
from report.metrics.memory import noise_mb
from report.metrics.statistics import Interval, median_interval, ratio_interval
from report.reference import paper
from report.summaries import good, memory_rows, moved, of
from report.theme import ordered

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from report.summaries import MemoryRow
    from report.tables import Tables


@dataclass(frozen=True)
class TradeOff:
    """A strategy's additional memory on the edge (multiple of one pipeline at rest) and its downtime (ms).

    `pss` is the largest proportional set size that the multiple is made of (MB), `charged` what the cgroups are charged
    with at most (anonymous memory, MB; n is 0 where that was not measured): they are what strategies are compared by,
    as the pipeline that they are all multiples of has a spread of its own. `noise_mb` is how far two may lie apart
    without meaning anything.
    """

    model: str
    strategy: str
    memory: Interval
    downtime: Interval
    pss: Interval
    charged: Interval
    noise_mb: float

    def beats(self, other: TradeOff) -> bool:
        """Whether it takes surely less of the one and not surely more of the other."""
        less, more = self._less_memory_than(other), other._less_memory_than(self)
        shorter, longer = _below(self.downtime, other.downtime), _below(other.downtime, self.downtime)
        return (less and not longer) or (shorter and not more)

    def _less_memory_than(self, other: TradeOff) -> bool:
        """Whether both measures say so: a set size also shrinks where a stranger maps the same libraries."""
        pairs = [(self.pss, other.pss)]
        if self.charged.n and other.charged.n:
            pairs.append((self.charged, other.charged))
        return all(_below(mine, its) and its.median - mine.median > self.noise_mb for mine, its in pairs)


def trade_offs(tables: Tables) -> list[TradeOff]:
    """Return where each model's strategies stand at the reference condition, by the medians of Table I."""
    downtimes = moved(tables.at_reference(tables.downtime))
    memory = good(tables.at_reference(tables.memory_runs))
    on_edge = memory[memory["tier"] == "edge"]
    found = [
        TradeOff(
            row.model,
            row.strategy,
            _additional(row, on_edge),
            median_interval(of(downtimes, row.model, row.strategy)["downtime_ms"]),
            median_interval(_largest(row, on_edge, "{}_mb")),
            median_interval(_largest(row, on_edge, "{}_cgroup_mb")),
            noise_mb(row.initial_mb),
        )
        for row in memory_rows(tables.memory)
        if row.tier == "edge" and row.initial_mb > 0
    ]
    return [point for point in found if point.downtime.n and point.memory.n]


def paper_trade_offs() -> list[TradeOff]:
    """Return where the paper's strategies stand by its own figures, without intervals."""
    return [
        TradeOff(
            "",
            strategy,
            _exactly(memory.additional_mb / memory.initial_mb),
            _exactly(paper().downtime[strategy].ms),
            _exactly(memory.initial_mb + memory.additional_mb),
            median_interval(()),
            noise_mb(memory.initial_mb),
        )
        for strategy, memory in paper().memory.items()
    ]


def front(points: Sequence[TradeOff]) -> list[TradeOff]:
    """Return the strategies that none of the others beats, least memory first: the Pareto front."""
    unbeaten = [point for point in points if not any(other.beats(point) for other in points)]
    return sorted(unbeaten, key=lambda point: (point.memory.median, point.downtime.median))


def finding(points: Sequence[TradeOff]) -> str:
    """Name the front of every model and of the paper, and what beats the others."""
    sentences = []
    for model in sorted({point.model for point in points}):
        of_model = [point for point in points if point.model == model]
        best = front(of_model)
        sentences.append(f"{model}: on the Pareto front {_named(best)}.{_beaten(of_model, best)}")
    named = text.listing([point.strategy for point in front(paper_trade_offs())])
    sentences.append(f"On that of the paper's own figures: {named}.")
    return " ".join(sentences)


def _named(points: Sequence[TradeOff]) -> str:
    return text.listing(
        [
            f"{point.strategy} ({text.duration(point.downtime.median)}, {text.more(point.memory.median)} memory)"
            for point in points
        ]
    )


def _beaten(points: Sequence[TradeOff], best: Sequence[TradeOff]) -> str:
    """Say of the strategies that are not on the front which of its members beats them."""
    by: dict[str, list[str]] = {}
    for point in points:
        if point not in best:
            winners = ordered(other.strategy for other in best if other.beats(point))
            by.setdefault(text.listing(winners), []).append(point.strategy)
    said = [f"{text.listing(ordered(losers))} beaten by {winners}" for winners, losers in by.items()]
    return f" Not on it: {'; '.join(said)}." if said else ""


def _additional(row: MemoryRow, on_edge: pd.DataFrame) -> Interval:
    """Return the ratio of the strategy's largest memory to one pipeline at rest, minus that pipeline."""
    initial = of(on_edge, row.model, row.initial_from)["rest_mb"].dropna()
    total = ratio_interval(_largest(row, on_edge, "{}_mb"), initial)
    return Interval(total.median - 1, total.low - 1, total.high - 1, total.n, total.coverage)


def _largest(row: MemoryRow, on_edge: pd.DataFrame, column: str) -> list[float]:
    """Return the strategy's memory in each run (MB), at rest or at the peak, whichever is more in the median."""
    runs = of(on_edge, row.model, row.strategy)
    samples: list[list[float]] = [runs[column.format(when)].dropna().tolist() for when in ("rest", "peak")]
    return max(samples, key=lambda sample: statistics.median(sample or [0.0]))


def _below(one: Interval, other: Interval) -> bool:
    """Say whether one value is surely below another; without an interval a median stands for itself."""
    high = one.median if math.isnan(one.high) else one.high
    low = other.median if math.isnan(other.low) else other.low
    return high < low


def _exactly(value: float) -> Interval:
    return Interval(value, math.nan, math.nan, 1, 0.0)
