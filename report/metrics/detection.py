"""How long the edge took to notice a new network speed by itself, and which of its decisions were wrong.

The delay is no part of the downtime, which starts when the edge has learned of the change. Both ends are by the edge's
clock: the link was set to the new speed (`link_set`), and the edge took the change in (`change_learned`). A decision
(`speed_noticed`) is right where it is the first after the link was set and names the point of that speed; every other
one is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workers.records import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workers.records import Event, RunRecord

_MS = 1e-6  # of a nanosecond
ESTIMATED = "estimated"


@dataclass(frozen=True)
class Detection:
    """Delay of the run's change (ms), the speed that the edge took the new one for, and its wrong decisions."""

    detection_ms: float | None
    noticed_mbps: float | None
    wrong_decisions: int


def detection(run: RunRecord, events: Iterable[Event]) -> Detection:
    """Return what a run's events on the edge say of an edge that notices by itself."""
    ordered = sorted(events, key=lambda event: event.at_ns)
    points = {run.from_mbps: run.from_point, run.to_mbps: run.to_point}
    set_ns, awaited = None, None  # when the link got the run's new speed; the point that is to be noticed now
    learned_ns, noticed_mbps, wrong = None, None, 0
    for event in ordered:
        if event.kind is EventKind.LINK_SET:
            mbps = event.detail.get("mbps")
            awaited = points.get(mbps) if isinstance(mbps, int | float) else None
            if mbps == run.to_mbps and set_ns is None:
                set_ns = event.at_ns
        elif event.kind is EventKind.SPEED_NOTICED:
            if awaited is None or event.detail.get("point") != awaited:
                wrong += 1
            elif set_ns is not None and noticed_mbps is None:
                noticed_mbps = _number(event.detail.get("mbps"))
            awaited = None
        elif event.kind is EventKind.CHANGE_LEARNED and set_ns is not None and learned_ns is None:
            learned_ns = event.at_ns
    delay_ms = (learned_ns - set_ns) * _MS if learned_ns is not None and set_ns is not None else None
    return Detection(delay_ms, noticed_mbps, wrong)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
