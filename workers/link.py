"""Measures the edge→cloud link: one round trip of small messages, and the rate at which a packet train arrives.

The train is UDP: TCP would show the state of its window (it recovers for seconds after a slow spell), not the link.
Each datagram carries the session's token, so that a stranger's is not counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from typing import TYPE_CHECKING, Protocol

from workers import messages as m
from workers.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PINGS = 5
TRAIN_PACKETS = 64  # 95 kB on the wire: below the shaper's queue, so that none is lost
TRAIN_TIMEOUT_S = 2.0
PAYLOAD_BYTES = 1440
WIRE_BYTES = PAYLOAD_BYTES + 8 + 20 + 14  # UDP, IPv4 and Ethernet headers, which the shaper counts
TOKEN_BYTES = 16

_SO_TIMESTAMPNS = 35  # of Linux; Python has no name for it
_TIMESPEC = struct.Struct("@ll")
_HEAD = struct.Struct(f">{TOKEN_BYTES}sQI")  # token, number of the train, number of the packet


class ObeysProbes(Protocol):
    """The edge's way to the cloud."""

    async def obey(self, order: m.TierOrder) -> m.TierReply:
        """Send and wait for the reply."""


class TrainSender:
    """The edge's end: sends trains to the cloud's UDP port."""

    def __init__(self, token: bytes) -> None:
        self._token = token
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self, address: str, port: int) -> None:
        """Point at the cloud's receiver."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(address, port))

    def send(self, train: int) -> None:
        """Send one train at once; the link's queue spaces it out."""
        if self._transport is None:
            return
        filler = bytes(PAYLOAD_BYTES - _HEAD.size)
        for packet in range(TRAIN_PACKETS):
            self._transport.sendto(_HEAD.pack(self._token, train, packet) + filler)

    def close(self) -> None:
        """Close the socket. Idempotent."""
        if self._transport is not None:
            self._transport.close()


class TrainReceiver:
    """The cloud's end: notes when the packets of a train arrived. `strangers` counts datagrams without the token.

    The kernel stamps a packet as it comes in from the link: before a delay line holds it, and however long this
    process then takes to read it.

    Args:
        udp: a bound socket; it is closed by `close`.
    """

    def __init__(self, token: bytes, udp: socket.socket) -> None:
        self._token = token
        self._udp = udp
        self._arrivals: dict[int, list[int]] = {}
        self._whole: dict[int, asyncio.Event] = {}
        self.strangers = 0
        udp.setblocking(False)
        udp.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        asyncio.get_running_loop().add_reader(udp, self._read)

    def close(self) -> None:
        """Close the socket."""
        asyncio.get_running_loop().remove_reader(self._udp)
        self._udp.close()

    def take_in(self, data: bytes, arrived_ns: int) -> None:
        """Take in a datagram."""
        if len(data) != PAYLOAD_BYTES or not data.startswith(self._token):
            self.strangers += 1
            return
        _, train, _ = _HEAD.unpack_from(data)
        arrivals = self._arrivals.setdefault(train, [])
        arrivals.append(arrived_ns)
        if len(arrivals) == TRAIN_PACKETS:
            self._event(train).set()

    async def collect(self, train: int) -> tuple[int, ...]:
        """Return when the packets of a train arrived (ns), once all have or no more are to be expected."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._event(train).wait(), TRAIN_TIMEOUT_S)
        self._whole.pop(train, None)
        return tuple(self._arrivals.pop(train, ()))

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, notes, _, _ = self._udp.recvmsg(PAYLOAD_BYTES + 1, socket.CMSG_SPACE(_TIMESPEC.size))
                self.take_in(data, _stamp_ns(notes))

    def _event(self, train: int) -> asyncio.Event:
        return self._whole.setdefault(train, asyncio.Event())


def _stamp_ns(notes: Iterable[tuple[int, int, bytes]]) -> int:
    """Return the kernel's stamp of a packet (ns, its wall clock)."""
    for level, kind, data in notes:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return time.time_ns()


async def receive_trains(token: bytes, address: str, port: int) -> TrainReceiver:
    """Listen for trains.

    Raises:
        WorkerError: the UDP port is in use.
    """
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        udp.bind((address, port))
    except OSError as error:
        udp.close()
        raise WorkerError(
            f"cannot listen on udp://{address}:{port}: {error.strerror}. "
            "End what holds the port (`ss -lunp` names it) or set `data_ports` in the inventory"
        ) from error
    return TrainReceiver(token, udp)


async def probe(cloud: ObeysProbes, sender: TrainSender, numbers: Iterator[int]) -> m.LinkMeasured:
    """Return the shortest of five round trips and the rate of a packet train."""
    delays_ms = []
    for _ in range(PINGS):
        sent_ns = time.monotonic_ns()
        await cloud.obey(m.ProbePing(next(numbers)))
        delays_ms.append((time.monotonic_ns() - sent_ns) / 1e6)
    train = next(numbers)
    sender.send(train)
    reply = await cloud.obey(m.CollectTrain(train))
    arrivals_ns = reply.arrivals_ns if isinstance(reply, m.ProbeReport) else ()
    return m.LinkMeasured(rate_mbps(arrivals_ns), min(delays_ms))


def rate_mbps(arrivals_ns: Sequence[int]) -> float:
    """Return the rate on the wire at which the second half of a train arrived, by the receiver's clock alone.

    The first half is left out: the shaper lets a burst pass at once. 0.0 where too little arrived to tell.
    """
    settled = arrivals_ns[len(arrivals_ns) // 2 :]
    span_ns = settled[-1] - settled[0] if len(settled) > 1 else 0
    if span_ns <= 0:
        return 0.0
    return (len(settled) - 1) * WIRE_BYTES * 8 / (span_ns / 1e3)
