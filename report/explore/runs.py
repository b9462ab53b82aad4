"""What the page knows of every run, and what it shows when one is opened; a row a run, in the order of `downtime`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from report import text
from report.metrics.conditions import QUANTITIES
from report.summaries import COMPONENTS

if TYPE_CHECKING:
    from report.tables import Tables

WITHIN, OUTSIDE, NOT_MEASURED = "within tolerance", "out of tolerance", "not all measured"
WINDOWS = ("before", "downtime", "whole")
COUNTS = (
    *("offered", "answered"),
    *(f"dropped_{reason}" for reason in ("paused", "busy", "late", "lost", "failed")),
)
_AXES = ("model", "strategy", "cpu_pct", "mem_pct", "fps", "from_mbps", "to_mbps", "repeat", "run", "status", "source")
_TIMES = ("downtime_ms", "outage_ms", "service_gap_ms", "service_gap_is_lower_bound")
_MORE = ("degraded_ms", *COMPONENTS, "clock_bound_ms")
_EVIDENCE = ("from_point", "to_point", "exit_code", "oom_kills", "detection_ms", "wrong_decisions", "started_utc")
_ONE_RUN = ["source", "run"]
_LONGEST = 300  # characters of a reason or note; the table has all


def rows_of_runs(tables: Tables) -> pd.DataFrame:
    """Return what can be sorted, searched and filtered: axes, status, times, drops during the downtime, flags."""
    runs = tables.downtime
    during, conditions = _window(tables, "downtime"), _of_runs(tables.conditions, runs)
    found = runs[[*_AXES, *_TIMES]].reset_index(drop=True)
    return found.assign(
        flag=_flags(conditions),
        out_of_tolerance=conditions["out_of_tolerance"],
        offered=during["offered"],
        dropped=during["dropped"],
        reason=_cut(runs["reason"]),
        note=_cut(runs["note"]),
    )


def details_of_runs(tables: Tables) -> pd.DataFrame:
    """Return what else is shown of a run that is opened: conditions, frames by window and reason, evidence."""
    runs = tables.downtime
    conditions = _of_runs(tables.conditions, runs)
    asked = [f"{quantity}_{side}" for quantity in QUANTITIES for side in ("requested", "achieved")]
    frames = {
        f"{window}_{count}": counts[count]
        for window in WINDOWS
        for counts in [_window(tables, window)]
        for count in COUNTS
    }
    return pd.concat(
        [
            conditions[[*asked, "not_measured"]],
            pd.DataFrame(frames),
            runs[[*_MORE, *_EVIDENCE]].reset_index(drop=True),
        ],
        axis=1,
    )


def parts_of_runs(tables: Tables) -> tuple[list[list[list[str]]], pd.Series[Any], pd.Series[Any]]:
    """Return the parts of the work of each run.

    Returns:
        The distinct lists of (work, tier, part); for each run the place of its list there, or -1; and its durations in
        that order (ms).
    """
    parts, runs = tables.parts, tables.downtime
    names = list(zip(parts["work"].tolist(), parts["tier"].tolist(), parts["part"].tolist(), strict=True))
    gathered: dict[tuple[str, int], tuple[list[tuple[str, str, str]], list[float]]] = {}
    for source, run, name, ms in zip(
        parts["source"].tolist(), parts["run"].tolist(), names, parts["ms"].tolist(), strict=True
    ):
        labels, durations = gathered.setdefault((source, run), ([], []))
        labels.append(name)
        durations.append(ms)
    shapes: dict[tuple[tuple[str, str, str], ...], int] = {}
    places, values = [], []
    for key in zip(runs["source"].tolist(), runs["run"].tolist(), strict=True):
        labels, durations = gathered.get(key, ([], []))
        places.append(shapes.setdefault(tuple(labels), len(shapes)) if labels else -1)
        values.append(durations)
    return [[list(name) for name in shape] for shape in shapes], pd.Series(places), pd.Series(values, dtype=object)


def _window(tables: Tables, window: str) -> pd.DataFrame:
    return _of_runs(tables.frames[tables.frames["window"] == window], tables.downtime)


def _of_runs(table: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return a table's row of each run; of a run that stands twice in its block the first one."""
    once = table.drop_duplicates(_ONE_RUN).set_index(_ONE_RUN)
    return once.reindex(pd.MultiIndex.from_frame(runs[_ONE_RUN])).reset_index(drop=True)


def _flags(conditions: pd.DataFrame) -> pd.Series[str]:
    outside, unknown = conditions["out_of_tolerance"].notna(), conditions["not_measured"].notna()
    pairs = zip(outside.tolist(), unknown.tolist(), strict=True)
    return pd.Series([OUTSIDE if out else NOT_MEASURED if lacks else WITHIN for out, lacks in pairs], dtype="string")


def _cut(reasons: pd.Series[Any]) -> pd.Series[Any]:
    return (
        reasons.reset_index(drop=True).map(lambda said: text.cut(said, _LONGEST), na_action="ignore").astype("string")
    )
