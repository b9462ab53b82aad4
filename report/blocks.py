"""One block -> its row in the table of blocks: how it ended, and what its wall time went into."""

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

PHASES = ("setup_s", "warmup_s", "observation_s", "teardown_s", "controller_s")


def block_row(block: Block, statuses: Iterable[Status]) -> dict[str, Any]:
    """Return a block's row: runs by status after all checks, and how its wall time splits.

    What no phase accounts for, such as sessions that broke down, is `other_s`.
    """
    record = block.record
    counts = Counter(statuses)
    phases = {phase: getattr(record.phases, phase) for phase in PHASES}
    return {
        "model": record.model,
        "strategy": record.strategy,
        "cpu_pct": record.cpu_pct,
        "mem_pct": record.mem_pct,
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
