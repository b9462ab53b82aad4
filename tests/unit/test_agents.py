"""Both ends of the control channel: what the controller hears of an agent, and how an agent lives and ends."""

import asyncio
import os
import select
import signal
import threading
import time

import pytest

from hosts import agents
from hosts.agents import AgentClient, AgentTrouble
from hosts.errors import AgentError, ConnectError
from tests.unit.fakes import FakeChannel, FakeConnection
from workers import agent as agent_module
from workers import messages as m
from workers.agent import Agent, ControlChannel
from workers.errors import ShapingError

HELLO = m.Hello(m.PROTOCOL_VERSION, "edge", 42, netem=True)
READY = m.Ready({"runtime": "podman"}, {})


def client_of(channel):
    return AgentClient(FakeConnection(channel), ["python", "-m", "workers.edge"], "edge")


@pytest.fixture
def channel():
    return FakeChannel([HELLO])


@pytest.fixture
def client(channel):
    with client_of(channel) as client:
        yield client


# --- the controller's end -----------------------------------------------------------------------------------


def test_the_agent_says_hello(client):
    assert client.hello == HELLO
    assert client.label == "edge (198.18.0.12)"


def test_an_agent_of_another_protocol_is_refused_and_let_go():
    channel = FakeChannel([m.Hello(m.PROTOCOL_VERSION + 1, "edge", 42, netem=True)])
    with pytest.raises(AgentError, match=r"edge \(198.18.0.12\): its workers speak protocol .*Deploy again"):
        client_of(channel)
    assert channel.closed


def test_an_agent_that_does_not_start_is_quoted():
    channel = FakeChannel()
    channel.end(status=1, printed="Traceback\nModuleNotFoundError: No module named 'zmq'\n")
    with pytest.raises(AgentError, match=r"edge agent is gone \(it ended, exit status 1\).*No module named 'zmq'"):
        client_of(channel)
    assert channel.closed


def test_an_agent_that_says_nothing_is_not_waited_for_forever(monkeypatch):
    monkeypatch.setattr(agents, "START_TIMEOUT_S", 0.05)
    channel = FakeChannel()
    with pytest.raises(AgentError, match=r"said no Hello within 0.05 s"):
        client_of(channel)
    assert channel.closed


def test_something_else_than_an_agent_is_told_apart():
    channel = FakeChannel()
    channel.write(b"Welcome to Debian GNU/Linux!\n")
    with pytest.raises(AgentError, match=r"bytes refused.*something else than an agent"):
        client_of(channel)


def test_orders_reach_the_agent(client, channel):
    order = m.Deploy(16, 21)
    client.send(order)
    assert channel.orders == [order]


def test_reports_of_another_kind_are_kept_for_later(client, channel):
    rearmed = m.Rearmed(1)
    for report in (READY, rearmed, m.LinkShaped(16, 1.0)):
        channel.say(report)
    assert client.expect(m.LinkShaped, 1.0) == m.LinkShaped(16, 1.0)
    assert client.expect(m.Rearmed, 1.0) == rearmed
    assert client.expect(m.Ready, 1.0) == READY


def test_reports_of_a_kind_come_in_their_order(client, channel):
    for run in (1, 2, 3):
        channel.say(m.Rearmed(run))
    channel.say(READY)
    client.expect(m.Ready, 1.0)
    assert [client.expect(m.Rearmed, 1.0).run for _ in range(3)] == [1, 2, 3]


def test_kept_reports_can_be_forgotten(client, channel):
    for report in (m.Rearmed(1), m.LinkShaped(16, 1.0), READY):
        channel.say(report)
    client.expect(m.Ready, 1.0)
    client.discard(m.Rearmed)
    with pytest.raises(AgentError, match="said no Rearmed"):
        client.expect(m.Rearmed, 0.0)
    assert client.expect(m.LinkShaped, 0.0) == m.LinkShaped(16, 1.0)


def test_a_report_that_does_not_come_is_named(client):
    with pytest.raises(AgentError, match=r"edge \(198.18.0.12\): the edge agent said no LinkShaped within 0.01 s"):
        client.expect(m.LinkShaped, 0.01)


def test_trouble_is_raised_with_its_evidence(client, channel):
    channel.say(m.Trouble("edge: container p1 ended", oom_kills=2))
    with pytest.raises(AgentTrouble, match=r"edge \(198.18.0.12\): edge: container p1 ended") as raised:
        client.expect(m.Repartitioned, 1.0)
    assert raised.value.oom_kills == 2
    channel.say(READY)
    assert client.expect(m.Ready, 1.0) == READY  # in trouble, but still there


def test_a_look_at_an_agent_that_is_well_keeps_what_it_said(client, channel):
    channel.say(READY)
    deadline = time.monotonic() + 1.0
    while client._inbox.empty() and time.monotonic() < deadline:
        time.sleep(0.001)
    client.check()
    assert client.expect(m.Ready, 0.0) == READY


def test_a_look_at_an_agent_in_trouble_raises(client, channel):
    channel.say(m.Trouble("it broke"))
    with pytest.raises(AgentTrouble, match="it broke"):
        eventually(client.check)


def test_everyone_who_asks_hears_that_the_agent_is_gone(client, channel):
    channel.end(status=137, printed="Killed")
    for _ in range(2):
        with pytest.raises(AgentError, match=r"gone \(it ended, exit status 137\); last it printed: Killed"):
            client.expect(m.Ready, 1.0)
    with pytest.raises(AgentError, match="gone"):
        client.check()


def test_an_order_to_a_host_that_is_gone_says_so(client, channel):
    channel.error = ConnectError("connection reset")
    with pytest.raises(AgentError, match=r"edge agent is gone \(connection reset"):
        client.send(m.Finish())


def test_finish_gets_past_trouble_and_returns_what_could_not_be_undone():
    def answer(order):
        return [m.Trouble("too late"), m.Finished(("qdisc: busy",))] if order == m.Finish() else []

    with client_of(FakeChannel([HELLO], answer)) as client:
        assert client.finish(1.0) == ("qdisc: busy",)


def test_the_clock_is_read_by_the_probe_with_the_shortest_trip():
    ahead_ns = 5_000_000_000

    def answer(order):
        return [m.Pong(order.sent_ns, time.monotonic_ns() + ahead_ns)] if isinstance(order, m.Ping) else []

    channel = FakeChannel([HELLO], answer)
    with client_of(channel) as client:
        clock = client.clock_offset()
    assert abs(clock.offset_ns - ahead_ns) <= clock.bound_ns
    assert 0 < clock.bound_ns < 1_000_000_000
    assert len(channel.orders) == agents.PROBES


def test_the_agent_hears_a_heartbeat_whose_answer_nobody_waits_for(monkeypatch):
    monkeypatch.setattr(agents, "HEARTBEAT_S", 0.005)
    channel = FakeChannel([HELLO, m.Pong(0, 1)])
    with client_of(channel) as client:
        eventually(lambda: channel.heartbeats >= 3 or None, until=True)
        assert client._pongs.empty()
    assert channel.closed


def eventually(look, *, until=None, timeout_s=2.0):
    """Look again and again until it raises or returns `until`."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if look() is until and until is not None:
            return
        time.sleep(0.001)
    pytest.fail("it did not happen in time")


# --- the agent's end ----------------------------------------------------------------------------------------


class WatchedChannel(ControlChannel):
    """Knows when its reader has ended, so that no thread outlives the test on a closed descriptor."""

    def __init__(self, read_fd, write_fd):
        super().__init__(read_fd, write_fd)
        self.reader_ended = threading.Event()
        self.reader_ended.set()

    def read_orders(self, deliver):
        self.reader_ended.clear()
        try:
            super().read_orders(deliver)
        finally:
            self.reader_ended.set()


class Line:
    """A control channel over pipes, with the controller's ends in the test's hands."""

    def __init__(self):
        read_fd, self.to_agent = os.pipe()
        self.from_agent, write_fd = os.pipe()
        self._fds = [read_fd, self.from_agent, write_fd]
        self.control = WatchedChannel(read_fd, write_fd)
        self._decoder = m.StreamDecoder(m.Report)
        self._heard = []

    def order(self, *orders):
        self.write(b"".join(m.frame_for_stream(order) for order in orders))

    def write(self, data):
        os.write(self.to_agent, data)

    def hang_up(self):
        if self.to_agent is not None:
            os.close(self.to_agent)
            self.to_agent = None

    def hear(self, count=1, timeout_s=10.0):
        """Return the next reports."""
        while len(self._heard) < count and select.select([self.from_agent], [], [], timeout_s)[0]:
            self._heard += self._decoder.feed(os.read(self.from_agent, 65536))
        reports, self._heard = self._heard[:count], self._heard[count:]
        return reports

    def close(self):
        self.hang_up()
        assert self.control.reader_ended.wait(10.0)
        for fd in self._fds:
            os.close(fd)


@pytest.fixture
def line():
    line = Line()
    yield line
    line.close()


def read_to_end(line):
    """Let the channel read until it gives up; return the orders."""
    delivered = []
    line.control.read_orders(lambda order, at_ns: delivered.append((order, at_ns)))
    return delivered


def test_orders_are_delivered_with_their_arrival_and_the_end_is_none(line):
    before_ns = time.monotonic_ns()
    line.order(m.Deploy(16, 21), m.StopFrames(1))
    line.hang_up()
    delivered = read_to_end(line)
    assert [order for order, _ in delivered] == [m.Deploy(16, 21), m.StopFrames(1), None]
    assert all(before_ns <= at_ns <= time.monotonic_ns() for _, at_ns in delivered)


def test_a_probe_of_the_clock_is_answered_by_the_reader_itself(line):
    line.order(m.Ping(77), m.Ping(0))
    line.hang_up()
    assert read_to_end(line)[0][0] is None
    first, second = line.hear(2)
    assert (first.sent_ns, second.sent_ns) == (77, 0)
    assert first.agent_ns <= second.agent_ns <= time.monotonic_ns()


def test_garbage_ends_the_conversation_and_is_named(line, capsys):
    line.order(m.Finish())
    line.write(b"rm -rf /\n" * 10)
    assert [order for order, _ in read_to_end(line)] == [None]
    assert "control channel: message of" in capsys.readouterr().err


def test_a_controller_that_is_silent_is_taken_for_dead(line, monkeypatch):
    monkeypatch.setattr(agent_module, "SILENCE_S", 0.02)
    assert [order for order, _ in read_to_end(line)] == [None]


def test_a_report_to_a_controller_that_has_gone_is_no_error(line):
    os.close(line.from_agent)
    line._fds.remove(line.from_agent)
    line.control.send(m.Rearmed(1))


def test_a_long_report_is_written_whole(line):
    trouble = m.Trouble("x" * 300_000)  # several times what a pipe holds
    thread = threading.Thread(target=line.control.send, args=(trouble,))
    thread.start()
    assert line.hear() == [trouble]
    thread.join()


class Worker(Agent):
    """An agent whose orders end in every way there is."""

    role = "worker"

    async def obey(self, order, received_ns):
        assert 0 < received_ns <= time.monotonic_ns()
        match order:
            case m.Deploy(point, _):
                self.say(m.LinkShaped(point, 1.0))
            case m.StopFrames():
                raise ShapingError("the link could not be shaped: tc is missing")
            case m.StartFrames():
                raise KeyError("fps")
            case m.ProbeLink():
                self.spawn(self._break())

    async def _break(self):
        raise ShapingError("broke in the background")

    async def shut_down(self):
        self.guard.add("left behind", ["sh", "-c", "echo still there; exit 3"])


@pytest.fixture
def worker(line):
    worker = Worker(line.control)
    yield worker
    if worker.guard._process.poll() is None:
        worker.guard.finish()


def live(worker, controller):
    """Run the agent to its end while a controller talks to it."""
    thread = threading.Thread(target=controller)
    thread.start()
    asyncio.run(asyncio.wait_for(worker.run(), 20.0))
    thread.join()


def test_an_agents_life(line, worker, capsys):
    """Every failure is reported, none ends it; at the end the host is put back and leftovers are named."""
    heard = []

    def controller():
        line.order(m.Deploy(16, 21), m.StopFrames(1), m.StartFrames(1, 5.0), m.Deploy(17, 21), m.ProbeLink(1))
        heard.extend(line.hear(6))
        line.order(m.Finish())

    live(worker, controller)
    assert heard == [
        m.Hello(m.PROTOCOL_VERSION, "worker", os.getpid(), netem=False),
        m.LinkShaped(16, 1.0),
        m.Trouble("worker: the link could not be shaped: tc is missing"),
        m.Trouble("worker: KeyError: 'fps'"),
        m.LinkShaped(17, 1.0),
        m.Trouble("worker: broke in the background"),
    ]
    assert line.hear() == [m.Finished(("left behind: still there\n",))]
    printed = capsys.readouterr().err
    assert "could not undo left behind: still there" in printed
    assert "KeyError" in printed
    assert not worker.folder.exists()
    assert not worker.folder.with_suffix(".guard.jsonl").exists()


def test_an_agent_ends_in_good_order_when_its_controller_goes(line, worker):
    live(worker, line.hang_up)
    assert isinstance(line.hear(2)[1], m.Finished)
    assert worker.guard._process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_agent_ends_in_good_order_on_a_signal(line, worker, number):
    heard = []

    def controller():
        heard.extend(line.hear())  # an agent that has said hello has its handlers in place
        os.kill(os.getpid(), number)

    live(worker, controller)
    assert [type(report) for report in (*heard, *line.hear())] == [m.Hello, m.Finished]
