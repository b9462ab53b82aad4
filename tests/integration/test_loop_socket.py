"""A ZeroMQ socket in an event loop: every message is handed over, nothing that it does stops the loop's other work."""

import asyncio
import contextlib
import time

import numpy as np
import pytest
import zmq

from workers import transport
from workers.frames import FrameHeader, pack, unpack
from workers.loop_socket import LoopSocket, send
from workers.messages import KeyPair

WAIT_S = 10.0


@pytest.fixture
def sockets(tmp_path):
    """Return a function that makes a bound ROUTER, in a loop, and connected peers by name."""
    plane = transport.DataPlane(KeyPair("", ""))

    def make(*names):
        path = str(tmp_path / "frames")
        bound = plane.bind_local(transport.ROUTER, path)
        return LoopSocket(bound), [plane.connect_local(transport.DEALER, path, name) for name in names]

    yield make
    plane.close()


async def served(server, handle, until):
    """Serve until the event is set; what `serve` raises is raised here."""
    serving = asyncio.create_task(server.serve(handle))
    ending = asyncio.create_task(until.wait())
    done, _ = await asyncio.wait({serving, ending}, timeout=WAIT_S, return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    assert done, "nothing came"


def test_messages_that_came_before_and_while_it_serves_are_handed_over_in_order(sockets):
    server, (peer,) = sockets("p1")
    for number in range(5):
        peer.send_multipart([b"frame", bytes([number])])
    taken, whole = [], asyncio.Event()

    def handle(parts):
        taken.append(parts)
        if len(taken) == 5:
            for number in range(5, 10):
                peer.send_multipart([b"frame", bytes([number])])
        if len(taken) == 10:
            whole.set()

    asyncio.run(served(server, handle, whole))
    assert taken == [[b"p1", b"frame", bytes([number])] for number in range(10)]


def answer(server):
    server.send([b"p1", b"answer"])


def answer_nobody(server):
    with pytest.raises(zmq.ZMQError, match="unreachable"):
        server.send([b"p9", b"answer"])


@pytest.mark.parametrize("use", [answer, answer_nobody])
def test_a_message_is_seen_though_using_the_socket_has_taken_the_signal_of_it(sockets, use):
    server, (peer,) = sockets("p1")
    come = asyncio.Event()

    async def scenario():
        serving = asyncio.create_task(server.serve(lambda _: come.set()))
        peer.send(b"hello")
        await asyncio.wait_for(come.wait(), WAIT_S)
        come.clear()
        await asyncio.sleep(0.05)  # it waits for the descriptor now
        peer.send(b"frame")
        time.sleep(0.1)  # noqa: ASYNC251 - it arrives while the loop is at work
        use(server)
        await asyncio.wait_for(come.wait(), WAIT_S)
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    asyncio.run(scenario())


def test_a_flood_leaves_the_loop_its_turns(sockets):
    server, (peer,) = sockets("p1")
    order, whole = [], asyncio.Event()

    def handle(_):
        order.append("message")
        if order.count("message") == 10:
            whole.set()

    async def flood():
        for number in range(10):
            peer.send(bytes([number]))
        await asyncio.sleep(0.1)

        async def beat():
            while not whole.is_set():
                order.append("beat")
                await asyncio.sleep(0)

        beating = asyncio.create_task(beat())
        await served(server, handle, whole)
        await beating

    asyncio.run(flood())
    longest = max(len(run) for run in " ".join(order).replace("message", "m").replace(" ", "").split("beat"))
    assert longest <= 2, order


def test_what_the_handler_raises_ends_the_serving(sockets):
    server, (peer,) = sockets("p1")
    peer.send(b"frame")

    def handle(parts):
        raise KeyError(parts[-1])

    with pytest.raises(KeyError, match="frame"):
        asyncio.run(served(server, handle, asyncio.Event()))


def test_a_socket_that_no_longer_serves_can_be_closed_and_still_sends(sockets):
    server, (peer,) = sockets("p1")
    peer.send(b"frame")
    came = asyncio.Event()

    async def scenario():
        await served(server, lambda _: came.set(), came)
        server.send([b"p1", b"last"])
        await asyncio.sleep(0)

    asyncio.run(scenario())
    assert peer.poll(WAIT_S * 1000)
    assert peer.recv() == b"last"


def test_a_message_to_nobody_or_to_one_who_takes_nothing_in_is_refused_at_once(sockets):
    server, _ = sockets("p1")

    async def scenario():
        with pytest.raises(zmq.ZMQError, match="unreachable"):
            server.send([b"p9", b"frame"])

    asyncio.run(scenario())
    with zmq.Context() as context, context.socket(zmq.PUSH) as alone:
        alone.linger = 0
        with pytest.raises(zmq.Again):
            send(alone, [b"header", b"frame"])


@pytest.mark.parametrize("shape", [(), (0, 3), (12,), (3, 4, 5), (300, 300, 3)])
@pytest.mark.parametrize("copy", [True, False])
def test_a_tensor_arrives_as_it_was_sent(shape, copy):
    tensor = np.random.default_rng(7).random(shape, dtype=np.float32)
    with zmq.Context() as context, context.socket(zmq.PUSH) as here, context.socket(zmq.PULL) as there:
        there.rcvtimeo = int(WAIT_S * 1000)
        there.bind("inproc://tensor")
        here.connect("inproc://tensor")
        send(here, pack(FrameHeader(1, 2, "float32", tensor.shape), tensor), copy=copy)
        received_ns, parts = transport.receive(there)
    header, back = unpack(parts)
    assert received_ns > 0
    assert header.shape == shape
    np.testing.assert_array_equal(back, tensor)


def test_receiving_gives_up_when_the_time_is_over():
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.rcvtimeo = 10
        assert transport.receive(socket) is None
