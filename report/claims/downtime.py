"""Claims about the length of the downtime. Strategies are compared at the reference condition (`report.scope`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from report import text
from report.claims.decision import Finding, State, decide, worst
from report.claims.frames import totals
from report.claims.reasons import against_paper, longer, longest_parts
from report.metrics.statistics import median_interval, ratio_interval
from report.scope import condition
from report.summaries import good, models_of, moved, of

if TYPE_CHECKING:
    import pandas as pd

    from report.tables import Tables

SECONDS_MS = 1000.0  # "for seconds": at least one
COMPLETE_SHARE = 0.05  # "completely": at most this share of the frames offered meanwhile was answered
SWITCH_MS = 1.0
MAGNITUDE = 10.0
_BASELINE, _B1, _B2 = "pause-resume", "switch-b1", "switch-b2"
_SCENARIO_A = ("switch-a1", "switch-a2")


def outage(tables: Tables) -> list[Finding]:
    """Pause-and-resume accepts no frame for a second or more; next to none offered meanwhile is answered."""
    runs, frames = _compared(tables), good(tables.at_reference(tables.frames))
    return [
        _outage(tables, model, of(runs, model, _BASELINE), of(frames, model, _BASELINE))
        for model in models_of(runs[runs["strategy"] == _BASELINE])
    ]


def scenario_a(tables: Tables) -> list[Finding]:
    """The median of Scenario A's downtime is below 1 ms."""
    runs = _compared(tables)
    return [
        _under_a_millisecond(f"{model}, {strategy}", of_both)
        for model in models_of(runs)
        for strategy in _SCENARIO_A
        if not (of_both := of(runs, model, strategy)).empty
    ]


def b2_speed(tables: Tables) -> list[Finding]:
    """The baseline's downtime is at least ten times Scenario B Case 2's."""
    runs = _compared(tables)
    samples = {model: (_downtimes(runs, model, _BASELINE), _downtimes(runs, model, _B2)) for model in models_of(runs)}
    return [
        _ratio(model, _condition_of(runs, model, _BASELINE, _B2), baseline, b2)
        for model, (baseline, b2) in samples.items()
        if baseline and b2
    ]


def b1_between(tables: Tables) -> list[Finding]:
    """B1 takes longer than B2 and less than the baseline."""
    runs = _compared(tables)
    samples = {
        model: {strategy: _downtimes(runs, model, strategy) for strategy in (_B2, _B1, _BASELINE)}
        for model in models_of(runs)
    }
    return [
        _between(tables, model, _condition_of(runs, model, _B2, _B1, _BASELINE), sample)
        for model, sample in samples.items()
        if all(sample.values())
    ]


def _compared(tables: Tables) -> pd.DataFrame:
    return moved(tables.at_reference(tables.downtime))


def _downtimes(runs: pd.DataFrame, model: str, strategy: str) -> list[float]:
    return of(runs, model, strategy)["downtime_ms"].tolist()


def _condition_of(runs: pd.DataFrame, model: str, *strategies: str) -> str:
    return condition(runs[(runs["model"] == model) & runs["strategy"].isin(strategies)])


def _outage(tables: Tables, model: str, runs: pd.DataFrame, frames: pd.DataFrame) -> Finding:
    stopped = median_interval(runs["outage_ms"])
    offered, answered = totals(frames[frames["window"] == "downtime"], "offered", "answered")
    complete = answered <= COMPLETE_SHARE * offered
    state = decide(stopped, above=SECONDS_MS) if complete else State.DOES_NOT_HOLD
    figure = (
        f"intake stopped for {text.durations(stopped)} ({text.certainty(stopped)}); {answered:,} of "
        f"{text.plural(offered, 'frame')} offered during the downtime answered"
    )
    why = "" if state is State.HOLDS else longest_parts(tables, model, _BASELINE)
    return Finding(model, state, figure, condition(runs), why, f"{text.durations(stopped)}, n = {stopped.n}")


def _under_a_millisecond(subject: str, runs: pd.DataFrame) -> Finding:
    sample: list[float] = runs["downtime_ms"].tolist()
    interval = median_interval(sample)
    under = sum(value < SWITCH_MS for value in sample)
    figure = (
        f"{text.durations(interval)} ({text.certainty(interval)}); {under} of "
        f"{text.plural(len(sample), 'run')} below 1 ms, longest {text.duration(max(sample))}"
    )
    short = f"{text.durations(interval)}, n = {interval.n}"
    return Finding(subject, decide(interval, below=SWITCH_MS), figure, condition(runs), short=short)


def _ratio(model: str, where: str, baseline: list[float], b2: list[float]) -> Finding:
    ratio = ratio_interval(baseline, b2)
    state = decide(ratio, above=MAGNITUDE)
    slow, fast = median_interval(baseline), median_interval(b2)
    why = "" if state is State.HOLDS else against_paper({_BASELINE: slow.median, _B2: fast.median})
    figure = (
        f"the baseline's {text.durations(slow)} are {text.factor(ratio)} "
        f"B2's {text.durations(fast)} ({text.certainty(ratio)})"
    )
    return Finding(model, state, figure, where, why, f"{text.factor(ratio)}, n = {ratio.n}")


def _between(tables: Tables, model: str, where: str, sample: dict[str, list[float]]) -> Finding:
    above_b2 = decide(ratio_interval(sample[_B1], sample[_B2]), above=1.0)
    below_baseline = decide(ratio_interval(sample[_BASELINE], sample[_B1]), above=1.0)
    intervals = {strategy: median_interval(values) for strategy, values in sample.items()}
    shown = [f"{name} {text.durations(interval)} (n = {interval.n})" for name, interval in intervals.items()]
    reasons = (
        longer(tables, model, _B2, _B1) if above_b2 is not State.HOLDS else "",
        longer(tables, model, _B1, _BASELINE) if below_baseline is not State.HOLDS else "",
    )
    state = worst((above_b2, below_baseline))
    named = zip(("B2", "B1", "baseline"), intervals.values(), strict=True)
    short = ", ".join(f"{name} {text.durations(interval)}" for name, interval in named)
    return Finding(
        model, state, ", ".join(shown), where, " ".join(filter(None, reasons)), f"{short}, n = {intervals[_B1].n}"
    )
