"""The lower envelope of lines: which of them is lowest where."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Line(NamedTuple):
    """The values ``intercept + slope * x``; `key` says whose they are and decides between equal lines."""

    intercept: float
    slope: float
    key: int


def lower_envelope(lines: Iterable[Line], low: float, high: float) -> list[tuple[float, Line]]:
    """Return the lines that are lowest somewhere between `low` and `high`, each with where it begins to be.

    Starts ascend from `low`. A line that is nowhere below all others does not appear; of equal ones that with the
    smallest key does. Takes n·log n steps for n lines.

    Raises:
        ValueError: there is no line.
    """
    # Steepest first, for that is the order in which they become lowest. Of parallel lines a dict keeps the last to
    # come: the lowest, and of equal ones that with the smallest key.
    descending = sorted(lines, key=lambda line: (line.slope, line.intercept, line.key), reverse=True)
    steps: list[tuple[float, Line]] = []
    for line in {line.slope: line for line in descending}.values():
        while steps and _crossing(steps[-1][1], line) <= steps[-1][0]:
            steps.pop()
        start = _crossing(steps[-1][1], line) if steps else low
        if start < high:
            steps.append((start, line))
    if not steps:
        raise ValueError("there is no line to choose from")
    return steps


def lowest_at(steps: Iterable[tuple[float, Line]], at: float) -> Line:
    """Return the line of an envelope that is lowest from `at` on."""
    return [line for start, line in steps if start <= at][-1]


def _crossing(steep: Line, flat: Line) -> float:
    """Return from where on the flatter line is the lower one."""
    return (flat.intercept - steep.intercept) / (steep.slope - flat.slope)
