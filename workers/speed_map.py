"""Which partition point is for which network speed: what an edge needs to choose a cut by itself."""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workers.latency import Interval


class SpeedMap(msgspec.Struct, frozen=True):
    """Points by speed: `points[i]` is for speeds up to `bounds_mbps[i]`, the last one for all above.

    Bounds ascend, and neighbours differ.

    Raises:
        ValueError: the two do not fit together; while a message is decoded, msgspec.ValidationError.
    """

    bounds_mbps: tuple[float, ...]
    points: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.points) != len(self.bounds_mbps) + 1:
            raise ValueError(f"{len(self.bounds_mbps)} bounds part as many speeds and one, not {len(self.points)}")
        if not all(low < high for low, high in pairwise((0.0, *self.bounds_mbps, math.inf))):
            raise ValueError(f"bounds must ascend, found {self.bounds_mbps}")
        if any(slower == faster for slower, faster in pairwise(self.points)):
            raise ValueError(f"neighbours must differ, found {self.points}")

    @classmethod
    def from_intervals(cls, intervals: Sequence[Interval]) -> SpeedMap:
        """Return the map of `workers.latency.best_by_speed`; below and above its range the outermost points hold."""
        return cls._merged([interval.to_mbps for interval in intervals[:-1]], [each.point for each in intervals])

    @classmethod
    def from_points(cls, points: Mapping[float, int]) -> SpeedMap:
        """Return the map that gives each speed (Mbit/s) its point, and any other speed that of the nearest.

        Near is by ratio: the bound of two speeds is their geometric mean.
        """
        speeds = sorted(points)
        bounds = [math.sqrt(slow) * math.sqrt(fast) for slow, fast in pairwise(speeds)]
        return cls._merged(bounds, [points[speed] for speed in speeds])

    @classmethod
    def _merged(cls, bounds: Sequence[float], points: Sequence[int]) -> SpeedMap:
        """Return the map without the bounds between equal points."""
        steps = [
            (bound, faster)
            for bound, (slower, faster) in zip(bounds, pairwise(points), strict=True)
            if slower != faster
        ]
        return cls(tuple(bound for bound, _ in steps), (*points[:1], *(point for _, point in steps)))

    def point_for(self, mbps: float) -> int:
        """Return the index of the point for a speed (Mbit/s)."""
        return self.points[bisect_left(self.bounds_mbps, mbps)]
