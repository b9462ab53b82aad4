"""What the three agents share: control over stdin and stdout, the guard, and an orderly end.

An agent lives as long as its SSH channel. It ends, and its guard puts the host back, on `Finish`, on
end-of-file, when the controller has been silent for `SILENCE_S`, or on a signal.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import secrets
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers import messages as m
from workers.errors import ProtocolError, WorkerError
from workers.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

SILENCE_S = 15.0
PATIENCE_S = 60.0
_READ_BYTES = 65536


class ControlChannel:
    """The controller's end of the line, on two file descriptors.

    A thread reads, so that a probe of the clock is answered at once and an order is stamped when it arrives,
    whatever the event loop is doing.
    """

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._write_lock = threading.Lock()

    def send(self, report: m.Report) -> None:
        """Write a report; a controller that is gone is noticed by the reader, not here."""
        data = m.frame_for_stream(report)
        with self._write_lock:
            try:
                while data:
                    data = data[os.write(self._write_fd, data) :]
            except OSError:
                return

    def read_orders(self, deliver: Callable[[m.Order | None, int], None]) -> None:
        """Deliver each order with its arrival stamp, then None once the controller is gone or silent."""
        decoder = m.StreamDecoder(m.Order)
        try:
            while select.select([self._read_fd], [], [], SILENCE_S)[0]:
                data = os.read(self._read_fd, _READ_BYTES)
                if not data:
                    break
                now_ns = time.monotonic_ns()
                for order in decoder.feed(data):
                    if isinstance(order, m.Ping):
                        self.send(m.Pong(order.sent_ns, time.monotonic_ns()))
                    else:
                        deliver(order, now_ns)
        except (OSError, ProtocolError) as error:
            print(f"control channel: {error}", file=sys.stderr)
        deliver(None, time.monotonic_ns())


class Agent:
    """Base of the agents. A role overrides `obey` and `shut_down`."""

    role = ""
    patience_s: float | None = None  # after the controller is gone: time to end by itself before it is ended

    def __init__(self, control: ControlChannel) -> None:
        self.control = control
        self.folder = Path(tempfile.gettempdir()) / f"nk-{secrets.token_hex(4)}"  # short: sockets live here
        self.folder.mkdir(mode=0o700)
        self.guard = Guard.start(self.folder.with_suffix(".guard.jsonl"))
        self.guard.add("folder", ["rm", "-rf", str(self.folder)])
        self._background: set[asyncio.Task[None]] = set()

    async def obey(self, order: m.Order, received_ns: int) -> None:
        """Carry out one order of the controller."""
        raise NotImplementedError

    def hear_at_once(self, order: m.Order, received_ns: int) -> None:
        """Do what an order must not wait for the event loop for; in the thread that hears it, before `obey`."""

    async def shut_down(self) -> None:
        """Close sockets and logs; the guard does the rest."""

    @staticmethod
    def new_loop() -> asyncio.AbstractEventLoop:
        """Return the event loop that the agent runs in."""
        return asyncio.new_event_loop()

    def netem(self) -> bool:
        """Say whether this host's kernel can delay packets (asked of the edge alone)."""
        return False

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside the others; its failure is reported to the controller."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self.reap)

    def say(self, report: m.Report) -> None:
        """Send a report to the controller."""
        self.control.send(report)

    def reap(self, task: asyncio.Task[None]) -> None:
        """Report a task that ended by an error."""
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            traceback.print_exception(error)
            self.say(m.Trouble(f"{self.role}: {error or type(error).__name__}"))

    async def run(self) -> None:
        """Serve the controller until it says `Finish` or goes away."""
        loop = asyncio.get_running_loop()
        orders: asyncio.Queue[tuple[m.Order | None, int]] = asyncio.Queue()

        def deliver(order: m.Order | None, received_ns: int) -> None:
            if order is None and self.patience_s is not None:  # the guard waits for this process's end
                last_resort = threading.Timer(self.patience_s, os._exit, (1,))
                last_resort.daemon = True
                last_resort.start()
            if order is not None:
                self.hear_at_once(order, received_ns)
            with contextlib.suppress(RuntimeError):  # the loop has ended: the agent has heard enough
                loop.call_soon_threadsafe(orders.put_nowait, (order, received_ns))

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, deliver, None, 0)
        self.say(m.Hello(m.PROTOCOL_VERSION, self.role, os.getpid(), self.netem()))
        threading.Thread(target=self.control.read_orders, args=(deliver,), daemon=True).start()
        while True:
            order, received_ns = await orders.get()
            if order is None or isinstance(order, m.Finish):
                break
            await self._obey(self.obey(order, received_ns))
        await self._end()

    async def _obey(self, obeying: Awaitable[None]) -> None:
        try:
            await obeying
        except WorkerError as error:
            self.say(m.Trouble(f"{self.role}: {error}"))
        except Exception as error:  # noqa: BLE001 - whatever it was, the controller must hear of it
            traceback.print_exc()
            self.say(m.Trouble(f"{self.role}: {type(error).__name__}: {error}"))

    async def _end(self) -> None:
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        try:
            await self.shut_down()
        finally:
            outcomes = self.guard.finish()
            undone = tuple(f"{outcome.name}: {outcome.output}" for outcome in outcomes if not outcome.ok)
            for failure in undone:
                print(f"could not undo {failure}", file=sys.stderr)
            self.folder.with_suffix(".guard.jsonl").unlink(missing_ok=True)
            shutil.rmtree(self.folder, ignore_errors=True)
            self.say(m.Finished(undone))


def main(agent_type: type[Agent], argv: Sequence[str] | None = None) -> int:
    """Run an agent on this process's stdin and stdout; what others print goes to stderr."""
    parser = argparse.ArgumentParser(
        prog=f"python -m workers.{agent_type.role}",
        description=f"Agent of the {agent_type.role}. Started over SSH by hosts.measure, not by hand: "
        "it speaks a binary protocol on stdin and stdout.",
    )
    parser.parse_args(argv)
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"  # tc and ip, which plain users lack
    write_fd = os.dup(1)
    os.dup2(2, 1)
    control = ControlChannel(0, write_fd)
    try:
        agent = agent_type(control)
        agent.patience_s = PATIENCE_S
        with asyncio.Runner(loop_factory=agent_type.new_loop) as runner:
            runner.run(agent.run())
    except WorkerError as error:
        control.send(m.Trouble(f"{agent_type.role}: {error}"))
        return 1
    return 0
