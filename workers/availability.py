"""What a host has left over for pipelines: measured, not assumed.

Two measurements that do not know of each other. Before the first container starts a *probe* spins on the host's
CPUs in a cgroup like a container's: what it gets is what a busy pipeline would get. In every run a *gauge* reads
the kernel's accounts: what was used on the host's CPUs by others than the pipelines.

Command line: ``python -m workers.availability --seconds 0.5 CPU [CPU …]`` is the probe.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from workers import cgroup_cpu
from workers.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workers.cgroup import Cgroup

PROBE_S = 0.5
PROBE_TIMEOUT_S = 30.0


class Availability(NamedTuple):
    """Percent of the host's CPU time and of its memory that others than the pipelines leave over."""

    cpu_pct: float
    mem_pct: float


class Accounts(NamedTuple):
    """The kernel's accounts at one moment: wall clock and CPU time so far (ns), by whom.

    `machine_ns` is None where the kernel does not count what others use on these CPUs.
    """

    at_ns: int
    budget_ns: int
    stress_ns: int
    machine_ns: int | None


class Gauge:
    """Reads what the pipelines of a host could have had, from one reading to the next.

    Args:
        budget: the cgroup that holds the host's containers and its stressor.
        stress: the stressor's cgroup; it need not exist.
        cpus: those that the budget is confined to.
    """

    def __init__(self, budget: Cgroup, stress: Cgroup, cpus: Sequence[int]) -> None:
        self._budget = budget
        self._stress = stress
        self._cpus = tuple(cpus)
        self._agent_is_inside = os.getpid() in budget.pids()
        self._last = self._accounts()

    def read(self, pipelines_bytes: int) -> Availability:
        """Return what was left since the last reading (CPU) and is left now (memory).

        Args:
            pipelines_bytes: anonymous memory of the pipelines themselves, which counts as available to them.
        """
        before, self._last = self._last, self._accounts()
        return Availability(cpu_left_pct(before, self._last, len(self._cpus)), self._mem_pct(pipelines_bytes))

    def _accounts(self) -> Accounts:
        budget_ns = cgroup_cpu.usage_ns(self._budget)
        if not self._agent_is_inside:
            budget_ns += time.process_time_ns()  # the router is part of the service
        stress_ns = cgroup_cpu.usage_ns(self._stress) if self._stress.exists() else 0
        machine_ns = cgroup_cpu.machine_usage_ns(self._budget, self._cpus)
        return Accounts(time.monotonic_ns(), budget_ns, stress_ns, machine_ns)

    def _mem_pct(self, pipelines_bytes: int) -> float:
        limit = memory_bytes(self._budget)
        machine = psutil.virtual_memory()
        if limit >= machine.total:
            return min(100.0, 100.0 * (machine.available + pipelines_bytes) / machine.total)
        others = self._budget.memory().anon_bytes - pipelines_bytes
        return 100.0 * max(0, limit - others) / limit


def cpu_left_pct(before: Accounts, after: Accounts, cpus: int) -> float:
    """Return the share of `cpus` that others than the pipelines did not use between two readings (percent)."""
    used_ns = after.stress_ns - before.stress_ns
    if before.machine_ns is not None and after.machine_ns is not None:
        own_ns = after.budget_ns - before.budget_ns - used_ns
        used_ns = max(used_ns, after.machine_ns - before.machine_ns - own_ns)
    whole_ns = cpus * max(1, after.at_ns - before.at_ns)
    return 100.0 * max(0.0, 1.0 - used_ns / whole_ns)


def memory_bytes(budget: Cgroup) -> int:
    """Return how much memory the host's pipelines and stressor share: the budget's cap or the machine's memory."""
    total: int = psutil.virtual_memory().total
    limit = budget.memory_limit_bytes()
    return total if limit is None else min(limit, total)


def probe(place: Cgroup, cpus: Sequence[int], seconds: float = PROBE_S) -> float:
    """Return the percent of each of `cpus` that a busy process in `place`, made and removed here, gets.

    Raises:
        WorkerError: the probe could not run.
    """
    place.create()
    program = [sys.executable, "-m", "workers.availability", "--seconds", str(seconds), *map(str, cpus)]
    try:
        done = subprocess.run(
            place.entered_by(program),
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
            check=False,
            cwd=Path(__file__).parents[1],
        )
    except subprocess.TimeoutExpired:
        raise WorkerError(
            f"the host's CPUs {list(cpus)} gave a probe of {seconds:g} s no end in {PROBE_TIMEOUT_S:g} s; "
            "something else keeps them busy. Look at them with: top -1"
        ) from None
    finally:
        place.remove()
    if done.returncode:
        raise WorkerError(f"the probe of the host's CPUs ended with status {done.returncode}: {done.stderr.strip()}")
    return float(done.stdout)


def spin(cpus: Sequence[int], seconds: float) -> float:
    """Spin on all of `cpus` at once, a process each; return the mean percent of a CPU that they got."""
    ends = [_in_child(partial(_spin_on, cpu, seconds)) for cpu in cpus]
    shares = [float(os.read(end, 64)) for end in ends]
    for end in ends:
        os.close(end)
        os.wait()
    return sum(shares) / len(shares)


def _spin_on(cpu: int, seconds: float) -> float:
    os.sched_setaffinity(0, {cpu})
    began, cpu_began = time.monotonic(), time.process_time()
    while (wall := time.monotonic() - began) < seconds:
        pass
    return 100.0 * (time.process_time() - cpu_began) / wall


def _in_child(work: Callable[[], float]) -> int:
    """Return the reading end of a pipe that will hold the result of `work`, done in a child process."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, f"{work():.3f}".encode())
        os._exit(0)
    os.close(writing)
    return reading


def main(argv: Sequence[str] | None = None) -> int:
    """Print the mean percent of a CPU that busy processes get."""
    parser = argparse.ArgumentParser(prog="python -m workers.availability", description=main.__doc__)
    parser.add_argument("--seconds", type=float, default=PROBE_S)
    parser.add_argument("cpus", type=int, nargs="+", metavar="CPU")
    arguments = parser.parse_args(argv)
    print(spin(arguments.cpus, arguments.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
