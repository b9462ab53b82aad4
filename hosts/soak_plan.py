"""Which points a soak switches among, how often, and in which order. Pure."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from hosts.hot import points_named
from workers.bench_records import Ordered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workers.partition import PartitionPoint

FRAMES_RUN = 1
FIRST_CHANGE = 2
MS_PER_MIN = 60_000


def is_a_list(wanted: str) -> bool:
    """Say whether points are named one by one, not by ``pareto`` or ``all``."""
    return wanted not in {"pareto", "all"}


def chosen(points: Sequence[PartitionPoint], wanted: str) -> tuple[int, ...]:
    """Return the indices of the points that are asked for: ``pareto``, ``all``, or names and indices with commas.

    Raises:
        PartitionError: a point that the model does not have.
    """
    return points_named(points, [name.strip() for name in wanted.split(",")] if is_a_list(wanted) else wanted)


def order_count(minutes: float, every_ms: float) -> int:
    """Return how many orders to switch fall due."""
    return round(minutes * MS_PER_MIN / every_ms)


def orders(points: Sequence[int], seed: int, ready: Sequence[int]) -> Iterator[Ordered]:
    """Yield changes without end, each to a point drawn among all but the one before.

    The first is the cut that the soak starts with. What serves at the start stays ready, so that it is drawn among
    those that are to be, or, where none of the points is, among all.
    """
    draw = Random(f"points of a soak {seed}")  # noqa: S311 - no secret
    last = draw.choice(ready or points)
    yield Ordered(FIRST_CHANGE, last)
    number = FIRST_CHANGE
    while True:
        number += 1
        last = draw.choice([point for point in points if point != last])
        yield Ordered(number, last)
