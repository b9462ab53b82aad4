"""A delay line for kernels without netem: holds each packet of the edge for a fixed time. Runs on the cloud.

``python -m workers.delayline --from 198.18.2.12 --delay-ms 20 --queue 0`` diverts the packets that arrive from
that address to a netfilter queue, and lets each go on after the delay, in order. The delay is added once, one
way; the rate stays the edge's business (`workers.shaping`). There is no bypass: a delay line that died stops the
flow instead of quietly becoming "no delay". It ends, and removes its rule, on SIGTERM or when its stdin closes.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from workers import nfqueue
from workers.errors import ShapingError
from workers.priority import raise_priority

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence


class Undoing(Protocol):
    """What the delay line needs of `workers.guard.Guard`."""

    def add(self, name: str, argv: Sequence[str]) -> None:
        """Register the command that undoes the change `name`."""

    def withdraw(self, name: str) -> None:
        """Forget it."""


class Held(NamedTuple):
    """A packet on the line: its id in the kernel and when it may go on (monotonic clock)."""

    packet_id: int
    due_ns: int


class Line:
    """The line itself: first in, first out, each packet held for `delay_ns`. Pure."""

    def __init__(self, delay_ns: int) -> None:
        self._delay_ns = delay_ns
        self._held: deque[Held] = deque()

    def take(self, packet_id: int, now_ns: int) -> None:
        """Put a packet on the line."""
        self._held.append(Held(packet_id, now_ns + self._delay_ns))

    def release(self, now_ns: int) -> int | None:
        """Take off what is due; return the id of the last of them, None where nothing is due."""
        last = None
        while self._held and self._held[0].due_ns <= now_ns:
            last = self._held.popleft().packet_id
        return last

    def wait_ns(self, now_ns: int) -> int | None:
        """Return the time until the next packet is due, None on an empty line."""
        return max(0, self._held[0].due_ns - now_ns) if self._held else None


def rule(program: str, verb: str, source: str, queue: int) -> list[str]:
    """Return the command that adds (``-A``), checks (``-C``) or removes (``-D``) the diverting rule."""
    match = ["-s", source, "-m", "comment", "--comment", "neukonfig delay line"]
    return [program, "-w", "-t", "raw", verb, "PREROUTING", *match, "-j", "NFQUEUE", "--queue-num", str(queue)]


def undo_commands(source: str, queue: int = 0) -> list[list[str]]:
    """Return what removes the delay line's rule when the delay line itself can no longer do it."""
    own = [sys.executable, "-m", "workers.delayline"]
    return [[*own, "--from", source, "--queue", str(queue), "--remove"]]


def iptables() -> str:
    """Return the iptables program to use; the legacy one works on kernels without nftables' compatibility.

    Raises:
        ShapingError: there is none.

    """
    found = shutil.which("iptables-legacy") or shutil.which("iptables")
    if found is None:
        raise ShapingError(
            "This host's kernel has no netem, and the delay line that replaces it needs iptables: "
            "apt-get install iptables"
        )
    return found


class DelayLine:
    """The cloud agent's side: a delay line as a process of its own, in this network namespace.

    `guard` removes the rule, should this process end without `stop`; the line itself ends with it.
    """

    def __init__(self, guard: Undoing, source: str, delay_ms: float, queue: int = 0) -> None:
        self._guard = guard
        self._source = source
        self._delay_ms = delay_ms
        self._queue = queue
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> dict[str, object]:
        """Start it and return once it delays; the returned facts are ``delay_ms`` and ``priority``.

        Raises:
            ShapingError: it did not start; the message is its own.
        """
        for argv in undo_commands(self._source, self._queue):
            self._guard.add("delay line", argv)
        line = ["--from", self._source, "--delay-ms", str(self._delay_ms), "--queue", str(self._queue)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "workers.delayline", *line],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
            start_new_session=True,
        )
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        ready = self._process.stdout.readline()
        if not ready:
            _, words = self._process.communicate()
            raise ShapingError(f"The cloud's delay line did not start: {words.strip()}")
        facts: dict[str, object] = json.loads(ready)
        return facts

    def stop(self) -> None:
        """End it and remove its rule. Idempotent.

        Raises:
            ShapingError: it had died, so that the link was cut, or its rule could not be removed.
        """
        if self._process is None:
            return
        process, self._process = self._process, None
        _, words = process.communicate()
        if process.returncode:
            raise ShapingError(
                f"The cloud's delay line ended with status {process.returncode}: {words.strip()}; "
                "packets that it held are lost, do not use this run"
            )
        self._guard.withdraw("delay line")


def _serve(link: socket.socket, queue: int, delay_ns: int) -> None:
    """Delay packets until stdin closes."""
    line = Line(delay_ns)
    while True:
        wait_ns = line.wait_ns(time.monotonic_ns())
        readable, _, _ = select.select([link, sys.stdin], [], [], None if wait_ns is None else wait_ns / 1e9)
        if link in readable:
            now_ns = time.monotonic_ns()
            for packet_id in _announced(link):
                line.take(packet_id, now_ns)
        last = line.release(time.monotonic_ns())
        if last is not None:
            link.send(nfqueue.verdict_up_to(queue, last))
        if sys.stdin in readable and not os.read(sys.stdin.fileno(), 4096):
            return


def _announced(link: socket.socket) -> list[int]:
    try:
        return list(nfqueue.packet_ids(link.recv(65536)))
    except OSError as error:
        if error.errno != errno.ENOBUFS:
            raise
        return []  # announcements were lost: the verdict on a later packet lets theirs go, too


def _change(argv: Sequence[str]) -> None:
    done = subprocess.run(argv, capture_output=True, check=False)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip()
        raise ShapingError(f"The delay line's rule was refused by the cloud: {words} ({' '.join(argv)})")


def remove(source: str, queue: int) -> None:
    """Remove every rule that diverts `source` to `queue`. Idempotent, also beside another remover.

    Raises:
        ShapingError: a rule is there and cannot be removed.
    """
    check, delete = (rule(iptables(), verb, source, queue) for verb in ("-C", "-D"))
    while subprocess.run(check, capture_output=True, check=False).returncode == 0:
        try:
            _change(delete)
        except ShapingError:
            if subprocess.run(check, capture_output=True, check=False).returncode == 0:
                raise


def run(source: str, delay_ms: float, queue: int) -> None:
    """Delay what comes from `source` by `delay_ms` until stdin closes or SIGTERM comes; print a line when ready.

    Raises:
        ShapingError: the kernel or iptables refuses.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with nfqueue.bind(queue) as link:
        priority = raise_priority()
        try:
            _change(rule(iptables(), "-A", source, queue))
            print(json.dumps({"ready": True, "delay_ms": delay_ms, "priority": priority}), flush=True)
            _serve(link, queue, round(delay_ms * 1e6))
        finally:
            remove(source, queue)


def main(argv: Sequence[str] | None = None) -> int:
    """Delay the packets that arrive from one address."""
    parser = argparse.ArgumentParser(prog="python -m workers.delayline", description=main.__doc__)
    parser.add_argument("--from", dest="source", required=True, metavar="ADDRESS", help="the edge's address")
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--queue", type=int, default=0, help="number of the netfilter queue")
    parser.add_argument("--remove", action="store_true", help="only remove the rule that an accident left")
    arguments = parser.parse_args(argv)
    try:
        if arguments.remove:
            remove(arguments.source, arguments.queue)
        else:
            run(arguments.source, arguments.delay_ms, arguments.queue)
    except ShapingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
