"""Bursts: changes one after another within a session, as many as fit into a time.

A strategy that switches in microseconds is at rest for nearly all of a run, and one value a run says nothing of its
99th percentile. In a burst each change waits only until the strategy has re-armed, and is logged as a run's is, so that
its downtime is computed from events by the same code.
"""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hosts.errors import AgentError
from workers.records import Burst, Change, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hosts.session import RunSpec
    from workers import messages as m


class Limits(NamedTuple):
    """How long changes are made (s), and how many at the most."""

    budget_s: float
    most: int

    def allow_another(self, took_s: Sequence[float]) -> bool:
        """Say whether another change is made after those that took so long: the first always, where there is time.

        One more is made where the longest so far would still end in time, so that a strategy that takes seconds
        makes few and does not outlast the budget by much.
        """
        if len(took_s) >= self.most or self.budget_s <= 0:
            return False
        return not took_s or sum(took_s) + max(took_s) <= self.budget_s


class MakesChanges(Protocol):
    """What a burst needs of `hosts.session.Session`."""

    def start_frames(self, run: int, fps: float) -> None:
        """Offer frames."""

    def stop_frames(self, run: int) -> m.FramesStopped:
        """Stop offering them."""

    def change(self, change: Change) -> m.Repartitioned:
        """Make one change and wait until the strategy has re-armed."""


def there_and_back(last: RunSpec) -> Iterator[Change]:
    """Yield changes without end, numbered after a burst's frames; the first one takes back that of the run `last`."""
    ends = [(last.from_mbps, last.from_point), (last.to_mbps, last.to_point)]
    for number in itertools.count():
        (to_mbps, to_point), (from_mbps, from_point) = ends if number % 2 == 0 else reversed(ends)
        yield Change(last.run + 2 + number, from_mbps, to_mbps, from_point, to_point)


def run_burst(
    session: MakesChanges,
    last: RunSpec,
    deadline_ms: float,
    limits: Limits,
    now_s: Callable[[], float] = time.monotonic,
) -> Burst:
    """Make a burst after the run `last`, whose frame rate it keeps; what breaks it is its reason, and never raised."""
    run = last.run + 1
    made: list[Change] = []
    took_s: list[float] = []
    reason = None
    try:
        session.start_frames(run, last.fps)
        for change in there_and_back(last):
            if not limits.allow_another(took_s):
                break
            began_s = now_s()
            done = session.change(change)
            took_s.append(now_s() - began_s)
            if not done.ok or done.reason:
                reason = f"change {change.run}: {done.reason}"
                break
            made.append(change)
        session.stop_frames(run)
    except AgentError as error:
        reason = str(error)
    status = Status.FAILED if reason else Status.OK
    return Burst(run, last.fps, status, reason, deadline_ms, sum(took_s), tuple(made))
