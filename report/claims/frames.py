"""Claims about the frames offered during the downtime of dynamic switching, at the reference condition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from report import text
from report.claims.decision import Finding, State
from report.claims.reasons import dropped
from report.metrics.statistics import wilson
from report.scope import condition
from report.summaries import directions_of, good, models_of, of, of_direction

if TYPE_CHECKING:
    import pandas as pd

    from report.tables import Tables

# Scenario A's downtime is shorter than the time between two frames.
NEXT_TO_NONE = 0.05
_SCENARIO_B = ("switch-b1", "switch-b2")


def served(tables: Tables) -> list[Finding]:
    """Some frames offered during the downtime are answered, whichever way the speed changed."""
    frames = good(tables.at_reference(tables.frames))
    return [
        _served(tables, model, strategy, of_change)
        for model in models_of(frames)
        for strategy in _SCENARIO_B
        for pair in directions_of(frames)
        if not (of_change := of_direction(of(frames, model, strategy), pair)).empty
        and totals(of_change[of_change["window"] == "downtime"], "offered")[0]
    ]


def more_dropped_at_higher_fps(tables: Tables) -> list[Finding]:
    """The drop rate at the highest frame rate is above that at the lowest."""
    findings = (_fps(subject, frames) for subject, frames in _during(tables).items())
    return [finding for finding in findings if finding is not None]


def totals(frames: pd.DataFrame, *columns: str) -> tuple[int, ...]:
    """Sum columns of counts."""
    return tuple(int(frames[column].sum()) for column in columns)


def _during(tables: Tables) -> dict[str, pd.DataFrame]:
    frames = good(tables.at_reference(tables.frames))
    frames = frames[frames["window"] == "downtime"]
    return {
        f"{model}, {strategy}": of(frames, model, strategy) for model in models_of(frames) for strategy in _SCENARIO_B
    }


def _served(tables: Tables, model: str, strategy: str, frames: pd.DataFrame) -> Finding:
    during = frames[frames["window"] == "downtime"]
    answered, offered = totals(during, "answered", "offered")
    before, offered_before = totals(frames[frames["window"] == "before"], "answered", "offered")
    usual = f"; before the change {text.percent(before / offered_before)}" if offered_before else ""
    rate = text.rate(wilson(answered, offered))
    few = answered <= NEXT_TO_NONE * offered
    return Finding(
        f"{model}, {strategy}, to {text.speed(during['to_mbps'].iloc[0])}",
        _any(answered, offered),
        f"{answered:,} of {text.plural(offered, 'frame')} answered, {rate}{usual}",
        condition(during),
        dropped(tables, model, during) if few else "",
        f"{rate} of {text.plural(offered, 'frame')}",
    )


def _any(answered: int, offered: int) -> State:
    if answered:
        return State.HOLDS
    return State.DOES_NOT_HOLD if wilson(answered, offered).high < NEXT_TO_NONE else State.UNDECIDED


def _fps(subject: str, frames: pd.DataFrame) -> Finding | None:
    rates: list[float] = sorted(frames[frames["offered"] > 0]["fps"].unique())
    if len(rates) < 2:  # noqa: PLR2004 - two frame rates make a comparison
        return None
    slow, fast = (wilson(*totals(frames[frames["fps"] == fps], "dropped", "offered")) for fps in (rates[0], rates[-1]))
    state = State.UNDECIDED
    if fast.low > slow.high:
        state = State.HOLDS
    elif fast.high < slow.low:
        state = State.DOES_NOT_HOLD
    figure = f"{text.rate(slow)} at {rates[0]:g} FPS, {text.rate(fast)} at {rates[-1]:g} FPS"
    return Finding(subject, state, figure, condition(frames), short=figure)
