"""Frames: what became of each one, counted within a window, and the gap in service that the device saw.

The device's record decides. Two cases are made more precise: an answer after the deadline is late, whatever
the log calls it, and a frame that the device gave up as lost takes the reason that the edge recorded for it.
"""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workers.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from report.metrics.clocks import Shift
    from workers.records import DeviceFrame, EdgeFrame

_NS = 1_000_000  # of a millisecond
_EDGE_REASONS = frozenset({Outcome.PAUSED, Outcome.BUSY, Outcome.FAILED})


@dataclass(frozen=True)
class SettledFrame:
    """A frame with its one final outcome.

    `offered_ns` and `settled_ns` are the device's clock, `received_ns` the edge's. A frame of which nothing came
    back is settled at its deadline.
    """

    frame: int
    offered_ns: int
    settled_ns: int
    outcome: Outcome
    received_ns: int | None


@dataclass(frozen=True)
class Counts:
    """How many frames of a window ended how; ``offered == answered + dropped`` always."""

    offered: int
    answered: int
    paused: int
    busy: int
    late: int
    lost: int
    failed: int

    @property
    def dropped(self) -> int:
        """Frames offered without a result by their deadline."""
        return self.paused + self.busy + self.late + self.lost + self.failed


@dataclass(frozen=True)
class ServiceGap:
    """Time without a result beyond the usual one; at least so long where no result ended it."""

    ms: float
    is_lower_bound: bool


def settle(device: Iterable[DeviceFrame], edge: Iterable[EdgeFrame], deadline_ms: float) -> tuple[SettledFrame, ...]:
    """Join both sides' records of a run by frame number, in order of the frame numbers."""
    at_edge = {frame.frame: frame for frame in edge}
    return tuple(
        SettledFrame(
            frame=frame.frame,
            offered_ns=frame.offered_ns,
            settled_ns=frame.settled_ns or frame.offered_ns + round(deadline_ms * _NS),
            outcome=_outcome(frame, at_edge.get(frame.frame), deadline_ms),
            received_ns=at_edge[frame.frame].received_ns if frame.frame in at_edge else None,
        )
        for frame in sorted(device, key=lambda frame: frame.frame)
    )


def in_window(
    frames: Sequence[SettledFrame], start_ns: int, end_ns: int, to_edge: Shift | None
) -> tuple[SettledFrame, ...]:
    """Return the frames offered in ``[start_ns, end_ns]`` of the edge's clock.

    Without a recorded offset between device and edge (`to_edge` is None) the window is the range of frame
    numbers that the edge received in it: frames are numbered in the order they were offered.
    """
    if to_edge is not None:
        return tuple(frame for frame in frames if start_ns <= frame.offered_ns + to_edge.ns <= end_ns)
    inside = [
        frame.frame for frame in frames if frame.received_ns is not None and start_ns <= frame.received_ns <= end_ns
    ]
    if not inside:
        return ()
    return tuple(frame for frame in frames if inside[0] <= frame.frame <= inside[-1])


def due_before(frames: Sequence[SettledFrame], end_ns: int, to_edge: Shift | None) -> tuple[SettledFrame, ...]:
    """Return the frames offered so long before a moment of the edge's clock that their answers were due before it.

    What becomes of those still in flight is the doing of what happens then. An answer is due after the longest round
    trip of those that came before: chosen by when a frame was offered, never by what became of it. Without a recorded
    offset between device and edge all frames offered before count.
    """
    offered = in_window(frames, 0, end_ns - 1, to_edge)
    if to_edge is None:
        return offered
    answered = (one for one in offered if one.outcome is Outcome.ANSWERED and one.settled_ns + to_edge.ns < end_ns)
    longest_ns = max((one.settled_ns - one.offered_ns for one in answered), default=0)
    return tuple(one for one in offered if one.offered_ns + to_edge.ns < end_ns - longest_ns)


def count(frames: Iterable[SettledFrame]) -> Counts:
    """Count a window's frames by outcome."""
    found = Counter(frame.outcome for frame in frames)
    return Counts(
        offered=found.total(),
        answered=found[Outcome.ANSWERED],
        paused=found[Outcome.PAUSED],
        busy=found[Outcome.BUSY],
        late=found[Outcome.LATE],
        lost=found[Outcome.LOST],
        failed=found[Outcome.FAILED],
    )


def service_gap(
    device: Sequence[DeviceFrame], start_ns: int, end_ns: int, deadline_ms: float, fps: float
) -> ServiceGap | None:
    """Return the longest time without a result around a change, minus the usual one.

    Device clock throughout: `start_ns` and `end_ns` bound the downtime there. Gaps count that touch the
    downtime or the one deadline after it, in which its last frames are settled. The usual gap is the median
    one before the change, with fewer than two results there 1/FPS. The last gap is still open when the device
    offers its last frame: where it is the longest, what is known of the gap is a lower bound. None where
    there was no result before the change, or where frames ended too early to tell.
    """
    results = _results(device, deadline_ms)
    if not results or results[0] > start_ns:
        return None
    gaps = list(itertools.pairwise(results))
    usual_ns = [later - earlier for earlier, later in gaps if later <= start_ns] or [round(1e9 / fps)]
    until_ns = end_ns + deadline_ms * _NS
    closed = max((later - earlier for earlier, later in gaps if later > start_ns and earlier < until_ns), default=0)
    last_offered_ns = max(frame.offered_ns for frame in device)
    still_open = last_offered_ns - results[-1] if results[-1] < until_ns else 0
    is_bound = results[-1] < end_ns or still_open > closed
    beyond_ns = max(closed, still_open) - statistics.median(usual_ns)
    return None if is_bound and beyond_ns <= 0 else ServiceGap(beyond_ns / _NS, is_bound)


def _results(device: Iterable[DeviceFrame], deadline_ms: float) -> list[int]:
    """Return when the device got its results, those after their deadline left out (ns)."""
    return sorted(
        frame.settled_ns
        for frame in device
        if frame.outcome is Outcome.ANSWERED
        and frame.settled_ns is not None
        and frame.settled_ns - frame.offered_ns <= deadline_ms * _NS
    )


def _outcome(device: DeviceFrame, edge: EdgeFrame | None, deadline_ms: float) -> Outcome:
    if device.outcome is Outcome.ANSWERED and device.settled_ns is not None:
        late = device.settled_ns - device.offered_ns > deadline_ms * _NS
        return Outcome.LATE if late else Outcome.ANSWERED
    if device.outcome is Outcome.LOST and edge is not None and edge.outcome in _EDGE_REASONS:
        return edge.outcome
    return device.outcome
