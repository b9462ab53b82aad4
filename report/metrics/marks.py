"""What happened in one run, moment by moment: events, work, service and frames on the edge's clock, t0 = 0.

=====  ===================================================================================================
span   `outage` (intake stopped), `degraded` (the rest of the downtime), `re-arming` (until ready for the next)
event  a step in the edge's log, as its kind is called there
work   a piece of work, from the order until both tiers were done with it
part   what a tier did in it. A part's length is measured by its own tier; they are laid end to end from the order on
frame  from being offered until the device knew what became of it, labelled with its outcome
=====  ===================================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from report.metrics.downtime import parts_of
from report.metrics.frames import settle
from workers.records import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from report.metrics.clocks import Shift
    from report.metrics.downtime import Timeline
    from workers.records import DeviceFrame, EdgeFrame, Event

_MS = 1e-6  # of a nanosecond
OUTAGE, DEGRADED, REARMING = "outage", "degraded", "re-arming"


@dataclass(frozen=True)
class Mark:
    """A stretch of time or, where both ends are the same, a moment (ms after t0, edge's clock).

    `end_ms` is None for a frame of which nothing came back; `point` is the cut that an order is for or a frame went by.
    """

    kind: str
    label: str
    tier: str
    start_ms: float
    end_ms: float | None
    frame: int | None = None
    point: int | None = None


def step_marks(steps: Timeline, events: Iterable[Event]) -> tuple[Mark, ...]:
    """Return the service, the events and the work of a run."""
    ordered = sorted(events, key=lambda event: event.at_ns)
    return (*_service(steps), *_events(ordered, steps.learned_ns), *_works(ordered, steps.learned_ns))


def frame_marks(
    device: Sequence[DeviceFrame], edge: Sequence[EdgeFrame], deadline_ms: float, learned_ns: int, to_edge: Shift | None
) -> tuple[Mark, ...]:
    """Return the frames of a run as the device saw them.

    Without a recorded offset between device and edge (`to_edge` is None) those that reached the edge, from when it
    received them until it had settled them; their tier says which it is.
    """
    outcomes = {frame.frame: frame.outcome.value for frame in settle(device, edge, deadline_ms)}
    if to_edge is None:
        stamped = [(one.frame, one.received_ns, one.settled_ns, one.point) for one in edge]
    else:
        stamped = [(one.frame, one.offered_ns, one.settled_ns, one.point) for one in device]
    tier, zero_ns = ("edge", learned_ns) if to_edge is None else ("device", learned_ns - to_edge.ns)
    return tuple(
        Mark(
            "frame",
            outcomes[number],
            tier,
            (start_ns - zero_ns) * _MS,
            None if end_ns is None else (end_ns - zero_ns) * _MS,
            number,
            point,
        )
        for number, start_ns, end_ns, point in sorted(stamped)
        if number in outcomes
    )


def _service(steps: Timeline) -> Iterator[Mark]:
    """Yield the downtime as stretches of outage and of degraded service, and what it takes to re-arm."""
    zero_ns, mark_ns = steps.learned_ns, steps.learned_ns
    for stopped_ns, resumed_ns in steps.stops:
        yield from _span(DEGRADED, mark_ns, stopped_ns, zero_ns)
        yield from _span(OUTAGE, stopped_ns, resumed_ns, zero_ns)
        mark_ns = resumed_ns
    yield from _span(DEGRADED, mark_ns, steps.end_ns, zero_ns)
    yield from _span(REARMING, steps.end_ns, steps.settled_ns, zero_ns)


def _span(label: str, start_ns: int, end_ns: int, zero_ns: int) -> Iterator[Mark]:
    if end_ns > start_ns:
        yield Mark("span", label, "edge", (start_ns - zero_ns) * _MS, (end_ns - zero_ns) * _MS)


def _events(ordered: Sequence[Event], zero_ns: int) -> Iterator[Mark]:
    for event in ordered:
        at_ms = (event.at_ns - zero_ns) * _MS
        yield Mark("event", event.kind.value, "edge", at_ms, at_ms, point=_point(event))


def _works(ordered: Sequence[Event], zero_ns: int) -> Iterator[Mark]:
    """Yield each piece of work with its parts; one whose order is not in the log starts at t0."""
    orders: dict[tuple[object, ...], int] = {}
    for event in ordered:
        key = tuple(event.detail.get(name) for name in ("work", "container", "point"))
        if event.kind is EventKind.WORK_STARTED:
            orders[key] = event.at_ns
        elif event.kind is EventKind.WORK_DONE:
            start_ms = (orders.get(key, zero_ns) - zero_ns) * _MS
            point = _point(event)
            yield Mark("work", str(key[0]), "edge", start_ms, (event.at_ns - zero_ns) * _MS, point=point)
            at_ms: dict[str, float] = {}
            for part in parts_of(event):
                begun_ms = at_ms.get(part.tier, start_ms)
                at_ms[part.tier] = begun_ms + part.ms
                yield Mark("part", part.part, part.tier, begun_ms, at_ms[part.tier], point=point)


def _point(event: Event) -> int | None:
    point = event.detail.get("point")
    return point if isinstance(point, int) else None
