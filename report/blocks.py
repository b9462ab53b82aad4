"""One block -> its row in the table of blocks: how it ended, and what its wall time went into."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from report import text
from report.load import TIERS
from report.metrics.preparation import preparation
from report.provenance import LONGEST
from workers.records import EventKind, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from report.load import Block
    from workers.records import Event

PHASES = ("setup_s", "warmup_s", "observation_s", "teardown_s", "controller_s")


def block_row(block: Block, statuses: Iterable[Status], setup: Iterable[Event]) -> dict[str, Any]:
    """Return a block's row: runs by status after all checks, how its wall time splits, and what was made before them.

    What no phase accounts for, such as sessions that broke down, is `other_s`. `setup` are the edge's events before the
    first run.
    """
    record = block.record
    counts = Counter(statuses)
    setup = tuple(setup)
    prepared = preparation(setup)
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
        **_first_launch(setup),
        **(asdict(prepared) if prepared else {}),
        "conversion_s": conversion_s(block),
        "stress": json.dumps(record.stress, sort_keys=True, separators=(",", ":")),
        "source": block.source,
        "commit": record.commit,
        "config_hash": record.config_hash,
        "started_utc": record.started_utc,
    }


def conversion_s(block: Block) -> float | None:
    """Return what making a block's stored model took (s), where that was noted."""
    took = block.record.model_facts.get("conversion_s")
    return float(took) if isinstance(took, int | float) else None


def _first_launch(setup: Iterable[Event]) -> dict[str, float]:
    """Return what Python's start and TensorFlow's import took in the block's first container on each tier (ms).

    Every block begins with them, whatever its model and strategy: they tell how fast the machine was.
    """
    launches = (event.detail for event in setup if event.kind is EventKind.WORK_DONE)
    first = next((detail for detail in launches if detail.get("work") == "launch"), {})
    found: dict[str, float] = {}
    for tier in TIERS:
        parts = (first.get(f"{tier}_start_ms"), first.get(f"{tier}_import_ms"))
        known = [float(part) for part in parts if isinstance(part, int | float)]
        if len(known) == len(parts):
            found[f"first_launch_{tier}_ms"] = sum(known)
    return found
