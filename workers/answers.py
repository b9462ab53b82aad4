"""What runners answer: who waits for an answer hears it, or why there is none."""

from __future__ import annotations

import asyncio
from typing import Any

from workers import messages as m
from workers.errors import ContainerError, LastingError


class Answers:
    """The answers that are waited for, at most one a container."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[m.RunnerReply]] = {}

    def expect(self, name: str) -> asyncio.Future[m.RunnerReply]:
        """Return what will hold the container's next answer; call it before asking."""
        future: asyncio.Future[m.RunnerReply] = asyncio.get_running_loop().create_future()
        self._waiting[name] = future
        return future

    async def wait(self, name: str, answer: asyncio.Future[m.RunnerReply], timeout_s: float) -> Any:
        """Return the answer once it is there.

        Raises:
            ContainerError: there was trouble instead, or nothing in time.
            LastingError: there was trouble that would be there again.
        """
        try:
            reply = await asyncio.wait_for(answer, timeout_s)
        except TimeoutError:
            raise ContainerError(f"container {name} gave no answer in {timeout_s:g} s") from None
        finally:
            self._waiting.pop(name, None)
        if isinstance(reply, m.RunnerTrouble):
            raise (LastingError if reply.lasting else ContainerError)(reply.reason)
        return reply

    def hear(self, name: str, reply: m.RunnerReply) -> None:
        """Take in an answer; one that nobody waits for is nobody's."""
        waiting = self._waiting.get(name)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)
