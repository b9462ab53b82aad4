"""The outer process of a testbed: holds the lock, starts the inner one, and clears up after it.

Owner --lifeline--> supervisor --lifeline--> world (process 1 of its namespaces) --> hosts

Killed owner: the supervisor reads end-of-file and closes the world's lifeline. Killed supervisor: the world
reads end-of-file and takes itself down. Killed world: the kernel kills the hosts, the supervisor removes the
rest. Both killed at once: the next start, or ``--reap``, removes what is left.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hosts.errors import TestbedError
from hosts.testbed import needs, network, reap
from hosts.testbed.lock import Lock
from hosts.testbed.plan import status_fifo
from workers.shaping import has_netem

if TYPE_CHECKING:
    from hosts.testbed.plan import Plan

_DOWN_TIMEOUT_S = 10.0


class Supervisor:
    """One run of a testbed, from lock to lock."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._began_ns = time.monotonic_ns()
        self._lock = Lock.take(plan.name)
        self._lock.sign(os.getpid())
        self._signals = _signal_pipe()
        self._world: subprocess.Popen[bytes] | None = None
        self._lifeline: socket.socket | None = None
        self._status_fd = -1

    def run(self) -> None:
        """Build the testbed, hold it until the lifeline closes or a signal comes, and take it down.

        Raises:
            TestbedError: it could not be built, or broke while it stood.

        """
        try:
            for line in reap.remove(self.plan.name):
                print(f"testbed {self.plan.name}: removed a leftover: {line}", file=sys.stderr)
            self._check_subnets()
            self._start()
            self._hold()
        finally:
            self._take_down()
            self._lock.release()

    def _check_subnets(self) -> None:
        found = network.conflicts(self.plan, reap.show("-4", "route", "show", "table", "all"))
        if found:
            raise TestbedError(
                f"The testbed '{self.plan.name}' cannot be built: {'; '.join(found)}. "
                "Give it other addresses in the inventory"
            )

    def _start(self) -> None:
        fifo = status_fifo(self.plan.name)
        os.mkfifo(fifo, mode=0o600)
        self._status_fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        unshare = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc"]
        self._lifeline, theirs = socket.socketpair()
        with theirs:
            self._world = subprocess.Popen(
                # Whoever kills unshare ends the world, too, but lets it clear up.
                [*unshare, "--kill-child=SIGTERM", sys.executable, "-m", "hosts.testbed.world", str(fifo)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                cwd=Path(__file__).parents[2],
                start_new_session=True,
            )
        socket.send_fds(self._lifeline, [msgspec.json.encode(self.plan)], [self._lock.fd])

    def _hold(self) -> None:
        """Wait for the end of the lifeline, a signal, or the world's end, whichever comes first."""
        poller = select.poll()
        for fd in (sys.stdin.fileno(), self._status_fd, self._signals):
            poller.register(fd, select.POLLIN | select.POLLHUP)
        while True:
            ready = dict(poller.poll())
            if self._status_fd in ready:
                self._read_status()
            if self._signals in ready and self._ended():
                return
            if sys.stdin.fileno() in ready and not os.read(sys.stdin.fileno(), 4096):
                return

    def _read_status(self) -> None:
        """Read what the world reports; only it has the other end, so end-of-file means that it is gone."""
        line = os.read(self._status_fd, 65536)
        if not line:
            raise TestbedError(f"The testbed '{self.plan.name}' was killed; its leftovers have been removed")
        report: dict[str, Any] = msgspec.json.decode(line.splitlines()[0])
        if "error" in report:
            raise TestbedError(f"The testbed '{self.plan.name}': {report['error']}")
        if "down" in report:
            raise TestbedError(f"The testbed '{self.plan.name}' was ended by a signal to its inner process")
        self._lock.sign(os.getpid(), *self._world_pids())
        up_ms = (time.monotonic_ns() - self._began_ns) / 1e6
        facts = {
            **report,
            "name": self.plan.name,
            "up_ms": round(up_ms, 1),
            "delay": "netem" if has_netem() else "delay line",
        }
        print(msgspec.json.encode({**facts, "notes": self.plan.notes}).decode(), flush=True)

    def _ended(self) -> bool:
        numbers = os.read(self._signals, 4096)
        if set(numbers) - {signal.SIGCHLD}:
            return True
        assert self._world is not None  # noqa: S101 - for the type checker
        if self._world.poll() is None:
            return False
        self._read_last_status()
        raise TestbedError(
            f"The testbed '{self.plan.name}' ended with status {self._world.returncode}; "
            "what it printed stands above, its leftovers have been removed"
        )

    def _read_last_status(self) -> None:
        with suppress(BlockingIOError):
            self._read_status()

    def _world_pids(self) -> list[int]:
        assert self._world is not None  # noqa: S101 - for the type checker
        pid = self._world.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def _take_down(self) -> None:
        if self._world is not None:
            assert self._lifeline is not None  # noqa: S101 - for the type checker
            self._lifeline.close()
            if not self._wait_closed():
                for pid in reversed(self._world_pids()):
                    os.kill(pid, signal.SIGKILL)
        reap.remove(self.plan.name)  # frozen processes first: the kernel waits for them before it lets unshare go
        if self._world is not None:
            self._world.wait(_DOWN_TIMEOUT_S)

    def _wait_closed(self) -> bool:
        """Wait until the world has closed its end of the FIFO or has ended; False after the timeout."""
        assert self._world is not None  # noqa: S101 - for the type checker
        deadline = time.monotonic() + _DOWN_TIMEOUT_S
        poller = select.poll()
        poller.register(self._status_fd, 0)  # POLLHUP comes unasked
        poller.register(self._signals, select.POLLIN)
        while self._world.poll() is None and time.monotonic() < deadline:
            for fd, _ in poller.poll(100):
                if fd == self._status_fd:
                    return True
                os.read(self._signals, 4096)
        return self._world.poll() is not None


def supervise(plan: Plan) -> None:
    """Check the machine, then run the testbed from build to teardown.

    Raises:
        TestbedError: the machine lacks something, or the testbed could not be built or broke.

    """
    needs.check(plan.runtimes)
    Supervisor(plan).run()


def _signal_pipe() -> int:
    """Turn SIGTERM, SIGINT, SIGHUP and SIGCHLD into bytes on the returned descriptor."""
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return read
