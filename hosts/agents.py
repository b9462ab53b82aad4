"""The controller's end of an agent: typed messages over the SSH channel, heartbeats, and clock probes."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Self, TypeVar

from hosts.errors import AgentError, ConnectError
from workers import messages as m
from workers.errors import ProtocolError
from workers.records import ClockOffset, Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from hosts.connection import Channel, Connection

HEARTBEAT_S = 2.0
START_TIMEOUT_S = 30.0
PROBES = 15
_READ_BYTES = 65536

Expected = TypeVar("Expected", bound=m.Message)


class AgentClient:
    """One agent, from its first word to its last.

    Args:
        connection: the host.
        argv: the command that starts the agent.
        role: which agent it is.
    """

    def __init__(self, connection: Connection, argv: Sequence[str], role: str) -> None:
        self.role = role
        self.label = connection.label
        self._channel: Channel = connection.open(argv)
        self._inbox: queue.Queue[m.Report | AgentError] = queue.Queue()
        self._pongs: queue.Queue[tuple[m.Pong, int]] = queue.Queue()
        self._held: list[m.Report] = []
        self._send_lock = threading.Lock()
        self._closing = threading.Event()
        self._gone: AgentError | None = None
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.hello = self.expect(m.Hello, START_TIMEOUT_S)
            self._check_protocol()
        except AgentError:
            self.close()
            raise
        threading.Thread(target=self._beat, daemon=True).start()

    def _check_protocol(self) -> None:
        if self.hello.protocol != m.PROTOCOL_VERSION:
            raise AgentError(
                f"{self.label}: its workers speak protocol {self.hello.protocol}, this controller "
                f"{m.PROTOCOL_VERSION}. Deploy again: remove the host's workdir and rerun"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, order: m.Order) -> None:
        """Send an order.

        Raises:
            AgentError: the agent is gone.
        """
        try:
            with self._send_lock:
                self._channel.send(m.frame_for_stream(order))
        except (ConnectError, OSError) as error:
            raise self._gone or self._lost(str(error)) from error

    def expect(self, kind: type[Expected], timeout_s: float) -> Expected:
        """Return the next report of that kind; others are kept for later calls.

        Raises:
            AgentError: `Trouble` was reported, the agent is gone, or nothing came in time.
        """
        for index, held in enumerate(self._held):
            if isinstance(held, kind):
                del self._held[index]
                return held
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                report = self._inbox.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AgentSilent(
                    f"{self.label}: the {self.role} agent said no {kind.__name__} within {timeout_s:g} s. "
                    "Its log is beside run.json"
                ) from None
            if isinstance(report, AgentError):
                self._inbox.put(report)  # whoever asks next must hear it too
                raise report
            if isinstance(report, kind):
                return report
            if isinstance(report, m.Trouble):
                raise self._trouble(report)
            self._held.append(report)

    def take(self, kind: type[Expected]) -> list[Expected]:
        """Return the kept reports of that kind and keep them no longer."""
        taken: list[Expected] = [held for held in self._held if isinstance(held, kind)]
        self.discard(kind)
        return taken

    def discard(self, kind: type[m.Message]) -> None:
        """Forget kept reports of that kind."""
        self._held = [held for held in self._held if not isinstance(held, kind)]

    def check(self) -> None:
        """Raise the AgentError of an agent that is gone or in trouble; otherwise return at once."""
        while True:
            try:
                report = self._inbox.get_nowait()
            except queue.Empty:
                return
            if isinstance(report, AgentError):
                self._inbox.put(report)
                raise report
            if isinstance(report, m.Trouble):
                raise self._trouble(report)
            self._held.append(report)

    def clock_offset(self) -> ClockOffset:
        """Probe the agent's clock; the probe with the shortest round trip counts.

        Raises:
            AgentError: the agent did not answer.
        """
        best: tuple[int, int] | None = None
        for _ in range(PROBES):
            self.send(m.Ping(time.monotonic_ns()))
            pong, received_ns = self._pong()
            trip_ns = received_ns - pong.sent_ns
            offset_ns = pong.agent_ns - (pong.sent_ns + trip_ns // 2)
            if best is None or trip_ns < best[0]:
                best = (trip_ns, offset_ns)
        assert best is not None  # noqa: S101 - PROBES > 0
        return ClockOffset(offset_ns=best[1], bound_ns=best[0] // 2 + 1)

    def finish(self, timeout_s: float = 30.0) -> tuple[str, ...]:
        """Let the agent put its host back; return what could not be undone."""
        self.send(m.Finish())
        while True:
            try:
                return self.expect(m.Finished, timeout_s).undone
            except AgentTrouble:
                continue

    def stderr_tail(self) -> str:
        """Return the last that the agent printed."""
        return self._channel.stderr_tail()

    def close(self) -> None:
        """End the conversation; the agent then cleans up by itself."""
        self._closing.set()
        self._channel.close()

    # --- threads --------------------------------------------------------------------------------------------

    def _pong(self) -> tuple[m.Pong, int]:
        try:
            return self._pongs.get(timeout=START_TIMEOUT_S)
        except queue.Empty:
            raise self._gone or self._lost("no answer to a clock probe") from None

    def _read(self) -> None:
        decoder = m.StreamDecoder(m.Report)
        why = "it ended"
        try:
            while not self._closing.is_set():
                try:
                    data = self._channel.receive(_READ_BYTES, timeout_s=1.0)
                except TimeoutError:
                    continue
                received_ns = time.monotonic_ns()
                if not data:
                    break
                for report in decoder.feed(data):
                    if isinstance(report, m.Pong):
                        if report.sent_ns:  # 0: a heartbeat, nobody waits for it
                            self._pongs.put((report, received_ns))
                    else:
                        self._inbox.put(report)
        except (ConnectError, ProtocolError, OSError) as error:
            why = str(error)
        if not self._closing.is_set():
            self._gone = self._lost(why)
            self._inbox.put(self._gone)

    def _trouble(self, report: m.Trouble) -> AgentTrouble:
        return AgentTrouble(f"{self.label}: {report.reason}", report.exit_code, report.oom_kills)

    def _lost(self, why: str) -> AgentError:
        status = self._channel.exit_status(1.0)
        tail = self._channel.stderr_tail().strip().splitlines()
        said = f"; last it printed: {tail[-1]}" if tail else ""
        return AgentError(f"{self.label}: the {self.role} agent is gone ({why}, exit status {status}){said}")

    def _beat(self) -> None:
        while not self._closing.wait(HEARTBEAT_S):
            try:
                self.send(m.Ping(0))
            except AgentError:
                return


class AgentTrouble(AgentError):  # noqa: N818 - named after the message
    """An agent reported that something broke; it is still there.

    `exit_code` of the container that died, if one did; `oom_kills` is evidence of want of memory.
    """

    def __init__(self, reason: str, exit_code: int | None, oom_kills: int) -> None:
        super().__init__(reason)
        self.exit_code = exit_code
        self.oom_kills = oom_kills


def status_of(error: Exception) -> Status:
    """Return how it ended for what an error broke: infeasible where the kernel killed a process for want of memory."""
    lacks_memory = isinstance(error, AgentTrouble) and error.oom_kills > 0
    return Status.INFEASIBLE if lacks_memory else Status.FAILED


class AgentSilent(AgentError):  # noqa: N818 - the state it reports
    """An agent is there but has not said what it was asked for in time."""
