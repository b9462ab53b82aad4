"""The cloud's tier as the edge talks to it, over the shaped link."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from workers import messages as m
from workers.transport import QUEUE_FRAMES, SendFailed

if TYPE_CHECKING:
    from workers.loop_socket import LoopSocket


class CloudTier:
    """The cloud's tier as the pipeline manager sees it: orders over the link, replies matched by number."""

    def __init__(self, socket: LoopSocket) -> None:
        self._socket = socket
        self._codec = m.Codec(m.TierReply)
        self._waiting: dict[int, asyncio.Future[m.TierReply]] = {}

    async def obey(self, order: m.TierOrder) -> m.TierReply:
        """Send one order and wait for its reply; `Refused` where the link takes no more orders in."""
        future: asyncio.Future[m.TierReply] = asyncio.get_running_loop().create_future()
        try:
            self._socket.send([m.encode(order)])
        except SendFailed:
            return m.Refused(order.order, f"cloud: {QUEUE_FRAMES} orders wait already for the link to take them in")
        self._waiting[order.order] = future
        return await future

    def hear(self, parts: list[bytes]) -> m.Died | None:
        """Take in what the cloud says; a death is returned, it answers no order."""
        reply: m.TierReply = self._codec.decode(parts[-1])
        if isinstance(reply, m.Died):
            return reply
        waiting = self._waiting.pop(reply.order, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)
        return None
