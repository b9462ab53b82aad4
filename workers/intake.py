"""The edge's intake and router: decides for each frame, holds those in flight, settles each exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from workers.records import EdgeFrame, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.frames import FrameHeader
    from workers.strategies.base import Cut

Key = tuple[int, int]  # run, frame


class InFlight(msgspec.Struct, frozen=True):
    """A frame that a pipeline holds; `sender` is the device's routing identity."""

    sender: bytes
    record: EdgeFrame


class Intake:
    """State of the router; knows no socket.

    Args:
        queue_limit: frames that may be in flight at once.
        settle: called once a frame with the device's identity, the frame's record and the answer's label.
    """

    def __init__(self, queue_limit: int, settle: Callable[[bytes, EdgeFrame, int | None], None]) -> None:
        self._queue_limit = queue_limit
        self._settle = settle
        self._in_flight: dict[Key, InFlight] = {}
        self._open = True
        self._route: Cut | None = None

    @property
    def route(self) -> Cut | None:
        """The cut that serves the next frame."""
        return self._route

    def set_route(self, cut: Cut) -> None:
        """Send the next frame to `cut`."""
        self._route = cut

    def stop(self, now_ns: int) -> None:
        """Accept nothing; give up what is in flight as paused."""
        self._open = False
        for key in list(self._in_flight):
            self.end(key, Outcome.PAUSED, now_ns)

    def resume(self) -> None:
        """Accept frames again."""
        self._open = True

    def admit(self, sender: bytes, header: FrameHeader, received_ns: int) -> Cut | None:
        """Decide about a frame: the cut to forward it to, or None where it has been settled as a drop.

        A frame that is in flight already is no new one: None, and the first settles.
        """
        if (header.run, header.frame) in self._in_flight:
            return None
        for key in [key for key in self._in_flight if key[0] != header.run]:
            self.end(key, Outcome.LOST, received_ns)  # the device no longer waits for the frames of an earlier run
        record = EdgeFrame(header.run, header.frame, received_ns, Outcome.LOST)
        route = self._route
        if not self._open or route is None:
            self._drop(sender, record, Outcome.PAUSED)
            return None
        if len(self._in_flight) >= self._queue_limit:
            self._drop(sender, record, Outcome.BUSY)
            return None
        record = replace(record, point=route.point, container=route.container)
        self._in_flight[header.run, header.frame] = InFlight(sender, record)
        return route

    def answer(self, header: FrameHeader, label: int | None, settled_ns: int) -> bool:
        """Settle a frame with the pipeline's result; False where it is not (or no longer) in flight."""
        outcome = Outcome.FAILED if header.error else Outcome.ANSWERED
        held = self._in_flight.pop((header.run, header.frame), None)
        if held is None:
            return False
        self._settle(
            held.sender,
            replace(
                held.record,
                outcome=outcome,
                settled_ns=settled_ns,
                head_ms=header.head_ms,
                head_done_ns=header.head_done_ns,
                cut_bytes=header.cut_bytes,
                cloud_received_ns=header.cloud_received_ns,
                tail_ms=header.tail_ms,
                tail_done_ns=header.tail_done_ns,
            ),
            label,
        )
        return True

    def end(self, key: Key, outcome: Outcome, now_ns: int) -> None:
        """Settle a frame that will not be answered."""
        held = self._in_flight.pop(key, None)
        if held is not None:
            self._settle(held.sender, replace(held.record, outcome=outcome, settled_ns=now_ns), None)

    def fail_container(self, container: str, now_ns: int) -> None:
        """Settle the frames that a container took with it."""
        for key, held in list(self._in_flight.items()):
            if held.record.container == container:
                self.end(key, Outcome.FAILED, now_ns)

    def give_up_older_than(self, received_before_ns: int, now_ns: int) -> None:
        """Settle as lost the frames received before that moment."""
        for key, held in list(self._in_flight.items()):
            if held.record.received_ns < received_before_ns:
                self.end(key, Outcome.LOST, now_ns)

    def holds(self, cut: Cut) -> int:
        """Return how many frames `cut` has in flight."""
        return sum(
            1
            for held in self._in_flight.values()
            if held.record.container == cut.container and held.record.point == cut.point
        )

    def _drop(self, sender: bytes, record: EdgeFrame, outcome: Outcome) -> None:
        self._settle(sender, replace(record, outcome=outcome, settled_ns=record.received_ns), None)
