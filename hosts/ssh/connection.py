"""One host over SSH: run commands, move files, hold long-lived processes."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import paramiko

from hosts import shell
from hosts.connection import Completed
from hosts.errors import ConnectError, RemoteError
from hosts.ssh.channel import BROKEN, PACKET_BYTES, STALL_TIMEOUT_S, TAIL_BYTES, SshChannel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

_OPEN_TIMEOUT_S = 15.0
_CLOSE_TIMEOUT_S = 2.0
_READ_BYTES = 128 * 1024


class SshConnection:
    """One host over SSH; fulfils `hosts.connection.Connection`. Safe to use from several threads."""

    def __init__(self, label: str, transport: paramiko.Transport) -> None:
        self._label = label
        self._transport = transport

    @property
    def label(self) -> str:
        """How messages name this host: ``edge (198.18.0.12)``."""
        return self._label

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float = 30.0) -> Completed:
        """Run a command to its end; see `Connection.run`. One that is too late is left to itself."""
        deadline = time.monotonic() + timeout_s
        with contextlib.closing(self._start(argv, keep_stderr=None, reads=bool(stdin))) as channel:
            feeder = _feed(channel, stdin) if stdin else None
            out = bytearray()
            try:
                while data := channel.receive(_READ_BYTES, deadline - time.monotonic()):
                    out += data
            except TimeoutError:
                raise TimeoutError(f"{self.label}: `{argv[0]}` did not end within {timeout_s:g} s") from None
            status = self._status(channel, max(1.0, deadline - time.monotonic()))
            if feeder:
                feeder.join(_CLOSE_TIMEOUT_S)
            return Completed(status, bytes(out), channel.stderr())

    def put(self, source: bytes | Path, remote: str, *, mode: int = 0o644) -> None:
        """Write a remote file, whole or not at all; see `Connection.put`."""
        size = source.stat().st_size if isinstance(source, Path) else len(source)
        upload = shell.put_script(remote, secrets.token_hex(4), size, mode)
        with contextlib.closing(self._start(shell.script(upload))) as channel:
            with contextlib.suppress(ConnectError):  # why it ended early is in its status and stderr
                for piece in _pieces(source):
                    channel.send(piece)
            channel.end_stdin()
            while channel.receive(_READ_BYTES, STALL_TIMEOUT_S):
                pass
            if self._status(channel, STALL_TIMEOUT_S):
                raise RemoteError(shell.put_failure(self.label, remote, channel.stderr().decode(errors="replace")))

    def get(self, remote: str, local: Path) -> None:
        """Fetch a remote file, whole or not at all; see `Connection.get`."""
        with (
            contextlib.closing(self._start(shell.script(shell.get_script(remote)), reads=False)) as channel,
            _replacing(local) as part,
        ):
            with part.open("wb") as file:
                while data := channel.receive(_READ_BYTES, STALL_TIMEOUT_S):
                    file.write(data)
            status = self._status(channel, STALL_TIMEOUT_S)
            if status == shell.NO_SUCH_FILE:
                raise FileNotFoundError(f"{self.label}: there is no file {remote}")
            if status:
                words = channel.stderr().decode(errors="replace").strip()
                raise RemoteError(f"{self.label}: {remote} could not be read: {words}")

    def open(self, argv: Sequence[str]) -> SshChannel:
        """Start a long-lived process; see `Connection.open`."""
        return self._start(argv)

    def close(self) -> None:
        """End the connection and its threads. Idempotent."""
        self._transport.close()
        self._transport.join(_CLOSE_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, argv: Sequence[str], keep_stderr: int | None = TAIL_BYTES, *, reads: bool = True) -> SshChannel:
        """Start a process. One that does not read its stdin gets none: the end of it is not ours to send.

        paramiko sends it even after it has answered the host's close of the channel in another thread, and sshd then
        ends the whole connection ("ieof packet referred to nonexistent channel").
        """
        try:
            channel = self._transport.open_session(timeout=_OPEN_TIMEOUT_S)
        except paramiko.ChannelException as error:
            raise ConnectError(
                f"{self.label}: its sshd opens no more sessions ({error.text}). "
                "Raise MaxSessions in its sshd_config, or end other work over this connection"
            ) from error
        except BROKEN as error:
            raise self._gone() from error
        try:
            channel.exec_command(shell.command_line(argv, reads=reads))
        except BROKEN as error:
            channel.close()
            raise self._gone() from error
        return SshChannel(self.label, channel, self._gone, keep_stderr)

    def _status(self, channel: SshChannel, timeout_s: float) -> int:
        status = channel.exit_status(timeout_s)
        if status is None:
            raise self._gone()
        return status

    def _gone(self) -> ConnectError:
        why = str(self._transport.get_exception() or "") or "closed by the host"
        return ConnectError(
            f"{self.label}: the SSH connection is gone ({why}). "
            "Check that the host is up and its sshd runs, then run again"
        )


def _feed(channel: SshChannel, data: bytes) -> threading.Thread | None:
    """Send a command's stdin; much of it in a thread, for a command that answers before it has read all."""

    def feed() -> None:
        with contextlib.suppress(ConnectError):  # it ended without reading all, as it may
            channel.send(data)
        channel.end_stdin()

    if len(data) <= PACKET_BYTES:
        feed()
        return None
    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    return feeder


def _pieces(source: bytes | Path) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while piece := file.read(PACKET_BYTES):
            yield piece


@contextlib.contextmanager
def _replacing(local: Path) -> Iterator[Path]:
    """Give a path beside `local` that takes its place if all goes well, and is removed otherwise."""
    local.parent.mkdir(parents=True, exist_ok=True)
    part = local.with_name(f".{local.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        part.replace(local)
    finally:
        part.unlink(missing_ok=True)
