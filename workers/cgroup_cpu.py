"""Processor time of a cgroup: how much it has used, and how much it is favoured over its siblings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.cgroup_layout import parse_keyed
from workers.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from workers.cgroup import Cgroup

_MOST_SHARES = {"v1": ("cpu.shares", "262144"), "v2": ("cpu.weight", "10000")}


def usage_ns(group: Cgroup) -> int:
    """Return the processor time that a cgroup and all below it have used so far, those that have gone included.

    Raises:
        WorkerError: the kernel does not account for it.
    """
    if group.layout.version == "v2":
        return _usage_v2(group.directory("cpu"))
    return int((group.directory("cpuacct") / "cpuacct.usage").read_text())


def machine_usage_ns(group: Cgroup, cpus: Sequence[int]) -> int | None:
    """Return the processor time used on `cpus` by whatever runs on this machine; None where no kernel file says so.

    cgroup v1 counts each CPU exactly. v2 has no such count by CPU, and the ticks of ``/proc/stat`` are off by
    several points where a stressor's duty cycle beats with them.
    """
    root = group.layout.controllers.get("cpuacct")
    if group.layout.version == "v2" or root is None:
        return None
    by_cpu = [int(used) for used in (root / "cpuacct.usage_percpu").read_text().split()]
    return sum(by_cpu[cpu] for cpu in cpus)


def favour(group: Cgroup) -> None:
    """Let a cgroup go first: siblings get what it leaves.

    Between cgroups the scheduler shares by their weights; `nice` counts only inside one.

    Raises:
        WorkerError: the kernel gives this cgroup no weight.
    """
    name, value = _MOST_SHARES[group.layout.version]
    file = group.directory("cpu") / name
    if not file.exists():
        raise WorkerError(f"cgroup {group.path} has no {name}: its controller 'cpu' is not free for it on this machine")
    file.write_text(value)


def _usage_v2(place: Path) -> int:
    usage_us = parse_keyed((place / "cpu.stat").read_text()).get("usage_usec")
    if usage_us is None:
        raise WorkerError(f"{place}/cpu.stat has no usage_usec: this kernel does not account for CPU time")
    return 1000 * usage_us
