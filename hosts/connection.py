"""How the controller reaches a host: the protocol that `hosts.ssh` and the test doubles fulfil."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType


class Completed(NamedTuple):
    """Outcome of a remote command: exit status, standard output and standard error (bytes)."""

    status: int
    stdout: bytes
    stderr: bytes


class Channel(Protocol):
    """A long-lived remote process; closing the channel gives it end-of-file on stdin."""

    def send(self, data: bytes) -> None:
        """Write all of `data` to its stdin. Raises ConnectError once the channel is gone."""

    def receive(self, max_bytes: int, timeout_s: float) -> bytes:
        """Read from its stdout; b"" at end-of-file. Raises TimeoutError after `timeout_s`."""

    def stderr_tail(self) -> str:
        """Return the last 64 KiB that it wrote to stderr."""

    def exit_status(self, timeout_s: float) -> int | None:
        """Return its exit status, None where it still runs after `timeout_s` or the host is gone."""

    def close(self) -> None:
        """Close stdin and free the channel. Idempotent."""


class Connection(Protocol):
    """One host. Every method raises ConnectError where the host is gone."""

    @property
    def label(self) -> str:
        """How messages name this host: ``edge (198.18.0.12)``."""

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float = 30.0) -> Completed:
        """Run a command to its end. A non-zero status is no error here; TimeoutError after `timeout_s`."""

    def put(self, source: bytes | Path, remote: str, *, mode: int = 0o644) -> None:
        """Write a remote file atomically (temporary name, then rename), making its folders.

        Raises RemoteError naming the host and the reason (for example a full disk).
        """

    def get(self, remote: str, local: Path) -> None:
        """Fetch a remote file. Raises FileNotFoundError where there is none."""

    def open(self, argv: Sequence[str]) -> Channel:
        """Start a long-lived process whose stdin and stdout the channel holds."""

    def close(self) -> None:
        """End the connection. Idempotent."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
