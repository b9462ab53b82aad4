"""What a frame's own transfer tells of the link's speed, by the edge's clock alone.

A frame that is handed to the link at ``head_done_ns`` and answered at ``settled_ns`` has reached its tail at
``settled_ns - tail_ms``, the way back included. Less the shortest round trip that is the time in which its bytes
went over the link, if the link was free. Frames of a busy link overlap: then the transfer starts when that of the
frame before ended, so that a queue does not read as a slower link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from workers.latency import wire_bytes
from workers.records import Outcome

if TYPE_CHECKING:
    from workers.records import EdgeFrame

LEAST_WIRE_BYTES = 60_000  # a shaper lets a burst of about 5 kB pass at once: at most 8 % of this
LEAST_SPAN_NS = 10_000_000  # stamps are good to about 1 ms
SAME_MOMENT_NS = 2_000_000


class Observation(msgspec.Struct, frozen=True):
    """A speed that the link was seen to have from `began_ns` to `ended_ns` (edge's clock), while `run` was measured.

    `train`: seen by a packet train, which knows no window and no queue of TCP; otherwise by a frame.
    """

    run: int
    began_ns: int
    ended_ns: int
    mbps: float
    train: bool = False


class Way(msgspec.Struct, frozen=True):
    """What is known of the way to the tails.

    `round_trip_ns` is the shortest one seen, None before the first. The last frame's transfer ended by `arrived_ns`;
    None: not known, because a frame has not been answered. `waited`: it may have ended before, for its tail was busy.
    Frames that were on their way before `clear_ns` shared the link with a train.
    """

    round_trip_ns: int | None = None
    arrived_ns: int | None = 0
    settled_ns: int = 0
    waited: bool = False
    clear_ns: int = 0


def follow(way: Way, frame: EdgeFrame) -> tuple[Way, Observation | None]:
    """Take in a frame that has settled; return what it tells of the link's speed, None where it is no evidence.

    No evidence is a transfer

    - of less than `LEAST_WIRE_BYTES`, or one shorter than a round trip or `LEAST_SPAN_NS`: delay and noise dominate;
    - whose start or end is not known: after a frame without an answer, or where the tail was busy with the one before;
    - that a packet train disturbed.
    """
    if frame.container is None:
        return way, None  # settled at the intake: it never came to the link
    settled_ns, head_done_ns, tail_ms, cut_bytes = frame.settled_ns, frame.head_done_ns, frame.tail_ms, frame.cut_bytes
    answered = frame.outcome is Outcome.ANSWERED
    if not answered or settled_ns is None or head_done_ns is None or tail_ms is None or cut_bytes is None:
        return replace(way, arrived_ns=None), None  # its bytes may still be on their way
    arrived_ns = settled_ns - int(tail_ms * 1e6)
    waited = arrived_ns - way.settled_ns < SAME_MOMENT_NS
    after = replace(way, arrived_ns=arrived_ns, settled_ns=settled_ns, waited=waited)
    began_ns = _begin_ns(way, head_done_ns)
    if began_ns is None or waited or head_done_ns < way.clear_ns:
        return after, None
    return after, _observed(frame.run, began_ns, arrived_ns, wire_bytes(cut_bytes), way.round_trip_ns or 0)


def pinged(way: Way, round_trip_ns: int) -> Way:
    """Take in a round trip of a small message."""
    return replace(way, round_trip_ns=min(round_trip_ns, way.round_trip_ns or round_trip_ns))


def disturbed(way: Way, until_ns: int) -> Way:
    """Take in that a packet train was on the link until then."""
    return replace(way, clear_ns=until_ns)


def _begin_ns(way: Way, head_done_ns: int) -> int | None:
    """Return when a frame's transfer began, as seen at its far end; None where that is not known."""
    if way.round_trip_ns is None or way.arrived_ns is None:
        return None
    handed_over_ns = head_done_ns + way.round_trip_ns
    if handed_over_ns >= way.arrived_ns:
        return handed_over_ns
    return None if way.waited else way.arrived_ns


def _observed(run: int, began_ns: int, ended_ns: int, wire: float, round_trip_ns: int) -> Observation | None:
    span_ns = ended_ns - began_ns
    if wire < LEAST_WIRE_BYTES or span_ns < max(LEAST_SPAN_NS, round_trip_ns):
        return None
    return Observation(run, began_ns, ended_ns, wire * 8e3 / span_ns)
