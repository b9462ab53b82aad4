"""The claim that CPU and memory availability do not change the downtime: cells along one axis are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from report import text
from report.claims.decision import BASELINE, Finding, State, decide, worst
from report.metrics.statistics import CONFIDENCE, Interval, median_interval
from report.scope import pooled
from report.summaries import models_of, moved, of, strategies_of

if TYPE_CHECKING:
    import pandas as pd

    from report.tables import Tables

SAME_SHARE = 0.10  # a smaller change of the downtime is none, and so is one by less than half a millisecond
SAME_MS = 0.5


@dataclass(frozen=True)
class Axis:
    """One resource: its column and name, and those of the other one, which stays at its highest."""

    column: str
    name: str
    other: str
    other_name: str


AXES = (Axis("cpu_pct", "CPU", "mem_pct", "memory"), Axis("mem_pct", "memory", "cpu_pct", "CPU"))


def availability(tables: Tables) -> list[Finding]:
    """At every level of CPU or memory the downtime is within 10 % (or half a millisecond) of that at the highest."""
    runs = moved(tables.downtime)
    found = [
        finding
        for model in models_of(runs)
        for strategy in strategies_of(runs[runs["model"] == model])
        for axis in AXES
        if (finding := _along(of(tables.downtime, model, strategy), f"{model}, {strategy}: {axis.name}", axis))
    ]
    return [*found, *_baseline_left_out(runs, found)] if found else []


def _baseline_left_out(runs: pd.DataFrame, found: list[Finding]) -> list[Finding]:
    """Say where the baseline, of which the paper says it, was not measured at two levels."""
    subjects = {finding.subject for finding in found}
    return [
        Finding(subject, State.NOT_TESTED, "measured at one level alone, though the paper says it of the baseline", "")
        for model in models_of(runs[runs["strategy"] == BASELINE])
        for axis in AXES
        if (subject := f"{model}, {BASELINE}: {axis.name}") not in subjects
    ]


def _along(of_strategy: pd.DataFrame, subject: str, axis: Axis) -> Finding | None:
    """Compare each level of a resource with the highest, the other resource at the highest there is."""
    highest_other = moved(of_strategy)[axis.other].max()
    tried = of_strategy[of_strategy[axis.other] == highest_other]
    runs = moved(tried)
    levels: list[float] = sorted(runs[axis.column].unique(), reverse=True)
    if len(levels) < 2:  # noqa: PLR2004 - two levels make a comparison
        return None
    samples = {level: runs[runs[axis.column] == level]["downtime_ms"].tolist() for level in levels}
    figure = f"{_figure(samples, axis.name)}{_without_number(set(tried[axis.column]) - set(levels))}"
    medians = [f"{text.durations(median_interval(sample))} at {level:g} %" for level, sample in samples.items()]
    where = f"{highest_other:g} % {axis.other_name}; {pooled(runs)}"
    return Finding(subject, _same(samples), figure, where, short=", ".join(medians))


def _without_number(levels: set[float]) -> str:
    return f"; no run is ok at {text.listing([f'{level:g} %' for level in sorted(levels)])}" if levels else ""


def _same(samples: dict[float, list[float]]) -> State:
    """Decide whether all levels' medians are those of the first, all intervals at once in 95 %."""
    confidence = 1 - (1 - CONFIDENCE) / len(samples)
    most, *others = (median_interval(sample, confidence) for sample in samples.values())
    margin_ms = max(SAME_SHARE * most.median, SAME_MS)
    return worst(decide(_difference(other, most), above=-margin_ms, below=margin_ms) for other in others)


def _difference(one: Interval, other: Interval) -> Interval:
    return Interval(
        one.median - other.median,
        one.low - other.high,
        one.high - other.low,
        min(one.n, other.n),
        max(0.0, one.coverage + other.coverage - 1),
    )


def _figure(samples: dict[float, list[float]], name: str) -> str:
    """Name the range over all levels and the highest level's median."""
    medians = {level: median_interval(sample) for level, sample in samples.items()}
    shortest = min(medians, key=lambda level: medians[level].median)
    longest = max(medians, key=lambda level: medians[level].median)
    highest = max(medians)
    levels = text.listing([f"{level:g}" for level in medians])
    counts = sorted({interval.n for interval in medians.values()})
    return (
        f"{text.durations(medians[highest])} with {highest:g} % of the {name}; over {levels} % between "
        f"{text.duration(medians[shortest].median)} (at {shortest:g} %) and "
        f"{text.duration(medians[longest].median)} (at {longest:g} %); "
        f"n = {'–'.join(str(n) for n in (counts[0], counts[-1])[: len(counts)])} a level; "
        f"within {text.percent(SAME_SHARE)} or {SAME_MS:g} ms counts as the same"
    )
