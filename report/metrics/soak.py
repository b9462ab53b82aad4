"""A soak from its logs: how orders to switch fared, what became of frames, and whether memory grew."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from report.metrics import downtime as dt
from report.metrics.shortfalls import said_amiss
from workers.records import EventKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workers.bench_records import Ordered
    from workers.records import Event, MemorySample

_MB, _NS_PER_S, _S_PER_MIN = 1e6, 1e9, 60.0
BUCKET_S = 5.0  # of which one median counts, so that a switch under way does not
SLOPE_MIN = 3.0  # minutes between start and end without which there is no slope: what a start takes would be multiplied


@dataclass(frozen=True)
class _Asked:
    to_mbps: float
    from_point: int
    to_point: int


@dataclass(frozen=True)
class Switches:
    """What became of the orders; they add up: ordered = served + unmoved + overtaken + failed.

    `overtaken` were held back and a newer one was served instead; `unmoved` asked for the cut that served already.
    `downtimes` are of those served, `otherwise` of those among them that were served in another way than the strategy
    promises.
    """

    ordered: int
    unmoved: int
    overtaken: int
    failed: int
    downtimes: tuple[dt.Downtime, ...]
    otherwise: tuple[dt.Downtime, ...]
    reasons: tuple[str, ...]

    @property
    def served(self) -> int:
        """How many moved the cut."""
        return len(self.downtimes)


def switches(ordered: Sequence[Ordered], events: Mapping[int, Sequence[Event]], mbps: float) -> Switches:
    """Return how orders fared, by the downtime's own metric."""
    unmoved = overtaken = 0
    downtimes: list[dt.Downtime] = []
    otherwise: list[dt.Downtime] = []
    reasons: list[str] = []
    for order in ordered:
        own = events.get(order.run, ())
        learned = next((event for event in own if event.kind is EventKind.CHANGE_LEARNED), None)
        if learned is None:
            overtaken += 1
            continue
        try:
            asked = _Asked(mbps, int(learned.detail.get("from_point") or 0), order.point)
            taken = dt.downtime(dt.timeline(asked, own))
        except dt.IncompleteRunError as error:
            reasons.append(f"order {order.run}: {error}")
            continue
        if taken is None:
            unmoved += 1
        else:
            downtimes.append(taken)
            if any(map(said_amiss, own)):
                otherwise.append(taken)
    return Switches(len(ordered), unmoved, overtaken, len(reasons), tuple(downtimes), tuple(otherwise), tuple(reasons))


@dataclass(frozen=True)
class Growth:
    """Memory of a tier's pipelines (MB) at start and end, and its slope (MB a minute): the median of all pairs'.

    The slope is None where start and end lie less than `SLOPE_MIN` apart.
    """

    start_mb: float
    end_mb: float
    slope_mb_per_min: float | None
    n: int


def growth(samples: Sequence[MemorySample], start_ns: int, end_ns: int) -> Growth | None:
    """Return how memory went between two moments; None where fewer than two buckets of time have a sample.

    Theil and Sen's slope: one sample that is off, or a tenth of them, does not move it.
    """
    buckets: dict[int, list[int]] = {}
    for sample in samples:
        if start_ns <= sample.at_ns <= end_ns:
            at = int((sample.at_ns - start_ns) / (BUCKET_S * _NS_PER_S))
            buckets.setdefault(at, []).append(sample.pss_bytes)
    found = [(at * BUCKET_S / _S_PER_MIN, median(values) / _MB) for at, values in sorted(buckets.items())]
    if len(found) < 2:  # noqa: PLR2004 - a slope needs two
        return None
    slope = None
    if found[-1][0] - found[0][0] >= SLOPE_MIN:
        slope = median((later[1] - one[1]) / (later[0] - one[0]) for one, later in itertools.combinations(found, 2))
    return Growth(found[0][1], found[-1][1], slope, len(found))
