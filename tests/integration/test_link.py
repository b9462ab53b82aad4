"""The shaped and delayed link between two real network namespaces: what TCP and single packets see."""

import itertools
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from workers import delayline, shaping
from workers.errors import ShapingError

pytestmark = pytest.mark.root

EDGE, CLOUD, BESIDE = "10.199.0.1", "10.199.0.2", "10.199.0.3"
ROOT = Path(__file__).parents[2]
SINK = """
import socket, sys, time
server = socket.create_server((sys.argv[1], 5600))
print("ready", flush=True)
connection, _ = server.accept()
while data := connection.recv(65536):
    print(time.monotonic_ns(), len(data), flush=False)
"""
ECHO = """
import socket
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.bind(("0.0.0.0", 5601))
print("ready", flush=True)
while True:
    data, sender = echo.recvfrom(100)
    echo.sendto(data, sender)
"""


class Wire:
    """Two namespaces, "edge" and "cloud", joined by a pair of virtual Ethernet devices."""

    def __init__(self):
        self.pids = {}
        self.processes = []
        self.edge = self._host()
        self.cloud = self._host()
        pids = self.edge.pid, self.cloud.pid
        self.sh(
            "edge",
            f"ip link add name to-cloud type veth peer name to-edge netns {pids[1]} && ip link set dev lo up && "
            f"ip link set dev to-cloud gso_max_segs 1 up && ip addr add {EDGE}/24 dev to-cloud",
        )
        self.sh(
            "cloud",
            f"ip link set dev lo up && ip link set dev to-edge gso_max_segs 1 up && "
            f"ip addr add {CLOUD}/24 dev to-edge && ip addr add {BESIDE}/24 dev to-edge",
        )

    def _host(self):
        process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo in; exec sleep infinity"], stdout=subprocess.PIPE
        )
        process.stdout.readline()
        self.processes.append(process)
        return process

    def argv(self, host, argv):
        pid = getattr(self, host).pid
        return ["nsenter", f"--net=/proc/{pid}/ns/net", *argv]

    def sh(self, host, script):
        done = subprocess.run(self.argv(host, ["sh", "-c", script]), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, argv, stdin=""):
        return shaping.run_command(self.argv("edge", argv), stdin)

    def python(self, host, script, *arguments):
        process = subprocess.Popen(
            # what measures must not wait for a processor: the link is under test, not the machine
            self.argv(host, ["chrt", "-r", "1", sys.executable, "-c", script, *arguments]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def close(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream:
                    stream.close()


class Undo:
    def __init__(self):
        self.commands = {}

    def add(self, name, argv):
        self.commands[name] = list(argv)

    def withdraw(self, name):
        self.commands.pop(name, None)


@pytest.fixture
def wire():
    made = Wire()
    yield made
    made.close()


@pytest.fixture
def undo():
    return Undo()


def shaper(wire, undo, address=CLOUD):
    return shaping.LinkShaper(undo, address, delay=False, run=wire.run)


class Flow:
    """A TCP flow from edge to cloud that never pauses; knows what arrived when."""

    SOURCE = """
import socket, sys
flow = socket.socket()
flow.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
flow.connect((sys.argv[1], 5600))
while True:
    flow.sendall(bytes(65536))
"""

    def __init__(self, wire, address=CLOUD):
        self.sink = wire.python("cloud", SINK, address)
        self.sink.stdout.readline()
        self.arrivals = []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        self.source = wire.python("edge", self.SOURCE, address)

    def _read(self):
        for line in self.sink.stdout:
            stamp, size = line.split()
            self.arrivals.append((int(stamp), int(size)))

    def stop(self):
        self.source.kill()
        self.source.wait()
        self.reader.join()

    def mbps(self, start_ns, end_ns):
        return sum(size for at, size in self.arrivals if start_ns <= at < end_ns) * 8e3 / (end_ns - start_ns)

    def settled_mbps(self, expected, timeout_s=30.0):
        """Wait until the flow has gone for a second at the `expected` rate, within 4 %, and return its latest rate.

        It first overshoots and makes up for what got lost, and a machine busy with something else holds it up.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            time.sleep(0.2)
            now_ns = time.monotonic_ns()
            found = self.mbps(now_ns - 1_000_000_000, now_ns)
            if found == pytest.approx(expected, rel=0.04) or time.monotonic() > deadline:
                return found

    def longest_gap_ms(self, start_ns, end_ns):
        stamps = [at for at, _ in self.arrivals if start_ns <= at < end_ns]
        return max(later - sooner for sooner, later in itertools.pairwise(stamps)) / 1e6


def round_trips_ms(wire, count, *, timeout_s=5.0):
    """Return the round trips of single packets, up to the first that gets lost."""
    echo = wire.python("cloud", ECHO)
    echo.stdout.readline()
    probe = wire.python(
        "edge",
        """
import socket, sys, time
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
probe.connect((sys.argv[1], 5601))
probe.settimeout(float(sys.argv[3]))
for _ in range(int(sys.argv[2])):
    sent = time.monotonic_ns()
    probe.send(b"x")
    try:
        probe.recv(100)
    except TimeoutError:
        break
    print((time.monotonic_ns() - sent) / 1e6)
""",
        CLOUD,
        str(count),
        str(timeout_s),
    )
    output, _ = probe.communicate(timeout=60)
    echo.kill()
    return [float(line) for line in output.split()]


def test_goodput_follows_the_rate_and_a_change_leaves_no_gap(wire, undo):
    link = shaper(wire, undo)
    link.set(20, 20)
    flow = Flow(wire)
    goodput, changes_ns, took_ms = [flow.settled_mbps(19.1)], [], []
    for rate, expected in ((5, 4.78), (20, 19.1)):
        changes_ns.append(time.monotonic_ns())
        link.set(rate, 20)
        took_ms.append((time.monotonic_ns() - changes_ns[-1]) / 1e6)
        goodput.append(flow.settled_mbps(expected))
    flow.stop()
    gaps_ms = [flow.longest_gap_ms(at - 50_000_000, at + 500_000_000) for at in changes_ns]
    print(f"goodput {goodput}, tc {took_ms} ms, longest gap at the change {gaps_ms} ms")
    assert goodput[0] == pytest.approx(19.1, rel=0.04)
    assert goodput[1] == pytest.approx(4.78, rel=0.04)
    assert goodput[2] == pytest.approx(19.1, rel=0.04)
    assert max(gaps_ms) < 150  # without a byte limit and GSO cut to size: up to 320


def test_traffic_to_other_addresses_is_not_shaped(wire, undo):
    shaper(wire, undo).set(5, 0)
    flow = Flow(wire, BESIDE)
    start_ns = time.monotonic_ns() + 200_000_000
    time.sleep(1)
    end_ns = time.monotonic_ns()
    flow.stop()
    assert flow.mbps(start_ns, end_ns) > 100


def test_the_guards_commands_restore_the_kernels_default(wire, undo):
    before = json.loads(wire.run(["tc", "-j", "qdisc", "show", "dev", "to-cloud"]))
    shaper(wire, undo).set(5, 0)
    during = json.loads(wire.run(["tc", "-j", "qdisc", "show", "dev", "to-cloud"]))
    assert {qdisc["kind"] for qdisc in during} == {"htb", "tbf"}
    for argv in undo.commands.values():
        wire.run(argv)
    assert json.loads(wire.run(["tc", "-j", "qdisc", "show", "dev", "to-cloud"])) == before


def test_a_change_keeps_the_same_queues(wire, undo):
    link = shaper(wire, undo)
    link.set(20, 0)
    before = json.loads(wire.run(["tc", "-j", "qdisc", "show", "dev", "to-cloud"]))
    link.set(5, 0)
    after = json.loads(wire.run(["tc", "-j", "qdisc", "show", "dev", "to-cloud"]))
    assert [qdisc["handle"] for qdisc in after] == [qdisc["handle"] for qdisc in before]
    assert next(q for q in after if q["kind"] == "tbf")["options"]["rate"] == 5e6 / 8


def test_leftovers_of_our_own_are_replaced(wire, undo):
    shaper(wire, undo).set(20, 0)
    shaper(wire, undo).set(5, 0)
    assert "rate 5Mbit" in wire.run(["tc", "qdisc", "show", "dev", "to-cloud"])


def test_somebody_elses_rules_are_refused_and_left(wire, undo):
    wire.run(["tc", "qdisc", "add", "dev", "to-cloud", "root", "handle", "7:", "htb"])
    with pytest.raises(ShapingError, match="did not make"):
        shaper(wire, undo)
    assert "htb 7:" in wire.run(["tc", "qdisc", "show", "dev", "to-cloud"])
    assert undo.commands == {}


def test_an_impossible_rate_is_refused(wire, undo):
    with pytest.raises(ShapingError, match="above 0"):
        shaper(wire, undo).set(0, 0)


class TestDelayLine:
    def start(self, wire, delay_ms=20):
        line = subprocess.Popen(
            wire.argv(
                "cloud", [sys.executable, "-m", "workers.delayline", "--from", EDGE, "--delay-ms", str(delay_ms)]
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        wire.processes.append(line)
        assert json.loads(line.stdout.readline())["ready"]
        return line

    def rules(self, wire):
        return wire.sh("cloud", f"{delayline.iptables()} -t raw -S PREROUTING")

    def test_delays_once_and_one_way(self, wire):
        without = statistics.median(round_trips_ms(wire, 50))
        self.start(wire)
        round_trips = round_trips_ms(wire, 100)
        print(f"round trip: {without:.2f} ms without, {statistics.median(round_trips):.2f} ms with a delay of 20")
        assert min(round_trips) >= 20
        assert statistics.median(round_trips) < 22

    def test_holds_under_cpu_stress(self, wire):
        self.start(wire)
        count = os.cpu_count() or 1
        stress = subprocess.Popen(["stress-ng", "--quiet", "--cpu", str(2 * count), "--timeout", "30"])
        try:
            round_trips = round_trips_ms(wire, 100)
        finally:
            stress.terminate()
            stress.wait()
        print(f"under stress: median {statistics.median(round_trips):.2f}, max {max(round_trips):.2f} ms")
        assert statistics.median(round_trips) < 22

    def test_passes_the_whole_rate(self, wire, undo):
        shaper(wire, undo).set(20, 20)
        self.start(wire)
        flow = Flow(wire)
        found = flow.settled_mbps(19.1)
        flow.stop()
        assert found == pytest.approx(19.1, rel=0.04)

    def test_removes_its_rule_when_the_lifeline_closes(self, wire):
        line = self.start(wire)
        assert "NFQUEUE" in self.rules(wire)
        line.stdin.close()
        assert line.wait(5) == 0
        assert "NFQUEUE" not in self.rules(wire)
        line.stdin = None

    def test_a_killed_line_cuts_the_flow_until_its_rule_is_removed(self, wire):
        line = self.start(wire)
        line.kill()
        line.wait()
        assert round_trips_ms(wire, 10, timeout_s=0.5) == []
        (undo,) = delayline.undo_commands(EDGE)
        for _ in range(2):  # the second time there is nothing left to remove, and that is well
            subprocess.run(wire.argv("cloud", undo), cwd=ROOT, check=True)
        assert "NFQUEUE" not in self.rules(wire)
        assert statistics.median(round_trips_ms(wire, 10)) < 5

    def test_a_second_line_on_the_same_queue_is_refused(self, wire):
        self.start(wire)
        second = subprocess.run(
            wire.argv("cloud", [sys.executable, "-m", "workers.delayline", "--from", EDGE, "--delay-ms", "5"]),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        assert second.returncode == 1
        assert b"another delay line" in second.stderr
