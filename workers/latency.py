"""How long a frame takes by where the model is cut: the paper's Eq. 1, and what follows from it exactly.

    T_inf = T_e + T_t + T_c

of one frame alone on its way: the head's time on the edge, the transfer of the tensor at the cut, the tail's time in
the cloud. Waiting behind other frames is no part of it; `sustainable_fps` says from which rate on there is some. With
x = 1/mbps the total of a point is a line, a + b·x, and the best points by speed are the lower envelope of these
lines. With edge times multiplied by a factor it is a line in that factor, too. So all the places where the best point
changes are crossings of two lines, found without sampling.
"""

from __future__ import annotations

import math
import statistics
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from workers.envelope import Line, lower_envelope, lowest_at
from workers.errors import PartitionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from workers.records import ProfileRecord

SEGMENT_BYTES = 1448  # of payload in a TCP segment: 1500 less 20 (IP), 20 (TCP) and 12 (time stamps)
HEADER_BYTES = 66  # of each segment: those, and 14 of Ethernet; this is what the shaper counts
LOW_MBPS, HIGH_MBPS = 0.5, 200.0
LOW_FACTOR, HIGH_FACTOR = 0.1, 100.0


class Point(Protocol):
    """What of a `workers.partition.PartitionPoint` decides about latency."""

    @property
    def index(self) -> int:
        """Index of its last layer, from 1."""

    @property
    def name(self) -> str:
        """Name of that layer."""

    @property
    def output_bytes(self) -> int:
        """Bytes of one frame's tensor at the cut."""


class PointCost(msgspec.Struct, frozen=True):
    """A partition point with the time of its head on the edge and of its tail in the cloud (ms)."""

    index: int
    name: str
    edge_ms: float
    cloud_ms: float
    output_bytes: int


class Link(msgspec.Struct, frozen=True):
    """The edge→cloud link: rate on the wire, headers included, and one-way delay."""

    mbps: float
    delay_ms: float


class Interval(msgspec.Struct, frozen=True):
    """Speeds at which the point with index `point` is the best. At a bound that two share, both are."""

    from_mbps: float
    to_mbps: float
    point: int


class Loss(NamedTuple):
    """What a frame takes longer for a cut that has not moved: in ms, and in percent of the best total."""

    ms: float
    pct: float


class RatioInterval(msgspec.Struct, frozen=True):
    """Factors on the edge's times between which the best points at the slow and at the fast speed are these."""

    from_factor: float
    to_factor: float
    slow_point: int
    fast_point: int

    @property
    def moves(self) -> bool:
        """Whether the best point is another one when the speed changes."""
        return self.slow_point != self.fast_point


# --- Eq. 1 --------------------------------------------------------------------------------------------------


def wire_bytes(payload_bytes: float) -> float:
    """Return the bytes that a payload takes on the wire: itself and the headers of its TCP segments."""
    return payload_bytes + HEADER_BYTES * math.ceil(payload_bytes / SEGMENT_BYTES)


def sending_ms(payload_bytes: float, mbps: float) -> float:
    """Return how long the link is busy with a payload: the part of the transfer that depends on the speed."""
    return 8 * wire_bytes(payload_bytes) / (1000 * mbps)


def transfer_ms(payload_bytes: float, link: Link) -> float:
    """Return T_t of Eq. 1: the link's delay and the time that it is busy."""
    return link.delay_ms + sending_ms(payload_bytes, link.mbps)


def total_ms(cost: PointCost, link: Link) -> float:
    """Return T_inf of Eq. 1, of a frame alone on its way."""
    return cost.edge_ms + transfer_ms(cost.output_bytes, link) + cost.cloud_ms


def sustainable_fps(cost: PointCost, link: Link) -> float:
    """Return the frame rate above which a queue grows before the slowest of edge, link and cloud.

    The three work on different frames at once, and frames can follow one another through the delay.
    """
    slowest_ms = max(cost.edge_ms, sending_ms(cost.output_bytes, link.mbps), cost.cloud_ms)
    return 1000 / slowest_ms if slowest_ms else math.inf


# --- costs --------------------------------------------------------------------------------------------------


def point_costs(
    points: Iterable[Point], layers_edge_ms: Sequence[float], layers_cloud_ms: Sequence[float]
) -> tuple[PointCost, ...]:
    """Return what each point costs by the times of all layers in order (ms) on either tier.

    The head of the point with index i is the first i layers, its tail is the rest.

    Raises:
        PartitionError: the times are those of another model.
    """
    listed = tuple(points)
    layers = max((point.index for point in listed), default=0)
    if not len(layers_edge_ms) == len(layers_cloud_ms) == layers:
        raise PartitionError(
            f"the profile times {len(layers_edge_ms)} layers on the edge and {len(layers_cloud_ms)} in the cloud, but "
            f"the model has {layers}: it is of another model or an older version. Profile the model anew."
        )
    heads = tuple(accumulate(layers_edge_ms, initial=0.0))
    tails = tuple(accumulate(reversed(layers_cloud_ms), initial=0.0))
    return tuple(
        PointCost(point.index, point.name, heads[point.index], tails[layers - point.index], point.output_bytes)
        for point in listed
    )


class _FactsPoint(msgspec.Struct, frozen=True):
    index: int
    name: str
    output_bytes: int


def profile_costs(profile: ProfileRecord) -> tuple[PointCost, ...]:
    """Return what each point costs by the medians of a profile's samples.

    Raises:
        PartitionError: nothing was timed, or see `point_costs`.
    """
    if not {"edge", "cloud"} <= set(profile.tiers):
        raise PartitionError(
            f"the profile of {profile.model} at {profile.cpu_pct:g} % CPU and {profile.mem_pct:g} % memory holds no "
            f"times: it is {profile.status.value} ({profile.reason}). Where a model is best cut cannot be said "
            "without; profile it at a higher availability."
        )
    edge, cloud = (
        [statistics.median(samples) for samples in profile.tiers[role].layers_ms] for role in ("edge", "cloud")
    )
    return point_costs(msgspec.convert(profile.model_facts["points"], tuple[_FactsPoint, ...]), edge, cloud)


def with_edge_factor(costs: Iterable[PointCost], factor: float) -> tuple[PointCost, ...]:
    """Return the costs with an edge that takes `factor` times as long."""
    return tuple(msgspec.structs.replace(cost, edge_ms=factor * cost.edge_ms) for cost in costs)


def edge_to_cloud(costs: Sequence[PointCost]) -> float:
    """Return how many times as long the edge takes as the cloud, for the layers between first and last point.

    Times a factor of a sweep this is the ratio that the factor stands for. Infinite where the cloud takes no time.
    """
    cloud_ms = costs[0].cloud_ms - costs[-1].cloud_ms
    return (costs[-1].edge_ms - costs[0].edge_ms) / cloud_ms if cloud_ms else math.inf


# --- the best point -----------------------------------------------------------------------------------------


def best(costs: Iterable[PointCost], link: Link) -> PointCost:
    """Return the point with the smallest total; of equal ones that with the smallest index.

    Raises:
        ValueError: there is no point.
    """
    return min(costs, key=lambda cost: (total_ms(cost, link), cost.index))


def best_by_speed(
    costs: Iterable[PointCost], delay_ms: float, low_mbps: float = LOW_MBPS, high_mbps: float = HIGH_MBPS
) -> tuple[Interval, ...]:
    """Return which point is the best at which speed, in ascending order and without gaps, exactly.

    A point that is nowhere better than all others does not appear. The delay is the same for all points, so it moves
    no bound.

    Raises:
        ValueError: there is no point, or no range of speeds.
    """
    _check_range(low_mbps, high_mbps)
    lines = [
        Line(cost.edge_ms + delay_ms + cost.cloud_ms, sending_ms(cost.output_bytes, 1.0), cost.index) for cost in costs
    ]
    steps = lower_envelope(lines, 1 / high_mbps, 1 / low_mbps)
    bounds = [high_mbps, *(1 / start for start, _ in steps[1:]), low_mbps]
    intervals = (
        Interval(slow, fast, line.key) for (fast, slow), (_, line) in zip(pairwise(bounds), steps, strict=True)
    )
    return tuple(interval for interval in intervals if interval.from_mbps < interval.to_mbps)[::-1]


def loss_of_staying(costs: Sequence[PointCost], before: Link, after: Link) -> Loss:
    """Return what it costs a frame to keep the best cut for `before` once the link is `after`; never negative.

    Raises:
        ValueError: there is no point.
    """
    stayed, moved = total_ms(best(costs, before), after), total_ms(best(costs, after), after)
    return Loss(stayed - moved, 100 * (stayed - moved) / moved if moved else 0.0)


def ratio_sweep(
    costs: Sequence[PointCost],
    delay_ms: float,
    slow_mbps: float,
    fast_mbps: float,
    *,
    low_factor: float = LOW_FACTOR,
    high_factor: float = HIGH_FACTOR,
) -> tuple[RatioInterval, ...]:
    """Return the best points at two speeds for an edge that takes from `low_factor` to `high_factor` times as long.

    The intervals are in ascending order, without gaps.

    Raises:
        ValueError: there is no point, or no range of factors.
    """
    _check_range(low_factor, high_factor)
    slow, fast = (
        lower_envelope(_lines_in_factor(costs, Link(mbps, delay_ms)), low_factor, high_factor)
        for mbps in (slow_mbps, fast_mbps)
    )
    starts = sorted({start for start, _ in (*slow, *fast)})
    return tuple(
        RatioInterval(start, end, lowest_at(slow, start).key, lowest_at(fast, start).key)
        for start, end in pairwise([*starts, high_factor])
    )


def _lines_in_factor(costs: Iterable[PointCost], link: Link) -> Iterator[Line]:
    """Yield the total of each point as a line in the factor on the edge's times."""
    for cost in costs:
        yield Line(transfer_ms(cost.output_bytes, link) + cost.cloud_ms, cost.edge_ms, cost.index)


def _check_range(low: float, high: float) -> None:
    if not 0 < low < high < math.inf:
        raise ValueError(f"expected a range of finite values above 0, got {low:g} to {high:g}")
