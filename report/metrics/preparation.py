"""What a strategy made before it was ready for its first change: the price of a downtime that leaves little to do.

From the edge's events before the first run, by its own clock. `workers.records.EventKind` lists their details.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from report.metrics.downtime import parts_of
from workers.records import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workers.records import Event

_S = 1e-9  # of a nanosecond
_MS_S = 1e-3
_LAUNCH, _BUILD = "launch", "build"


@dataclass(frozen=True)
class Preparation:
    """What stood when the strategy was ready for its first change (s).

    `pairs_launched` counts pairs of containers, the first pipeline's too, whose share of `launch_s` is `first_pair_s`.
    `points_built` counts points built in running containers in `build_s`, of which each tier worked `build_edge_s` and
    `build_cloud_s`, at the same time. `armed_s` is from the first order until the strategy was ready.
    """

    pairs_launched: int
    launch_s: float
    first_pair_s: float
    points_built: int
    build_s: float
    build_edge_s: float
    build_cloud_s: float
    armed_s: float


def preparation(setup: Iterable[Event]) -> Preparation | None:
    """Return what the first session that became ready had made by then; None where none did.

    Args:
        setup: the edge's events of run 0, of all sessions of the block.
    """
    before = _until_armed(sorted(setup, key=lambda event: event.at_ns))
    started = {_order(event): event.at_ns for event in before if event.kind is EventKind.WORK_STARTED}
    if not started:
        return None
    done = [event for event in before if event.kind is EventKind.WORK_DONE and _order(event) in started]
    launches = [event for event in done if event.detail.get("work") == _LAUNCH]
    builds = [event for event in done if event.detail.get("work") == _BUILD]
    took = {_order(event): (event.at_ns - started[_order(event)]) * _S for event in done}
    parts = [part for build in builds for part in parts_of(build)]
    return Preparation(
        pairs_launched=len(launches),
        launch_s=sum(took[_order(event)] for event in launches),
        first_pair_s=sum(took[_order(event)] for event in launches[:1]),
        points_built=len(builds),
        build_s=sum(took[_order(event)] for event in builds),
        build_edge_s=sum(part.ms for part in parts if part.tier == "edge") * _MS_S,
        build_cloud_s=sum(part.ms for part in parts if part.tier == "cloud") * _MS_S,
        armed_s=(before[-1].at_ns - min(started.values())) * _S,
    )


def _until_armed(ordered: Sequence[Event]) -> Sequence[Event]:
    """Return the events of the first session that became ready, up to then; a session begins by setting the link."""
    armed = next((place for place, event in enumerate(ordered) if event.kind is EventKind.REARMED), -1)
    begun = max((place for place in range(armed) if ordered[place].kind is EventKind.LINK_SET), default=0)
    return ordered[begun : armed + 1]


def _order(event: Event) -> tuple[object, ...]:
    return tuple(event.detail.get(key) for key in ("work", "container", "point"))
