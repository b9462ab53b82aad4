"""A remote process over an SSH channel."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from paramiko import SSHException

from hosts.errors import ConnectError

if TYPE_CHECKING:
    from collections.abc import Callable

    import paramiko

STALL_TIMEOUT_S = 60.0
TAIL_BYTES = 64 * 1024
# What OpenSSH takes in one packet, less what paramiko keeps for the header. Bigger writes are no faster: paramiko
# cuts them up (174 MB/s with this size, 144 MB/s with 1 MiB).
PACKET_BYTES = 32768 - 64
_READ_BYTES = 64 * 1024
_JOIN_TIMEOUT_S = 2.0
_NO_STATUS = -1  # paramiko's word for it
BROKEN = (SSHException, EOFError, OSError)


class SshChannel:
    """A remote process; fulfils `hosts.connection.Channel`. One thread may send while another receives.

    Args:
        label: the host's name in messages.
        channel: a channel whose command has been started.
        gone: makes the error that says why the connection is gone.
        keep_stderr: bytes of stderr to keep, None for all.
    """

    def __init__(
        self,
        label: str,
        channel: paramiko.Channel,
        gone: Callable[[], ConnectError],
        keep_stderr: int | None = TAIL_BYTES,
    ) -> None:
        self._label = label
        self._channel = channel
        self._gone = gone
        self._keep_stderr = keep_stderr
        self._errors = bytearray()
        self._closed = False
        # paramiko has one timeout for both directions; this event gives receiving one of its own.
        self._readable = threading.Event()
        channel.settimeout(STALL_TIMEOUT_S)
        channel.in_buffer.set_event(self._readable)
        # Undrained, stderr would fill the window that it shares with stdout.
        self._drainer = threading.Thread(target=self._drain, name=f"stderr of {label}", daemon=True)
        self._drainer.start()

    def send(self, data: bytes) -> None:
        """Write all of `data` to its stdin. Raises ConnectError once the channel is gone."""
        for start in range(0, len(data), PACKET_BYTES):
            piece = data[start : start + PACKET_BYTES]
            while piece:
                piece = piece[self._send_some(piece) :]

    def end_stdin(self) -> None:
        """Give the process end-of-file on its stdin."""
        with suppress(*BROKEN):
            self._channel.shutdown_write()

    def receive(self, max_bytes: int, timeout_s: float) -> bytes:
        """Read from its stdout; b"" at end-of-file. Raises TimeoutError after `timeout_s`."""
        if not self._readable.wait(max(0.0, timeout_s)):
            raise TimeoutError(f"{self._label}: nothing arrived within {timeout_s:g} s")
        data = self._channel.recv(max_bytes)
        if not data and self._is_cut():
            raise self._gone()
        return data

    def stderr_tail(self) -> str:
        """Return the last 64 KiB that it wrote to stderr."""
        return bytes(self._errors[-TAIL_BYTES:]).decode(errors="replace")

    def stderr(self) -> bytes:
        """Return what was kept of its stderr, once it has ended."""
        self._drainer.join(_JOIN_TIMEOUT_S)
        return bytes(self._errors)

    def exit_status(self, timeout_s: float) -> int | None:
        """Return its exit status, None where it still runs after `timeout_s` or the host is gone."""
        self._channel.status_event.wait(max(0.0, timeout_s))
        return None if self._channel.exit_status == _NO_STATUS else self._channel.exit_status

    def close(self) -> None:
        """Close stdin and free the channel. Idempotent."""
        if self._closed:
            return
        self._closed = True
        with suppress(*BROKEN):
            self._channel.close()
        self._drainer.join(_JOIN_TIMEOUT_S)

    def _send_some(self, piece: bytes) -> int:
        """Send up to a packet and return how much of it."""
        try:
            sent = self._channel.send(piece)
        except TimeoutError as error:
            raise ConnectError(
                f"{self._label}: the remote process took no data for {STALL_TIMEOUT_S:g} s. "
                "See what it does there, then run again"
            ) from error
        except BROKEN as error:
            raise self._unsendable() from error
        if not sent:
            raise self._unsendable()
        return sent

    def _unsendable(self) -> ConnectError:
        if self._closed or not self._is_cut():
            return ConnectError(f"{self._label}: the remote process has ended, nothing can be sent to it")
        return self._gone()

    def _is_cut(self) -> bool:
        """Say whether the channel ended without a word of the host: neither end-of-file nor exit status."""
        ended = self._channel.eof_received or self._channel.exit_status != _NO_STATUS
        return not ended and not self._closed

    def _drain(self) -> None:
        while True:
            try:
                data = self._channel.recv_stderr(_READ_BYTES)
            except TimeoutError:
                continue
            except BROKEN:
                return
            if not data:
                return
            self._errors += data
            if self._keep_stderr is not None:
                del self._errors[: -self._keep_stderr]
