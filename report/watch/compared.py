"""One number of a night beside the like nights before it: how clear and how relevant is the difference? Pure."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from report.watch.baseline import baseline_of
from report.watch.ledger import Mark
from report.watch.likeness import Likeness
from report.watch.records import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from report.watch.baseline import Baseline
    from report.watch.ledger import Ledger, Seen
    from report.watch.records import Finding, Night, Value
    from report.watch.thresholds import Relevance, Thresholds

_FEWEST_SHARE = 0.5  # a median over fewer of the runs than the window's nights had is not compared
_LOOKS = 2  # at the night alone, and at it together with the night before


@dataclass(frozen=True)
class Tails:
    """The chances of a number at least this far above and below what was expected, if nothing changed."""

    above: float
    below: float


@dataclass(frozen=True)
class Compared:
    """A number of a night beside the nights that it is compared with.

    `alone` looks at this night; `two_nights` at its mean with the night before, against the nights before both: a
    change that is too small to be clear at once is clear then. None where there are too few nights.
    """

    value: Value
    seen: Sequence[Seen]
    relevance: Relevance
    baseline: Baseline
    alone: Tails
    two_nights: Tails | None

    @property
    def expected(self) -> float:
        """What the window's nights let expect."""
        return self.relevance.unscaled(self.baseline.centre)

    @property
    def matters(self) -> bool:
        """Whether the difference is relevant."""
        return self.relevance.is_met(self.value.median, self.expected)

    @property
    def p_of_night(self) -> float:
        """The chance of a number as bad as this one's if nothing changed, by this night alone."""
        return self._worse(self.alone)

    @property
    def p_worse(self) -> float:
        """The same by the clearer of both looks, which counts for two."""
        return min(1.0, _LOOKS * min(self._worse(look) for look in (self.alone, self.two_nights) if look))

    @property
    def p_better(self) -> float:
        """The chance of a number as good as this one's by this night alone; 1 where no change is a good one."""
        return 1.0 if self._either_way else self.alone.below

    @property
    def changed_before(self) -> list[Seen]:
        """The nights at the end, oldest first, that were as changed as this one: alarms, and those nearer to it."""
        return _trailing(self.seen, lambda one: one.mark is Mark.ALARM or self._is_nearer(self._scaled(one)))

    @property
    def stands(self) -> bool:
        """Whether this was an alarm and is still nearer to the alarmed level than to the expected one."""
        alarm = _trailing(self.seen, lambda one: one.mark is Mark.ALARM)
        if not alarm:
            return False
        level = statistics.fmean(self._scaled(one) for one in alarm)
        scaled = self.relevance.scaled(self.value.median)
        return abs(scaled - level) <= abs(scaled - self.baseline.centre)

    def is_same_way(self, finding: Finding) -> bool:
        """Say whether this differs from what was expected in the direction of a finding."""
        return (finding.value > finding.expected) == (self.value.median > self.expected)

    @property
    def _either_way(self) -> bool:
        return self.value.series.kind is Kind.CONDITION  # more than was asked for is as wrong as less

    def _scaled(self, one: Seen) -> float:
        return self.relevance.scaled(one.value.median)

    def _is_nearer(self, scaled: float) -> bool:
        """Say whether a night was nearer to this one than to what was expected."""
        return abs(scaled - self.relevance.scaled(self.value.median)) < abs(scaled - self.baseline.centre)

    def _worse(self, tails: Tails) -> float:
        return min(1.0, 2 * min(tails.above, tails.below)) if self._either_way else tails.above


def compare(ledger: Ledger, night: Night, values: Iterable[Value], thresholds: Thresholds) -> list[Compared]:
    """Set values of a night, or of its second measurement, beside the nights before, where there are enough."""
    likeness = Likeness(night)
    found = (_compared(value, ledger.before(value.series, likeness.of(value.series)), thresholds) for value in values)
    return [row for row in found if row is not None]


def _trailing(seen: Sequence[Seen], belongs: Callable[[Seen], bool]) -> list[Seen]:
    return list(itertools.takewhile(belongs, reversed(seen)))[::-1]


def _compared(value: Value, seen: Sequence[Seen], thresholds: Thresholds) -> Compared | None:
    relevance = thresholds.kinds[value.series.kind]
    baseline = baseline_of(seen, relevance, thresholds)
    if baseline is None or value.n < _FEWEST_SHARE * statistics.median(one.value.n for one in seen[-5:]):
        return None
    scaled = relevance.scaled(value.median)
    above = baseline.tail(scaled)
    return Compared(
        value, seen, relevance, baseline, Tails(above, 1 - above), _of_two_nights(scaled, seen, relevance, thresholds)
    )


def _of_two_nights(scaled: float, seen: Sequence[Seen], relevance: Relevance, thresholds: Thresholds) -> Tails | None:
    """Look at a night and the one before together; two that lie on different sides do not bear each other out."""
    before = baseline_of(seen[:-1], relevance, thresholds)
    if before is None or seen[-1].mark not in {Mark.PLAIN, Mark.REFUTED}:
        return None
    last = relevance.scaled(seen[-1].value.median)
    if (scaled > before.centre) != (last > before.centre):
        return None
    above = before.tail((scaled + last) / 2, nights=2)
    return Tails(above, 1 - above)
