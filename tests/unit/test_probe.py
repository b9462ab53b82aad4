"""The probe of the link: the rate of a train by the receiver's clock alone, the shortest of five round trips."""

import asyncio
import itertools
import socket
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers import link
from workers import messages as m
from workers.errors import WorkerError

MS = 1_000_000
TOKEN = b"sixteen bytes it"


class Sender:
    """Stands for the edge's UDP socket."""

    def __init__(self):
        self.trains = []

    def send(self, train):
        self.trains.append(train)


class Cloud:
    """Answers probes; the packets of a train arrived `gap_ns` after one another by its own clock."""

    def __init__(self, gap_ns):
        self._arrivals = tuple(5_000 * MS + gap_ns * packet for packet in range(link.TRAIN_PACKETS))
        self.orders = []

    async def obey(self, order):
        self.orders.append(order)
        return m.ProbeReport(order.order, self._arrivals if isinstance(order, m.CollectTrain) else ())


def datagram(train, packet, token=TOKEN):
    return struct.pack(">16sQI", token, train, packet).ljust(link.PAYLOAD_BYTES, b"\0")


def bound():
    """Return a UDP socket on a free port."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    return udp


def gap_ns(mbps):
    """Return how long one packet of a train takes at a rate."""
    return round(link.WIRE_BYTES * 8 / mbps * 1e3)


@pytest.mark.parametrize("mbps", [5.0, 20.0, 1000.0])
def test_a_steady_train(mbps):
    arrivals = [gap_ns(mbps) * packet for packet in range(link.TRAIN_PACKETS)]
    assert link.rate_mbps(arrivals) == pytest.approx(mbps, rel=1e-3)


def test_headers_count_as_the_shaper_counts_them():
    # 1440 bytes in UDP, IPv4 and Ethernet are 1482 on the wire; 4 of them in 3 gaps of 1 ms
    assert link.rate_mbps([0, 0, 0, 0, 10 * MS, 11 * MS, 12 * MS, 13 * MS]) == pytest.approx(3 * 1482 * 8 / 3000)


def test_the_first_half_does_not_count():
    burst = [0] * 32
    settled = [100 * MS + gap_ns(5.0) * packet for packet in range(32)]
    assert link.rate_mbps([*burst, *settled]) == pytest.approx(5.0, rel=1e-3)


@pytest.mark.parametrize("arrivals", [(), (5,), (5, 6), (5, 6, 6), (7, 7, 7, 7)])
def test_too_little_to_tell_is_0(arrivals):
    assert link.rate_mbps(arrivals) == 0.0


@given(st.lists(st.integers(0, 10**12), max_size=70).map(sorted))
def test_any_arrivals_give_a_rate(arrivals):
    assert link.rate_mbps(arrivals) >= 0.0


@given(st.lists(st.integers(0, 10**9), max_size=70).map(sorted), st.integers(0, 10**15))
def test_the_clocks_origin_does_not_matter(arrivals, origin_ns):
    assert link.rate_mbps([origin_ns + at for at in arrivals]) == link.rate_mbps(arrivals)


def test_a_probe_is_five_pings_and_one_train_collected_by_its_number():
    cloud, sender = Cloud(gap_ns(20.0)), Sender()
    measured = asyncio.run(link.probe(cloud, sender, itertools.count(10)))
    assert measured.mbps == pytest.approx(20.0, rel=1e-3)
    assert 0.0 <= measured.delay_ms < 1000.0
    assert cloud.orders == [*(m.ProbePing(number) for number in range(10, 15)), m.CollectTrain(15)]
    assert sender.trains == [15]


def test_a_cloud_that_refuses_to_collect_gives_no_rate():
    class Refuses(Cloud):
        async def obey(self, order):
            return m.Refused(order.order, "not set up")

    assert asyncio.run(link.probe(Refuses(1), Sender(), itertools.count(1))).mbps == 0.0


def test_a_train_arrives_whole_over_udp():
    async def send_one():
        udp = bound()
        receiver = link.TrainReceiver(TOKEN, udp)
        sender = link.TrainSender(TOKEN)
        await sender.open(*udp.getsockname())
        sender.send(7)
        arrivals = await receiver.collect(7)
        sender.close()
        sender.close()
        receiver.close()
        return arrivals, receiver.strangers

    arrivals, strangers = asyncio.run(send_one())
    assert len(arrivals) == link.TRAIN_PACKETS
    assert list(arrivals) == sorted(arrivals)
    assert strangers == 0


def test_a_receiver_that_is_kept_from_reading_still_knows_when_packets_arrived():
    async def send_slowly():
        udp = bound()
        receiver = link.TrainReceiver(TOKEN, udp)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for packet in range(link.TRAIN_PACKETS):  # the event loop stands still meanwhile
                sender.sendto(datagram(1, packet), udp.getsockname())
                time.sleep(0.001)  # noqa: ASYNC251 - that is the point
        arrivals = await receiver.collect(1)
        receiver.close()
        return arrivals

    arrivals = asyncio.run(send_slowly())
    assert arrivals[-1] - arrivals[0] > 0.9 * MS * (link.TRAIN_PACKETS - 1)


def test_trains_are_kept_apart():
    async def receive():
        receiver = link.TrainReceiver(TOKEN, bound())
        for packet in range(link.TRAIN_PACKETS):
            for train in (1, 2):
                receiver.take_in(datagram(train, packet), packet)
        arrived = [await receiver.collect(train) for train in (1, 2)]
        receiver.close()
        return arrived

    assert asyncio.run(receive()) == [tuple(range(link.TRAIN_PACKETS))] * 2


@pytest.mark.parametrize(
    "data",
    [b"", b"x", datagram(1, 1, b"another session!"), datagram(1, 1)[:-1], datagram(1, 1) + b"\0"],
    ids=["empty", "short", "wrong token", "cut", "long"],
)
def test_a_strangers_datagram_is_counted_and_changes_nothing(data):
    async def receive():
        receiver = link.TrainReceiver(TOKEN, bound())
        for packet in range(link.TRAIN_PACKETS):
            receiver.take_in(data, packet)
            receiver.take_in(datagram(1, packet), packet)
        arrived = await receiver.collect(1)
        receiver.close()
        return len(arrived), receiver.strangers

    assert asyncio.run(receive()) == (link.TRAIN_PACKETS, link.TRAIN_PACKETS)


def test_a_train_that_does_not_come_whole_is_not_waited_for_forever(monkeypatch):
    monkeypatch.setattr(link, "TRAIN_TIMEOUT_S", 0.01)

    async def receive():
        receiver = link.TrainReceiver(TOKEN, bound())
        receiver.take_in(datagram(3, 0), 5)
        arrived = await receiver.collect(3), await receiver.collect(4)
        receiver.close()
        return arrived

    some, none = asyncio.run(receive())
    assert (len(some), none) == (1, ())


def test_a_port_in_use_is_named():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        port = udp.getsockname()[1]
        with pytest.raises(WorkerError, match=f"udp://127.0.0.1:{port}.*data_ports"):
            asyncio.run(link.receive_trains(TOKEN, "127.0.0.1", port))
