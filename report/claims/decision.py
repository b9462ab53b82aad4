"""How a claim is decided: what a state means and how an interval is placed against a range."""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from report.metrics.statistics import Interval


BASELINE = "pause-resume"  # the paper's


class State(enum.Enum):
    """What the data say about a claim."""

    HOLDS = "holds"
    DOES_NOT_HOLD = "does not hold"
    UNDECIDED = "undecided"
    NOT_TESTED = "not tested"


@dataclass(frozen=True)
class Finding:
    """One figure of ours that decides a claim for one model (and strategy), and the condition it was taken at.

    `why` says what in the measurements makes it so, where they tell; `short` is the figure for a line of a table.
    """

    subject: str
    state: State
    figure: str
    condition: str
    why: str = ""
    short: str = ""

    @property
    def model(self) -> str:
        """The model that it is about, with which its subject begins."""
        return re.split("[,:]", self.subject)[0]


def worst(states: Iterable[State]) -> State:
    """Return the state of a claim from those of its findings: one failure refutes it."""
    found = set(states)
    order = (State.DOES_NOT_HOLD, State.UNDECIDED, State.HOLDS)
    return next((state for state in order if state in found), State.NOT_TESTED)


def decide(interval: Interval, *, above: float = -math.inf, below: float = math.inf) -> State:
    """Place an interval against the range (above, below): inside holds, outside does not, across is open.

    So is an interval from too few runs for 95 %.
    """
    if math.isnan(interval.low) or interval.is_short:
        return State.UNDECIDED
    if interval.low >= above and interval.high <= below:
        return State.HOLDS
    if interval.high < above or interval.low > below:
        return State.DOES_NOT_HOLD
    return State.UNDECIDED
