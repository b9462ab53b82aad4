"""Numbers as a reader wants them: three significant digits, a fitting unit, and never a bare NaN."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from report.metrics.statistics import Interval, Rate

NONE = "\N{EN DASH}"
SPACE = "\N{NO-BREAK SPACE}"  # between a number and its unit
TIMES = "\N{MULTIPLICATION SIGN}"
_SECOND_MS = 1000.0


def digits(value: float, significant: int = 3) -> str:
    """Return a number with so many significant digits, thousands separated, no exponent."""
    if math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    decimals = max(0, significant - 1 - math.floor(math.log10(abs(value))))
    return f"{round(value, decimals):,.{decimals}f}"


def duration(ms: float) -> str:
    """Return a duration in ms, from 1 s on in s."""
    if math.isnan(ms):
        return NONE
    in_s = abs(ms) >= _SECOND_MS
    return f"{digits(ms / _SECOND_MS)}{SPACE}s" if in_s else f"{digits(ms)}{SPACE}ms"


def wall_time(seconds: float) -> str:
    """Return a time as one waits for it: seconds, then minutes, then hours."""
    if math.isnan(seconds):
        return NONE
    minutes = round(seconds / 60)
    if seconds < 2 * 60:
        return f"{digits(seconds)}{SPACE}s"
    if minutes < 2 * 60:
        return f"{minutes}{SPACE}min"
    return f"{minutes // 60}{SPACE}h {minutes % 60}{SPACE}min"


def durations(interval: Interval) -> str:
    """Return ``median [low, high]`` in the unit of the median; a single value has no brackets."""
    if math.isnan(interval.median):
        return NONE
    if math.isnan(interval.low):
        return duration(interval.median)
    in_s = abs(interval.median) >= _SECOND_MS
    scale, unit = (_SECOND_MS, "s") if in_s else (1.0, "ms")
    median, low, high = (digits(v / scale) for v in (interval.median, interval.low, interval.high))
    return f"{median}{SPACE}{unit} [{low}, {high}]"


def factor(interval: Interval) -> str:
    """Return a ratio of medians with its interval."""
    if math.isnan(interval.median):
        return NONE
    median, low, high = (digits(value, 2) for value in (interval.median, interval.low, interval.high))
    return f"{median}{TIMES}" if math.isnan(interval.low) else f"{median}{TIMES} [{low}, {high}]"


def certainty(interval: Interval) -> str:
    """Say how many values an interval rests on and, where they are too few, what it is instead."""
    if interval.n == 0:
        return "no run"
    if interval.n == 1:
        return "n = 1, no interval"
    short = f", range: covers {interval.coverage:.0%} only" if interval.is_short else ""
    return f"n = {interval.n}{short}"


def percent(share: float) -> str:
    """Return a share as a percentage with one decimal where it matters."""
    if math.isnan(share):
        return NONE
    points = 100 * share
    coarse = points in {0.0, 100.0} or 10 <= points <= 90  # noqa: PLR2004 - near the ends decimals matter
    return f"{points:.{0 if coarse else 1}f}{SPACE}%"


def points(pct: float) -> str:
    """Return a figure in percent: one decimal, from 10 on none, a true minus and no negative zero."""
    if math.isnan(pct):
        return NONE
    decimals = 0 if round(abs(pct), 1) >= 10 else 1  # noqa: PLR2004
    return f"{round(pct, decimals) + 0.0:,.{decimals}f}{SPACE}%".replace("-", "−")


def rate(value: Rate) -> str:
    """Return a share of frames with its interval."""
    if math.isnan(value.rate):
        return NONE
    return f"{percent(value.rate)} [{100 * value.low:.0f}, {100 * value.high:.0f}]"


def more(share: float) -> str:
    """Return a change as a signed percentage of what it is compared with, whole percent."""
    if math.isnan(share):
        return NONE
    return f"{round(100 * share) + 0:+,d}{SPACE}%".replace("-", "−").replace("+0", "±0")


def megabytes(value: float) -> str:
    """Return MB without decimals."""
    return NONE if math.isnan(value) else f"{round(value):,}".replace("-", "−")


def size(count: int) -> str:
    """Return the size of a file in kB, from 1 MB on in MB."""
    return f"{count / 1e6:.1f}{SPACE}MB" if count >= 1e6 else f"{max(1, round(count / 1000))}{SPACE}kB"  # noqa: PLR2004


def speed(mbps: float) -> str:
    """Return a link speed."""
    return f"{mbps:g}{SPACE}Mbit/s"


def direction(from_mbps: float, to_mbps: float) -> str:
    """Return a change of speed."""
    return f"{from_mbps:g} → {to_mbps:g} Mbit/s"


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """Return ``1 run``, ``2 runs``."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def cut(sentence: str, longest: int = 500) -> str:
    """Return a text of at most so many characters; an ellipsis says that more was there."""
    return sentence if len(sentence) <= longest else f"{sentence[: longest - 1]}…"


def moment(utc: str) -> str:
    """Return an ISO time stamp to the second, as a reader writes it."""
    return utc[: len("2026-01-01T00:00:00")].replace("T", " ")


def listing(items: list[str]) -> str:
    """Return ``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else NONE
