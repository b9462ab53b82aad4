"""The dead man's guard: whatever ends an agent, the host is put back as it was.

An agent starts the guard as a process of its own (`Guard.start`) and registers, *before* a change,
the command that undoes the change. When the agent ends, however that came about, the guard runs what is still
registered, newest first, and writes each outcome to a file. The agent's own good end takes the same path
(`Guard.finish`), so that the way back is exercised by every run and not only by accidents.

The guard learns of the agent's end in two ways: end-of-file on the pipe between them and the agent's pidfd,
in case a forked child still holds the pipe open.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from workers.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO

COMMAND_TIMEOUT_S = 15.0
_CHUNK = 65536


class Add(msgspec.Struct, frozen=True, tag="add"):
    """Register (or replace) the undo command `name`."""

    name: str
    argv: list[str]


class Withdraw(msgspec.Struct, frozen=True, tag="withdraw"):
    """Forget the undo command `name`: the change has been undone or was never made."""

    name: str


class RunNow(msgspec.Struct, frozen=True, tag="run"):
    """Run what is registered and exit."""


Order = Add | Withdraw | RunNow


class Outcome(msgspec.Struct, frozen=True):
    """What came of one undo command; `status` is None where it timed out or could not be started."""

    name: str
    argv: list[str]
    status: int | None
    output: str
    took_ms: float

    @property
    def ok(self) -> bool:
        """Say whether the command succeeded."""
        return self.status == 0


class Register:
    """The undo commands by name, in the order in which they were registered."""

    def __init__(self) -> None:
        self._commands: dict[str, list[str]] = {}

    def apply(self, order: Order) -> bool:
        """Carry out an order; False once the commands are to be run."""
        match order:
            case Add(name, argv):
                self._commands.pop(name, None)  # a replaced command is a new one: it goes to the end
                self._commands[name] = argv
            case Withdraw(name):
                self._commands.pop(name, None)
            case RunNow():
                return False
        return True

    def newest_first(self) -> list[tuple[str, list[str]]]:
        """Return the commands in the order in which they are to be run."""
        return list(reversed(self._commands.items()))


class Guard:
    """The agent's side of the guard. Use `start`; not thread-safe."""

    def __init__(self, process: subprocess.Popen[bytes], log_path: Path) -> None:
        self._process = process
        self._log_path = log_path

    @classmethod
    def start(cls, log_path: Path) -> Guard:
        """Start a guard that writes its outcomes to `log_path`, and return once it stands.

        It has a session of its own and none of the agent's standard streams, so that the agent's SSH channel
        closes when the agent ends.

        Raises:
            WorkerError: the guard did not start.

        """
        log_path = log_path.absolute()
        log_path.parent.mkdir(parents=True, exist_ok=True)
        log_path.unlink(missing_ok=True)
        argv = [sys.executable, "-m", "workers.guard", "--log", str(log_path), "--owner", str(os.getpid())]
        process = subprocess.Popen(
            argv,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=Path(__file__).parents[1],
        )
        assert process.stdout is not None  # noqa: S101 - for the type checker
        with process.stdout as ready:
            if not ready.readline():
                raise WorkerError(
                    f"The guard ({' '.join(argv)}) ended with status {process.wait()} before it stood; "
                    "without it nothing is changed on this host. Run the command by hand to see why."
                )
        return cls(process, log_path)

    def add(self, name: str, argv: Sequence[str]) -> None:
        """Register the command that undoes the change `name`; call it before the change is made."""
        self._send(Add(name, list(argv)))

    def withdraw(self, name: str) -> None:
        """Forget the command `name`. Unknown names are ignored."""
        self._send(Withdraw(name))

    def finish(self, timeout_s: float = 60.0) -> list[Outcome]:
        """Run what is registered, wait for the guard's end, and return the outcomes in the order they ran.

        Raises:
            WorkerError: the guard is still at it after `timeout_s`, or was killed before it could work.

        """
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        with suppress(BrokenPipeError):
            self._send(RunNow())
        self._process.stdin.close()
        try:
            status = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise WorkerError(
                f"The guard (pid {self._process.pid}) still undoes changes after {timeout_s:g} s; "
                f"follow it in {self._log_path}"
            ) from None
        if status < 0 or not self._log_path.exists():
            raise WorkerError(
                f"The guard was gone (status {status}) before it could undo the changes on this host; "
                "remove them by hand: python -m hosts.check names what is left"
            )
        return read_log(self._log_path)

    def _send(self, order: Order) -> None:
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        try:
            self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        except BrokenPipeError:
            if isinstance(order, RunNow):
                raise
            raise WorkerError(
                f"The guard (pid {self._process.pid}) is gone: changes on this host could no longer "
                "be undone. End this run"
            ) from None


def read_log(path: Path) -> list[Outcome]:
    """Read the outcomes that a guard wrote, oldest first."""
    return [msgspec.json.decode(line, type=Outcome) for line in path.read_bytes().splitlines()]


def run_undo(name: str, argv: list[str], timeout_s: float = COMMAND_TIMEOUT_S) -> Outcome:
    """Run one undo command to its end; failures are part of the outcome."""
    began = time.monotonic_ns()
    status: int | None = None
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
        status, output = done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired:
        output = f"killed after {timeout_s:g} s"
    except OSError as error:
        output = f"could not be started: {error}"
    return Outcome(name, argv, status, output[-4096:], (time.monotonic_ns() - began) / 1e6)


def _listen(register: Register, pipe: IO[bytes], owner: int) -> None:
    """Take orders until the owner ends or asks for the undoing."""
    poller = select.poll()
    poller.register(pipe, select.POLLIN | select.POLLHUP)
    poller.register(owner, select.POLLIN)
    os.set_blocking(pipe.fileno(), False)
    rest = b""
    while True:
        gone = any(fd == owner for fd, _ in poller.poll())
        chunk = b""
        with suppress(BlockingIOError):  # the owner is gone, and a child of it holds the pipe
            chunk = os.read(pipe.fileno(), _CHUNK)
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()  # the start of an order whose end has not come yet
        for line in lines:
            if not register.apply(msgspec.json.decode(line, type=Order)):
                return
        if not chunk:
            return
        if gone and len(chunk) < _CHUNK:
            return


def _harden() -> None:
    """Outlive the terminal, the SSH session and, where it is allowed, the kernel's search for memory."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    with suppress(PermissionError):
        Path("/proc/self/oom_score_adj").write_text("-1000", encoding="ascii")


def _guard(log_path: Path, owner_pid: int) -> None:
    _harden()
    owner = os.pidfd_open(owner_pid)
    ready = os.dup(sys.stdout.fileno())
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    os.write(ready, b"ready\n")
    os.close(ready)
    register = Register()
    _listen(register, sys.stdin.buffer, owner)
    with log_path.open("wb", buffering=0) as log:
        for name, argv in register.newest_first():
            log.write(msgspec.json.encode(run_undo(name, argv)) + b"\n")


def main(argv: Sequence[str] | None = None) -> Literal[0]:
    """Hold undo commands from stdin and run them when the owner ends. Started by an agent, not by hand."""
    parser = argparse.ArgumentParser(prog="python -m workers.guard", description=main.__doc__)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--owner", type=int, required=True, metavar="PID")
    arguments = parser.parse_args(argv)
    _guard(arguments.log, arguments.owner)
    return 0


if __name__ == "__main__":
    sys.exit(main())
