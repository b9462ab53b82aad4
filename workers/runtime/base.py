"""The interface of a container runtime: podman, docker, or plain processes where there is no engine."""

from __future__ import annotations

from typing import Protocol

import msgspec


class Mount(msgspec.Struct, frozen=True):
    """A host path seen at the same path inside the container."""

    path: str
    writable: bool = False


class ContainerSpec(msgspec.Struct, frozen=True):
    """What to start: a Python program of this project with the host's own interpreter.

    `name` is unique on the host; every container also carries the label ``neukonfig=<session>`` so that
    leftovers can be found. `cgroup` is the parent cgroup (a path below the hierarchy's root, for example
    ``/neukonfig/local/edge``) or None for the engine's default. `log_path` receives stdout and stderr.
    """

    name: str
    session: str
    argv: tuple[str, ...]
    env: dict[str, str]
    mounts: tuple[Mount, ...]
    log_path: str
    cgroup: str | None = None
    oom_score_adj: int = 0


class ContainerState(msgspec.Struct, frozen=True):
    """State of a container: running (paused counts as running), or its exit code; PIDs as the host sees them.

    `cgroup` is the container's own cgroup as in ``ContainerSpec.cgroup``; `oom_kills` counts the kernel's OOM
    kills in it.
    """

    running: bool
    paused: bool
    exit_code: int | None
    pids: tuple[int, ...]
    cgroup: str | None
    oom_kills: int


class Runtime(Protocol):
    """Starts, pauses and removes containers. Every failure raises ContainerError with the engine's own words."""

    name: str

    def version(self) -> str:
        """Return the engine's name and version. Raises RuntimeUnavailable with the mending command."""

    def prepare(self) -> None:
        """Make the base image where it is missing. Idempotent."""

    def start(self, spec: ContainerSpec) -> None:
        """Create and start a container."""

    def pause(self, name: str) -> None:
        """Freeze every process of the container."""

    def unpause(self, name: str) -> None:
        """Thaw it."""

    def state(self, name: str) -> ContainerState:
        """Return the state of a container; a container that is not there is an error."""

    def remove(self, name: str) -> None:
        """Kill (also when paused) and remove a container. Idempotent."""

    def undo(self, name: str) -> list[list[str]]:
        """Return the commands that remove the container when this process can no longer do it."""
