"""The data plane on loopback: who holds a key is served, everybody else is refused, counted and harms nobody."""

import contextlib
import os
import socket
import time

import pytest
import zmq

from workers import transport
from workers.errors import WorkerError
from workers.transport import DataPlane, new_keys

SERVER, DEVICE, STRANGER = new_keys(), new_keys(), new_keys()
LIMIT = 1 << 20
WAIT_MS = 5000
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"CURVE".ljust(20, b"\0") + bytes(32)  # of ZMTP 3.0


def free_endpoint():
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{tcp.getsockname()[1]}"


@pytest.fixture
def plane():
    """Return a function that opens data planes and closes them after the test."""
    with contextlib.ExitStack() as stack:

        def make(keys):
            plane = DataPlane(keys)
            stack.callback(plane.close)
            return plane

        yield make


class Ingress:
    """The edge's ingress and a device that holds the right key."""

    def __init__(self, plane):
        self.endpoint = free_endpoint()
        self.plane = plane(SERVER)
        self.socket = self.plane.server("ingress", transport.ROUTER, self.endpoint, {DEVICE.public})
        self.device = plane(DEVICE).client(transport.DEALER, self.endpoint, SERVER.public)
        self.identity = self.exchange()

    def exchange(self):
        """Send a frame and an answer; return the name under which the server knows the device."""
        sent = [os.urandom(8), os.urandom(100_000)]
        self.device.send_multipart(sent)
        assert self.socket.poll(WAIT_MS), "the device's frame did not arrive"
        identity, *received = self.socket.recv_multipart()
        assert received == sent
        self.socket.send_multipart([identity, b"settled"])
        assert self.device.poll(WAIT_MS), "the answer did not arrive"
        assert self.device.recv_multipart() == [b"settled"]
        return identity

    def wait_for_count(self, name):
        """Return how often something was refused, waiting until it was."""
        end = time.monotonic() + WAIT_MS / 1e3
        while time.monotonic() < end:
            if (count := self.plane.collect_refusals().get(name, 0)) > 0:
                return count
            time.sleep(0.005)
        pytest.fail(f"{name} was not counted, only {self.plane.collect_refusals()}")


@pytest.fixture
def ingress(plane, monkeypatch):
    monkeypatch.setattr(transport, "MAX_TENSOR_BYTES", LIMIT)  # the real one would take a second to encrypt
    return Ingress(plane)


# --- attacks: each sends something and says how it is to be counted -----------------------------------------


KNOCKS = 10


@contextlib.contextmanager
def without_a_key(endpoint):
    """Knock several times: which of the two ends gives up first, and so the reason, is up to the moment."""
    context = zmq.Context()
    with context, contextlib.ExitStack() as stack:
        for _ in range(KNOCKS):
            plain = stack.enter_context(context.socket(zmq.DEALER))
            plain.linger = 0
            plain.connect(endpoint)
            plain.send(b"let me in")
            time.sleep(0.01)  # one after the other, each with a moment of its own
        yield "ingress_handshake"


@contextlib.contextmanager
def with_a_key_of_its_own(endpoint):
    plane = DataPlane(STRANGER)
    plane.client(transport.DEALER, endpoint, SERVER.public).send(b"let me in")
    yield "ingress_key"
    plane.close()


@contextlib.contextmanager
def with_a_wrong_key_of_the_server(endpoint):
    plane = DataPlane(DEVICE)
    plane.client(transport.DEALER, endpoint, STRANGER.public).send(b"let me in")
    yield "ingress_protocol"
    plane.close()


def over_tcp(data, name):
    @contextlib.contextmanager
    def attack(endpoint):
        host, port = endpoint.removeprefix("tcp://").split(":")
        with socket.create_connection((host, int(port))) as tcp:
            with contextlib.suppress(OSError):  # it may have been shown the door before it said all
                tcp.sendall(data)
                tcp.shutdown(socket.SHUT_WR)
            yield name

    return attack


ATTACKS = {
    "no key": without_a_key,
    "own key": with_a_key_of_its_own,
    "wrong server key": with_a_wrong_key_of_the_server,
    "port scan": over_tcp(b"", "ingress_disconnected"),
    "http": over_tcp(b"GET / HTTP/1.1\r\nHost: edge\r\n\r\n" * 20, "ingress_disconnected"),
    "tls": over_tcp(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)), "ingress_disconnected"),
    "garbage": over_tcp(b"\xff" + bytes(8) + b"\x7f" + bytes(range(256)) * 4, "ingress_disconnected"),
    "greeting, then garbage": over_tcp(GREETING + bytes(range(256)) * 4, "ingress_protocol"),
    "greeting, then a huge command": over_tcp(GREETING + b"\x06" + (1 << 40).to_bytes(8), "ingress_disconnected"),
    "greeting, then a huge frame": over_tcp(GREETING + b"\x02" + (1 << 62).to_bytes(8), "ingress_disconnected"),
    "half a greeting": over_tcp(GREETING[:20], "ingress_disconnected"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_stranger_is_counted_and_harms_nobody(ingress, attack):
    assert ingress.plane.collect_refusals() == {}
    with ATTACKS[attack](ingress.endpoint) as name:
        assert ingress.wait_for_count(name) >= 1
        assert ingress.exchange() == ingress.identity  # on the same connection as before
        assert not ingress.socket.poll(0), "a stranger's frame came through"


def test_many_strangers_at_once_harm_nobody(ingress):
    with contextlib.ExitStack() as stack:
        names = {stack.enter_context(attack(ingress.endpoint)) for attack in [*ATTACKS.values()] * 3}
        for name in names:
            ingress.wait_for_count(name)
        assert ingress.exchange() == ingress.identity


def test_an_oversized_frame_costs_its_sender_the_connection_and_nobody_else(ingress, plane):
    other = plane(DEVICE).client(transport.DEALER, ingress.endpoint, SERVER.public)
    other.send_multipart([b"header", bytes(LIMIT + 1)])
    assert ingress.wait_for_count("ingress_disconnected") == 1
    assert not ingress.socket.poll(0)
    assert ingress.exchange() == ingress.identity
    other.send_multipart([b"header", b"small"])  # once it behaves it is welcome again
    assert ingress.socket.poll(WAIT_MS)
    assert ingress.socket.recv_multipart()[1:] == [b"header", b"small"]


def test_the_largest_frame_passes(ingress):
    ingress.device.send(bytes(LIMIT))
    assert ingress.socket.poll(WAIT_MS)
    assert len(ingress.socket.recv_multipart()[1]) == LIMIT


def test_nothing_is_sent_in_the_clear(plane):
    """A relay between device and edge sees neither the frame nor a key."""
    endpoint = free_endpoint()
    server = plane(SERVER).server("ingress", transport.PULL, endpoint, {DEVICE.public})
    host, port = endpoint.removeprefix("tcp://").split(":")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = plane(DEVICE).client(transport.PUSH, f"tcp://127.0.0.1:{listener.getsockname()[1]}", SERVER.public)
        client.send(b"a very secret picture")
        near, _ = listener.accept()
        with near, socket.create_connection((host, int(port))) as far:
            seen = relay(near, far, until=lambda: server.poll(0))
    assert server.recv() == b"a very secret picture"
    assert len(seen) > 300
    assert b"secret picture" not in seen


def relay(near, far, until):
    """Pass bytes both ways until something is true; return all that was seen."""
    seen = bytearray()
    near.settimeout(0.005)
    far.settimeout(0.005)
    end = time.monotonic() + WAIT_MS / 1e3
    while not until() and time.monotonic() < end:
        for source, sink in ((near, far), (far, near)):
            with contextlib.suppress(TimeoutError):
                data = source.recv(65536)
                seen += data
                sink.sendall(data)
    return bytes(seen)


def test_each_socket_has_its_own_list_of_keys(plane):
    edge, device, cloud = plane(SERVER), plane(DEVICE), plane(STRANGER)
    ingress, results = free_endpoint(), free_endpoint()
    from_device = edge.server("ingress", transport.PULL, ingress, {DEVICE.public})
    from_cloud = edge.server("results", transport.PULL, results, {STRANGER.public})
    device.client(transport.PUSH, ingress, SERVER.public).send(b"frame")
    cloud.client(transport.PUSH, results, SERVER.public).send(b"result")
    device.client(transport.PUSH, results, SERVER.public).send(b"forged result")
    assert from_device.poll(WAIT_MS)
    assert from_cloud.poll(WAIT_MS)
    assert from_device.recv() == b"frame"
    assert from_cloud.recv() == b"result"
    end = time.monotonic() + WAIT_MS / 1e3
    while not edge.collect_refusals().get("results_key") and time.monotonic() < end:
        time.sleep(0.005)
    assert edge.collect_refusals()["results_key"] >= 1
    assert "ingress_key" not in edge.collect_refusals()
    assert not from_cloud.poll(0)


# --- opening and closing ------------------------------------------------------------------------------------


def test_a_port_in_use_is_named_with_what_to_do(plane):
    endpoint = free_endpoint()
    plane(SERVER).server("ingress", transport.ROUTER, endpoint, set())
    with pytest.raises(WorkerError, match=rf"cannot listen on {endpoint}: .*in use.*ss -ltnp.*data_ports"):
        plane(SERVER).server("ingress", transport.ROUTER, endpoint, set())


def test_an_address_of_another_host_is_named(plane):
    with pytest.raises(WorkerError, match=r"cannot listen on tcp://192.0.2.1:5000: "):
        plane(SERVER).server("ingress", transport.ROUTER, "tcp://192.0.2.1:5000", set())


def test_a_closed_plane_frees_its_port_at_once(plane):
    endpoint = free_endpoint()
    for _ in range(3):
        first = DataPlane(SERVER)
        first.server("ingress", transport.ROUTER, endpoint, {DEVICE.public})
        first.close()
    plane(SERVER).server("ingress", transport.ROUTER, endpoint, {DEVICE.public})


def test_closing_does_not_wait_for_frames_that_nobody_takes():
    device = DataPlane(DEVICE)
    device.client(transport.DEALER, free_endpoint(), SERVER.public).send(bytes(100_000))
    began = time.monotonic()
    device.close()
    assert time.monotonic() - began < 2.0


def test_a_sender_hears_when_the_queue_is_full(plane):
    sender = plane(DEVICE).client(transport.PUSH, free_endpoint(), SERVER.public)
    for _ in range(transport.QUEUE_FRAMES):
        sender.send(b"frame", zmq.NOBLOCK)
    with pytest.raises(transport.Again):
        sender.send(b"frame", zmq.NOBLOCK)


def test_connected_returns_once_the_server_has_answered(plane):
    endpoint = free_endpoint()
    server = plane(SERVER).server("tail", transport.PULL, endpoint, {DEVICE.public})
    client = plane(DEVICE).connected(transport.PUSH, endpoint, SERVER.public, 5.0)
    client.send(b"frame", zmq.NOBLOCK)
    assert server.poll(WAIT_MS)
    assert server.recv() == b"frame"


@pytest.mark.parametrize("someone_else_listens", [False, True])
def test_connected_gives_up_on_a_server_that_is_not_there_or_another(plane, someone_else_listens):
    endpoint = free_endpoint()
    if someone_else_listens:
        plane(STRANGER).server("tail", transport.PULL, endpoint, {DEVICE.public})
    with pytest.raises(TimeoutError, match=f"{endpoint} did not answer within 0.1 s"):
        plane(DEVICE).connected(transport.PUSH, endpoint, SERVER.public, 0.1)


# --- within a host ------------------------------------------------------------------------------------------


def test_local_sockets_are_addressed_by_name(plane, tmp_path):
    path = str(tmp_path / "control")
    server = plane(SERVER).bind_local(transport.ROUTER, path)
    runners = {name: plane(SERVER).connect_local(transport.DEALER, path, name) for name in ("p1", "p2")}
    for name, runner in runners.items():
        runner.send(b"up")
        assert server.poll(WAIT_MS)
        assert server.recv_multipart() == [name.encode(), b"up"]
    server.send_multipart([b"p2", b"build"])
    assert runners["p2"].poll(WAIT_MS)
    assert runners["p2"].recv() == b"build"
    assert not runners["p1"].poll(0)


def test_a_name_that_nobody_has_is_an_error_and_not_a_frame_lost_in_silence(plane, tmp_path):
    server = plane(SERVER).bind_local(transport.ROUTER, str(tmp_path / "frames"))
    with pytest.raises(transport.SendFailed):
        server.send_multipart([b"p9", b"frame"])


def test_a_runner_that_starts_anew_takes_over_its_name(plane, tmp_path):
    path = str(tmp_path / "control")
    server = plane(SERVER).bind_local(transport.ROUTER, path)
    for life in (b"first", b"second"):
        runner = plane(SERVER).connect_local(transport.DEALER, path, "p1")
        runner.send(life)
        assert server.poll(WAIT_MS)
        assert server.recv_multipart() == [b"p1", life]
    server.send_multipart([b"p1", b"build"])
    assert runner.poll(WAIT_MS)
    assert runner.recv() == b"build"


# --- counting and serving -----------------------------------------------------------------------------------


def test_what_is_refused_above_the_transport_is_counted_with_the_rest(plane):
    edge = plane(SERVER)
    edge.count("ingress", "malformed")
    edge.count("ingress", "malformed")
    edge.count("results", "unexpected")
    assert edge.collect_refusals() == {"ingress_malformed": 2, "results_unexpected": 1}
