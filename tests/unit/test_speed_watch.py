"""The glue of ``detection: estimated``: what it hears it hands to the detector, what that decides it carries out."""

import asyncio
import itertools
import time
from contextlib import suppress

import pytest

from tests.unit.fakes import settle
from workers import link
from workers import messages as m
from workers.detection import Detection, Rule
from workers.errors import WorkerError
from workers.latency import wire_bytes
from workers.records import EdgeFrame, Event, EventKind, Outcome
from workers.speed_map import SpeedMap
from workers.speed_watch import SpeedWatch
from workers.strategies.base import Cut

FAST, SLOW, BYTES = 1, 2, 150_528
SPEEDS = SpeedMap.from_points({20.0: FAST, 5.0: SLOW})
PATIENT = Rule(lasts_s=0.3, probe_every_s=60, silence_s=30)  # sends no train without a suspicion
ROUND_TRIP_S = 0.001


class Cloud:
    """The cloud's agent at the end of a link of `mbps`; trains are `sent` by the edge's end."""

    def __init__(self, mbps, watch_lock):
        self.mbps = mbps
        self.trains = []
        self.pings = 0
        self.meanwhile = lambda: None  # while a train is on the link
        self.alone = []  # whether the lock was held while a train was on the link
        self._lock = watch_lock

    async def obey(self, order):
        await asyncio.sleep(ROUND_TRIP_S)
        if isinstance(order, m.ProbePing):
            self.pings += 1
            return m.ProbeReport(order.order, ())
        self.alone.append(self._lock.locked())
        self.meanwhile()
        gap_ns = int(link.WIRE_BYTES * 8 / self.mbps * 1e3) if self.mbps else 0
        return m.ProbeReport(order.order, tuple(index * gap_ns for index in range(link.TRAIN_PACKETS)))

    def send(self, train):
        self.trains.append(train)


class Edge:
    """A watch with everything around it, re-armed and serving at `FAST`."""

    def __init__(self, mbps=20.0, rule=PATIENT, speeds=SPEEDS):
        lock = asyncio.Lock()
        self.cloud = Cloud(mbps, lock)
        self.in_flight, self.changes, self.reports, self.events = {}, [], [], []
        self.watch = SpeedWatch(
            Detection(speeds, rule), self.cloud, self.cloud, itertools.count(), lock,
            lambda cut: self.in_flight.get(cut, 0), self._change, self.reports.append, self.events.append,
        )  # fmt: skip
        self._numbers = itertools.count()

    def _change(self, order, learned_ns):
        self.changes.append((order, learned_ns))
        self.route("p1", order.point)

    def route(self, container, point):
        detail = {"container": container, "point": point}
        self.watch.hear_event(Event(1, time.monotonic_ns(), EventKind.ROUTED, detail))

    def rearm(self):
        self.watch.hear_event(Event(1, time.monotonic_ns(), EventKind.REARMED))

    async def ready(self, point=FAST):
        """Serve, re-arm, and let the watch learn the round trip."""
        self.route("p1", point)
        self.rearm()
        self.task = asyncio.ensure_future(self.watch.run())
        self.watch.hear_offer(1, time.monotonic_ns())
        await self.until(lambda: self.cloud.pings == link.PINGS and self.cloud.alone)
        await settle()
        return self

    async def until(self, happened, timeout_s=3.0):
        """Offer frames until something has happened."""
        end = time.monotonic() + timeout_s
        while not happened():
            assert time.monotonic() < end, "it never happened"
            self.watch.hear_offer(1, time.monotonic_ns())
            await asyncio.sleep(0.005)

    def frame(self, mbps, point=FAST, outcome=Outcome.ANSWERED):
        """Let a frame settle now whose transfer tells that the link has `mbps`."""
        now_ns = time.monotonic_ns()
        span_ns = int(wire_bytes(BYTES) * 8e3 / mbps + ROUND_TRIP_S * 1e9)
        self.watch.hear_frame(
            EdgeFrame(
                1,
                next(self._numbers),
                now_ns - span_ns,
                outcome,
                point,
                "p1",
                now_ns,
                head_done_ns=now_ns - span_ns,
                cut_bytes=BYTES,
                tail_ms=0.0,
            )
        )

    async def frames(self, mbps, count, **fields):
        """Let frames settle, each once the transfer of the one before is over."""
        for _ in range(count):
            await asyncio.sleep(wire_bytes(BYTES) * 8 / mbps / 1e6 + 0.005)
            self.watch.hear_offer(1, time.monotonic_ns())
            self.frame(mbps, **fields)

    async def close(self):
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


def watched(mbps=20.0, rule=PATIENT):
    """Run a coroutine with an edge that is ready."""

    def decorate(scene):
        async def run():
            edge = await Edge(mbps, rule).ready()
            try:
                await scene(edge)
            finally:
                await edge.close()

        def test():
            asyncio.run(run())

        test.__doc__ = scene.__doc__
        return test

    return decorate


@watched()
async def test_frames_raise_the_suspicion_a_train_confirms_it_and_the_change_is_ordered(edge):
    edge.cloud.mbps = 5.0
    before = len(edge.cloud.trains)
    await edge.frames(4.9, 3)
    await edge.until(lambda: edge.changes)
    ((order, learned_ns),) = edge.changes
    assert order == m.NetworkChanged(1, order.mbps, SLOW, FAST)
    assert order.mbps == pytest.approx(5.0, rel=0.01)
    (event,) = edge.events
    assert (event.kind, event.run, event.at_ns) == (EventKind.SPEED_NOTICED, 1, learned_ns)
    assert event.detail["point"] == SLOW
    assert event.detail["mbps"] == order.mbps
    assert event.detail["evidence"] >= 3
    assert PATIENT.lasts_s * 1e9 <= learned_ns - event.detail["since_ns"] < 2e9
    assert edge.reports == [m.SpeedNoticed(1, order.mbps, SLOW)]
    assert len(edge.cloud.trains) > before
    assert all(edge.cloud.alone)


@watched()
async def test_frames_at_the_speed_of_the_cut_are_heard_and_change_nothing(edge):
    await edge.frames(20.0, 5)
    assert edge.watch.mbps == pytest.approx(20.0, rel=0.2)
    assert edge.changes == edge.events == edge.reports == []
    assert len(edge.cloud.trains) == 1  # the probe at the start


@watched()
async def test_after_a_change_nothing_counts_until_rearmed_and_the_old_frames_are_through(edge):
    edge.cloud.mbps = 5.0
    await edge.frames(5.0, 3)
    await edge.until(lambda: edge.changes)
    trains = len(edge.cloud.trains)
    edge.in_flight[Cut("p1", FAST)] = 1
    edge.cloud.mbps = 20.0
    await edge.frames(20.0, 8, point=SLOW)
    edge.rearm()
    await edge.frames(20.0, 8, point=SLOW)
    assert len(edge.changes) == 1
    assert len(edge.cloud.trains) == trains
    edge.in_flight.clear()
    await edge.frames(20.0, 8, point=SLOW)
    await edge.until(lambda: len(edge.changes) == 2)
    assert edge.changes[1][0].point == FAST


@watched()
async def test_frames_of_another_cut_are_no_evidence(edge):
    await edge.frames(5.0, 4, point=SLOW)
    assert edge.watch.mbps is None


@watched(rule=Rule(lasts_s=0.1, probe_every_s=0.2, silence_s=0.2))
async def test_where_frames_tell_nothing_trains_do_it_alone(edge):
    edge.cloud.mbps = 5.0
    await edge.until(lambda: edge.changes)
    assert edge.changes[0][0].point == SLOW
    assert len(edge.cloud.trains) >= 4


@watched(mbps=0.0, rule=Rule(lasts_s=0.1, probe_every_s=0.2, silence_s=0.2))
async def test_a_train_of_which_nothing_arrives_tells_nothing(edge):
    await edge.until(lambda: len(edge.cloud.trains) >= 3)
    assert edge.watch.mbps is None
    assert edge.changes == []


@watched(rule=Rule(probe_every_s=0.1, silence_s=0.1))
async def test_an_idle_edge_sends_no_train(edge):
    await asyncio.sleep(0.6)
    trains = len(edge.cloud.trains)
    await asyncio.sleep(0.4)
    assert len(edge.cloud.trains) == trains
    await edge.until(lambda: len(edge.cloud.trains) > trains)


@watched(rule=Rule(lasts_s=0.1, probe_every_s=0.2, silence_s=0.2))
async def test_frames_that_a_train_disturbs_are_no_evidence(edge):
    seen = []
    edge.cloud.meanwhile = lambda: (edge.frame(5.0), seen.append(edge.watch.mbps))
    await edge.until(lambda: len(seen) >= 4)
    assert seen[0] is None
    assert seen[1:] == pytest.approx([20.0] * (len(seen) - 1), rel=0.01)


def test_a_cut_that_the_map_does_not_have_is_refused():
    async def scene():
        Edge(speeds=SpeedMap((), (FAST,))).route("p1", 7)

    with pytest.raises(WorkerError, match="point 7 is not on the map"):
        asyncio.run(scene())


def test_before_anything_serves_nothing_is_known():
    async def scene():
        edge = Edge()
        edge.frame(20.0)
        return edge.watch.mbps

    assert asyncio.run(scene()) is None
