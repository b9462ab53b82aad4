"""A series over nights as a small drawing: the line, the band that was expected, and what changed. Pure geometry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from report import text
from report.watch.baseline import baseline_of
from report.watch.ledger import Mark
from report.watch.measures import EVERYWHERE
from report.watch.words import amount, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from report.watch.ledger import Seen
    from report.watch.records import Series
    from report.watch.thresholds import Relevance, Thresholds

WIDTH, HEIGHT = 300.0, 96.0
SHOWN_NIGHTS = 90
_BAND = 0.95
_EDGE = 6.0
_FOR_LABELS = 44.0  # at the right, where the ends of the scale stand
_TONES = {Mark.ALARM: "bad", Mark.REFUTED: "quiet", Mark.WAITING: "open", Mark.BETTER: "good"}


@dataclass(frozen=True)
class Dot:
    """A night that was not as expected."""

    x: float
    y: float
    tone: str
    label: str


@dataclass(frozen=True)
class Step:
    """Where a level begins, or an alarm, and by which commit; the label stands left of a line in the right half."""

    x: float
    commit: str
    anchor: str


@dataclass(frozen=True)
class Spark:
    """A drawing; `line` and `bands` are lists of points as SVG wants them."""

    title: str
    note: str
    tone: str
    label: str
    line: str
    bands: list[str]
    dots: list[Dot]
    steps: list[Step]
    top: str
    bottom: str


def spark(series: Series, seen: Sequence[Seen], thresholds: Thresholds) -> Spark:
    """Draw a series' last nights."""
    relevance = thresholds.kinds[series.kind]
    first = max(0, len(seen) - SHOWN_NIGHTS)
    shown = seen[first:]
    bands = [_band(seen[:index], relevance, thresholds) for index in range(first, len(seen))]
    frame = _Frame.around([one.value.median for one in shown], bands, relevance, len(shown))
    last = shown[-1]
    value = amount(series.kind, last.value.median)
    expected = bands[-1]
    said = "still being learned"
    if expected:
        said = f"expected {amount(series.kind, expected[0])} to {amount(series.kind, expected[1])}"
    return Spark(
        title=_title(series),
        note=f"{value}; {said}",
        tone=_TONES.get(last.mark, ""),
        label=f"{series.text}, {text.plural(len(shown), 'night')}: last {value}, {said}, {last.mark.value}",
        line=" ".join(frame.point(index, one.value.median) for index, one in enumerate(shown)),
        bands=_outlines(bands, frame),
        dots=[_dot(index, one, frame, series) for index, one in enumerate(shown) if one.mark in _TONES],
        steps=_steps(shown, frame),
        top=amount(series.kind, frame.high),
        bottom=amount(series.kind, frame.low),
    )


@dataclass(frozen=True)
class _Frame:
    """Where a night and a value lie in the drawing."""

    low: float
    high: float
    nights: int

    @classmethod
    def around(
        cls,
        values: Sequence[float],
        bands: Sequence[tuple[float, float] | None],
        relevance: Relevance,
        nights: int,
    ) -> _Frame:
        """Hold all values and bands, and never less than what would matter, so that noise does not look large."""
        matters = relevance.points or max((relevance.percent or 0.0) / 100 * values[-1], relevance.at_least or 0.0)
        ends = [*values, *(end for band in bands if band for end in band)]
        low, high = min(ends), max(ends)
        missing = max(0.0, 2 * matters - (high - low)) / 2
        return cls(max(0.0, low - missing), high + missing, nights)

    def x(self, index: int) -> float:
        """Return where a night lies; a single one in the middle."""
        share = index / (self.nights - 1) if self.nights > 1 else 0.5
        return round(_EDGE + share * (WIDTH - 2 * _EDGE - _FOR_LABELS), 1)

    def y(self, value: float) -> float:
        """Return where a value lies."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round(HEIGHT - _EDGE - share * (HEIGHT - 2 * _EDGE), 1)

    def point(self, index: int, value: float) -> str:
        """Return both as SVG writes them."""
        return f"{self.x(index):g},{self.y(value):g}"


def _title(series: Series) -> str:
    """Return what the heading above, which names the block where there is one, does not say."""
    of = () if "/" in series.of else (series.of,)
    scenario = () if series.scenario == EVERYWHERE else (series.scenario,)
    return ", ".join(part for part in (*of, *scenario, series.name) if part)


def _band(before: Sequence[Seen], relevance: Relevance, thresholds: Thresholds) -> tuple[float, float] | None:
    baseline = baseline_of(before, relevance, thresholds)
    if baseline is None:
        return None
    low, high = (relevance.unscaled(end) for end in baseline.band(_BAND))
    return max(low, 0.0), high


def _outlines(bands: Sequence[tuple[float, float] | None], frame: _Frame) -> list[str]:
    """Return an outline for each stretch of nights that has a band."""
    stretches: list[list[tuple[int, tuple[float, float]]]] = [[]]
    for index, band in enumerate(bands):
        if band is None:
            stretches.append([])
        else:
            stretches[-1].append((index, band))
    return [
        " ".join(
            [frame.point(index, low) for index, (low, _) in stretch]
            + [frame.point(index, high) for index, (_, high) in reversed(stretch)]
        )
        for stretch in stretches
        if stretch
    ]


def _dot(index: int, one: Seen, frame: _Frame, series: Series) -> Dot:
    said = f"{text.moment(one.night.started_utc)}, commit {short(one.night.commit)}: {one.mark.value}"
    value = one.value.median
    return Dot(frame.x(index), frame.y(value), _TONES[one.mark], f"{said}, {amount(series.kind, value)}")


def _steps(shown: Sequence[Seen], frame: _Frame) -> list[Step]:
    found = []
    for index in range(1, len(shown)):
        before, one = shown[index - 1], shown[index]
        begins = one.mark is Mark.ALARM and before.mark is not Mark.ALARM
        if begins or one.level != before.level:
            x = frame.x(index)
            found.append(Step(x, short(one.night.commit), "start" if x < WIDTH / 2 else "end"))
    return found
