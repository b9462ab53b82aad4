"""Scheduling priority for the few processes whose delays would be taken for the network's or a strategy's."""

from __future__ import annotations

import os
from contextlib import suppress

_LEAST_NICE = -20


def raise_priority() -> str:
    """Ask for real-time scheduling of this thread, or the highest nice level; return what was granted.

    Children and new threads do not inherit it: a container under real-time scheduling would starve the host.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except PermissionError:
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
            os.setpriority(os.PRIO_PROCESS, 0, _LEAST_NICE)
            return f"nice {_LEAST_NICE}"
        return "normal"
    return "real-time"
