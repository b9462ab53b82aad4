"""Measures the edge→cloud link: one round trip of small messages, and the goodput of a burst."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from workers import messages as m

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PINGS = 5
CHUNK_BYTES = 8192


class SendsProbes(Protocol):
    """The edge's way to the cloud."""

    async def obey(self, order: m.TierOrder) -> m.TierReply:
        """Send and wait for the reply."""

    async def send(self, order: m.TierOrder) -> None:
        """Send without waiting."""


async def probe(cloud: SendsProbes, numbers: Iterator[int], burst_bytes: int) -> m.LinkMeasured:
    """Return the shortest of five round trips and the goodput of a burst of `burst_bytes`."""
    delays_ms = []
    for _ in range(PINGS):
        sent_ns = time.monotonic_ns()
        await cloud.obey(m.ProbePing(next(numbers)))
        delays_ms.append((time.monotonic_ns() - sent_ns) / 1e6)
    chunks = max(4, burst_bytes // CHUNK_BYTES)
    for _ in range(chunks - 1):
        await cloud.send(m.ProbeChunk(next(numbers), last=False, filler=bytes(CHUNK_BYTES)))
    reply = await cloud.obey(m.ProbeChunk(next(numbers), last=True, filler=bytes(CHUNK_BYTES)))
    arrivals_ns = reply.arrivals_ns if isinstance(reply, m.ProbeReport) else ()
    return m.LinkMeasured(goodput_mbps(arrivals_ns, CHUNK_BYTES), min(delays_ms))


def goodput_mbps(arrivals_ns: Sequence[int], chunk_bytes: int) -> float:
    """Return the rate at which the second half of a burst arrived, by the receiver's clock alone.

    The first half is left out: TCP is still opening its window. 0.0 where too little arrived to tell.
    """
    settled = arrivals_ns[len(arrivals_ns) // 2 :]
    span_ns = settled[-1] - settled[0] if len(settled) > 1 else 0
    if span_ns <= 0:
        return 0.0
    return (len(settled) - 1) * chunk_bytes * 8 / (span_ns / 1e3)
