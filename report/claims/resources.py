"""Claims about memory: what Scenario B Case 2 needs, and what a host with little of it can run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from report import text
from report.claims.decision import Finding, State
from report.claims.reasons import room
from report.metrics.memory import noise_mb
from report.metrics.statistics import FEWEST
from report.scope import condition
from report.summaries import MemoryRow, good, memory_rows, models_of, of, strategies_of

if TYPE_CHECKING:
    import pandas as pd

    from report.tables import Tables

LOW_MEMORY_PCT = 10.0
_B2 = "switch-b2"


def b2_memory(tables: Tables) -> list[Finding]:
    """B2's peak is the baseline's memory at rest, up to noise."""
    runs = good(tables.at_reference(tables.memory_runs))
    return [
        _b2_memory(row, condition(of(runs, row.model, _B2)))
        for row in memory_rows(tables.memory)
        if row.strategy == _B2
    ]


def infeasible(tables: Tables) -> list[Finding]:
    """No run with 10 % of the memory or less was possible; one that was refutes it."""
    low = tables.downtime[tables.downtime["mem_pct"] <= LOW_MEMORY_PCT]
    return [
        _infeasible(tables, model, strategy, of(low, model, strategy))
        for model in models_of(low)
        for strategy in strategies_of(low[low["model"] == model])
    ]


def _b2_memory(row: MemoryRow, where: str) -> Finding:
    limit_mb = row.initial_mb + noise_mb(row.initial_mb)
    state = State.UNDECIDED
    if row.initial_from != _B2 and row.n >= FEWEST:  # otherwise there is nothing, or too little, to compare
        if row.peak_high_mb <= limit_mb:
            state = State.HOLDS
        elif row.peak_low_mb > limit_mb:
            state = State.DOES_NOT_HOLD
    peak = f"{text.megabytes(row.total_mb)} MB [{text.megabytes(row.peak_low_mb)}, {text.megabytes(row.peak_high_mb)}]"
    figure = (
        f"{peak} at its peak against {text.megabytes(row.initial_mb)} MB of "
        f"{row.initial_from} at rest: {row.total_over_initial:.2f}{text.TIMES} (n = {row.n}){_charged(row)}"
    )
    short = f"{row.total_over_initial:.2f}{text.TIMES} ({peak}), n = {row.n}"
    why = (
        f"At rest it has {text.megabytes(row.rest_mb)} MB; the rest of its peak it takes while the new cut is built."
        if state is State.DOES_NOT_HOLD and row.peak_mb - row.rest_mb > noise_mb(row.rest_mb)
        else ""
    )
    return Finding(f"{row.model}, {row.tier}", state, figure, where, why, short)


def _charged(row: MemoryRow) -> str:
    """Say the same by the cgroups' charge, where it was measured."""
    multiple = row.cgroup_total_mb / row.cgroup_initial_mb if row.cgroup_initial_mb else math.nan
    return "" if math.isnan(multiple) else f"; by the cgroups' charge {multiple:.2f}{text.TIMES}"


def _infeasible(tables: Tables, model: str, strategy: str, runs: pd.DataFrame) -> Finding:
    refused, ran = int((runs["status"] == "infeasible").sum()), int((runs["status"] == "ok").sum())
    state = State.DOES_NOT_HOLD if ran else State.HOLDS if refused else State.UNDECIDED
    other = len(runs) - refused - ran
    figure = f"{refused} of {text.plural(len(runs), 'run')} infeasible, {ran} ran"
    killed = int(runs.loc[runs["status"] == "infeasible", "oom_kills"].fillna(0).gt(0).sum())
    evidence = f"; the kernel killed for want of memory in {killed}" if killed else ""
    lost = f"; {other} failed for another reason or cannot be read" if other else ""
    why = room(tables, model, strategy, runs)
    return Finding(f"{model}, {strategy}", state, f"{figure}{evidence}{lost}", condition(runs), why, figure)
