"""Which run of each strategy the report draws, and that run's rows in the table `timelines`.

Of each model and strategy one run is shown, chosen by a rule and not by eye: at the reference condition, of the ok
runs in which the link got slower (the largest drop there is; faster, where none got slower) at the highest frame rate,
the one whose downtime is nearest to their median; of equals the first that was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from report.load import read_runs
from report.metrics.clocks import probes_of, shift_between
from report.metrics.downtime import IncompleteRunError, timeline
from report.metrics.marks import frame_marks, step_marks
from report.metrics.statistics import median_interval
from report.provenance import keys, provenance
from report.summaries import directions_of, models_of, moved, of, of_direction, strategies_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from report.load import Block, Results, RunLogs

_MS = 1e-6  # of a nanosecond


@dataclass(frozen=True)
class Chosen:
    """A run by the folder of its block and its number there."""

    source: str
    run: int


def chosen_runs(downtime: pd.DataFrame) -> list[Chosen]:
    """Choose the run to show of every model and strategy.

    Args:
        downtime: rows of the table `downtime` at the reference condition.
    """
    runs = moved(downtime)
    return [
        _typical(of(runs, model, strategy))
        for model in models_of(runs)
        for strategy in strategies_of(runs[runs["model"] == model])
    ]


def timeline_rows(results: Results, chosen: Iterable[Chosen]) -> list[dict[str, Any]]:
    """Return the rows of the chosen runs, read from their raw logs."""
    wanted: dict[str, set[int]] = {}
    for one in chosen:
        wanted.setdefault(one.source, set()).add(one.run)
    return [
        row
        for block in results.blocks
        if block.source in wanted
        for logs in read_runs(block)
        if logs.record.run in wanted[block.source]
        for row in _rows(block, logs)
    ]


def _typical(runs: pd.DataFrame) -> Chosen:
    drop, *_ = directions_of(runs)
    candidates = of_direction(runs, drop)
    candidates = candidates[candidates["fps"] == candidates["fps"].max()]
    apart = (candidates["downtime_ms"] - median_interval(candidates["downtime_ms"]).median).abs()
    nearest = candidates[apart == apart.min()].sort_values(["source", "run"]).iloc[0]
    return Chosen(str(nearest["source"]), int(nearest["run"]))


def _rows(block: Block, logs: RunLogs) -> list[dict[str, Any]]:
    record = logs.record
    try:
        steps = timeline(record, logs.edge_events)
    except IncompleteRunError:  # the logs were changed since the run was chosen
        return []
    to_edge = shift_between(probes_of(block.record, record), "device", "edge")
    marks = (
        *step_marks(steps, logs.edge_events),
        *frame_marks(logs.device_frames, logs.edge_frames, record.deadline_ms, steps.learned_ns, to_edge),
    )
    common = keys(block, logs) | provenance(block, logs)
    if to_edge is not None:
        common["clock_bound_ms"] = to_edge.bound_ns * _MS
    return [common | vars(mark) for mark in marks]
