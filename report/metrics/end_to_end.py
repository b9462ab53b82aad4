"""T_inf as measured: frames sent one at a time through the real pipeline, over the shaped link.

    T_inf = head_ms + (cloud_received - head_done) + tail_ms

The head's and the tail's time are each by one clock. The transfer between them is by two, so it is true within the
bound of the clocks' offset, which was probed right before and after. What a frame waited on the edge before its head is
kept apart: Eq. 1 is of a frame alone on its way. A negative transfer is shown as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from report.metrics.clocks import Probes, Shift, shift_between
from report.metrics.statistics import Interval, median_interval
from workers.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from workers.records import EdgeFrame, PointRun

_MS = 1e-6  # of a nanosecond
_STAGES = ("edge", "transfer", "cloud", "queue", "total")
_TIERS = ("edge", "cloud")


@dataclass(frozen=True)
class Measured:
    """Medians over the frames of one point at one speed (ms); `n` of each counts its frames.

    `mbps` is the rate that the link was found to have. `bound_ms` is the error bound of transfer and total by the
    clocks; None without a probe, and both are unknown then.
    """

    why: tuple[str, ...]
    edge: Interval
    transfer: Interval
    cloud: Interval
    queue: Interval
    total: Interval
    mbps: float | None
    bound_ms: float | None


def measured(runs: Sequence[PointRun], frames: Mapping[int, Sequence[EdgeFrame]]) -> Measured:
    """Return what the frames of all runs of one point at one speed took; the one that warms a cut up is of run 0."""
    shifts = {run.run: shift_between(Probes(run.clock_before, run.clock_after, of_run=True), *_TIERS) for run in runs}
    stages = [_stages(frame, shifts[run.run]) for run in runs for frame in _counting(run, frames.get(run.run, ()))]
    bounds = [shift.bound_ns * _MS for shift in shifts.values() if shift is not None]
    intervals = {name: median_interval(stage[name] for stage in stages) for name in _STAGES}
    return Measured(
        tuple(dict.fromkeys(reason for run in runs for reason in run.why)),
        **intervals,
        mbps=_achieved_mbps(runs),
        bound_ms=max(bounds, default=None),
    )


def _achieved_mbps(runs: Iterable[PointRun]) -> float | None:
    """Return the median of the link's rate as probed before and after each run."""
    sides = ((run.achieved.link_mbps_before, run.achieved.link_mbps_after) for run in runs)
    found = [mbps for pair in sides for mbps in pair if mbps is not None]
    return median(found) if found else None


def _counting(run: PointRun, frames: Iterable[EdgeFrame]) -> list[EdgeFrame]:
    """Return the frames of a run that went all the way through its cut."""
    return [
        frame
        for frame in frames
        if frame.outcome is Outcome.ANSWERED and frame.point == run.point and None not in _stamps(frame)
    ]


def _stamps(frame: EdgeFrame) -> tuple[float | None, ...]:
    return frame.head_ms, frame.head_done_ns, frame.cloud_received_ns, frame.tail_ms


def _stages(frame: EdgeFrame, to_cloud: Shift | None) -> dict[str, float]:
    """Return where a frame's time went (ms); NaN for what takes two clocks that were not compared."""
    head_ms, head_done_ns, at_cloud_ns, tail_ms = (value or 0 for value in _stamps(frame))
    transfer = float("nan") if to_cloud is None else (at_cloud_ns - to_cloud.ns - head_done_ns) * _MS
    return {
        "edge": head_ms,
        "transfer": transfer,
        "cloud": tail_ms,
        "queue": (head_done_ns - frame.received_ns) * _MS - head_ms,
        "total": head_ms + transfer + tail_ms,
    }
