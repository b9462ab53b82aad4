"""Which points a soak switches among, and in which order. Pure."""

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


def chosen(points: Sequence[PartitionPoint], wanted: str) -> tuple[int, ...]:
    """Return the indices of the points that are asked for: ``pareto``, ``all``, or names and indices with commas.

    Raises:
        PartitionError: a point that the model does not have, or fewer than two.
    """
    named = wanted in {"pareto", "all"}
    return points_named(points, wanted if named else [name.strip() for name in wanted.split(",")])


def orders(points: Sequence[int], seed: int) -> Iterator[Ordered]:
    """Yield changes without end, each to a point drawn among all but the one before; the first is the first cut."""
    draw = Random(f"points of a soak {seed}")  # noqa: S311 - no secret
    last = draw.choice(points)
    yield Ordered(FIRST_CHANGE, last)
    number = FIRST_CHANGE
    while True:
        number += 1
        last = draw.choice([point for point in points if point != last])
        yield Ordered(number, last)
