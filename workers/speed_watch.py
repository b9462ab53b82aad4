"""Lets the edge notice by itself that the link has another speed: feeds the detector, sends trains, orders changes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from workers import detection as d
from workers import link
from workers import messages as m
from workers.records import Event, EventKind
from workers.strategies.base import Cut
from workers.transfers import Observation, Way, disturbed, follow, pinged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workers.records import EdgeFrame

TICK_S = 0.05
OFFERED_WITHIN_S = 0.5


class SpeedWatch:
    """What the edge does for ``detection: estimated``.

    Args:
        detection: map of speeds and rule.
        cloud: the way to the cloud's agent.
        sender: sends packet trains over the link; `numbers` are theirs.
        probing: held by whoever has a train on the link.
        holds: how many frames a cut has in flight.
        change: takes a change that was noticed, and when.
        report: takes what the controller should hear.
        log: takes the events.
    """

    def __init__(
        self,
        detection: d.Detection,
        cloud: link.ObeysProbes,
        sender: link.TrainSender,
        numbers: Iterator[int],
        probing: asyncio.Lock,
        holds: Callable[[Cut], int],
        change: Callable[[m.NetworkChanged, int], None],
        report: Callable[[m.Report], None],
        log: Callable[[Event], None],
    ) -> None:
        self._detection = detection
        self._cloud = cloud
        self._sender = sender
        self._numbers = numbers
        self._probing = probing
        self._holds = holds
        self._change = change
        self._report = report
        self._log = log
        self._way = Way()
        self._state: d.State | None = None
        self._cut: Cut | None = None
        self._former: Cut | None = None
        self._armed = False  # the strategy is, but frames of the former cut may still be on the link
        self._train_on_link = False
        self._run = 0
        self._offered_since_ns = 0
        self._offered_ns = 0

    @property
    def mbps(self) -> float | None:
        """The speed that the link was last seen to have."""
        return self._state.mbps if self._state is not None else None

    # --- what is heard --------------------------------------------------------------------------------------

    def hear_offer(self, run: int, received_ns: int) -> None:
        """Take in that a frame was offered to the edge: only then is the link's speed of interest."""
        if received_ns - self._offered_ns > OFFERED_WITHIN_S * 1e9:
            self._offered_since_ns = received_ns
        self._run, self._offered_ns = run, received_ns

    def hear_frame(self, frame: EdgeFrame) -> None:
        """Take in a frame that has settled."""
        if self._train_on_link:
            self._way = disturbed(self._way, time.monotonic_ns())
        self._way, seen = follow(self._way, frame)
        if seen is not None and self._state is not None and frame.point == self._state.point:
            self._take(seen)

    def hear_event(self, event: Event) -> None:
        """Take in a step of the pipeline manager.

        Raises:
            WorkerError: frames are sent to a cut that the map of speeds does not have.
        """
        if event.kind is EventKind.ROUTED:
            cut = Cut(str(event.detail["container"]), int(event.detail["point"] or 0))
            d.bounds_mbps(self._detection.speeds, cut.point, 1.0)
            self._former, self._cut = self._cut, cut
            self._state = d.moved(self._state, cut.point)
            self._armed = False
        elif event.kind is EventKind.REARMED:
            self._armed = True

    # --- trains ---------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Send a packet train whenever one is due, until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            now_ns = time.monotonic_ns()
            self._begin_afresh(now_ns)
            if self._state is None or now_ns - self._offered_ns > OFFERED_WITHIN_S * 1e9:
                continue
            if self._way.round_trip_ns is None:
                await self._probe()
            elif d.train_due(self._detection.rule, self._state, now_ns, self._offered_since_ns):
                await self._send_train()

    def _begin_afresh(self, now_ns: int) -> None:
        """Let evidence count once the strategy has re-armed and the last frame of the former cut has settled."""
        if self._armed and self._state is not None and (self._former is None or not self._holds(self._former)):
            self._state = d.rearmed(self._state, now_ns)
            self._armed = False

    async def _probe(self) -> None:
        """Learn the shortest round trip, without which a frame's transfer says nothing."""
        async with self._probing:
            measured = await link.probe(self._cloud, self._sender, self._numbers)
        self._way = disturbed(pinged(self._way, int(measured.delay_ms * 1e6)), time.monotonic_ns())

    async def _send_train(self) -> None:
        async with self._probing:
            number, began_ns = next(self._numbers), time.monotonic_ns()
            self._train_on_link = True
            self._sender.send(number)
            reply = await self._cloud.obey(m.CollectTrain(number))
            self._train_on_link = False
        ended_ns = time.monotonic_ns()
        self._way = disturbed(self._way, ended_ns)
        mbps = link.rate_mbps(reply.arrivals_ns) if isinstance(reply, m.ProbeReport) else 0.0
        if mbps > 0:  # 0: too little arrived to tell
            self._take(Observation(self._run, began_ns, ended_ns, mbps, train=True))

    # --- decisions ------------------------------------------------------------------------------------------

    def _take(self, seen: Observation) -> None:
        if self._state is None:
            return
        left = self._state.point
        self._state, noticed = d.observe(self._detection, self._state, seen)
        if noticed is None:
            return
        mbps = round(noticed.mbps, 3)
        detail: dict[str, str | int | float | bool | None] = {
            "mbps": mbps,
            "point": noticed.point,
            "evidence": noticed.evidence,
            "since_ns": noticed.since_ns,
        }
        self._log(Event(noticed.run, noticed.at_ns, EventKind.SPEED_NOTICED, detail))
        self._report(m.SpeedNoticed(noticed.run, mbps, noticed.point))
        self._change(m.NetworkChanged(noticed.run, mbps, noticed.point, left), noticed.at_ns)
