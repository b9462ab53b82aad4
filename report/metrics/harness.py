"""What the harness itself costs a frame, and how well the device keeps its pace.

Of an answered frame, by the edge's clock, where nothing else is said,

    before  = head_done - received - head_ms            from its arrival until the head has it; exact
    after   = settled - head_done - tail_ms - wire      from the head's end to the answer, less tail and wire
    overhead = before + after

`tail_ms` is a duration by the cloud's clock; no stamps of two clocks meet. `wire` is computed: the delay that the link
was given and the time its rate takes for the bytes at the cut, headers included. It is what a link without TCP would
take, so `after` also holds what TCP adds; where the cut is a few bytes the wire is all but nothing, and `after` as good
as exact. The way back, which is not shaped, is in it. `head_ms` begins when the runner has noticed a frame: the copy of
its bytes out of the socket counts as head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workers.latency import Link, transfer_ms
from workers.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workers.records import DeviceFrame, EdgeFrame

_MS = 1e-6  # of a nanosecond


@dataclass(frozen=True)
class Overhead:
    """What one frame waited for the harness (ms)."""

    before_ms: float
    after_ms: float

    @property
    def total_ms(self) -> float:
        """All of it."""
        return self.before_ms + self.after_ms


def overhead(frame: EdgeFrame, link: Link) -> Overhead | None:
    """Return a frame's overhead; None where it was not answered or lacks a stamp."""
    if frame.outcome is not Outcome.ANSWERED or frame.settled_ns is None or frame.head_done_ns is None:
        return None
    if frame.head_ms is None or frame.tail_ms is None or frame.cut_bytes is None:
        return None
    wire_ms = transfer_ms(frame.cut_bytes, link)
    return Overhead(
        (frame.head_done_ns - frame.received_ns) * _MS - frame.head_ms,
        (frame.settled_ns - frame.head_done_ns) * _MS - frame.tail_ms - wire_ms,
    )


def overheads(frames: Iterable[EdgeFrame], link: Link) -> list[Overhead]:
    """Return the overhead of every frame that has one."""
    return [found for frame in frames if (found := overhead(frame, link)) is not None]


def off_schedule_ms(frames: Sequence[DeviceFrame], fps: float) -> list[float]:
    """Return by how much each frame missed its due time (ms, late is positive), by the device's clock.

    Frame k is due k / fps after frame 0, which is due at once: its own lateness, tens of microseconds, shifts all.
    """
    if not frames:
        return []
    ordered = sorted(frames, key=lambda frame: frame.frame)
    first = ordered[0]
    return [
        (frame.offered_ns - first.offered_ns) * _MS - (frame.frame - first.frame) * 1e3 / fps for frame in ordered[1:]
    ]
