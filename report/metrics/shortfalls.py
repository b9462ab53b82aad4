"""What a strategy did not do as it promises while a soak ran, from the edge's events."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from workers.records import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workers.records import Event

_CONTAINER = re.compile(r"\bp\d+\b")  # every change may have one of its own: reasons are counted for all of them


class Shortfalls(msgspec.Struct, frozen=True):
    """Counts by reason, the most frequent first; in a reason ``p*`` is whichever container it was.

    `amiss` counts changes of which the strategy said what it had not kept ready or had lost, though it carried them
    out; `lost` pipelines of which a container died by itself; `failed` work that could not be done (``build of point 4:
    …``). `cold` are points that were to be hot when the soak began and were not, with the reasons.
    """

    amiss: dict[str, int]
    lost: dict[str, int]
    failed: dict[str, int]
    cold: str | None


def shortfalls(events: Iterable[Event], cold: str | None) -> Shortfalls:
    """Return what the events of all runs say; `cold` is what the strategy said of its points at the start."""
    amiss, lost, failed = Counter[str](), Counter[str](), Counter[str]()
    for event in events:
        if reason := said_amiss(event):
            amiss[_of_any_container(reason)] += 1
        elif event.kind is EventKind.CONTAINER_DIED:
            lost[_of_any_container(str(event.detail.get("reason")))] += 1
        elif event.kind is EventKind.WORK_FAILED:
            failed[_of_any_container(_failed_work(event))] += 1
    return Shortfalls(dict(amiss.most_common()), dict(lost.most_common()), dict(failed.most_common()), cold)


def said_amiss(event: Event) -> str | None:
    """Return what a repartition that was carried out says was not as the strategy promises; None: nothing."""
    if event.kind is not EventKind.REPARTITIONED or event.detail.get("ok") is False:
        return None
    reason = event.detail.get("reason")
    return str(reason) if reason else None


def _failed_work(event: Event) -> str:
    detail = event.detail
    point = f" of point {detail.get('point')}" if detail.get("point") else ""  # a warm pair has none
    return f"{detail.get('work')}{point}: {detail.get('reason')}"


def _of_any_container(reason: str) -> str:
    return _CONTAINER.sub("p*", reason)
