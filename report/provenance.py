"""The columns that say which scenario a row belongs to and where it came from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from report import text
from report.metrics.conditions import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from report.load import Block, RunLogs
    from workers.records import BlockRecord

KEYS = ("model", "strategy", "cpu_pct", "mem_pct", "fps", "from_mbps", "to_mbps", "repeat", "status")
# Long tables name a run; what else is to be said of it stands in its row of the table `downtime`.
ORIGIN = ("run", "source", "commit", "config_hash", "protocol_version")
LONGEST = 10_000  # characters of a reason in a table
HOST_FACTS = ("cpu_model", "cpus", "kernel", "governor", "clock_source", "memory_limit_mb")
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


def machines(hosts: Mapping[str, Mapping[str, Any]]) -> str:
    """Say which hosts of a block are one machine, by the kernel's boot; what was not found out is not said."""
    by_boot: dict[str, list[str]] = {}
    for role, facts in hosts.items():
        by_boot.setdefault(str(facts.get("boot_id") or ""), []).append(role)
    if not by_boot or "" in by_boot:
        return ""
    if len(by_boot) == len(hosts):
        return f"{text.listing(list(hosts))} are machines of their own"
    return "; ".join(f"{text.listing(roles)} are one machine" for roles in by_boot.values() if len(roles) > 1)


def runtime_of(record: BlockRecord) -> str | None:
    """Return the container runtime that was in use; both where edge and cloud differ."""
    named = (record.choices.get(f"{tier}_runtime") for tier in ("edge", "cloud"))
    return " / ".join(dict.fromkeys(str(runtime) for runtime in named if runtime)) or None


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

    `choices` and `host_facts` are JSON objects; all that is known of the hosts stands in ``run.json``.
    """
    of_block, of_run = block.record, run.record
    achieved = {f"achieved_{quantity}": getattr(of_run.achieved, quantity) for quantity in QUANTITIES}
    return {
        "reason": _kept(run.reason),
        "note": _kept(note),
        "run": of_run.run,
        "session": of_run.session,
        "from_point": of_run.from_point,
        "to_point": of_run.to_point,
        **achieved,
        "source": block.source,
        "commit": of_block.commit,
        "dirty": of_block.dirty,
        "config_hash": of_block.config_hash,
        "runtime": runtime_of(of_block),
        "schema_version": of_block.schema_version,
        "protocol_version": of_block.protocol_version,
        "started_utc": of_run.started_utc,
        "choices": _json(of_block.choices),
        "host_facts": _json({role: _brief(facts) for role, facts in of_block.hosts.items()}),
    }


def _kept(sentence: str | None) -> str | None:
    return None if sentence is None else text.cut(sentence, LONGEST)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def _brief(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts that bear on timings, and the version of TensorFlow."""
    brief = {name: facts[name] for name in HOST_FACTS if name in facts}
    packages = facts.get("packages")
    return brief | {"tensorflow": packages.get("tensorflow")} if isinstance(packages, dict) else brief
