"""What a host's pipelines have to share it with: the stressor, and what is left beside it, set and read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers import availability
from workers.cgroup import Cgroup
from workers.stress import ALL_PCT, Level, Stressor, taken_bytes, version

if TYPE_CHECKING:
    from pathlib import Path

    from workers.availability import Availability
    from workers.guard import Guard

Facts = dict[str, float | str]


class HostLoad:
    """The load beside the pipelines of one host.

    Args:
        budget: the cgroup that the host gives to containers and stressor.
        session: makes the names of the cgroups made here unique.
    """

    def __init__(self, guard: Guard, budget: Cgroup, session: str, folder: Path) -> None:
        self._budget = budget
        self._probe = Cgroup(f"{budget.path}/probe-{session}")
        self._stressor = Stressor(guard, Cgroup(f"{budget.path}/stress-{session}"), folder)
        self._cpus = budget.cpus()
        self._gauge: availability.Gauge | None = None
        self._stresses = False

    def set(self, level: Level) -> Facts:
        """Take away what `level` does not leave, then measure what is left. Blocks for a second or a few.

        Returns:
            ``cpu_pct`` and ``mem_pct`` left over as a probe found them (percent), ``set_s``, ``cpu_taken_pct``,
            ``mem_taken_bytes`` and the ``tool``.

        Raises:
            WorkerError: see `Stressor.start` and `availability.probe`.
        """
        memory_bytes, set_s = availability.memory_bytes(self._budget), 0.0
        if level.stresses:
            self._stresses = True
            set_s = self._stressor.start(level, len(self._cpus), memory_bytes)
        cpu_pct = availability.probe(self._probe, self._cpus)
        self._gauge = availability.Gauge(self._budget, self._stressor.group, self._cpus)
        return {
            "tool": version() if level.stresses else "none",
            "set_s": round(set_s, 3),
            "cpu_taken_pct": ALL_PCT - level.cpu_pct,
            "mem_taken_bytes": taken_bytes(level.mem_pct, memory_bytes),
            "memory_bytes": memory_bytes,
            "cpus": len(self._cpus),
            "cpu_pct": round(cpu_pct, 2),
            "mem_pct": round(self._gauge.read(0).mem_pct, 2),
        }

    def read(self, pipelines_bytes: int) -> Availability | None:
        """Return what was left since the last reading, see `Gauge.read`; None before `set`."""
        return None if self._gauge is None else self._gauge.read(pipelines_bytes)

    def check(self) -> None:
        """See that the stressor, where there is one, still stresses.

        Raises:
            WorkerError: it ended.
        """
        self._stressor.check()

    def release(self) -> float | None:
        """Give everything back; return how long that took (s), None where nothing was taken."""
        if not self._stresses:
            return None
        self._stresses = False
        return self._stressor.stop()
