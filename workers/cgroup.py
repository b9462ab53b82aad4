"""Control groups: the budget of a host's containers and stressors, on cgroup v1 (also "hybrid") and v2.

A cgroup is named by its path below the root of the hierarchy, ``/neukonfig/local/edge``, on both versions.
On v1 the same path exists once below every controller that is mounted; on v2 it exists once.

Command line: ``python -m workers.cgroup remove /neukonfig-7f3a`` kills what is inside (frozen or not) and
removes it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from workers.cgroup_layout import Layout, detect, parse_cpus, parse_keyed, parse_mounts
from workers.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Cgroup", "Layout", "Memory", "budget", "detect", "own", "parse_keyed", "parse_mounts"]

ENVIRONMENT = "NEUKONFIG_CGROUP"
_ENTER = 'while [ "$1" != -- ]; do echo 0 >"$1" || exit 125; shift; done; shift; exec "$@"'
_RETRY_S = 0.002
_MIB = 1024 * 1024
_NO_LIMIT_BYTES = 1 << 60  # what v1 writes for "no limit" is near 2**63


class Memory(NamedTuple):
    """Memory of a cgroup with everything below it, in bytes.

    `peak_bytes` is None where the kernel does not keep it (v2 before 5.19). `oom_kills` counts the kernel's
    kills in the cgroups that still exist. `mapped_bytes` are those pages of the page cache that are mapped.
    """

    usage_bytes: int
    anon_bytes: int
    peak_bytes: int | None
    oom_kills: int
    mapped_bytes: int = 0


class Cgroup:
    """One cgroup by its path below the hierarchy's root; it need not exist yet.

    Methods raise OSError where the kernel refuses (no such cgroup, no permission, value out of range).
    """

    def __init__(self, path: str, layout: Layout | None = None) -> None:
        parts = PurePosixPath(path).parts
        if not path.startswith("/") or len(parts) < 2 or ".." in parts:  # noqa: PLR2004 - "/" and one name
            raise ValueError(f"{path!r} is no path of a cgroup: it starts with / and names one below the root")
        self.path = str(PurePosixPath(path))
        self.layout = layout or detect()

    def directory(self, controller: str) -> Path:
        """Return the directory that has the files of `controller`."""
        key = "unified" if self.layout.version == "v2" else controller
        try:
            return self.layout.controllers[key] / self.path[1:]
        except KeyError:
            raise WorkerError(
                f"cgroup {self.path}: the controller '{controller}' is not mounted on this machine; "
                f"mounted are {', '.join(sorted(self.layout.controllers))}"
            ) from None

    def directories(self) -> list[Path]:
        """Return its directory below every hierarchy, existing or not."""
        return [root / self.path[1:] for root in self.layout.roots()]

    def exists(self) -> bool:
        """Say whether it exists in any hierarchy."""
        return any(place.is_dir() for place in self.directories())

    def create(self) -> None:
        """Create it, with its parents, in every hierarchy. Idempotent."""
        for controller, root in self.layout.controllers.items():
            if self.layout.version == "v1" and controller == "unified":
                continue  # no controllers there, and one more place in which a crash could leave a directory
            while True:
                try:
                    _make(root, self.path, v2=self.layout.version == "v2", cpuset=controller == "cpuset")
                    break
                except FileNotFoundError:
                    if not root.is_dir():
                        raise
                    # somebody removed an empty parent meanwhile

    def limit(self, cpus: Sequence[int] | None = None, memory_bytes: int | None = None) -> None:
        """Pin it to `cpus` and cap its memory, without swap; None leaves a value as it is.

        Raises:
            WorkerError: the kernel gives this cgroup no such controller.

        """
        if cpus is not None:
            self._set("cpuset", "cpuset.cpus", ",".join(map(str, cpus)))
        if memory_bytes is not None:
            v2 = self.layout.version == "v2"
            self._set("memory", "memory.max" if v2 else "memory.limit_in_bytes", str(memory_bytes))
            swap = self.directory("memory") / ("memory.swap.max" if v2 else "memory.swappiness")
            if swap.exists():  # swapped-out memory would not count, and 10 % of it would never be too little
                _write(swap, "0")

    def add(self, pid: int) -> None:
        """Move a process into it, in every hierarchy in which it exists."""
        for place in self.directories():
            if place.is_dir():
                _write(place / "cgroup.procs", str(pid))

    def entered_by(self, argv: Sequence[str]) -> list[str]:
        """Return a command that enters it and then becomes `argv`; nothing of `argv` ever runs outside."""
        doors = [str(place / "cgroup.procs") for place in self.directories() if place.is_dir()]
        return ["/bin/sh", "-c", _ENTER, "enter", *doors, "--", *argv]

    def cpus(self) -> list[int]:
        """Return the CPUs that its processes may use."""
        v2 = self.layout.version == "v2"
        file = self.directory("cpuset") / ("cpuset.cpus.effective" if v2 else "cpuset.cpus")
        text = file.read_text().strip() if file.exists() else ""
        return parse_cpus(text) if text else sorted(os.sched_getaffinity(0))

    def pids(self) -> set[int]:
        """Return the processes in it and below it, from every hierarchy."""
        found: set[int] = set()
        for place in self._tree():
            with suppress(FileNotFoundError, OSError):
                found.update(int(pid) for pid in (place / "cgroup.procs").read_text().split())
        return found

    def memory(self) -> Memory:
        """Read what its processes use."""
        place = self.directory("memory")
        stat = parse_keyed((place / "memory.stat").read_text())
        if self.layout.version == "v2":
            peak = _number(place / "memory.peak") if (place / "memory.peak").exists() else None
            kills = parse_keyed((place / "memory.events").read_text()).get("oom_kill", 0)
            return Memory(_number(place / "memory.current"), stat["anon"], peak, kills, stat.get("file_mapped", 0))
        # On v1 each cgroup counts its own kills only; the limit that was hit may sit above.
        own = (parse_keyed(file.read_text()) for file in place.rglob("memory.oom_control"))
        return Memory(
            usage_bytes=_number(place / "memory.usage_in_bytes"),
            anon_bytes=stat.get("total_rss", stat.get("rss", 0)),
            peak_bytes=_number(place / "memory.max_usage_in_bytes"),
            oom_kills=sum(counts.get("oom_kill", 0) for counts in own),
            mapped_bytes=stat.get("total_mapped_file", stat.get("mapped_file", 0)),
        )

    def memory_limit_bytes(self) -> int | None:
        """Return its cap on memory, None where it has none."""
        name = "memory.max" if self.layout.version == "v2" else "memory.limit_in_bytes"
        text = (self.directory("memory") / name).read_text().strip()
        limit = None if text == "max" else int(text)
        return None if limit is None or limit >= _NO_LIMIT_BYTES else limit

    def freeze(self) -> None:
        """Stop every process in it until `thaw`, and return once they have stopped."""
        self._set_frozen(frozen=True)

    def thaw(self) -> None:
        """Let its processes go on, also where a cgroup below it was frozen by itself."""
        for place in self._tree():
            with suppress(OSError):  # it vanished, or this is no directory of the freezer
                _thaw(place)

    def kill(self) -> None:
        """Send SIGKILL to every process in it, but not to this one."""
        victims = self.pids() - {os.getpid(), 0}  # 0: a process outside this PID namespace
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for place in self.directories():
            with suppress(OSError):  # v2 since 5.14; not where this process is inside
                if (place / "cgroup.kill").exists() and os.getpid() not in self.pids():
                    _write(place / "cgroup.kill", "1")

    def remove(self, timeout_s: float = 5.0) -> int:
        """Thaw, kill and remove it with everything below it; return how many processes were killed.

        Idempotent. A calling process that is inside moves to the parent first.

        Raises:
            WorkerError: something is left after `timeout_s`.

        """
        self._step_out()
        killed, deadline = len(self.pids()), time.monotonic() + timeout_s
        while self.exists():
            self.thaw()  # a frozen process of v1 does not even die of SIGKILL
            self.kill()
            for place in self._tree():
                with suppress(OSError):  # busy until the kernel has buried its last process
                    place.rmdir()
            if time.monotonic() > deadline and self.exists():
                raise WorkerError(
                    f"cgroup {self.path} could not be removed in {timeout_s:g} s; processes left in it: "
                    f"{sorted(self.pids()) or 'none'}. Look at them with: ps -o pid,stat,cmd -p PID"
                )
            time.sleep(_RETRY_S)
        return killed

    def _set(self, controller: str, file: str, value: str) -> None:
        place = self.directory(controller)
        if not (place / file).exists():
            raise WorkerError(
                f"cgroup {self.path} cannot be limited: {place} has no {file}. On cgroup v2 the controller "
                f"'{controller}' must be free for it: see cgroup.subtree_control in the folders above"
            )
        _write(place / file, value)

    def _step_out(self) -> None:
        if os.getpid() in self.pids():
            for place in self.directories():
                if place.is_dir():
                    _write(place.parent / "cgroup.procs", str(os.getpid()))

    def _tree(self) -> Iterator[Path]:
        """Yield the directories of it and of everything below it, children before their parents."""
        for top in self.directories():
            for place, _, _ in os.walk(top, topdown=False):
                yield Path(place)

    def _set_frozen(self, *, frozen: bool) -> None:
        place = self.directory("freezer")
        if self.layout.version == "v2":
            _write(place / "cgroup.freeze", str(int(frozen)))
            while parse_keyed((place / "cgroup.events").read_text()).get("frozen") != int(frozen):
                time.sleep(_RETRY_S)
            return
        wanted = "FROZEN" if frozen else "THAWED"
        _write(place / "freezer.state", wanted)
        while (place / "freezer.state").read_text().strip() != wanted:
            _write(place / "freezer.state", wanted)  # FREEZING can hang on a process that is just forking
            time.sleep(_RETRY_S)


def own() -> str | None:
    """Return the cgroup that the host gives to containers and stressors, None where it gives none."""
    return os.environ.get(ENVIRONMENT) or None


def budget(session: str, cpus: Sequence[int] | None, memory_mb: int | None) -> Cgroup:
    """Return the cgroup in which this host's containers and stressors must live.

    On a testbed that is the host's own (already limited); elsewhere ``/neukonfig-<session>`` is made with the
    given sizes (memory in MiB), and the caller removes it.
    """
    given = own()
    if given:
        return Cgroup(given)
    made = Cgroup(f"/neukonfig-{session}")
    made.create()
    made.limit(cpus, None if memory_mb is None else memory_mb * _MIB)
    return made


def _make(root: Path, path: str, *, v2: bool, cpuset: bool) -> None:
    here = root
    for name in PurePosixPath(path).parts[1:]:
        if v2:
            _delegate(here)
        parent, here = here, here / name
        with suppress(FileExistsError):
            here.mkdir()
        if cpuset and not v2:  # v1 starts them empty, and an empty one accepts no process
            for file in ("cpuset.cpus", "cpuset.mems"):
                if not _has_content(here / file):  # also where somebody else has made it and is about to fill it
                    _write(here / file, (parent / file).read_text().strip())


def _has_content(file: Path) -> bool:
    return file.exists() and bool(file.read_text().strip())


def _delegate(place: Path) -> None:
    """Switch on, for the children of `place`, every controller that it has itself."""
    for controller in (place / "cgroup.controllers").read_text().split():
        if controller in {"cpu", "cpuset", "memory", "pids", "io"}:
            with suppress(OSError):  # one by one: a controller that is taken must not cost the others
                _write(place / "cgroup.subtree_control", f"+{controller}")


def _thaw(place: Path) -> None:
    for file, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
        if (place / file).exists():
            _write(place / file, value)


def _write(file: Path, value: str) -> None:
    with file.open("w", encoding="ascii") as handle:
        handle.write(value)


def _number(file: Path) -> int:
    return int(file.read_text())


def main(argv: Sequence[str] | None = None) -> int:
    """Remove the named cgroups; the exit status is 1 where one could not be removed."""
    parser = argparse.ArgumentParser(prog="python -m workers.cgroup", description=main.__doc__)
    parser.add_argument("verb", choices=["remove"])
    parser.add_argument("paths", nargs="+", metavar="PATH", help="for example /neukonfig-7f3a")
    arguments = parser.parse_args(argv)
    try:
        for path in arguments.paths:
            Cgroup(path).remove()
    except (WorkerError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
