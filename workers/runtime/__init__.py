"""Container runtimes: podman, docker, or plain processes where a host has no engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.errors import RuntimeUnavailable
from workers.runtime.engine import DOCKER, PODMAN, EngineRuntime
from workers.runtime.process import ProcessRuntime

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.runtime.base import Runtime

RUNTIMES: dict[str, Callable[[], Runtime]] = {
    "podman": lambda: EngineRuntime(PODMAN),
    "docker": lambda: EngineRuntime(DOCKER),
    "process": ProcessRuntime,
}


def open_runtime(name: str) -> Runtime:
    """Return the runtime called `name`; whether it works is `version`'s and `prepare`'s to say.

    Raises:
        RuntimeUnavailable: there is none of that name.

    """
    try:
        return RUNTIMES[name]()
    except KeyError:
        raise RuntimeUnavailable(
            f"There is no container runtime '{name}'; set `runtime:` to one of {', '.join(RUNTIMES)}"
        ) from None
