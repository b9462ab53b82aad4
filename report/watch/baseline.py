"""What a night is compared with: where the like nights before it lie, and how much they differ from each other."""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from report.watch.ledger import Mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from report.watch.ledger import Seen
    from report.watch.thresholds import Relevance, Thresholds

_NORMAL = statistics.NormalDist()


@dataclass(frozen=True)
class Baseline:
    """The window's nights on the scale of `Relevance.scaled`.

    `centre` is the mean of the `on_level` nights on the present level. `spread` is the standard deviation of all
    nights from the means of their levels, with `freedom` degrees of freedom.
    """

    centre: float
    spread: float
    freedom: int
    on_level: int
    nights: int

    def tail(self, scaled: float, nights: int = 1) -> float:
        """Return the chance that the mean of so many nights is at least this much if nothing changed."""
        deviation = self.spread * math.sqrt(1 / nights + 1 / self.on_level)
        return upper_tail((scaled - self.centre) / deviation, self.freedom)

    def band(self, share: float) -> tuple[float, float]:
        """Return the bounds between which a night lies with this probability if nothing changed."""
        half = _quantile((1 + share) / 2, self.freedom) * self.spread * math.sqrt(1 + 1 / self.on_level)
        return self.centre - half, self.centre + half


def baseline_of(seen: Sequence[Seen], relevance: Relevance, thresholds: Thresholds) -> Baseline | None:
    """Return the baseline that a series' nights make, None where they are too few."""
    plain = (one for one in reversed(seen) if one.mark is Mark.PLAIN)
    window = list(itertools.islice(plain, thresholds.window_nights))[::-1]
    if len(window) < thresholds.fewest_nights:
        return None
    levels: dict[int, list[float]] = {}
    for one in window:
        levels.setdefault(one.level, []).append(relevance.scaled(one.value.median))
    freedom = len(window) - len(levels)
    if freedom < thresholds.fewest_nights - 2:
        return None
    squares = sum((value - statistics.fmean(level)) ** 2 for level in levels.values() for value in level)
    present = levels[window[-1].level]
    spread = max(math.sqrt(squares / freedom), relevance.floor)
    return Baseline(statistics.fmean(present), spread, freedom, len(present), len(window))


def upper_tail(t: float, freedom: int) -> float:
    """Return P(T >= t) of Student's distribution, by Wallace's (1959) transformation to the normal one.

    For small tails it errs on the large side: by a tenth at 1 in 1,000 with 4 degrees of freedom, by less with more.
    """
    z = (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t * t / freedom))
    return _NORMAL.cdf(-math.copysign(z, t))


def _quantile(share: float, freedom: int) -> float:
    """Return the inverse of 1 − `upper_tail`."""
    z = _NORMAL.inv_cdf(share) * (8 * freedom + 3) / (8 * freedom + 1)
    return math.sqrt(freedom * math.expm1(z * z / freedom))
