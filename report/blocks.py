"""One block -> its rows in the tables of blocks and of clocks: how it ended, what its time went into, its clocks."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from report import text
from report.provenance import LONGEST
from workers.records import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from report.load import Block
    from workers.records import BlockRecord, ClockOffset

PHASES = ("setup_s", "warmup_s", "observation_s", "teardown_s", "controller_s")
_US = 1e-3  # of a nanosecond


def block_row(block: Block, statuses: Iterable[Status]) -> dict[str, Any]:
    """Return a block's row: runs by status after all checks, and how its wall time splits.

    What no phase accounts for, such as sessions that broke down, is `other_s`.
    """
    record = block.record
    counts = Counter(statuses)
    phases = {phase: getattr(record.phases, phase) for phase in PHASES}
    return _cell(record) | {
        "status": record.status.value,
        "reason": None if record.reason is None else text.cut(record.reason, LONGEST),
        **{f"runs_{status.value}": counts[status] for status in Status},
        **phases,
        "other_s": record.duration_s - sum(phases.values()),
        "duration_s": record.duration_s,
        "observation_share": phases["observation_s"] / record.duration_s if record.duration_s > 0 else None,
        "stress": json.dumps(record.stress, sort_keys=True, separators=(",", ":")),
        "source": block.source,
        "commit": record.commit,
        "config_hash": record.config_hash,
        "started_utc": record.started_utc,
    }


def clock_rows(block: Block) -> list[dict[str, Any]]:
    """Return a row a host: offset against the controller's clock before and after the block, and the drift."""
    record = block.record
    hosts = dict.fromkeys((*record.clock_before, *record.clock_after))
    return [
        _cell(record)
        | {"host": host, "source": block.source}
        | _offset("before", before := record.clock_before.get(host))
        | _offset("after", after := record.clock_after.get(host))
        | {"drift_us": (after.offset_ns - before.offset_ns) * _US if before and after else None}
        for host in hosts
    ]


def _offset(side: str, found: ClockOffset | None) -> dict[str, float]:
    if found is None:
        return {}
    return {f"{side}_offset_us": found.offset_ns * _US, f"{side}_bound_us": found.bound_ns * _US}


def _cell(record: BlockRecord) -> dict[str, Any]:
    return {
        "model": record.model,
        "strategy": record.strategy,
        "cpu_pct": record.cpu_pct,
        "mem_pct": record.mem_pct,
    }
