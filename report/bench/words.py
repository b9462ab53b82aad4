"""A bench's figures in words: each with its interval, or with what n is too small for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from report import text
from report.bench.records import DROPS
from report.metrics.statistics import CONFIDENCE, Rate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from report.bench.records import Figure, FrameFigures, StrategyRow

LEAST_COVERED = 0.5  # an interval that rather misses the true value than holds it is none
_S = 1000.0  # ms
_US = 1e-3


def number(value: float | None) -> str:
    """Return a number with three significant digits."""
    return text.NONE if value is None else text.digits(value)


def time(ms: float | None) -> str:
    """Return a duration in µs, ms or s, whichever reads best."""
    if ms is None:
        return text.NONE
    if abs(ms) >= _S:
        return f"{text.digits(ms / _S)} s"
    return f"{text.digits(ms)} ms" if abs(ms) >= 1 else f"{text.digits(ms / _US)} µs"


def times(figure: Figure) -> str:
    """Return a duration with its interval; a quantile that n is too small for says what it is instead."""
    if figure.value is None:
        return text.NONE
    if figure.extreme:
        return f"{time(figure.value)} (largest of {figure.n})"
    high = time(figure.high) if figure.high is not None else "∞"
    return f"{time(figure.value)}{_ends(figure, time(figure.low), high)}"


def ratio(figure: Figure) -> str:
    """Return a ratio with its interval."""
    if figure.value is None:
        return text.NONE
    return f"{number(figure.value)}{_ends(figure, number(figure.low), number(figure.high))}"


def megabytes(figure: Figure, share: float | None) -> str:
    """Return what a tier needs beyond the baseline at rest; n stands in a column of its own."""
    if figure.value is None:
        return text.NONE
    part = "" if share is None else f" ({100 * share:+.0f} %)"
    low, high = ("" if end is None else f"{end:+.0f}" for end in (figure.low, figure.high))
    ends = _ends(figure, low, high) if _is_known(figure) else ""
    return f"{figure.value:+.0f} MB{part}{ends}"


def _ends(figure: Figure, low: str, high: str) -> str:
    """Return an interval, and what it covers where n is too small for 95 %; where it covers too little, that alone."""
    if not _is_known(figure):
        return f" (n = {figure.n}: no interval)"
    covered = "" if figure.coverage >= CONFIDENCE else f" (covers {figure.coverage:.0%})"
    return f" [{low}, {high}]{covered}"


def _is_known(figure: Figure) -> bool:
    return figure.low is not None and figure.coverage >= LEAST_COVERED


def counts(found: Iterable[int]) -> str:
    """Return the n of several figures: one where they agree, else the smallest and the largest."""
    ends = sorted({*found} - {0}) or [0]
    return f"{ends[0]}" if len(ends) == 1 else f"{ends[0]}\N{EN DASH}{ends[-1]}"


def lost_in_downtime(frames: FrameFigures) -> str:
    """Return the frames dropped within downtimes, of those offered then, with the reasons."""
    reasons = {reason: int(getattr(frames, f"downtime_{reason}")) for reason in DROPS}
    shares = (frames.downtime_drop_rate, frames.downtime_drop_low, frames.downtime_drop_high)
    return _dropped(frames.downtime_dropped, frames.downtime_offered, shares, reasons)


def lost(frames: FrameFigures) -> str:
    """Return the frames dropped of all that were offered, with the reasons."""
    reasons = {reason: int(getattr(frames, reason)) for reason in DROPS}
    shares = (frames.drop_rate, frames.drop_low, frames.drop_high)
    return _dropped(frames.offered - frames.answered, frames.offered, shares, reasons)


def _dropped(
    dropped: int, offered: int, shares: tuple[float | None, float | None, float | None], reasons: dict[str, int]
) -> str:
    rate, low, high = shares
    if rate is None or low is None or high is None:
        return "no frame offered"
    named = ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)
    return f"{dropped} of {offered}: {text.rate(Rate(rate, low, high))}{f' ({named})' if named else ''}"


def latency(row: StrategyRow) -> str:
    """Return the steady-state latency as multiples of the baseline's, by speed: the round trip, and computing alone."""
    return "; ".join(
        f"{one.mbps:g} Mbit/s: {ratio(one.round_trip_ratio)}, computing {ratio(one.compute_ratio)}, "
        f"n = {counts((one.round_trip_ratio.n, one.compute_ratio.n))}"
        for one in row.steady
    )
