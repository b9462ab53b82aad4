"""Takes CPU and memory away from a host, with stress-ng, so that a wanted share is left for the pipelines.

The stressor lives in a cgroup of its own beside the containers: CPU goes to it first, and its memory counts
against the budget that they share. When the budget runs out it is a pipeline that dies, not the stressor.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from workers import cgroup_cpu
from workers.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.cgroup import Cgroup
    from workers.guard import Guard

PROGRAM = "stress-ng"
ALL_PCT = 100.0
CPU_SLICE_MS = 10  # much shorter than an inference, so that each meets the same mixture
STALL_S = 15.0  # without getting any more memory: there is none to be had
WRITTEN_TIMEOUT_S = 60.0
HELD_SHARE = 0.98  # of the wanted bytes: stress-ng rounds
POLL_S = 0.02
IDLE_SHARE = 0.1
TAKE_HOLD_TIMEOUT_S = 5.0
_MIB = 1024 * 1024


class Level(NamedTuple):
    """What is to be left over: percent of the host's CPU time and of its memory."""

    cpu_pct: float
    mem_pct: float

    @property
    def stresses(self) -> bool:
        """Say whether anything is to be taken away."""
        return self.cpu_pct < ALL_PCT or self.mem_pct < ALL_PCT


class Stressor:
    """stress-ng on one host. `start` returns once it holds what it was to take.

    Args:
        guard: undoes the stress when this process can no longer do it.
        group: the cgroup it gets, below the host's budget.
        folder: for what stress-ng writes.
    """

    def __init__(self, guard: Guard, group: Cgroup, folder: Path) -> None:
        self.group = group
        self._guard = guard
        self._log = folder / "stress-ng.log"
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, level: Level, cpus: int, memory_bytes: int) -> float:
        """Take what `level` does not leave of `cpus` and `memory_bytes`; return how long that took (s).

        Raises:
            WorkerError: stress-ng is missing, ended, or did not get what it was to take.
        """
        began = time.monotonic()
        if shutil.which(PROGRAM) is None:
            raise WorkerError(f"{PROGRAM} not found; install it: apt-get install {PROGRAM}")
        self._guard.add("stress", [sys.executable, "-m", "workers.cgroup", "remove", self.group.path])
        self.group.create()
        cgroup_cpu.favour(self.group)
        if level.mem_pct < ALL_PCT:
            self._hold_memory(
                memory_options(level.mem_pct, cpus, memory_bytes), taken_bytes(level.mem_pct, memory_bytes)
            )
        if level.cpu_pct < ALL_PCT:
            self._burn(cpu_options(level.cpu_pct, cpus))
        return time.monotonic() - began

    def stop(self) -> float:
        """Release everything; return how long that took (s). Idempotent."""
        began = time.monotonic()
        self.group.remove()
        for process in self._processes:
            process.wait()
        self._processes = []
        self._guard.withdraw("stress")
        return time.monotonic() - began

    def check(self) -> None:
        """See that the stressor still stresses.

        Raises:
            WorkerError: it ended; what is measured without it would bear the wrong name.
        """
        for process in self._processes:
            if process.poll() is not None:
                raise WorkerError(f"{PROGRAM} ended with status {process.returncode}: {self._last_words()}")

    def _run(self, options: Sequence[str]) -> None:
        argv = [PROGRAM, "--quiet", "--temp-path", str(self._folder), *options]
        with self._log.open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    self.group.entered_by(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder
                )
            )

    def _hold_memory(self, options: Sequence[str], wanted_bytes: int) -> None:
        """Take memory and wait until it is held and nothing is written to it any more."""
        self._run(options)
        most, progress_s = 0, time.monotonic()
        while (held := self.group.memory().anon_bytes) < HELD_SHARE * wanted_bytes:
            if held > most:
                most, progress_s = held, time.monotonic()
            self._wait_on(progress_s + STALL_S, f"holds {held // _MIB} MB of {wanted_bytes // _MIB} and gets no more")
        filled_s = time.monotonic()
        while self._cpu_share() > IDLE_SHARE:
            self._wait_on(filled_s + WRITTEN_TIMEOUT_S, "does not stop writing to its memory")
        self._spare_from_oom()

    def _burn(self, options: Sequence[str]) -> None:
        self._run(options)
        deadline = time.monotonic() + TAKE_HOLD_TIMEOUT_S
        while self._cpu_share() < IDLE_SHARE:
            self.check()
            if time.monotonic() > deadline:
                raise WorkerError(f"{PROGRAM} took no CPU time within {TAKE_HOLD_TIMEOUT_S:g} s: {self._last_words()}")

    def _wait_on(self, deadline_s: float, what: str) -> None:
        self.check()
        if time.monotonic() > deadline_s:
            raise WorkerError(
                f"{PROGRAM} {what}; is there more load on this host, or more memory_mb in the inventory than it has? "
                "Mend that, or raise mem_pct"
            )
        time.sleep(POLL_S)

    def _cpu_share(self) -> float:
        """Return how much of a CPU it uses, over one polling period."""
        used_ns, began_ns = cgroup_cpu.usage_ns(self.group), time.monotonic_ns()
        time.sleep(POLL_S)
        return (cgroup_cpu.usage_ns(self.group) - used_ns) / (time.monotonic_ns() - began_ns)

    def _spare_from_oom(self) -> None:
        """Let the kernel kill pipelines first: stress-ng offers its own workers to it before all others."""
        for pid in self.group.pids():
            with suppress(OSError):  # it ended meanwhile, which `check` tells
                Path(f"/proc/{pid}/oom_score_adj").write_text("0")

    def _last_words(self) -> str:
        text = re.sub(r"\s+", " ", self._log.read_text(errors="replace")).strip() if self._log.exists() else ""
        return text[-500:] or "it printed nothing"


def taken_bytes(mem_pct: float, memory_bytes: int) -> int:
    """Return how much memory to take so that `mem_pct` of `memory_bytes` is left."""
    return int(memory_bytes * (ALL_PCT - mem_pct) / ALL_PCT)


def memory_options(mem_pct: float, cpus: int, memory_bytes: int) -> list[str]:
    """Return the options that make stress-ng take memory once and hold it, at no cost of CPU time."""
    return [
        *("--vm", str(cpus), "--vm-bytes", str(taken_bytes(mem_pct, memory_bytes))),
        # Of its methods the quickest by far: filled in one go and written once, 0.5 s a GiB; then it only holds.
        *("--vm-populate", "--vm-method", "write64", "--vm-keep", "--vm-hang", "0"),
    ]


def cpu_options(cpu_pct: float, cpus: int) -> list[str]:
    """Return the options that make stress-ng burn what `cpu_pct` does not leave of each CPU."""
    load = max(1, round(ALL_PCT - cpu_pct))
    return ["--cpu", str(cpus), "--cpu-load", str(load), "--cpu-load-slice", str(CPU_SLICE_MS)]


def version() -> str:
    """Return the stressor's name and version, "not installed" where it is missing."""
    try:
        done = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except FileNotFoundError:
        return "not installed"
    found = re.search(r"version ([\d.]+)", done.stdout)
    return f"{PROGRAM} {found[1]}" if found else PROGRAM
