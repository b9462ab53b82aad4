"""The lease of a testbed: one measuring job at a time, whoever runs it and from wherever.

It is a lock on the edge host, held by a process there whose stdin is an SSH channel of ours: however the holder
ends, the channel closes and the lease is free again, within milliseconds of a kill and within 15 s of a dead network.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hosts import shell
from hosts.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hosts.connection import Channel, Connection

_SCRIPT: Final = Path(__file__).with_name("lease.sh")
_SILENCE_S: Final = 30.0  # the script speaks every two seconds


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def lease(edge: Connection, say: Callable[[str], None] = _to_stderr) -> Iterator[None]:
    """Hold the testbed of this edge host; waits while another has it, saying who.

    Raises:
        RemoteError: the host has no flock, or its lock file cannot be used.
        ConnectError: the host is gone.
    """
    script = _SCRIPT.read_text(encoding="utf-8")
    with contextlib.closing(edge.open(shell.script(script, holder()))) as channel:
        said = None
        for line in _lines(edge, channel):
            if line == "leased":
                break
            if line != said:
                who = line.removeprefix("busy").strip() or "another job"
                say(f"{edge.label}: the testbed is leased by {who}; waiting for it")
                said = line
        yield


def holder() -> str:
    """Return how others see this process while it holds a lease."""
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} of {getpass.getuser()} on {socket.gethostname()} since {since}"


def _lines(edge: Connection, channel: Channel) -> Iterator[str]:
    """Yield what the script says; its end, or silence, is an error."""
    text = ""
    while True:
        try:
            data = channel.receive(4096, _SILENCE_S)
        except TimeoutError as error:
            raise RemoteError(
                f"{edge.label}: the lease of the testbed said nothing for {_SILENCE_S:g} s. See what keeps it busy"
            ) from error
        if not data:
            status = channel.exit_status(1.0)
            words = channel.stderr_tail().strip().splitlines()[-1:] or ["no reason was given"]
            raise RemoteError(
                f"{edge.label}: the testbed could not be leased ({words[0]}, status {status}). "
                "It needs flock (apt-get install util-linux) and a /tmp that can be written"
            )
        text += data.decode(errors="replace")
        *lines, text = text.split("\n")
        yield from lines
