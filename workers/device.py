"""The device agent: offers frames at a set pace, whatever the edge does, and records what became of each."""

from __future__ import annotations

import asyncio
import selectors
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from workers import messages as m
from workers import transport
from workers.agent import Agent, main
from workers.frames import FrameHeader, pack
from workers.priority import raise_priority
from workers.records import DeviceFrame, JsonLines, Outcome
from workers.source import Pacer, Source, open_source

if TYPE_CHECKING:
    from workers.agent import ControlChannel
    from workers.loop_socket import LoopSocket

SETTLE_POLL_S = 0.01


class DeviceAgent(Agent):
    """Wires source, pacer and socket."""

    role = "device"

    def __init__(self, control: ControlChannel) -> None:
        super().__init__(control)
        self._plane: transport.DataPlane | None = None
        self._socket: LoopSocket | None = None
        self._log: JsonLines | None = None
        self._source: Source | None = None
        self._deadline_ms = 0.0
        self._frames: dict[int, DeviceFrame] = {}
        self._run = 0
        self._pacing: asyncio.Task[None] | None = None
        self._settled = m.Codec(m.Settled)

    @staticmethod
    def new_loop() -> asyncio.AbstractEventLoop:
        """Return a loop whose timers are not rounded up to whole milliseconds, as those of epoll are.

        Each of its turns costs some microseconds more, which is why no other agent has it.
        """
        return asyncio.SelectorEventLoop(selectors.SelectSelector())

    async def obey(self, order: m.Order, received_ns: int) -> None:
        """See `Agent.obey`."""
        del received_ns
        match order:
            case m.SetUpDevice():
                self.say(m.Ready({"priority": self._set_up(order)}, {}))
            case m.StartFrames(run, fps):
                self._run, self._frames = run, {}
                self._pacing = asyncio.get_running_loop().create_task(self._offer(run, fps))
                self._pacing.add_done_callback(self.reap)
            case m.StopFrames(run):
                await self._stop(run)
            case _:
                self.say(m.Trouble(f"device: {type(order).__name__} is not for a device"))

    async def shut_down(self) -> None:
        """See `Agent.shut_down`."""
        if self._pacing is not None:
            self._pacing.cancel()
            self._write_frames()
        if self._source is not None:
            self._source.close()
        if self._log is not None:
            self._log.close()
        if self._plane is not None:
            self._plane.close()

    def _set_up(self, order: m.SetUpDevice) -> str:
        """Return at which priority frames are offered: on a testbed the tail may compute on the device's CPU."""
        self._deadline_ms = order.deadline_ms
        self._log = JsonLines(Path(order.log_folder) / "device-frames.jsonl")
        self._plane = transport.DataPlane(order.keys)
        self._socket = self._plane.in_loop(self._plane.client(transport.DEALER, order.edge_endpoint, order.edge_public))
        self.spawn(self._socket.serve(self._hear))
        priority = raise_priority()  # before the source is open: decoding a video is not to have it
        self._source = open_source(order.source, order.seed, order.height, order.width)
        return priority

    async def _offer(self, run: int, fps: float) -> None:
        assert self._source is not None  # noqa: S101 - set up before
        assert self._socket is not None  # noqa: S101
        pacer = Pacer(fps, time.monotonic_ns())
        pixels = self._source.frames()
        for frame in range(sys.maxsize):
            picture = next(pixels)  # before it is due
            header = FrameHeader(run, frame, "uint8", picture.shape)
            wait_s = pacer.wait_s(frame, time.monotonic_ns())
            await asyncio.sleep(wait_s)  # also where it is late: answers and orders must be heard
            self._frames[frame] = DeviceFrame(run, frame, time.monotonic_ns(), Outcome.LOST)
            try:
                self._socket.send(pack(header, picture))
            except transport.Again:  # the edge takes nothing in: that is a drop, not a reason to slow down
                self._settle(frame, Outcome.BUSY)

    def _hear(self, parts: list[bytes]) -> None:
        message = self._settled.decode(parts[-1])
        if message.run == self._run:
            self._settle(message.frame, message.outcome, message.point, message.label)

    def _settle(self, frame: int, outcome: Outcome, point: int | None = None, label: int | None = None) -> None:
        record = self._frames.get(frame)
        if record is not None and record.settled_ns is None:
            now_ns = time.monotonic_ns()
            self._frames[frame] = replace(record, outcome=outcome, settled_ns=now_ns, point=point, label=label)

    async def _stop(self, run: int) -> None:
        if self._pacing is not None:
            self._pacing.cancel()
        last_ns = max((record.offered_ns for record in self._frames.values()), default=time.monotonic_ns())
        end_ns = last_ns + int(self._deadline_ms * 1e6)
        while time.monotonic_ns() < end_ns and self._unsettled():  # noqa: ASYNC110 - ends by time, too
            await asyncio.sleep(SETTLE_POLL_S)
        answered = self._write_frames()
        fps = achieved_fps([record.offered_ns for record in self._frames.values()])
        self.say(m.FramesStopped(run, len(self._frames), answered, fps))
        self._pacing, self._frames = None, {}

    def _unsettled(self) -> bool:
        return any(record.settled_ns is None for record in self._frames.values())

    def _write_frames(self) -> int:
        answered = 0
        for record in self._frames.values():
            outcome = record.outcome
            if outcome is Outcome.ANSWERED and self._is_late(record):
                outcome = Outcome.LATE
            answered += outcome is Outcome.ANSWERED
            if self._log is not None:
                self._log.write(msgspec.structs.replace(record, outcome=outcome))
        return answered

    def _is_late(self, record: DeviceFrame) -> bool:
        settled_ns = record.settled_ns or 0
        return settled_ns - record.offered_ns > self._deadline_ms * 1e6


def achieved_fps(offered_ns: list[int]) -> float | None:
    """Return the pace of frames offered at these moments (ns, ascending); None for fewer than two."""
    if len(offered_ns) < 2:  # noqa: PLR2004 - a pace needs an interval
        return None
    return (len(offered_ns) - 1) / ((offered_ns[-1] - offered_ns[0]) / 1e9)


if __name__ == "__main__":
    sys.exit(main(DeviceAgent))
