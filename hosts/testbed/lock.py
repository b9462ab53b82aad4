"""One testbed of a name at a time: a locked file that says who holds it."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec

from hosts.errors import TestbedError
from hosts.testbed.plan import RUN

_POLL_S = 0.002


class Holder(msgspec.Struct, frozen=True):
    """Who holds the lock: process ids as the machine sees them (supervisor first), since when."""

    pids: list[int]
    command: str
    since: str


class Lock:
    """The lock of a testbed's name.

    It belongs to the open file: the supervisor hands it on to the inner process, and it is held until both
    are gone. Whoever releases it removes the file; after an accident a file stays, unlocked, without meaning.
    """

    def __init__(self, name: str, fd: int) -> None:
        self.name = name
        self.fd = fd

    @classmethod
    def take(cls, name: str, timeout_s: float = 0.0) -> Self:
        """Take the lock, waiting up to `timeout_s` for it.

        Raises:
            TestbedError: somebody else holds it.

        """
        deadline = time.monotonic() + timeout_s
        while True:
            RUN.mkdir(mode=0o755, exist_ok=True)
            try:
                fd = os.open(path(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue  # the last testbed removed the folder meanwhile
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                if time.monotonic() >= deadline:
                    raise TestbedError(_refusal(name)) from None
                time.sleep(_POLL_S)
                continue
            if _is_current(fd, path(name)):
                return cls(name, fd)
            os.close(fd)  # its holder removed the file while we opened it

    def sign(self, *pids: int) -> None:
        """Write into the file who holds it."""
        command = Path("/proc/self/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        holder = Holder(list(pids), command, time.strftime("%Y-%m-%d %H:%M:%S"))
        text = msgspec.json.encode(holder)
        os.pwrite(self.fd, text, 0)
        os.ftruncate(self.fd, len(text))

    def release(self) -> None:
        """Remove the file and let go."""
        with suppress(FileNotFoundError):
            path(self.name).unlink()
        with suppress(OSError):  # another testbed lives there
            RUN.rmdir()
        os.close(self.fd)


def path(name: str) -> Path:
    """Return the lock file of the testbed `name`."""
    return RUN / f"{name}.lock"


def holder(name: str) -> Holder | None:
    """Return what the lock file says of its holder, None where it says nothing."""
    try:
        return msgspec.json.decode(path(name).read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None


def _is_current(fd: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), file.stat())
    except FileNotFoundError:
        return False


def _refusal(name: str) -> str:
    who = holder(name)
    by = f"by process {who.pids[0]} ({who.command}) since {who.since}" if who else "by another process"
    return (
        f"The testbed '{name}' is in use {by}; wait for its end, or give this one another name "
        "(key testbed: in the inventory) and other addresses"
    )
