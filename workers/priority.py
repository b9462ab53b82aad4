"""Scheduling priority for the few processes whose delays would be taken for the network's or a strategy's."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LEAST_NICE = -20


def raise_priority() -> str:
    """Ask for real-time scheduling of this process, or the highest nice level; return what was granted.

    All its threads get it, for while one of them has Python's lock the others wait. Children and threads of Python do
    not inherit it: a container under real-time scheduling would starve the host. ZeroMQ's threads, which start nothing,
    get it without that flag: one that has yet to read its own policy, as it does first of all, aborts over the flag.
    """
    own = {thread.native_id for thread in threading.enumerate()}
    threads = [int(task.name) for task in Path("/proc/self/task").iterdir()]
    try:
        for thread in threads:
            flag = os.SCHED_RESET_ON_FORK if thread in own else 0
            os.sched_setscheduler(thread, os.SCHED_RR | flag, os.sched_param(1))
    except PermissionError:
        with suppress(PermissionError):
            for thread in threads:
                os.sched_setscheduler(thread, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
                os.setpriority(os.PRIO_PROCESS, thread, _LEAST_NICE)
            return f"nice {_LEAST_NICE}"
        return "normal"
    return "real-time"


@contextmanager
def unhurried() -> Iterator[None]:
    """Give the real-time scheduling of this thread up, where it has it, while the kernel does something long for it.

    Not for work that needs Python's lock: whoever waits for the lock would wait for all other processes, too.
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    if policy & ~os.SCHED_RESET_ON_FORK != os.SCHED_RR:
        yield
        return
    os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)
