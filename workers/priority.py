"""Scheduling priority for the few processes whose delays would be taken for the network's or a strategy's."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_LEAST_NICE = -20


def raise_priority() -> str:
    """Ask for real-time scheduling of this process, or the highest nice level; return what was granted.

    All its threads get it, for while one of them has Python's lock the others wait. Children and new threads do not
    inherit it: a container under real-time scheduling would starve the host.
    """
    threads = [int(task.name) for task in Path("/proc/self/task").iterdir()]
    try:
        for thread in threads:
            os.sched_setscheduler(thread, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except PermissionError:
        with suppress(PermissionError):
            for thread in threads:
                os.sched_setscheduler(thread, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
                os.setpriority(os.PRIO_PROCESS, thread, _LEAST_NICE)
            return f"nice {_LEAST_NICE}"
        return "normal"
    return "real-time"
