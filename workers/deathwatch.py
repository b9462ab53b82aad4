"""Tells at once when a process that is not our child has ended."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class DeathWatch:
    """Watches processes by name, in the running event loop.

    Args:
        on_death: called with the name, once, when the process has ended.
    """

    def __init__(self, on_death: Callable[[str], None]) -> None:
        self._on_death = on_death
        self._pidfds: dict[str, int] = {}

    def add(self, name: str, pid: int) -> bool:
        """Watch a process; False where it has ended already."""
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        self._pidfds[name] = pidfd
        asyncio.get_running_loop().add_reader(pidfd, self._ended, name)
        return True

    def drop(self, name: str) -> None:
        """Watch it no longer. Idempotent."""
        pidfd = self._pidfds.pop(name, None)
        if pidfd is not None:
            asyncio.get_running_loop().remove_reader(pidfd)
            os.close(pidfd)

    def _ended(self, name: str) -> None:
        self.drop(name)
        self._on_death(name)
