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
    """B2 needs no more memory than the baseline, each at its largest, up to noise."""
    runs = good(tables.at_reference(tables.memory_runs))
    rows = {(row.model, row.tier, row.strategy): row for row in memory_rows(tables.memory)}
    return [
        _b2_memory(row, rows[model, tier, row.initial_from], condition(of(runs, model, _B2)))
        for (model, tier, strategy), row in rows.items()
        if strategy == _B2
    ]


def infeasible(tables: Tables) -> list[Finding]:
    """No run with 10 % of the memory or less was possible; one that was refutes it."""
    low = tables.downtime[tables.downtime["mem_pct"] <= LOW_MEMORY_PCT]
    return [
        _infeasible(tables, model, strategy, of(low, model, strategy))
        for model in models_of(low)
        for strategy in strategies_of(low[low["model"] == model])
    ]


def _b2_memory(row: MemoryRow, baseline: MemoryRow, where: str) -> Finding:
    """Compare by PSS and by the cgroups' charge; where they contradict each other, nothing is decided."""
    noise, n = noise_mb(row.initial_mb), min(row.n, baseline.n)
    enough = row.initial_from != _B2 and n >= FEWEST  # otherwise there is nothing, or too little, to compare
    state, why = State.UNDECIDED, ""
    if enough and row.total_high_mb <= baseline.total_low_mb + noise:
        state = State.HOLDS
    elif enough and row.total_low_mb > baseline.total_high_mb + noise:
        state = State.DOES_NOT_HOLD
        grows = row.peak_mb - row.rest_mb > noise_mb(row.rest_mb)
        rest = text.megabytes(row.rest_mb)
        why = f"At rest it has {rest} MB; the rest of its peak it takes while the new cut is built." if grows else ""
    if {state, _by_charge(row, baseline)} == {State.HOLDS, State.DOES_NOT_HOLD}:
        state = State.UNDECIDED
        why = "The processes' PSS and what their cgroups are charged with say opposite things."
    ratio = f"{row.total_mb / baseline.total_mb:.2f}{text.TIMES}"
    largest = (
        f"{text.megabytes(row.total_mb)} MB [{text.megabytes(row.total_low_mb)}, {text.megabytes(row.total_high_mb)}]"
    )
    against = (
        f"{text.megabytes(baseline.total_mb)} MB [{text.megabytes(baseline.total_low_mb)}, "
        f"{text.megabytes(baseline.total_high_mb)}] of {row.initial_from}"
    )
    figure = f"at most {largest} against at most {against}: {ratio} (n = {n}){_charged(row, baseline)}"
    short = f"{largest} against {against}, n = {n}"
    return Finding(f"{row.model}, {row.tier}", state, figure, where, why, short)


def _by_charge(row: MemoryRow, baseline: MemoryRow) -> State:
    more_mb = row.cgroup_total_mb - baseline.cgroup_total_mb
    if math.isnan(more_mb):
        return State.UNDECIDED
    return State.DOES_NOT_HOLD if more_mb > noise_mb(row.cgroup_initial_mb) else State.HOLDS


def _charged(row: MemoryRow, baseline: MemoryRow) -> str:
    """Say the same by the cgroups' charge, where it was measured."""
    multiple = row.cgroup_total_mb / baseline.cgroup_total_mb if baseline.cgroup_total_mb else math.nan
    return "" if math.isnan(multiple) else f"; by the cgroups' charge {multiple:.2f}{text.TIMES}"


def _infeasible(tables: Tables, model: str, strategy: str, runs: pd.DataFrame) -> Finding:
    refused, ran = int((runs["status"] == "infeasible").sum()), int((runs["status"] == "ok").sum())
    state = State.DOES_NOT_HOLD if ran else State.HOLDS if refused else State.UNDECIDED
    other = len(runs) - refused - ran
    figure = f"{refused} of {text.plural(len(runs), 'run')} infeasible, {ran} ran"
    killed = int(runs.loc[runs["status"] == "infeasible", "oom_kills"].fillna(0).gt(0).sum())
    rest = f", after which {text.plural(refused - killed, 'other')} had no try" if refused > killed else ""
    evidence = f"; the kernel killed {killed} for want of memory{rest}" if killed else ""
    lost = f"; {other} failed for another reason or cannot be read" if other else ""
    why = room(tables, model, strategy, runs)
    return Finding(f"{model}, {strategy}", state, f"{figure}{evidence}{lost}", condition(runs), why, figure)
