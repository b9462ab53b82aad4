"""Whether a run's logs add up: each frame offered ends in one outcome, on which both sides agree."""

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


def contradictions(device: Sequence[DeviceFrame], edge: Sequence[EdgeFrame]) -> tuple[str, ...]:
    """Return what does not add up in a run's frames, one sentence each; none means the run is valid."""
    if not device:
        return ("the device recorded no frame",)
    at_device = {frame.frame: frame for frame in device}
    at_edge = {frame.frame: frame for frame in edge}
    back = [frame for frame in device if frame.outcome in _SETTLED_BY_ANSWER]
    findings = {
        "recorded more than once by the device": _repeated(frame.frame for frame in device),
        "recorded more than once by the edge": _repeated(frame.frame for frame in edge),
        "seen by the edge but never offered": [number for number in at_edge if number not in at_device],
        "answered without a time of the answer": [f.frame for f in back if f.settled_ns is None],
        "answered before it was offered": [
            f.frame for f in back if f.settled_ns is not None and f.settled_ns < f.offered_ns
        ],
        "answered without having reached the edge": [f.frame for f in back if f.frame not in at_edge],
        "answered to the device but dropped by the edge's own record": [
            f.frame for f in back if f.frame in at_edge and at_edge[f.frame].outcome in _DROPPED_AT_EDGE
        ],
    }
    said = [_sentence(sorted(numbers), len(numbers), what) for what, numbers in findings.items() if numbers]
    return (*_holes(at_device.keys()), *said)


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
