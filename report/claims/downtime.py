"""Claims about the length of the downtime. Strategies are compared at the reference condition (`report.scope`)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from report import text
from report.claims.decision import BASELINE, Finding, State, decide, worst
from report.claims.frames import totals
from report.claims.reasons import against_paper, longer, longest_parts
from report.metrics.statistics import median_interval, ratio_interval
from report.scope import condition
from report.summaries import directions_of, good, models_of, moved, of, of_direction

if TYPE_CHECKING:
    import pandas as pd

    from report.tables import Tables

SECONDS_MS = 1000.0  # "for seconds": at least one
COMPLETE_SHARE = 0.05  # "completely": at most this share of the frames offered meanwhile was answered
SWITCH_MS = 1.0
MAGNITUDE = 10.0
_B1, _B2 = "switch-b1", "switch-b2"
_SCENARIO_A = ("switch-a1", "switch-a2")


def outage(tables: Tables) -> list[Finding]:
    """Pause-and-resume accepts no frame for a second or more; next to none offered meanwhile is answered."""
    runs, frames = _compared(tables), good(tables.at_reference(tables.frames))
    return [
        _outage(tables, model, of(runs, model, BASELINE), of(frames, model, BASELINE))
        for model in models_of(runs[runs["strategy"] == BASELINE])
    ]


def scenario_a(tables: Tables) -> list[Finding]:
    """The median of Scenario A's downtime is below 1 ms."""
    runs = _compared(tables)
    return [
        _under_a_millisecond(tables, model, strategy, of_both)
        for model in models_of(runs)
        for strategy in _SCENARIO_A
        if not (of_both := of(runs, model, strategy)).empty
    ]


def b2_speed(tables: Tables) -> list[Finding]:
    """The baseline's downtime is at least ten times Scenario B Case 2's."""
    runs = _compared(tables)
    found = [(model, of(runs, model, BASELINE), of(runs, model, _B2)) for model in models_of(runs)]
    return [
        _ratio(model, _condition_of(runs, model, BASELINE, _B2), baseline, b2)
        for model, baseline, b2 in found
        if len(baseline) and len(b2)
    ]


def b1_between(tables: Tables) -> list[Finding]:
    """B1 takes longer than B2 and less than the baseline."""
    runs = _compared(tables)
    found = {
        model: {strategy: of(runs, model, strategy) for strategy in (_B2, _B1, BASELINE)} for model in models_of(runs)
    }
    return [
        _between(tables, model, _condition_of(runs, model, _B2, _B1, BASELINE), by_strategy)
        for model, by_strategy in found.items()
        if all(len(rows) for rows in by_strategy.values())
    ]


def _compared(tables: Tables) -> pd.DataFrame:
    return moved(tables.at_reference(tables.downtime))


def _condition_of(runs: pd.DataFrame, model: str, *strategies: str) -> str:
    return condition(runs[(runs["model"] == model) & runs["strategy"].isin(strategies)])


def _outage(tables: Tables, model: str, runs: pd.DataFrame, frames: pd.DataFrame) -> Finding:
    stopped = median_interval(runs["outage_ms"])
    offered, answered = totals(frames[frames["window"] == "downtime"], "offered", "answered")
    complete = answered <= COMPLETE_SHARE * offered
    state = decide(stopped, above=SECONDS_MS) if complete else State.DOES_NOT_HOLD
    figure = (
        f"intake stopped for {text.durations(stopped)} ({text.certainty(stopped)}{_apart(runs, 'outage_ms')}); "
        f"{answered:,} of {text.plural(offered, 'frame')} offered during the downtime answered"
    )
    why = "" if state is State.HOLDS else longest_parts(tables, model, BASELINE)
    short = f"{text.durations(stopped)}, {answered:,} of {text.plural(offered, 'frame')} answered, n = {stopped.n}"
    return Finding(model, state, figure, condition(runs), why, short)


def _under_a_millisecond(tables: Tables, model: str, strategy: str, runs: pd.DataFrame) -> Finding:
    sample: list[float] = runs["downtime_ms"].tolist()
    interval = median_interval(sample)
    under = sum(value < SWITCH_MS for value in sample)
    figure = (
        f"{text.durations(interval)} ({text.certainty(interval)}); {under} of "
        f"{text.plural(len(sample), 'run')} below 1 ms, longest {text.duration(max(sample))}"
    )
    advance = "".join(
        f"; {one.in_short}"
        for one in tables.preparations
        if (one.model, one.strategy) == (model, strategy) and one.is_short
    )
    figure, short = f"{figure}{advance}", f"{text.durations(interval)}, n = {interval.n}{advance}"
    subject = f"{model}, {strategy}"
    return Finding(subject, decide(interval, below=SWITCH_MS), figure, condition(runs), short=short)


def _ratio(model: str, where: str, baseline: pd.DataFrame, b2: pd.DataFrame) -> Finding:
    ratio = ratio_interval(baseline["downtime_ms"], b2["downtime_ms"])
    state = decide(ratio, above=MAGNITUDE)
    slow, fast = median_interval(baseline["downtime_ms"]), median_interval(b2["downtime_ms"])
    why = "" if state is State.HOLDS else against_paper({BASELINE: slow.median, _B2: fast.median})
    figure = (
        f"the baseline's {text.durations(slow)}{_apart(baseline)} are {text.factor(ratio)} "
        f"B2's {text.durations(fast)}{_apart(b2)} ({text.certainty(ratio)})"
    )
    return Finding(model, state, figure, where, why, f"{text.factor(ratio)}, n = {ratio.n}")


def _between(tables: Tables, model: str, where: str, runs: dict[str, pd.DataFrame]) -> Finding:
    sample = {strategy: rows["downtime_ms"].tolist() for strategy, rows in runs.items()}
    above_b2 = decide(ratio_interval(sample[_B1], sample[_B2]), above=1.0)
    below_baseline = decide(ratio_interval(sample[BASELINE], sample[_B1]), above=1.0)
    intervals = {strategy: median_interval(values) for strategy, values in sample.items()}
    shown = [f"{name} {text.durations(found)} (n = {found.n}{_apart(runs[name])})" for name, found in intervals.items()]
    reasons = (
        longer(tables, model, _B2, _B1) if above_b2 is not State.HOLDS else "",
        longer(tables, model, _B1, BASELINE) if below_baseline is not State.HOLDS else "",
    )
    state = worst((above_b2, below_baseline))
    named = zip(("B2", "B1", "baseline"), intervals.values(), strict=True)
    short = ", ".join(f"{name} {text.durations(interval)}" for name, interval in named)
    return Finding(
        model, state, ", ".join(shown), where, " ".join(filter(None, reasons)), f"{short}, n = {intervals[_B1].n}"
    )


def _apart(runs: pd.DataFrame, column: str = "downtime_ms") -> str:
    """Give each direction's median where their intervals are apart: the pooled one then lies between two groups."""
    found = {pair: median_interval(of_direction(runs, pair)[column]) for pair in directions_of(runs)}
    known = [interval for interval in found.values() if not math.isnan(interval.low)]
    if not known or max(one.low for one in known) <= min(one.high for one in known):
        return ""
    said = [f"{text.direction(*pair)} {text.duration(interval.median)}" for pair, interval in found.items()]
    return f"; {text.listing(said)}"
