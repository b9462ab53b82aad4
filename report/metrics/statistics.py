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
_ROUNDING = 1e-9  # of n times a share: 100 × 0.99 is 99 and no more


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
class Quantile:
    """A quantile with an order-statistic interval. An end that n is too small for is NaN.

    `coverage` is the probability that the interval, open where an end is NaN, holds the true quantile.
    """

    value: float
    low: float
    high: float
    n: int
    coverage: float
    share: float

    @property
    def is_extreme(self) -> bool:
        """Whether the value is but the largest (or smallest) of all: n is too small to see beyond it."""
        return self.n * min(self.share, 1 - self.share) < 1 - _ROUNDING


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


def difference_interval(above: Iterable[float], under: Iterable[float]) -> Interval:
    """Return the difference of two independent samples' medians; the interval is made as that of `ratio_interval`."""
    one = median_interval(above, (1 + CONFIDENCE) / 2)
    other = median_interval(under, (1 + CONFIDENCE) / 2)
    n = min(one.n, other.n)
    if n == 0:
        return EMPTY
    coverage = max(0.0, one.coverage + other.coverage - 1)
    return Interval(one.median - other.median, one.low - other.high, one.high - other.low, n, coverage)


def quantile(values: Iterable[float], share: float, confidence: float = CONFIDENCE) -> Quantile:
    """Return the quantile of a share (0.99: p99), the ceil(n · share)-th smallest value, with its interval.

    The k-th smallest value lies at or below the true quantile with P(B >= k), B ~ Binomial(n, share); each end gets
    half of what may be missed. Of few values neither end may exist: the largest of n is above the true p99 with
    1 - 0.99^n only, which reaches 97.5 % with n = 368.
    """
    ordered = sorted(value for value in values if not math.isnan(value))
    n = len(ordered)
    if n == 0:
        return Quantile(math.nan, math.nan, math.nan, 0, 0.0, share)
    rank = min(n, max(1, math.ceil(n * share - _ROUNDING)))
    low, high, missed = _quantile_ranks(n, share, confidence)
    return Quantile(
        ordered[rank - 1],
        ordered[low - 1] if low else math.nan,
        ordered[high - 1] if high <= n else math.nan,
        n,
        1.0 - missed,
        share,
    )


@functools.lru_cache(maxsize=1024)
def _quantile_ranks(n: int, share: float, confidence: float) -> tuple[int, int, float]:
    """Return the ranks of the interval's ends (0 and n + 1 where there is none) and the probability to miss.

    It misses below with P(B < low) and above with P(B >= high), B ~ Binomial(n, share).
    """
    allowed = (1 - confidence) / 2
    below = [0.0]  # P(B < k) for k = 0 .. n + 1
    for k in range(n + 1):
        below.append(below[-1] + math.exp(_log_binomial(n, k, share)))
    low = max(k for k in range(n + 1) if below[k] <= allowed)
    high = next((k for k in range(1, n + 1) if 1 - below[k] <= allowed), n + 1)
    return low, high, below[low] + (max(0.0, 1 - below[high]) if high <= n else 0.0)


def _log_binomial(n: int, k: int, share: float) -> float:
    choose = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return choose + k * math.log(share) + (n - k) * math.log1p(-share)


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
