"""Where a model is best cut by its profile, how sure that is, and how well sums of layers tell heads and tails.

All predictions are `workers.latency`'s, from the medians of the profile's samples. How sure they are comes from the
repetitions: each gives every layer a time on either tier, and so a total of its own to every point.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from report.metrics.statistics import Interval, median_interval
from workers.latency import PointCost, best, point_costs, profile_costs, total_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workers.latency import Link
    from workers.records import ProfileRecord

SHORTEST_MS = 1.0  # a head or tail that takes less has no error in percent worth the name
ROLES = ("edge", "cloud")


@dataclass(frozen=True)
class Costs:
    """What every point costs by the medians of all repetitions, and by each repetition alone."""

    points: tuple[PointCost, ...]
    repetitions: tuple[tuple[PointCost, ...], ...]

    def named(self, index: int) -> PointCost:
        """Return the point with this index."""
        return next(cost for cost in self.points if cost.index == index)


@dataclass(frozen=True)
class Part:
    """A head (edge) or tail (cloud) timed as a whole, and the sum of its layers (ms)."""

    tier: str
    index: int
    name: str
    measured: Interval
    sum_ms: float

    @property
    def error_pct(self) -> float | None:
        """By how much the sum is too long; None for a part of less than `SHORTEST_MS`."""
        if not self.measured.median >= SHORTEST_MS:
            return None
        return 100 * (self.sum_ms - self.measured.median) / self.measured.median


@dataclass(frozen=True)
class ErrorSummary:
    """Sizes of errors (percent): their median and the largest."""

    median_pct: float
    worst_pct: float
    n: int


def costs_of(record: ProfileRecord) -> Costs:
    """Return the costs of a profile's points.

    Raises:
        PartitionError: see `workers.latency.profile_costs`.
    """
    points = profile_costs(record)
    edge, cloud = (record.tiers[role].layers_ms for role in ROLES)
    count = min(len(samples) for samples in (*edge, *cloud))
    return Costs(
        points,
        tuple(
            point_costs(points, [samples[k] for samples in edge], [samples[k] for samples in cloud])
            for k in range(count)
        ),
    )


def behind(costs: Costs, link: Link) -> dict[int, Interval]:
    """Return how much longer than the best point's each point's total is (ms), by index.

    The median is the difference of the totals by the medians; the interval is that of the repetitions' differences,
    widened to that median where it lies outside.
    """
    favourite = best(costs.points, link)
    shortest_ms = total_ms(favourite, link)
    place = costs.points.index(favourite)
    per_repetition = [[total_ms(cost, link) for cost in repetition] for repetition in costs.repetitions]
    found = {}
    for i, cost in enumerate(costs.points):
        spread = median_interval(totals[i] - totals[place] for totals in per_repetition)
        found[cost.index] = _around(total_ms(cost, link) - shortest_ms, spread)
    return found


def parts(record: ProfileRecord, costs: Costs) -> list[Part]:
    """Set the heads and tails that were timed as a whole beside the sums of their layers."""
    by_index = {cost.index: cost for cost in costs.points}
    return [
        Part(role, index, by_index[index].name, median_interval(samples), getattr(by_index[index], f"{role}_ms"))
        for role in ROLES
        for index, samples in sorted(record.tiers[role].parts_ms.items())
        if index in by_index
    ]


def summarised(errors_pct: Iterable[float | None]) -> ErrorSummary | None:
    """Return the median and the largest size of errors; None where there is none."""
    sizes = [abs(error) for error in errors_pct if error is not None]
    return ErrorSummary(median(sizes), max(sizes), len(sizes)) if sizes else None


def _around(middle: float, spread: Interval) -> Interval:
    if spread.n < 2:  # noqa: PLR2004 - one value is no interval
        return Interval(middle, spread.low, spread.high, spread.n, spread.coverage)
    return Interval(middle, min(spread.low, middle), max(spread.high, middle), spread.n, spread.coverage)
