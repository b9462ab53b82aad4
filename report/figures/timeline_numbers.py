"""What the timelines show: the table `timelines` -> one strip a model and strategy, and what there is to say of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from report import text
from report.metrics.marks import DEGRADED, OUTAGE, REARMING
from report.summaries import models_of, of, strategies_of

if TYPE_CHECKING:
    import pandas as pd

    from report.tables import Tables

_FRAMES_BEFORE, _FRAMES_AFTER = 4, 8  # shown around the downtime, at least
_WORTH_NAMING = 0.01  # of the downtime
_SHARE_BEFORE, _SHARE_AFTER = 0.12, 0.25  # of the downtime


@dataclass(frozen=True)
class Span:
    """A stretch of time (ms after t0) and what fills it."""

    label: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True)
class PartSpan:
    """What a tier did in a stretch of time (ms after t0)."""

    tier: str
    label: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True)
class FrameTick:
    """A frame: when it was offered, when its result was there (NaN without one), and what became of it."""

    offered_ms: float
    settled_ms: float
    outcome: str
    by_new_cut: bool


@dataclass(frozen=True)
class Strip:
    """One run: its frames, its service and its work. `missing` says why there is none to show instead."""

    model: str
    strategy: str
    change: str = ""
    cuts: str = ""
    fps: float = 1.0
    service: tuple[Span, ...] = ()
    parts: tuple[PartSpan, ...] = ()
    frames: tuple[FrameTick, ...] = ()
    source: str = ""
    run: int = 0
    missing: str | None = None

    @property
    def downtime_ms(self) -> float:
        """From t0 until frames are taken in for the new cut."""
        return sum(span.end_ms - span.start_ms for span in self.service if span.label != REARMING)

    @property
    def outage_ms(self) -> float:
        """How long of that no frame was accepted."""
        return sum(span.end_ms - span.start_ms for span in self.service if span.label == OUTAGE)

    @property
    def rearmed_ms(self) -> float:
        """When the strategy was ready for the next change."""
        return max((span.end_ms for span in self.service), default=0.0)

    @property
    def window_ms(self) -> tuple[float, float]:
        """The stretch of time to show: the downtime and some frames around it."""
        period_ms = 1000 / self.fps if self.fps > 0 else 0.0
        before_ms = max(_FRAMES_BEFORE * period_ms, _SHARE_BEFORE * self.downtime_ms)
        after_ms = max(_FRAMES_AFTER * period_ms, _SHARE_AFTER * self.downtime_ms)
        return -before_ms, self.downtime_ms + after_ms

    @property
    def shown_parts(self) -> tuple[PartSpan, ...]:
        """The parts of the work within the window, cut to it."""
        low, high = self.window_ms
        return tuple(
            replace(part, start_ms=max(part.start_ms, low), end_ms=min(part.end_ms, high))
            for part in self.parts
            if part.start_ms < high and part.end_ms > low
        )

    @property
    def meanwhile(self) -> tuple[FrameTick, ...]:
        """The frames offered during the downtime."""
        return tuple(frame for frame in self.frames if 0 <= frame.offered_ms <= self.downtime_ms)


def strips(tables: Tables) -> list[Strip]:
    """Return a strip for every model and strategy that was measured; one without a run to show says why."""
    return [
        _strip(of(tables.timelines, model, strategy)) or _without(model, strategy, tables)
        for model in models_of(tables.downtime)
        for strategy in strategies_of(tables.downtime[tables.downtime["model"] == model])
    ]


def finding(shown: list[Strip]) -> str:
    """Say of every strip what the downtime was, and what became of the frames offered meanwhile."""
    sentences = []
    for model in dict.fromkeys(strip.model for strip in shown):
        of_model = [strip for strip in shown if strip.model == model and strip.missing is None]
        if of_model:
            said = "; ".join(f"{strip.strategy} {_said(strip)}" for strip in of_model)
            sentences.append(f"{model}, {of_model[0].change}: {said}.")
    return " ".join(sentences)


def _said(strip: Strip) -> str:
    degraded_ms = strip.downtime_ms - strip.outage_ms
    lengths = ((strip.outage_ms, OUTAGE), (degraded_ms, DEGRADED))
    named = [f"{text.duration(ms)} {label}" for ms, label in lengths if ms > _WORTH_NAMING * strip.downtime_ms]
    kind = " and ".join(named)
    frames = strip.meanwhile
    if not frames:
        return f"{kind}, over before the next frame"
    answered = sum(frame.outcome == "answered" for frame in frames)
    return f"{kind}, {answered} of {text.plural(len(frames), 'frame')} offered meanwhile answered"


def _strip(rows: pd.DataFrame) -> Strip | None:
    if rows.empty:
        return None
    first = rows.iloc[0]
    to_point = int(first["to_point"])
    return Strip(
        model=str(first["model"]),
        strategy=str(first["strategy"]),
        change=text.direction(first["from_mbps"], first["to_mbps"]),
        cuts=f"{first['from_point']} → {to_point}",
        fps=float(first["fps"]),
        service=tuple(Span(*found) for found in _columns(rows, "span", "label", "start_ms", "end_ms")),
        parts=tuple(PartSpan(*found) for found in _columns(rows, "part", "tier", "label", "start_ms", "end_ms")),
        frames=tuple(
            FrameTick(start_ms, end_ms, label, point == to_point)
            for start_ms, end_ms, label, point in _columns(rows, "frame", "start_ms", "end_ms", "label", "point")
        ),
        source=str(first["source"]),
        run=int(first["run"]),
    )


def _columns(rows: pd.DataFrame, kind: str, *names: str) -> list[tuple[Any, ...]]:
    """Return columns of the rows of one kind; a number that is missing is NaN."""
    found = rows[rows["kind"] == kind]
    values = (found[name].astype(object).where(found[name].notna(), np.nan).tolist() for name in names)
    return list(zip(*values, strict=True))


def _without(model: str, strategy: str, tables: Tables) -> Strip:
    """Say why no run of a strategy is shown."""
    runs = of(tables.at_reference(tables.downtime), model, strategy)
    if runs.empty:
        return Strip(model, strategy, missing=f"no run at {tables.references[model].text}")
    counts = runs["status"].value_counts()
    if "ok" in counts:
        return Strip(model, strategy, missing="the cut did not move: no downtime to show")
    listed = text.listing([f"{count} {status}" for status, count in counts.items()])
    reason = next(iter(runs["reason"].dropna()), "")
    return Strip(model, strategy, missing=f"no run is ok: {listed}{'. ' if reason else ''}{text.cut(str(reason), 80)}")
