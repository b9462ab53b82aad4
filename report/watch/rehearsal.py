"""What the thresholds would do on this machine: nights made up from the spread of one that was measured.

A made-up night takes each series' runs anew out of those measured (with replacement, each moved by a little), and all
times of it by a common factor, as a machine is slower in one night than in another. Series are independent beyond
that. Real ones are less so, which makes fewer false alarms, not more.
"""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from report.watch.judge import decide, judge, owed, undecided
from report.watch.ledger import Ledger
from report.watch.measures import Sample, with_strategies
from report.watch.records import TIMES, Kind, Night, Value, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from report.watch.records import Series
    from report.watch.thresholds import Thresholds

_NIGHTS_BEFORE_A_CHANGE = 21
_ONE_VALUE_SPREAD = 0.03  # of a series that a night measures once: its spread cannot be seen


@dataclass(frozen=True)
class Change:
    """What is made worse from some night on: values of a kind by a factor, or rates by points."""

    kind: Kind
    factor: float = 1.0
    points: float = 0.0
    of: Callable[[Series], bool] = field(default=lambda _series: True)

    def made(self, value: Value) -> Value:
        """Return the value as it is after the change."""
        if value.series.kind is not self.kind or not self.of(value.series):
            return value
        changed = value.median * self.factor + self.points
        return Value(value.series, min(changed, 100.0) if self.points else changed, value.n)

    def of_strategy(self, strategy: str) -> Change:
        """Return the same change of one strategy alone."""
        return replace(self, of=lambda series: strategy in series.of.split("/"))

    def matters(self, samples: Iterable[Sample], thresholds: Thresholds) -> bool:
        """Say whether the change is relevant for any series."""
        values = (sample.value() for sample in samples)
        return any(
            (made := self.made(value)) is not value and thresholds.kinds[self.kind].is_met(made.median, value.median)
            for value in values
            if value is not None
        )


CHANGES = (
    *((f"downtime + {percent} %", Change(Kind.DOWNTIME, factor=1 + percent / 100)) for percent in (5, 10, 20, 50)),
    ("memory + 10 %", Change(Kind.MEMORY, factor=1.1)),
    ("drops + 5 points", Change(Kind.DROPS, points=5.0)),
)


class Rehearsal:
    """Makes nights up from the samples of one, and puts them through the watch.

    `shared` is the standard deviation of the logarithm of the factor that all times of a night have in common.
    """

    def __init__(self, samples: Sequence[Sample], thresholds: Thresholds, *, seed: int, shared: float = 0.02) -> None:
        self._samples = samples
        self._thresholds = thresholds
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._shared = shared
        self._offered = frozenset(sample.series for sample in samples if sample.series.kind is Kind.DOWNTIME)
        self._widths = {sample.series: _smoothing(sample.values) for sample in samples}
        self._made = 0
        self.ledger = Ledger()

    def night(self, change: Change | None = None) -> Verdict:
        """Make a night up, judge it, measure its suspects again in the same night, and return the verdict."""
        factor = math.exp(self._random.gauss(0, self._shared))
        night = self._night(self._values(self._samples, factor, change))
        entered = undecided(night, judge(self.ledger, night, self._thresholds))
        again = self._again(owed(night, entered), factor, change)
        verdict = decide(self.ledger, night, entered, again, self._thresholds)
        self.ledger.add(night)
        self.ledger.add(verdict)
        return verdict

    def nights(self, count: int, change: Change | None = None) -> list[Verdict]:
        """Return the verdicts on so many nights."""
        return [self.night(change) for _ in range(count)]

    def _again(self, suspects: Iterable[object], factor: float, change: Change | None) -> dict[Series, Value]:
        if not suspects:
            return {}
        return {value.series: value for value in self._values(self._samples, factor, change)}

    def _values(self, samples: Sequence[Sample], factor: float, change: Change | None) -> tuple[Value, ...]:
        drawn = (self._drawn(sample, factor if sample.series.kind in TIMES else 1.0).value() for sample in samples)
        values = with_strategies(tuple(value for value in drawn if value is not None), self._offered)
        return values if change is None else tuple(change.made(value) for value in values)

    def _drawn(self, sample: Sample, factor: float) -> Sample:
        picked = self._picked(sample)
        if sample.totals:
            return replace(
                sample,
                values=tuple(sample.values[index] for index in picked),
                totals=tuple(sample.totals[index] for index in picked),
            )
        width = self._widths[sample.series]
        values = (sample.values[index] * math.exp(self._random.gauss(0, width)) * factor for index in picked)
        return replace(sample, values=tuple(values))

    def _picked(self, sample: Sample) -> list[int]:
        """Return which runs are taken: of each scenario as many as it has."""
        numbers = range(len(sample.values))
        if not sample.scenarios:
            return self._random.choices(numbers, k=len(numbers))
        members: dict[int, list[int]] = {}
        for number, scenario in zip(numbers, sample.scenarios, strict=True):
            members.setdefault(scenario, []).append(number)
        return [picked for runs in members.values() for picked in self._random.choices(runs, k=len(runs))]

    def _night(self, values: tuple[Value, ...]) -> Night:
        self._made += 1
        named = {value.series.of for value in values if "/" in value.series.of}
        return Night(
            id=f"night {self._made}",
            started_utc="",
            commit=f"commit {self._made}",
            dirty=False,
            protocol=0,
            hosts={},
            environment={},
            blocks=dict.fromkeys(sorted(named), ""),
            runs_asked=1,
            runs_measured=1,
            values=values,
        )


def nights_until_found(rehearsal: Rehearsal, change: Change, patience: int) -> int | None:
    """Let a window of nights pass, then the change happen; return in which night from there it alarms."""
    rehearsal.nights(_NIGHTS_BEFORE_A_CHANGE)
    for night in range(1, patience + 1):
        if any(
            alarm.series.kind is change.kind and change.of(alarm.series) for alarm in rehearsal.night(change).alarms
        ):
            return night
    return None


def _smoothing(values: Sequence[float]) -> float:
    """Return how far a value that is taken again is moved: Silverman's rule on the scale of logarithms."""
    logs = [math.log(value) for value in values if value > 0]
    if len(logs) < 2:  # noqa: PLR2004 - no spread
        return _ONE_VALUE_SPREAD
    return float(0.9 * statistics.stdev(logs) * len(logs) ** -0.2)
