"""Which nights may be compared: those on hosts of one class, by one config and protocol."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from report.watch.records import Night, Series
    from workers.records import BlockRecord

_HARDWARE = ("cpu_model", "cpus", "machine", "governor")
_UPDATED = ("kernel", "distribution", "python")
_CHOICES = ("edge_runtime", "cloud_runtime", "edge_cgroup", "cloud_cgroup", "delay")
_GB_IN_MB = 1000


def class_facts(record: BlockRecord) -> dict[str, str]:
    """Return the facts that make a class of hosts: no update of software changes them."""
    facts = {
        f"{role} {name}": str(found[name])
        for role, found in sorted(record.hosts.items())
        for name in _HARDWARE
        if found.get(name) is not None
    }
    memory = {
        f"{role} memory": f"{round(found['memory_mb'] / _GB_IN_MB)} GB"
        for role, found in sorted(record.hosts.items())
        if isinstance(found.get("memory_mb"), int | float)
    }
    # "podman 4.3.1": the engine makes the class, its version does not
    choices = {name: _engine(record.choices[name]) for name in _CHOICES if name in record.choices}
    return facts | memory | choices


def environment(record: BlockRecord) -> dict[str, str]:
    """Return what an update may change: it is said beside a number that changed with it."""
    found: dict[str, str] = {}
    for role, facts in sorted(record.hosts.items()):
        packages = facts.get("packages")
        versions = packages if isinstance(packages, dict) else {}
        of_role = {name: facts.get(name) for name in _UPDATED} | {"tensorflow": versions.get("tensorflow")}
        found |= {f"{role} {name}": str(value) for name, value in of_role.items() if value is not None}
    return found | {name: str(record.choices[name]) for name in _CHOICES[:2] if name in record.choices}


def host_class(facts: Mapping[str, str]) -> str:
    """Return a short name of a class of hosts: the same facts give the same."""
    return _digest(dict(facts))


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Name the facts that differ, roles with the same difference together."""
    found: dict[str, list[str]] = {}
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, "none"), after.get(name, "none")
        if old != new:
            role, _, fact = name.rpartition(" ")
            found.setdefault(f"{fact} {old} → {new}".strip(), []).append(role)
    return [f"{', '.join(filter(None, roles))} {change}".strip() for change, roles in found.items()]


class Likeness:
    """Tells which class each series of a night belongs to."""

    def __init__(self, night: Night) -> None:
        self._blocks = night.blocks
        self._common = f"{host_class(night.hosts)} {night.protocol}"
        self._known: dict[str, str] = {}

    def of(self, series: Series) -> str:
        """Return the class: two nights' numbers of a series may be compared where it is the same."""
        if series.of not in self._known:
            blocks = series.blocks(self._blocks) or list(self._blocks)
            self._known[series.of] = f"{self._common} {_digest({block: self._blocks[block] for block in blocks})}"
        return self._known[series.of]


def _engine(choice: Any) -> str:
    return str(choice).split(" ")[0] if str(choice).split(" ")[0] in {"podman", "docker"} else str(choice)


def _digest(facts: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]
