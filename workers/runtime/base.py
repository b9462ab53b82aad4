"""The interface of a container runtime: podman, docker, or plain processes where there is no engine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Protocol

import msgspec

from workers.errors import ContainerError


class Mount(msgspec.Struct, frozen=True):
    """A host path seen at the same path inside the container."""

    path: str
    writable: bool = False


class ContainerSpec(msgspec.Struct, frozen=True):
    """What to start: a Python program of this project with the host's own interpreter.

    `name` is unique on the host; every container also carries the label ``neukonfig=<session>`` so that
    leftovers can be found. It sees `env`, PATH, HOME and nothing else of its starter's environment, and runs
    in ``/``. `cgroup` is the parent cgroup (a path below the hierarchy's root, for example
    ``/neukonfig/local/edge``) or None for the engine's default; the container gets a child of it called
    `name`. `log_path` receives stdout and stderr as they are, and outlives the container.
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

    The first of `pids` is the program itself; killed by signal N, its `exit_code` is 128 + N. `cgroup` is
    the container's own cgroup as in ``ContainerSpec.cgroup`` (None once it has gone); `oom_kills` counts the
    kernel's OOM kills in it.
    """

    running: bool
    paused: bool
    exit_code: int | None
    pids: tuple[int, ...]
    cgroup: str | None
    oom_kills: int


class Runtime(Protocol):
    """Starts, pauses and removes containers. Failures raise ContainerError with the engine's own words."""

    name: str

    def version(self) -> str:
        """Return the engine's name and version. Raises RuntimeUnavailable with the mending command."""

    def prepare(self) -> None:
        """Make the base image where it is missing. Idempotent. Raises RuntimeUnavailable."""

    def start(self, spec: ContainerSpec) -> None:
        """Create and start a container; the log file is emptied first."""

    def pause(self, name: str) -> None:
        """Freeze every process of the container."""

    def unpause(self, name: str) -> None:
        """Thaw it."""

    def state(self, name: str) -> ContainerState:
        """Return the state of a container; a container that is not there is an error."""

    def remove(self, name: str) -> None:
        """Kill (also when paused) and remove a container. Idempotent."""

    def undo(self, name: str) -> list[list[str]]:
        """Return the commands that remove the container when this process can no longer do it.

        They succeed where there is nothing to remove, so they can be registered before `start`.
        """


def make_ready(spec: ContainerSpec) -> None:
    """Check what every runtime needs before it starts a container, and empty the log file.

    Raises:
        ContainerError: the program is no executable file, or the log cannot be written.

    """
    program = Path(spec.argv[0])
    if not (program.is_absolute() and program.is_file() and os.access(program, os.X_OK)):
        raise ContainerError(
            f"container {spec.name} was not started: {program} is no executable file on this host; "
            "argv[0] must be the absolute path of its Python interpreter"
        )
    try:
        Path(spec.log_path).write_bytes(b"")
    except OSError as error:
        raise ContainerError(
            f"container {spec.name} was not started: its log {spec.log_path} cannot be written "
            f"({error.strerror}); make its folder first"
        ) from error


def removal(runtime: str, name: str) -> list[str]:
    """Return the command that removes container `name`; it works from any folder and with any environment."""
    code = Path(__file__).resolve().parents[2]
    return ["env", f"PYTHONPATH={code}", sys.executable, "-m", "workers.runtime.remove", runtime, name]
