"""Stand-ins that keep the interfaces of the real parts: tiers, an agent's channel, a session."""

from __future__ import annotations

import asyncio
import queue

import msgspec

from hosts.connection import Completed
from hosts.session import Measured
from workers import messages as m
from workers.records import ClockOffset


async def settle(turns=20):
    """Let every task of the loop go on until it waits for something from outside."""
    for _ in range(turns):
        await asyncio.sleep(0)


class FakeTier:
    """Takes orders; each waits until it is released, unless the tier answers by itself."""

    def __init__(self, *, by_itself=True):
        self.orders = []
        self.by_itself = by_itself
        self.refusals = {}  # kind of order -> reason
        self.parts_ms = {}  # kind of order -> parts
        self._waiting = []

    async def obey(self, order):
        self.orders.append(order)
        if not self.by_itself:
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future
        reason = self.refusals.get(type(order))
        if isinstance(reason, Exception):
            raise reason
        if reason is not None:
            return m.Refused(order.order, reason)
        return m.Fulfilled(order.order, self.parts_ms.get(type(order), {}))

    async def release(self):
        """Answer the oldest order that waits, and let the manager go on."""
        await settle()
        self._waiting.pop(0).set_result(None)
        await settle()

    def kinds(self):
        return [type(order).__name__ for order in self.orders]


class FakeChannel:
    """A long-lived process at the other end of a connection, played by the test."""

    def __init__(self, said=(), answer=None):
        self._said = queue.Queue()
        for report in said:
            self.say(report)
        self._answer = answer
        self._decoder = m.StreamDecoder(m.Order)
        self.orders = []
        self.heartbeats = 0
        self.closed = False
        self.error = None
        self.status = None
        self.printed = ""

    def say(self, report):
        """Let the process write a report."""
        self.write(m.frame_for_stream(report))

    def write(self, data):
        """Let the process write bytes; b"" ends it."""
        self._said.put(data)

    def end(self, status=1, printed=""):
        self.status, self.printed = status, printed
        self.write(b"")

    # --- hosts.connection.Channel ---------------------------------------------------------------------------

    def send(self, data):
        if self.error is not None:
            raise self.error
        for order in self._decoder.feed(data):
            if order == m.Ping(0):
                self.heartbeats += 1
                continue
            self.orders.append(order)
            if self._answer is not None:
                for report in self._answer(order):
                    self.say(report)

    def receive(self, max_bytes, timeout_s):
        del max_bytes
        try:
            return self._said.get(timeout=min(timeout_s, 0.02))
        except queue.Empty:
            raise TimeoutError from None

    def stderr_tail(self):
        return self.printed

    def exit_status(self, timeout_s):
        del timeout_s
        return self.status

    def close(self):
        self.closed = True


class FakeConnection:
    """A host on which every process is the given channel."""

    label = "edge (198.18.0.12)"

    def __init__(self, channel):
        self._channel = channel
        self.opened = []

    def open(self, argv):
        self.opened.append(list(argv))
        return self._channel

    def run(self, argv, *, stdin=b"", timeout_s=30.0):
        del argv, stdin, timeout_s
        return Completed(0, b"", b"")

    def close(self):
        self._channel.close()


class Script(msgspec.Struct):
    """What becomes of one session: the error that each step ends in, None where it goes well.

    A run's entry is an exception, or a reason (str) for which its repartition fails in an orderly way.
    """

    opened: Exception | None = None
    entered: Exception | None = None
    deployed: Exception | None = None
    warmed_up: Exception | None = None
    runs: list[Exception | str | None] = []
    closing: Exception | None = None
    lost: tuple[str, ...] = ()  # pipelines that die in every run though service goes on
    changed: Exception | None = None  # every change of a burst


class FakeSession:
    """Plays `hosts.session.Session` by a script; what it is asked for is kept in `log`."""

    choices = {"edge_runtime": "podman"}  # noqa: RUF012 - never changed
    stress = {"tool": "none", "cpu_pct": 99.5}  # noqa: RUF012
    clocks = {"edge": ClockOffset(1, 2)}  # noqa: RUF012

    def __init__(self, script, log):
        self._runs = list(script.runs)
        self._script = script
        self.log = log
        self.last_words = {}
        if script.opened is not None:
            raise script.opened

    def __enter__(self):
        self._fail(self._script.entered)
        self.log.append("enter")
        return self

    def __exit__(self, *_):
        self.last_words = {"edge": f"after {len(self.log)}"}
        self.log.append("exit")

    def deploy(self, spec):
        self._fail(self._script.deployed)
        self.log.append(f"deploy {spec.from_point}")

    def warm_up(self, fps, frames):
        self._fail(self._script.warmed_up)
        self.log.append(f"warm up {frames} at {fps:g}")

    def measure(self, spec):
        fate = self._runs.pop(0) if self._runs else None
        if isinstance(fate, Exception):
            raise fate
        self.log.append(f"run {spec.run}")
        outcome = m.Repartitioned(spec.run, spec.to_point, moved=fate is None, ok=fate is None, reason=fate)
        frames = m.FramesStopped(spec.run, 10, 9, spec.fps)
        before = m.LinkMeasured(spec.from_mbps - 0.5, 20.5)
        after = m.LinkMeasured(spec.to_mbps - 0.25, 20.25)
        left = m.AvailabilityRead(spec.run, cpu_pct=97.0, mem_pct=99.0)
        return Measured(outcome, frames, before, after, left, self._script.lost, 2.0, self.clocks, self.clocks)

    def start_frames(self, run, fps):
        self.log.append(f"frames {run} at {fps:g}")

    def stop_frames(self, run):
        self.log.append(f"stop {run}")
        return m.FramesStopped(run, 10, 9, 5.0)

    def change(self, change):
        self._fail(self._script.changed)
        self.log.append(f"change {change.run}")
        return m.Repartitioned(change.run, change.to_point, moved=True, ok=True, reason=None)

    def clock_offsets(self):
        self._fail(self._script.closing)
        return {"edge": ClockOffset(3, 4)}

    @staticmethod
    def _fail(error):
        if error is not None:
            raise error
