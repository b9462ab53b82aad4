"""Which points of a model a profile looks at, and at which pace frames are sent through them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hosts.points import PAPER_POINTS, needs_profile, points_by_speed
from workers.latency import Link, best, total_ms
from workers.partition import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hosts.config import Config
    from workers.latency import PointCost
    from workers.partition import PartitionPoint

SPREAD = 6
DEADLINE_MS = 10_000.0  # of a frame of a profile, which nobody waits for
RIVAL = 2.0  # a neighbour whose total is more than so many times the best one's tells nothing that is not known
ROOM, ROOM_MS = 1.25, 50.0  # frames follow one another with so much more time than one should take


class PointSpec(msgspec.Struct, frozen=True):
    """A point to be measured end to end at a speed, and why: see `workers.records.PointRun`."""

    mbps: float
    point: int
    why: tuple[str, ...]
    fps: float


def parts_to_time(points: Sequence[PartitionPoint], named: Iterable[int]) -> tuple[int, ...]:
    """Return the indices of the points whose heads and tails are timed as a whole, in ascending order.

    They are those `named`, those that send less than every earlier one (no other can be the best while the edge is no
    faster than the cloud), and some spread evenly from input to output, for the error of sums of layers.
    """
    count = min(SPREAD, len(points))
    spread = {points[number * (len(points) - 1) // max(1, count - 1)].index for number in range(count)}
    least = {
        point.index
        for number, point in enumerate(points)
        if all(point.output_bytes < earlier.output_bytes for earlier in points[:number])
    }
    return tuple(sorted({*named, *spread, *least}))


def named_points(config: Config, model: str, points: Sequence[PartitionPoint]) -> dict[int, tuple[str, ...]]:
    """Return the points that have a name in the experiment, by index, with why they matter.

    Raises:
        PartitionError: the config names a point that the model has not.
    """
    reasons: dict[int, list[str]] = {points[0].index: ["cloud-only"]}
    reasons.setdefault(points[-1].index, []).append("edge-only")
    sources = {} if needs_profile(config, model) else {"config": points_by_speed(config, model)}
    if config.models[model].source in {None, model}:
        sources["paper"] = PAPER_POINTS.get(model, {})
    for why, wanted in sources.items():
        for index in sorted({resolve(points, point).index for point in wanted.values()}):
            reasons.setdefault(index, []).append(why)
    return {index: tuple(why) for index, why in sorted(reasons.items())}


def points_to_measure(
    costs: Sequence[PointCost], link: Link, named: dict[int, tuple[str, ...]]
) -> tuple[PointSpec, ...]:
    """Return the points to be measured end to end at a speed, in the order of the model.

    Those named, the best one and its neighbours on either side. A point at which a frame should take longer than half
    the deadline is left out.
    """
    by_index = {cost.index: cost for cost in costs}
    winner = best(costs, link)
    reasons = {index: list(why) for index, why in named.items()}
    reasons.setdefault(winner.index, []).insert(0, "best")
    for neighbour in _neighbours(costs, link, winner):
        reasons.setdefault(neighbour.index, []).append("neighbour")
    return tuple(
        PointSpec(link.mbps, index, tuple(why), pace(total_ms(by_index[index], link)))
        for index, why in sorted(reasons.items())
        if total_ms(by_index[index], link) <= DEADLINE_MS / 2
    )


def _neighbours(costs: Sequence[PointCost], link: Link, winner: PointCost) -> list[PointCost]:
    """Return the nearest point before and after the best one that comes near it."""
    limit_ms = RIVAL * total_ms(winner, link)
    rivals = [cost for cost in costs if total_ms(cost, link) <= limit_ms]
    before = [cost for cost in rivals if cost.index < winner.index]
    after = [cost for cost in rivals if cost.index > winner.index]
    return before[-1:] + after[:1]


def pace(frame_ms: float) -> float:
    """Return the frames per second at which a frame that takes so long is alone on its way."""
    return round(1000 / (ROOM * frame_ms + ROOM_MS), 3)
