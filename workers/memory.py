"""What processes really cost in memory: their proportional set size (PSS), from ``/proc``.

PSS counts a page that n processes share as 1/n of a page in each, so that sums over processes are true sums.
All sizes are in bytes.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from workers.priority import unhurried

if TYPE_CHECKING:
    from collections.abc import Iterable

PROC = Path("/proc")
_KIB = 1024
_ROLLUP_BYTES = 1 << 16


class Pss(NamedTuple):
    """Proportional set size of `processes` processes.

    The parts are anonymous memory, mapped files and shared memory; they are 0 on kernels before 5.2, which do not
    tell them apart.
    """

    pss_bytes: int
    anon_bytes: int
    file_bytes: int
    shmem_bytes: int
    processes: int


def parse_smaps_rollup(text: str) -> Pss:
    """Read the text of ``/proc/<pid>/smaps_rollup``.

    Raises:
        ValueError: it holds no ``Pss`` line.

    """
    sizes: dict[str, int] = {}
    for line in text.splitlines()[1:]:
        key, _, value = line.partition(":")
        if value.endswith(" kB"):
            sizes[key] = int(value[: -len(" kB")]) * _KIB
    if "Pss" not in sizes:
        raise ValueError(f"smaps_rollup without a Pss line: {text[:200]!r}")
    anon, file, shmem = (sizes.get(f"Pss_{part}", 0) for part in ("Anon", "File", "Shmem"))
    return Pss(sizes["Pss"], anon, file, shmem, processes=1)


def pss(pids: Iterable[int], proc: Path = PROC) -> Pss:
    """Sum the PSS of processes; one that has vanished, or only waits for its parent, adds nothing.

    Raises:
        PermissionError: a process belongs to another user; run as root.

    """
    total = Pss(0, 0, 0, 0, 0)
    for pid in pids:
        # The file is there as long as the process; reading fails with ESRCH once its memory has gone.
        with suppress(FileNotFoundError, ProcessLookupError):
            one = parse_smaps_rollup(_read_at_once(proc / str(pid) / "smaps_rollup"))
            total = Pss(*(a + b for a, b in zip(total, one, strict=True)))
    return total


def _read_at_once(path: Path) -> str:
    """Read a small file of the kernel's, which walks through all pages of a process for it.

    That takes milliseconds, in which no frame would move if this thread kept real-time priority.
    """
    with path.open("rb", buffering=0) as file, unhurried():
        data = file.read(_ROLLUP_BYTES)
    return data.decode()


class Growth:
    """By how much this process grows at most from now on, the pages of files apart: they can be had again.

    A height that was over before pages of files came to be mapped is not seen beneath them.
    """

    def __init__(self, proc: Path = PROC) -> None:
        self._own = proc / "self"
        with suppress(OSError):  # without a reset the peak is that since the start, and the growth too large
            (self._own / "clear_refs").write_text("5")
        self._before = parse_sizes((self._own / "status").read_text())

    def bytes(self) -> int:
        """Return the growth until now."""
        now = parse_sizes((self._own / "status").read_text())
        files = now["RssFile"] - self._before["RssFile"]
        return max(0, now["VmHWM"] - self._before["VmRSS"] - files)


def parse_sizes(status: str) -> dict[str, int]:
    """Return the sizes (bytes) in the text of ``/proc/<pid>/status``."""
    lines = (line.partition(":") for line in status.splitlines())
    return {key: int(value[: -len(" kB")]) * _KIB for key, _, value in lines if value.endswith(" kB")}


def descendants(pid: int, proc: Path = PROC) -> list[int]:
    """Return the PIDs of all descendants of a process as they are now, nearest first; a vanished process has none.

    Asked of the process itself, as going through all processes of the host would keep frames waiting for milliseconds.
    """
    found: dict[int, None] = {}
    generation = [pid]
    while generation:
        children = [child for parent in generation for child in _children(parent, proc)]
        generation = [child for child in dict.fromkeys(children) if child != pid and child not in found]
        found.update(dict.fromkeys(generation))
    return list(found)


def _children(pid: int, proc: Path) -> list[int]:
    """Return the children of all threads of a process."""
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in (proc / str(pid) / "task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, (task / "children").read_bytes().split())
    return found
