"""What a host has left over for pipelines: measured, not assumed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import psutil

if TYPE_CHECKING:
    from workers.cgroup import Cgroup

SPIN_S = 0.2


class Availability(NamedTuple):
    """Percent of one CPU that a busy thread gets, and percent of the memory budget that is free."""

    cpu_pct: float
    mem_pct: float


def measure(budget: Cgroup) -> Availability:
    """Measure for 0.2 s on the CPUs this process is confined to; memory against the budget's cap, if any."""
    return Availability(_cpu_pct(SPIN_S), _mem_pct(budget))


def _cpu_pct(spin_s: float) -> float:
    began, cpu_began = time.monotonic(), time.thread_time()
    while (wall := time.monotonic() - began) < spin_s:
        pass
    return 100.0 * (time.thread_time() - cpu_began) / wall


def _mem_pct(budget: Cgroup) -> float:
    machine = psutil.virtual_memory()
    limit = budget.memory_limit_bytes()
    if limit is None or limit > machine.total:
        return 100.0 * machine.available / machine.total
    return 100.0 * max(0, limit - budget.memory().anon_bytes) / limit
