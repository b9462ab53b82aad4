"""Two results folders side by side: which series differ clearly and relevantly. Pure.

There are no nights to take a spread from, only runs and blocks. To what the medians of the runs vary by, that is added
by which the machine differed from block to block, or the smallest spread of nights that is ever believed. A strategy's
downtimes are also compared all together, scenario by scenario: few runs of one say little.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from report.watch.baseline import upper_tail
from report.watch.judge import clear_ones
from report.watch.measures import strategy_of, with_strategies
from report.watch.records import TIMES, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from report.watch.measures import Sample
    from report.watch.records import Series, Value
    from report.watch.thresholds import Relevance, Thresholds

LEVEL = 0.05  # chance that two folders that are alike differ in anything
_FEWEST = 2  # values that have a spread


@dataclass(frozen=True)
class Pair:
    """A series in both folders; `p` is the chance of a difference at least this large if there is none."""

    series: Series
    first: Value
    second: Value
    p: float
    matters: bool


@dataclass(frozen=True)
class Comparison:
    """What two folders say of each other; `alone` are series that only one of them has (or too few runs of)."""

    pairs: tuple[Pair, ...]
    differing: tuple[Pair, ...]
    alone: tuple[Series, ...]


def compare_sides(
    first: Iterable[Sample], second: Iterable[Sample], thresholds: Thresholds, machine: Sequence[float] = (0.0, 0.0)
) -> Comparison:
    """Compare all series that both sides have measured more than once.

    Args:
        first: one side.
        second: the other.
        thresholds: what is relevant.
        machine: of each side the standard deviation, from block to block, of the logarithm of all times.
    """
    ours, theirs = _by_series(first), _by_series(second)
    common = [(ours[series], theirs[series]) for series in ours if series in theirs]
    pairs = [_pair(*both, thresholds.kinds[both[0].series.kind], machine) for both in common]
    pairs += _of_strategies(common, thresholds.kinds[Kind.DOWNTIME], machine)
    return Comparison(
        pairs=tuple(pairs),
        differing=tuple(pair for pair in _clear(pairs) if pair.matters),
        alone=tuple(series for series in (*ours, *theirs) if (series in ours) != (series in theirs)),
    )


def _by_series(samples: Iterable[Sample]) -> Mapping[Series, Sample]:
    return {sample.series: sample for sample in samples if len(sample.values) >= _FEWEST and sample.value() is not None}


def _pair(first: Sample, second: Sample, relevance: Relevance, machine: Sequence[float]) -> Pair:
    one, other = first.value(), second.value()
    if one is None or other is None:
        raise ValueError(f"{first.series.text} has no value")
    return _judged(one, other, [(first, second)], relevance, machine)


def _of_strategies(
    common: Iterable[tuple[Sample, Sample]], relevance: Relevance, machine: Sequence[float]
) -> list[Pair]:
    """Return a pair for each strategy with several scenarios: geometric means of the medians of those in common."""
    members: defaultdict[str, list[tuple[Sample, Sample]]] = defaultdict(list)
    for both in common:
        if both[0].series.kind is Kind.DOWNTIME:
            members[strategy_of(both[0].series.of)].append(both)
    found = []
    for of_strategy in (several for several in members.values() if len(several) > 1):
        sides = ([value for sample in side if (value := sample.value())] for side in zip(*of_strategy, strict=True))
        one, other = (with_strategies(tuple(side), frozenset(value.series for value in side))[-1] for side in sides)
        found.append(_judged(one, other, of_strategy, relevance, machine))
    return found


def _judged(
    one: Value, other: Value, strata: Sequence[tuple[Sample, Sample]], relevance: Relevance, machine: Sequence[float]
) -> Pair:
    """Compare by the mean over all strata of how far the means of a stratum's two sides are apart."""
    scaled = [tuple(_scaled(sample, relevance) for sample in both) for both in strata]
    apart = abs(statistics.fmean(statistics.fmean(ours) - statistics.fmean(theirs) for ours, theirs in scaled))
    floors = [max(relevance.floor, deviation if one.series.kind in TIMES else 0.0) for deviation in machine]
    means = sum(statistics.variance(side) / len(side) for both in scaled for side in both)
    varies = sum(floor**2 for floor in floors) + means / len(strata) ** 2
    freedom = min(sum(len(side) - 1 for side in sides) for sides in zip(*scaled, strict=True))
    p = 2 * upper_tail(apart / math.sqrt(varies), freedom)
    return Pair(one.series, one, other, min(1.0, p), relevance.is_met(other.median, one.median))


def _scaled(sample: Sample, relevance: Relevance) -> list[float]:
    """Return the runs' values, or their rates (%), on the scale on which they are compared."""
    if not sample.totals:
        return [relevance.scaled(value) for value in sample.values]
    return [100 * hits / total for hits, total in zip(sample.values, sample.totals, strict=True) if total]


def _clear(pairs: Sequence[Pair]) -> list[Pair]:
    by_kind = sorted(pairs, key=lambda pair: pair.series.kind.value)
    return [
        pair
        for _, group in itertools.groupby(by_kind, key=lambda pair: pair.series.kind.value)
        for pair in _clear_of_kind(list(group))
    ]


def _clear_of_kind(pairs: list[Pair]) -> list[Pair]:
    return list(itertools.compress(pairs, clear_ones([pair.p for pair in pairs], LEVEL / len(Kind))))
