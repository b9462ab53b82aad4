"""The local testbed that jobs of several processes may use: made where it is not up, taken down when nobody measures.

Whoever made it takes it down at its end. A job that holds the lease by then is waited for; one that waits for the
lease finds the testbed gone, and makes it anew.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from hosts.errors import HostsError
from hosts.lease import lease
from hosts.ssh import connect
from hosts.testbed import Testbed
from hosts.testbed.lock import path as lock_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hosts.inventory import Inventory

_DOWN_TIMEOUT_S = 30.0
_POLL_S = 0.1


@contextmanager
def testbed_for(inventory: Inventory) -> Iterator[Testbed | None]:
    """Have the testbed of an inventory up, which is None where it has none or another process holds it.

    Raises:
        TestbedError: it could not be made, had broken at the end, or something could not be removed.
    """
    if inventory.testbed is None or testbed_is_up(inventory.testbed):
        yield None
        return
    with Testbed(inventory.path) as testbed:
        yield testbed
        with ExitStack() as stack:
            with suppress(HostsError):  # hosts that do not answer are used by nobody
                edge = stack.enter_context(connect(inventory.edge))
                stack.enter_context(lease(edge, _say_before_the_end))
            testbed.stop()  # while the lease is held: nobody begins before it is down


def testbed_is_up(name: str) -> bool:
    """Say whether somebody holds the local testbed of that name."""
    try:
        fd = os.open(lock_path(name), os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def goes_down(name: str) -> bool:
    """Wait until nobody holds the testbed of that name any more; False if somebody still does after half a minute."""
    deadline = time.monotonic() + _DOWN_TIMEOUT_S
    while testbed_is_up(name):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _say_before_the_end(line: str) -> None:
    print(f"{line} before it is taken down", file=sys.stderr, flush=True)
