"""A ZeroMQ socket in an event loop: what arrives is handed over in the turn of the loop that notices it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import zmq

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NOW = int(zmq.NOBLOCK)
_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)
_CAN_READ = int(zmq.POLLIN)


class LoopSocket:
    """Sends at once and hands over what arrives.

    `zmq.asyncio` takes a future and a second turn of the loop for every message: a sixth of the harness's overhead.
    """

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        self._handle: Callable[[list[bytes]], None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._due = False

    def send(self, parts: Sequence[bytes | memoryview]) -> None:
        """Send a message.

        Raises:
            zmq.ZMQError: there is no such peer, or it takes nothing in (`zmq.Again`).
        """
        try:
            send(self._socket, parts)
        finally:  # a refused message has used the socket, too
            self._look_again()

    async def serve(self, handle: Callable[[list[bytes]], None]) -> None:
        """Call `handle` with every message that arrives, until cancelled or until it raises something."""
        loop, descriptor = asyncio.get_running_loop(), self._socket.FD
        self._handle, self._ended = handle, loop.create_future()
        loop.add_reader(descriptor, self._take)
        self._look_again()
        try:
            await self._ended
        finally:
            self._handle = None
            loop.remove_reader(descriptor)

    def _look_again(self) -> None:
        """Have the loop look for a message: the descriptor tells of changes, and using the socket hides them."""
        if self._handle is not None and not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._take)

    def _take(self) -> None:
        """Hand over one message; the loop's other work comes before the next."""
        self._due = False
        if self._handle is None or not int(self._socket.get(zmq.EVENTS)) & _CAN_READ:
            return
        try:
            parts = self._socket.recv_multipart(_NOW)
        except zmq.Again:  # a peer went between the signal that it had something to say and the reading of it
            self._look_again()
            return
        try:
            self._handle(parts)
        except Exception as error:  # noqa: BLE001 - raised again by `serve`
            self._end(error)
        self._look_again()

    def _end(self, error: Exception) -> None:
        self._handle = None
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)


def send(socket: zmq.Socket[bytes], parts: Sequence[bytes | memoryview], *, copy: bool = True) -> None:
    """Send a message without waiting; see `LoopSocket.send`.

    With `copy` False, a large last part is read where it lies until it has gone.
    """
    for part in parts[:-1]:
        socket.send(part, _MORE)
    socket.send(parts[-1], _NOW, copy=copy or memoryview(parts[-1]).nbytes < socket.copy_threshold)
