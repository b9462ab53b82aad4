"""Statistics that say how sure they are: medians with distribution-free intervals, rates with Wilson's.

No distribution is assumed and nothing is drawn at random: the interval of a median consists of two of the
measured values, its coverage follows from the binomial distribution alone.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

CONFIDENCE = 0.95
FEWEST = 6  # values that a median with a 95 % interval takes
_Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Interval:
    """A median (or a ratio of two) with an interval. NaN where there is nothing to compute it from.

    `coverage` is the probability that the interval holds the true median. It is below the confidence asked
    for where n is too small (n < 6 for 95 %): the interval is then the whole range of the values.
    """

    median: float
    low: float
    high: float
    n: int
    coverage: float

    @property
    def is_short(self) -> bool:
        """Whether n was too small for the confidence asked for."""
        return not self.coverage >= CONFIDENCE


EMPTY = Interval(math.nan, math.nan, math.nan, 0, 0.0)


@dataclass(frozen=True)
class Rate:
    """A share of frames with Wilson's 95 % interval; NaN where there was no frame."""

    rate: float
    low: float
    high: float


def median_interval(values: Iterable[float], confidence: float = CONFIDENCE) -> Interval:
    """Return the median with the narrowest symmetric order-statistic interval of at least `confidence`."""
    ordered = sorted(value for value in values if not math.isnan(value))
    n = len(ordered)
    if n == 0:
        return EMPTY
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    if n == 1:
        return Interval(middle, math.nan, math.nan, 1, 0.0)
    rank, coverage = _rank(n, confidence)
    return Interval(middle, ordered[rank - 1], ordered[n - rank], n, coverage)


@functools.lru_cache(maxsize=1024)
def _rank(n: int, confidence: float) -> tuple[int, float]:
    """Return the largest k for which the k-th smallest and k-th largest value enclose the median as asked.

    The chance that the median lies below the k-th smallest is P(B < k) with B ~ Binomial(n, 1/2).
    """
    allowed_tail = (1 - confidence) / 2
    total = 2**n
    below, term, rank = 1, 1, 1  # below = sum of C(n, i) for i < rank
    while rank < (n + 1) // 2:
        term = term * (n - rank + 1) // rank
        if (below + term) / total > allowed_tail:
            break
        below += term
        rank += 1
    return rank, 1 - 2 * (below / total)


def ratio_interval(numerator: Iterable[float], denominator: Iterable[float]) -> Interval:
    """Return the ratio of two independent samples' medians with an interval that errs on the wide side.

    Each median gets 97.5 %, so that both intervals hold at once, and with them the ratio's, in at least 95 %.
    `n` is the smaller of both.
    """
    above = median_interval(numerator, (1 + CONFIDENCE) / 2)
    under = median_interval(denominator, (1 + CONFIDENCE) / 2)
    n = min(above.n, under.n)
    if n == 0 or under.median == 0:
        return EMPTY
    low = above.low / under.high if under.high else math.nan
    high = above.high / under.low if under.low else math.nan
    return Interval(above.median / under.median, low, high, n, max(0.0, above.coverage + under.coverage - 1))


def wilson(hits: int, total: int) -> Rate:
    """Return the share ``hits / total`` with Wilson's 95 % score interval."""
    if not 0 <= hits <= total:
        raise ValueError(f"{hits} of {total} is no share")
    if total == 0:
        return Rate(math.nan, math.nan, math.nan)
    share = hits / total
    z2 = _Z_95**2
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z_95 * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2)) / (1 + z2 / total)
    return Rate(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))
