"""Whether a run's logs add up: each frame offered ends in one outcome, on which device, edge and cloud agree.

The cloud's half of a frame's story stands in the edge's record: the stamps that came back with the result.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING

from workers.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from workers.records import DeviceFrame, EdgeFrame

_SHOWN = 5  # frame numbers that a reason names
_SETTLED_BY_ANSWER = frozenset({Outcome.ANSWERED, Outcome.LATE})
_DROPPED_AT_EDGE = frozenset({Outcome.PAUSED, Outcome.BUSY, Outcome.FAILED})
_ONLY_AT_EDGE = frozenset({Outcome.PAUSED, Outcome.FAILED})  # the device itself never says so


def contradictions(device: Sequence[DeviceFrame], edge: Sequence[EdgeFrame]) -> tuple[str, ...]:
    """Return what does not add up in a run's frames, one sentence each; none means the run is valid."""
    if not device:
        return ("the device recorded no frame",)
    findings = _at_one_side(device, edge) | _between(device, edge) | _at_the_cloud(edge)
    said = [_sentence(sorted(numbers), len(numbers), what) for what, numbers in findings.items() if numbers]
    return (*_holes({frame.frame for frame in device}), *said)


def _at_one_side(device: Sequence[DeviceFrame], edge: Sequence[EdgeFrame]) -> dict[str, list[int]]:
    back = [frame for frame in device if frame.outcome in _SETTLED_BY_ANSWER]
    return {
        "recorded more than once by the device": _repeated(frame.frame for frame in device),
        "recorded more than once by the edge": _repeated(frame.frame for frame in edge),
        "answered without a time of the answer": [f.frame for f in back if f.settled_ns is None],
        "answered before it was offered": [
            f.frame for f in back if f.settled_ns is not None and f.settled_ns < f.offered_ns
        ],
    }


def _between(device: Sequence[DeviceFrame], edge: Sequence[EdgeFrame]) -> dict[str, list[int]]:
    """Compare what the device and the edge say of each frame.

    The device may call a frame lost that the edge did settle: the message was. It may also call a frame busy
    that the edge never saw: its own queue was full.
    """
    offered = {frame.frame for frame in device}
    at_edge = {frame.frame: frame.outcome for frame in edge}
    both = [(f.frame, f.outcome, at_edge[f.frame]) for f in device if f.frame in at_edge]
    unseen = [frame for frame in device if frame.frame not in at_edge]
    return {
        "seen by the edge but never offered": [number for number in at_edge if number not in offered],
        "answered without having reached the edge": [f.frame for f in unseen if f.outcome in _SETTLED_BY_ANSWER],
        "dropped by the edge without having reached it": [f.frame for f in unseen if f.outcome in _ONLY_AT_EDGE],
        "answered to the device but dropped by the edge's own record": [
            number for number, here, there in both if here in _SETTLED_BY_ANSWER and there not in _SETTLED_BY_ANSWER
        ],
        "answered by the edge's own record but dropped to the device": [
            number for number, here, there in both if here in _DROPPED_AT_EDGE and there in _SETTLED_BY_ANSWER
        ],
        "dropped for one reason by the edge's record and for another by the device's": [
            number for number, here, there in both if {here, there} <= _DROPPED_AT_EDGE and here is not there
        ],
    }


def _at_the_cloud(edge: Sequence[EdgeFrame]) -> dict[str, list[int]]:
    answered = [frame for frame in edge if frame.outcome in _SETTLED_BY_ANSWER]
    return {
        "answered by the edge without a stamp of the cloud": [
            f.frame for f in answered if f.cloud_received_ns is None or f.tail_done_ns is None
        ],
        "finished by the cloud before it had them": [
            f.frame
            for f in answered
            if f.cloud_received_ns is not None and f.tail_done_ns is not None and f.tail_done_ns < f.cloud_received_ns
        ],
    }


def _holes(numbers: Collection[int]) -> tuple[str, ...]:
    """Say which numbers are missing, without counting through a hole that one damaged number tore."""
    span = range(min(numbers), max(numbers) + 1)
    lacking = span.stop - span.start - len(numbers)
    if not lacking:
        return ()
    first = list(itertools.islice((number for number in span if number not in numbers), _SHOWN))
    return (_sentence(first, lacking, "of no recorded outcome: the device's numbers have a hole"),)


def _repeated(numbers: Iterable[int]) -> list[int]:
    return [number for number, times in Counter(numbers).items() if times > 1]


def _sentence(ordered: Sequence[int], count: int, what: str) -> str:
    named = ", ".join(str(number) for number in ordered[:_SHOWN])
    more = f" and {count - _SHOWN} more" if count > _SHOWN else ""
    return f"frame{'s' if count > 1 else ''} {named}{more} {what}"
