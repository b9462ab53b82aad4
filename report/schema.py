"""The columns of every table, in order, and their types: the tidy half of the data contract."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from report.metrics.conditions import QUANTITIES
from report.metrics.downtime import Downtime
from report.metrics.memory import MemoryUse
from report.metrics.preparation import Preparation
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
    *("detection_ms", "noticed_mbps", "wrong_decisions"),
    *("rearming_ms", "rearming_work"),
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
    *("total_low_mb", "total_high_mb"),
    *("rest_mb", "rest_low_mb", "rest_high_mb", "peak_mb", "peak_low_mb", "peak_high_mb"),
    *("total_over_initial", "cgroup_initial_mb", "cgroup_rest_mb", "cgroup_total_mb", "initial_from"),
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
    *(
        "observation_share",
        "first_launch_edge_ms",
        "first_launch_cloud_ms",
        *(field.name for field in fields(Preparation)),
        "conversion_s",
        "stress",
        "source",
        "commit",
        "config_hash",
        "started_utc",
    ),
)
CLOCKS_COLUMNS = (
    *KEYS,
    *("host", "before_offset_us", "before_bound_us", "after_offset_us", "after_bound_us", "drift_us", "probed"),
    *ORIGIN,
)
TIMELINES_COLUMNS = (
    *KEYS,
    *("kind", "label", "tier", "frame", "point", "start_ms", "end_ms", "clock_bound_ms"),
    *("from_point", "to_point", *ORIGIN),
)
_OF_PROFILE = ("cpu_pct", "mem_pct")
_PROFILE_ORIGIN = ("source", "commit", "config_hash", "protocol_version")
LAYERS_COLUMNS = (
    *("model", "index", "name", "kind", "block", "output_bytes", "params", "flops"),
    *("edge_ms", "edge_low_ms", "edge_high_ms", "edge_n", "cloud_ms", "cloud_low_ms", "cloud_high_ms", "cloud_n"),
    *_OF_PROFILE,
    *_PROFILE_ORIGIN,
)
PARTITION_POINTS_COLUMNS = (
    *("model", "network_mbps", *_OF_PROFILE, "index", "name", "output_bytes"),
    *("edge_ms", "transfer_ms", "cloud_ms", "total_ms"),
    *("measured_edge_ms", "measured_transfer_ms", "measured_cloud_ms", "measured_total_ms"),
    *(
        "measured_total_low_ms",
        "measured_total_high_ms",
        "measured_total_n",
        "queue_ms",
        "clock_bound_ms",
        "achieved_mbps",
    ),
    *("error_pct", "best", "why", "behind_ms", "behind_low_ms", "behind_high_ms", "behind_n", "sustainable_fps"),
    *_PROFILE_ORIGIN,
)
BREAK_POINTS_COLUMNS = ("model", *_OF_PROFILE, "from_mbps", "to_mbps", "index", "name", *_PROFILE_ORIGIN)
MOVES_COLUMNS = (
    *("model", *_OF_PROFILE, "from_mbps", "to_mbps", "from_index", "from_name", "to_index", "to_name", "moves"),
    *("loss_ms", "loss_low_ms", "loss_high_ms", "loss_n", "loss_pct"),
    *_PROFILE_ORIGIN,
)
RATIO_SWEEP_COLUMNS = (
    *("model", *_OF_PROFILE, "slow_mbps", "fast_mbps", "from_factor", "to_factor", "from_ratio", "to_ratio"),
    *("slow_index", "slow_name", "fast_index", "fast_name", "moves"),
    *("slowdown_loss_ms", "slowdown_loss_pct", "speedup_loss_ms", "speedup_loss_pct"),
    *_PROFILE_ORIGIN,
)
PROFILE_PARTS_COLUMNS = (
    *("model", *_OF_PROFILE, "tier", "index", "name"),
    *("measured_ms", "measured_low_ms", "measured_high_ms", "measured_n", "sum_ms", "error_pct"),
    *_PROFILE_ORIGIN,
)
PROFILES_COLUMNS = (
    *("model", *_OF_PROFILE, "status", "reason", "delay_ms", "points", "repetitions", "edge_to_cloud"),
    *("edge_whole_ms", "cloud_whole_ms", "edge_threads", "cloud_threads"),
    *("parts_error_pct", "parts_error_worst_pct", "parts_n"),
    *("prediction_error_pct", "prediction_error_worst_pct", "prediction_n"),
    *("exit_code", "oom_kills", "started_utc", "duration_s", "timing_s"),
    *_PROFILE_ORIGIN,
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
    "timelines": TIMELINES_COLUMNS,
    "layers": LAYERS_COLUMNS,
    "partition_points": PARTITION_POINTS_COLUMNS,
    "break_points": BREAK_POINTS_COLUMNS,
    "moves": MOVES_COLUMNS,
    "ratio_sweep": RATIO_SWEEP_COLUMNS,
    "profile_parts": PROFILE_PARTS_COLUMNS,
    "profiles": PROFILES_COLUMNS,
}
_TEXT = frozenset(
    (
        *("model", "strategy", "status", "window", "tier", "work"),
        *("part", "label", "additional_when", "initial_from", "reason", "note", "source"),
        *("sources", "commit", "config_hash", "runtime", "started_utc", "choices"),
        *("host_facts", "out_of_tolerance", "not_measured", "stress", "host", "probed"),
        *("name", "kind", "block", "why", "from_name", "to_name", "slow_name", "fast_name"),
        *("edge_threads", "cloud_threads", "rearming_work"),
    )
)
_WHOLE = frozenset(
    (
        *("repeat", "run", "session", "from_point", "to_point", "schema_version"),
        *("protocol_version", "n", "offered", "answered", "dropped", "dropped_paused"),
        *("dropped_busy", "dropped_late", "dropped_lost", "dropped_failed"),
        *("exit_code", "oom_kills", "wrong_decisions", "frame", "point"),
        *("index", "output_bytes", "params", "flops", "from_index", "to_index", "slow_index", "fast_index"),
        *("edge_n", "cloud_n", "measured_n", "measured_total_n", "behind_n", "loss_n", "parts_n", "prediction_n"),
        *("points", "repetitions", "pairs_launched", "points_built"),
        *(f"runs_{status.value}" for status in Status),
    )
)
_FLAGS = frozenset({"dirty", "within_tolerance", "service_gap_is_lower_bound", "best", "moves"})


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
