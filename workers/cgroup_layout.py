"""Where a machine mounts its control groups, and in which version."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from workers.errors import WorkerError


class Layout(NamedTuple):
    """Where the hierarchies are mounted.

    `controllers` maps a controller to its mount point: on v1 ``memory``, ``cpuset``, ... (a hierarchy with no
    controller is ``name=systemd``; one mounted for several is there once for each), on v2 the single key
    ``unified``. A hybrid machine is v1 here, as its controllers are; `unified` is one more place to clean.
    """

    version: Literal["v1", "v2"]
    controllers: dict[str, Path]

    def roots(self) -> list[Path]:
        """Return every mount point once."""
        return list(dict.fromkeys(self.controllers.values()))


def parse_mounts(mountinfo: str) -> Layout:
    """Read the layout from the text of ``/proc/self/mountinfo``.

    Raises:
        WorkerError: no cgroup hierarchy is mounted.

    """
    controllers: dict[str, Path] = {}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.partition(" ")
        place = Path(left.split()[4].encode().decode("unicode_escape"))
        if kind == "cgroup2":
            controllers.setdefault("unified", place)
        elif kind == "cgroup":
            names = options.rpartition(" ")[2].split(",")
            controllers.update({name: place for name in names if name not in {"rw", "ro", "xattr", "clone_children"}})
    if not controllers:
        raise WorkerError(
            "This machine mounts no cgroup hierarchy, so CPU and memory cannot be limited; "
            "mount one: mount -t cgroup2 none /sys/fs/cgroup"
        )
    return Layout("v2" if set(controllers) == {"unified"} else "v1", controllers)


def detect() -> Layout:
    """Return the layout of the machine (of this process's mount namespace)."""
    return parse_mounts(Path("/proc/self/mountinfo").read_text(encoding="utf-8"))


def parse_keyed(text: str) -> dict[str, int]:
    """Parse a flat keyed file such as ``memory.stat``: lines of a key and a number."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}  # noqa: PLR2004


def parse_cpus(text: str) -> list[int]:
    """Parse a list of CPUs as the kernel writes it: ``0-3,6``."""
    bounds = (part.partition("-") for part in text.split(","))
    return [cpu for first, _, last in bounds for cpu in range(int(first), int(last or first) + 1)]
