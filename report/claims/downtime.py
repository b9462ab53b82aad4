"""Claims about the length of the downtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from report import text
from report.claims.decision import Finding, State, decide, worst
from report.claims.frames import totals
from report.metrics.statistics import CONFIDENCE, Interval, median_interval, ratio_interval
from report.summaries import good, models_of, moved, of, strategies_of

if TYPE_CHECKING:
    import pandas as pd

    from report.tables import Tables

SECONDS_MS = 1000.0  # "for seconds": at least one
COMPLETE_SHARE = 0.05  # "completely": at most this share of the frames offered meanwhile was answered
SWITCH_MS = 1.0
MAGNITUDE = 10.0
SAME_SHARE = 0.10  # a smaller change of the downtime is none, and so is one by less than half a millisecond
SAME_MS = 0.5
_BASELINE, _B1, _B2 = "pause-resume", "switch-b1", "switch-b2"
_SCENARIO_A = ("switch-a1", "switch-a2")


def outage(tables: Tables) -> list[Finding]:
    """Pause-and-resume accepts no frame for a second or more; next to none offered meanwhile is answered."""
    runs, frames = moved(tables.downtime), good(tables.frames)
    return [
        _outage(model, of(runs, model, _BASELINE), of(frames, model, _BASELINE))
        for model in models_of(runs[runs["strategy"] == _BASELINE])
    ]


def scenario_a(tables: Tables) -> list[Finding]:
    """The median of Scenario A's downtime is below 1 ms."""
    runs = moved(tables.downtime)
    samples = {
        f"{model}, {strategy}": _downtimes(runs, model, strategy)
        for model in models_of(runs)
        for strategy in _SCENARIO_A
    }
    return [_under_a_millisecond(subject, sample) for subject, sample in samples.items() if sample]


def b2_speed(tables: Tables) -> list[Finding]:
    """The baseline's downtime is at least ten times Scenario B Case 2's."""
    runs = moved(tables.downtime)
    ratios = {
        model: ratio_interval(_downtimes(runs, model, _BASELINE), _downtimes(runs, model, _B2))
        for model in models_of(runs)
    }
    return [
        Finding(
            model,
            decide(ratio, above=MAGNITUDE),
            f"{text.factor(ratio)} the downtime of B2 ({text.certainty(ratio)})",
        )
        for model, ratio in ratios.items()
        if ratio.n
    ]


def b1_between(tables: Tables) -> list[Finding]:
    """B1 takes longer than B2 and less than the baseline."""
    runs = moved(tables.downtime)
    samples = {
        model: [_downtimes(runs, model, strategy) for strategy in (_B2, _B1, _BASELINE)] for model in models_of(runs)
    }
    return [_between(model, *sample) for model, sample in samples.items() if all(sample)]


def availability(tables: Tables) -> list[Finding]:
    """Less CPU or less memory leaves the downtime within 10 % (or half a millisecond)."""
    runs = moved(tables.downtime)
    return [
        finding
        for model in models_of(runs)
        for strategy in strategies_of(runs[runs["model"] == model])
        for axis, name in (("cpu_pct", "CPU"), ("mem_pct", "memory"))
        if (finding := _along(of(runs, model, strategy), f"{model}, {strategy}", axis, name)) is not None
    ]


def _downtimes(runs: pd.DataFrame, model: str, strategy: str) -> list[float]:
    return of(runs, model, strategy)["downtime_ms"].tolist()


def _outage(model: str, runs: pd.DataFrame, frames: pd.DataFrame) -> Finding:
    stopped = median_interval(runs["outage_ms"])
    offered, answered = totals(frames[frames["window"] == "downtime"], "offered", "answered")
    complete = answered <= COMPLETE_SHARE * offered
    state = decide(stopped, above=SECONDS_MS) if complete else State.DOES_NOT_HOLD
    figure = (
        f"intake stopped for {text.durations(stopped)} ({text.certainty(stopped)}); {answered:,} of "
        f"{text.plural(offered, 'frame')} offered during the downtime answered"
    )
    return Finding(model, state, figure)


def _under_a_millisecond(subject: str, sample: list[float]) -> Finding:
    interval = median_interval(sample)
    under = sum(value < SWITCH_MS for value in sample)
    figure = (
        f"{text.durations(interval)} ({text.certainty(interval)}); {under} of "
        f"{text.plural(len(sample), 'run')} below 1 ms, longest {text.duration(max(sample))}"
    )
    return Finding(subject, decide(interval, below=SWITCH_MS), figure)


def _between(model: str, b2: list[float], b1: list[float], baseline: list[float]) -> Finding:
    state = worst(decide(ratio, above=1.0) for ratio in (ratio_interval(b1, b2), ratio_interval(baseline, b1)))
    intervals = {"B2": median_interval(b2), "B1": median_interval(b1), "baseline": median_interval(baseline)}
    shown = [f"{name} {text.durations(i)} (n = {i.n})" for name, i in intervals.items()]
    return Finding(model, state, ", ".join(shown))


def _along(runs: pd.DataFrame, subject: str, axis: str, name: str) -> Finding | None:
    """Compare the downtime at the highest and the lowest availability of one resource."""
    levels: list[float] = sorted(runs[axis].unique())
    if len(levels) < 2:  # noqa: PLR2004 - two levels make a comparison
        return None
    confidence = (1 + CONFIDENCE) / 2  # both at once in 95 %
    most, least = (
        median_interval(runs[runs[axis] == level]["downtime_ms"], confidence) for level in (levels[-1], levels[0])
    )
    margin_ms = max(SAME_SHARE * most.median, SAME_MS)
    difference = Interval(
        least.median - most.median,
        least.low - most.high,
        least.high - most.low,
        min(least.n, most.n),
        max(0.0, least.coverage + most.coverage - 1),
    )
    figure = (
        f"{text.durations(most)} with {levels[-1]:g} % of the {name} (n = {most.n}), "
        f"{text.durations(least)} with {levels[0]:g} % (n = {least.n})"
    )
    return Finding(subject, decide(difference, above=-margin_ms, below=margin_ms), figure)
