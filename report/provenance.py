"""The columns that say which scenario a row belongs to and where it came from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from report.metrics.conditions import QUANTITIES

if TYPE_CHECKING:
    from report.load import Block, RunLogs

KEYS = ("model", "strategy", "cpu_pct", "mem_pct", "fps", "from_mbps", "to_mbps", "repeat", "status")
# Long tables name a run; what else is to be said of it stands in its row of the table `downtime`.
ORIGIN = ("run", "source", "commit", "config_hash", "protocol_version")
PROVENANCE = (
    "reason",
    "note",
    "run",
    "session",
    "from_point",
    "to_point",
    *(f"achieved_{quantity}" for quantity in QUANTITIES),
    "source",
    "commit",
    "dirty",
    "config_hash",
    "runtime",
    "schema_version",
    "protocol_version",
    "started_utc",
    "choices",
    "host_facts",
)


def keys(block: Block, run: RunLogs) -> dict[str, Any]:
    """Return the scenario of a run; the status is the one after all checks."""
    record = run.record
    return {
        "model": block.record.model,
        "strategy": block.record.strategy,
        "cpu_pct": block.record.cpu_pct,
        "mem_pct": block.record.mem_pct,
        "fps": record.fps,
        "from_mbps": record.from_mbps,
        "to_mbps": record.to_mbps,
        "repeat": record.repeat,
        "status": run.status.value,
    }


def provenance(block: Block, run: RunLogs, note: str | None = None) -> dict[str, Any]:
    """Return where a row came from: code, config, hosts, achieved conditions, raw log folder.

    `choices` and `host_facts` are JSON objects.
    """
    of_block, of_run = block.record, run.record
    achieved = {f"achieved_{quantity}": getattr(of_run.achieved, quantity) for quantity in QUANTITIES}
    return {
        "reason": run.reason,
        "note": note,
        "run": of_run.run,
        "session": of_run.session,
        "from_point": of_run.from_point,
        "to_point": of_run.to_point,
        **achieved,
        "source": block.source,
        "commit": of_block.commit,
        "dirty": of_block.dirty,
        "config_hash": of_block.config_hash,
        "runtime": _text(of_block.choices.get("runtime")),
        "schema_version": of_block.schema_version,
        "protocol_version": of_block.protocol_version,
        "started_utc": of_run.started_utc,
        "choices": _json(of_block.choices),
        "host_facts": _json(of_block.hosts),
    }


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else _json(value)
