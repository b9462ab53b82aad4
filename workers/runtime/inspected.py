"""What an engine's ``container inspect`` says, and what the kernel adds to it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from workers.errors import ContainerError

if TYPE_CHECKING:
    from workers.cgroup import Layout


class Inspected(NamedTuple):
    """The parts of ``container inspect`` that podman and docker share, and podman's path of the cgroup.

    `pid` is that of the first process as the host sees it, 0 where there is none.
    """

    running: bool
    paused: bool
    exit_code: int
    oom_killed: bool
    pid: int
    cgroup: str | None
    cgroup_parent: str


def parse_inspect(document: Any) -> Inspected:
    """Read the document that ``container inspect NAME`` prints.

    Raises:
        ContainerError: it is no such document.

    """
    try:
        (container,) = document
        state = container["State"]
        paused = bool(state["Paused"])
        return Inspected(
            # docker calls a paused container running, podman does not
            running=bool(state["Running"]) or paused,
            paused=paused,
            exit_code=int(state["ExitCode"]),
            oom_killed=bool(state.get("OOMKilled")),
            pid=int(state["Pid"]),
            cgroup=state.get("CgroupPath") or None,
            cgroup_parent=container["HostConfig"].get("CgroupParent") or "",
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ContainerError(f"the engine's `container inspect` has a form of its own: {error!r}") from error


def parse_proc_cgroup(text: str) -> str | None:
    """Return the cgroup from the text of ``/proc/<pid>/cgroup``, or None where it is the root, nobody's own.

    On v1 it is that of the freezer, on v2 the only one.
    """
    paths: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        paths.update(dict.fromkeys(controllers.split(","), path))
    path = paths.get("freezer", paths.get("", "/"))
    return None if path == "/" else path


def cgroup_of(seen: Inspected) -> str | None:
    """Return the cgroup of a running container, None for one that has ended."""
    if not seen.running:
        return None
    if seen.cgroup:
        return seen.cgroup
    with suppress(OSError):
        return parse_proc_cgroup(Path(f"/proc/{seen.pid}/cgroup").read_text(encoding="utf-8"))
    return None


def limit_was_hit(path: str, layout: Layout) -> bool:
    """Say whether cgroup v1 ever refused memory to `path` or to one above it."""
    mounted = layout.controllers.get("memory")
    if mounted is None or not path.startswith("/"):
        return False
    for place in (PurePosixPath(path), *PurePosixPath(path).parents):
        with suppress(OSError):
            if int((mounted / str(place)[1:] / "memory.failcnt").read_text()) > 0:
                return True
    return False
