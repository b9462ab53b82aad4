"""The columns of every table, in order, and their types: the tidy half of the data contract."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from report.metrics.conditions import QUANTITIES
from report.metrics.downtime import Downtime
from report.metrics.memory import MemoryUse
from report.provenance import KEYS, ORIGIN, PROVENANCE
from workers.records import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

DOWNTIME_COLUMNS = (
    *KEYS,
    *(field.name for field in fields(Downtime)),
    "service_gap_ms",
    "service_gap_is_lower_bound",
    "service_gap_resolution_ms",
    "clock_bound_ms",
    "exit_code",
    "oom_kills",
    *PROVENANCE,
)
FRAMES_COLUMNS = (
    *KEYS,
    *("window", "offered", "answered", "dropped"),
    *("dropped_paused", "dropped_busy", "dropped_late", "dropped_lost", "dropped_failed"),
    *("drop_rate", "drop_rate_low", "drop_rate_high"),
    *PROVENANCE,
)
MEMORY_COLUMNS = (
    *("model", "strategy", "tier", "initial_mb", "additional_mb", "additional_when", "total_mb", "n"),
    *("rest_mb", "rest_low_mb", "rest_high_mb", "peak_mb", "peak_low_mb", "peak_high_mb"),
    *("total_over_initial", "cgroup_initial_mb", "cgroup_total_mb", "initial_from"),
    *("cpu_pct", "mem_pct", "sources", "commit", "config_hash"),
)
MEMORY_RUNS_COLUMNS = (*KEYS, "tier", *(field.name for field in fields(MemoryUse)), *ORIGIN)
CONDITIONS_COLUMNS = (
    *KEYS,
    *("link_mbps_requested", "link_mbps_achieved"),
    *(f"{quantity}_{side}" for quantity in QUANTITIES for side in ("requested", "achieved")),
    *("within_tolerance", "out_of_tolerance", "not_measured"),
    *PROVENANCE,
)
PARTS_COLUMNS = (*KEYS, *("work", "tier", "part", "ms"), *ORIGIN)
BLOCKS_COLUMNS = (
    *("model", "strategy", "cpu_pct", "mem_pct", "status", "reason"),
    *(f"runs_{status.value}" for status in Status),
    *("setup_s", "warmup_s", "observation_s", "teardown_s", "controller_s", "other_s", "duration_s"),
    *("observation_share", "stress", "source", "commit", "config_hash", "started_utc"),
)
CLOCKS_COLUMNS = (
    *KEYS,
    *("host", "before_offset_us", "before_bound_us", "after_offset_us", "after_bound_us", "drift_us", "probed"),
    *ORIGIN,
)
COLUMNS = {
    "downtime": DOWNTIME_COLUMNS,
    "frames": FRAMES_COLUMNS,
    "memory": MEMORY_COLUMNS,
    "conditions": CONDITIONS_COLUMNS,
    "parts": PARTS_COLUMNS,
    "memory_runs": MEMORY_RUNS_COLUMNS,
    "blocks": BLOCKS_COLUMNS,
    "clocks": CLOCKS_COLUMNS,
}
_TEXT = frozenset(
    (
        *("model", "strategy", "status", "window", "tier", "work"),
        *("part", "additional_when", "initial_from", "reason", "note", "source"),
        *("sources", "commit", "config_hash", "runtime", "started_utc", "choices"),
        *("host_facts", "out_of_tolerance", "not_measured", "stress", "host", "probed"),
    )
)
_WHOLE = frozenset(
    (
        *("repeat", "run", "session", "from_point", "to_point", "schema_version"),
        *("protocol_version", "n", "offered", "answered", "dropped", "dropped_paused"),
        *("dropped_busy", "dropped_late", "dropped_lost", "dropped_failed"),
        *("exit_code", "oom_kills"),
        *(f"runs_{status.value}" for status in Status),
    )
)
_FLAGS = frozenset({"dirty", "within_tolerance", "service_gap_is_lower_bound"})


def typed(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return the table with exactly these columns, in order, in nullable types."""
    table = table.reindex(columns=list(columns))
    return table.astype({column: _type_of(column) for column in columns})


def _type_of(column: str) -> str:
    if column in _TEXT:
        return "string"
    if column in _WHOLE:
        return "Int64"
    return "boolean" if column in _FLAGS else "float64"
