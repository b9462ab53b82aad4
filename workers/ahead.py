"""The switch itself, without all that follows it: a change whose cut is ready is routed as soon as it is heard.

The thread that hears the controller's orders sets the route; that takes none of the event loop's turns. What the
strategy makes of the change, the log and the reports come after, in the loop. At rest the manager has worked out where
each change that may come would be routed, by asking the strategy, which is pure.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workers.intake import Intake
    from workers.messages import NetworkChanged
    from workers.strategies.base import Cut


class Routed(NamedTuple):
    """A change that was routed ahead of the strategy, by the edge's clock."""

    order: NetworkChanged
    learned_ns: int
    routed_ns: int


class RouteAhead:
    """What is ready to be routed to; used by the thread that hears orders and by the event loop."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._lock = threading.Lock()
        self._ready: Mapping[int, Cut] = {}
        self._routed: Routed | None = None

    def offer(self, ready: Mapping[int, Cut]) -> None:
        """Let a change to any of these points be routed; for a strategy that is at rest."""
        with self._lock:
            self._ready = ready

    def route(self, order: NetworkChanged, learned_ns: int) -> None:
        """Route a change if its cut is ready; the strategy is still to hear of it. From any thread."""
        with self._lock:  # a loss that is taken in meanwhile must not be overruled
            cut = self._ready.get(order.point)
            if cut is not None:
                self._intake.set_route(cut)
                self._routed = Routed(order, learned_ns, time.monotonic_ns())
                self._ready = {}

    def withdraw(self) -> Routed | None:
        """Let nothing more be routed, and return the change that was: the strategy hears of it before all else."""
        with self._lock:
            self._ready = {}
            routed, self._routed = self._routed, None
        return routed
