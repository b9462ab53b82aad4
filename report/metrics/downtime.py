"""Downtime of one run from the edge's events, all by the edge's monotonic clock (Eq. 2-5 of the paper).

``t0`` is the moment the edge learned of the change. The downtime ends when the edge takes frames in for the
new partition: when the intake resumes where it was stopped, otherwise when the next frame is routed there.

==================  =====================================================================================
t_update            all of it, where the pipeline is rebuilt while the intake is stopped (Eq. 2)
t_initialisation    up to the end of work "launch": new containers (Eq. 4)
t_exec              up to the end of work "build": a new pipeline in running containers (Eq. 5)
t_switch            what is left of it: redirecting the frames (Eq. 3, 4, 5)
outage              time with the intake stopped: no frame is accepted
degraded            the rest: frames are served on the old partition
==================  =====================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from workers.records import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workers.records import Event

_MS = 1e-6  # of a nanosecond
_COMPONENT_OF_WORK = {"launch": "t_initialisation_ms", "build": "t_exec_ms", "rebuild": "t_update_ms"}
_TIERS = ("edge", "cloud")


class IncompleteRunError(Exception):
    """The events of a run do not tell its downtime; the text says what is missing."""


class Asked(Protocol):
    """The change that was asked for: a run's, or one of a burst's."""

    @property
    def to_mbps(self) -> float:
        """The new network speed."""

    @property
    def from_point(self) -> int:
        """The cut for the old speed."""

    @property
    def to_point(self) -> int:
        """The cut for the new speed."""


@dataclass(frozen=True)
class Timeline:
    """The steps of one repartition by the edge's clock. `settled_ns`: the strategy is ready for the next."""

    learned_ns: int
    end_ns: int
    settled_ns: int
    stops: tuple[tuple[int, int], ...]  # intake stopped, resumed
    works: tuple[Event, ...]  # work_done between t0 and the end
    moved: bool


@dataclass(frozen=True)
class Downtime:
    """Downtime and what it consists of; a component that the strategy does not have is None."""

    downtime_ms: float
    outage_ms: float
    degraded_ms: float
    t_update_ms: float | None = None
    t_initialisation_ms: float | None = None
    t_exec_ms: float | None = None
    t_switch_ms: float | None = None


@dataclass(frozen=True)
class Part:
    """One part of the work of one tier, for example what the edge spent importing TensorFlow."""

    work: str
    tier: str
    part: str
    ms: float


def timeline(run: Asked, events: Iterable[Event]) -> Timeline:
    """Order a run's edge events around its change of network speed.

    Raises:
        IncompleteRunError: a step is missing without which there is no downtime to speak of.
    """
    ordered = sorted(events, key=lambda event: event.at_ns)
    learned = _change(ordered, run)
    after = [event for event in ordered if event.at_ns >= learned.at_ns]
    repartitioned = _first(after, EventKind.REPARTITIONED)
    if repartitioned and repartitioned.detail.get("ok") is False:
        raise IncompleteRunError(f"the repartition failed: {repartitioned.detail.get('reason')}")
    if run.from_point == run.to_point or (repartitioned and repartitioned.detail.get("moved") is False):
        settled_ns = _settled_ns(after, repartitioned.at_ns if repartitioned else learned.at_ns)
        return Timeline(learned.at_ns, learned.at_ns, settled_ns, (), (), moved=False)
    stops = _stops(after, until_ns=repartitioned.at_ns if repartitioned else after[-1].at_ns)
    end_ns = stops[-1][1] if stops else _routed_ns(after)
    works = tuple(event for event in after if event.kind is EventKind.WORK_DONE and event.at_ns <= end_ns)
    done_ns = max(end_ns, repartitioned.at_ns if repartitioned else end_ns)
    return Timeline(learned.at_ns, end_ns, _settled_ns(after, done_ns), stops, works, moved=True)


def downtime(steps: Timeline) -> Downtime | None:
    """Split the downtime into the paper's components; None where the partition point did not move."""
    if not steps.moved:
        return None
    total_ns = steps.end_ns - steps.learned_ns
    outage_ns = sum(resumed - stopped for stopped, resumed in steps.stops)
    return Downtime(
        downtime_ms=total_ns * _MS,
        outage_ms=outage_ns * _MS,
        degraded_ms=(total_ns - outage_ns) * _MS,
        **_components(steps, total_ns),
    )


def parts(steps: Timeline) -> tuple[Part, ...]:
    """List what each tier spent on each part of the work before the end of the downtime."""
    return tuple(part for work in steps.works for part in parts_of(work))


def parts_of(work: Event) -> tuple[Part, ...]:
    """List what each tier spent on each part of one piece of work, in the order in which it was logged."""
    return tuple(
        Part(str(work.detail.get("work", "unknown")), tier, key[len(tier) + 1 : -len("_ms")], float(value))
        for key, value in work.detail.items()
        for tier in _TIERS
        if key.startswith(f"{tier}_")
        and key.endswith("_ms")
        and isinstance(value, int | float)
        and not isinstance(value, bool)
    )


def works_between(events: Iterable[Event], after_ns: int, until_ns: int) -> tuple[str, ...]:
    """Name the kinds of work that ended after one moment and not after another, in order."""
    done = sorted((event for event in events if event.kind is EventKind.WORK_DONE), key=lambda event: event.at_ns)
    return tuple(str(event.detail.get("work")) for event in done if after_ns < event.at_ns <= until_ns)


def unknown_works(steps: Timeline) -> tuple[str, ...]:
    """Name kinds of work that no equation has a term for; their time is counted in t_switch."""
    kinds = {str(work.detail.get("work")) for work in steps.works}
    return tuple(sorted(kinds - _COMPONENT_OF_WORK.keys()))


def _components(steps: Timeline, total_ns: int) -> dict[str, float]:
    kinds = [str(work.detail.get("work")) for work in steps.works]
    if steps.stops and "rebuild" in kinds:
        return {"t_update_ms": total_ns * _MS}
    found: dict[str, float] = {}
    mark_ns = steps.learned_ns
    for kind, work in zip(kinds, steps.works, strict=True):
        component = _COMPONENT_OF_WORK.get(kind)
        if component is None:
            continue
        found[component] = found.get(component, 0.0) + (work.at_ns - mark_ns) * _MS
        mark_ns = work.at_ns
    found["t_switch_ms"] = (steps.end_ns - mark_ns) * _MS
    return found


def _change(ordered: Sequence[Event], run: Asked) -> Event:
    changes = [event for event in ordered if event.kind is EventKind.CHANGE_LEARNED]
    if not changes:
        raise IncompleteRunError("edge-events.jsonl has no change_learned for this run")
    # Setting the speed that a run starts from is told the edge, too: the change is the one to `to_mbps`. An edge that
    # notices by itself gives an estimate: the change is then the first after the link was set to that speed.
    set_ns = [e.at_ns for e in ordered if e.kind is EventKind.LINK_SET and e.detail.get("mbps") == run.to_mbps]
    told = [event for event in changes if event.detail.get("mbps") == run.to_mbps]
    noticed = [event for event in changes if set_ns and event.at_ns >= set_ns[0]]
    return (*told, *noticed, changes[-1])[0]


def _stops(after: Sequence[Event], *, until_ns: int) -> tuple[tuple[int, int], ...]:
    pairs: list[tuple[int, int]] = []
    stopped_ns: int | None = None
    for event in after:
        if event.kind is EventKind.INTAKE_STOPPED and stopped_ns is None and event.at_ns <= until_ns:
            stopped_ns = event.at_ns
        elif event.kind is EventKind.INTAKE_RESUMED and stopped_ns is not None:
            pairs.append((stopped_ns, event.at_ns))
            stopped_ns = None
    if stopped_ns is not None:
        raise IncompleteRunError("the intake was stopped and never resumed")
    return tuple(pairs)


def _routed_ns(after: Sequence[Event]) -> int:
    routed = _first(after, EventKind.ROUTED)
    if routed is None:
        raise IncompleteRunError("edge-events.jsonl has no routed after change_learned")
    return routed.at_ns


def _settled_ns(after: Sequence[Event], done_ns: int) -> int:
    rearmed = _first(after, EventKind.REARMED)
    return max(done_ns, rearmed.at_ns) if rearmed else done_ns


def _first(events: Sequence[Event], kind: EventKind) -> Event | None:
    return next((event for event in events if event.kind is kind), None)
