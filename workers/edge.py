"""The edge agent: ingress, router and pipeline manager, without TensorFlow; shapes the link to the cloud."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from workers import answer_log, link, shaping, transport
from workers import messages as m
from workers.agent import Agent, main
from workers.answer_log import Answer, AnswerLog
from workers.cloud_tier import CloudTier
from workers.errors import ProtocolError, WorkerError
from workers.frames import unpack, unpack_header
from workers.host_load import HostLoad
from workers.intake import Intake
from workers.manager import PipelineManager
from workers.priority import raise_priority
from workers.records import EdgeFrame, Event, EventKind, JsonLines, Outcome
from workers.site import Site
from workers.speed_watch import SpeedWatch
from workers.strategies import STRATEGIES
from workers.stress import Level

if TYPE_CHECKING:
    from workers.agent import ControlChannel
    from workers.detection import Detection

SWEEP_S = 0.25
LOST_AFTER_DEADLINES = 2


class EdgeAgent(Agent):
    """Wires sockets, intake, manager and shaper."""

    role = "edge"

    def __init__(self, control: ControlChannel) -> None:
        super().__init__(control)
        self._plane: transport.DataPlane | None = None
        self._site: Site | None = None
        self._shaper: shaping.LinkShaper | None = None
        self._manager: PipelineManager | None = None
        self._intake: Intake | None = None
        self._cloud: CloudTier | None = None
        self._load: HostLoad | None = None
        self._frames_log: JsonLines | None = None
        self._events_log: JsonLines | None = None
        self._answers: AnswerLog | None = None
        self._trains: link.TrainSender | None = None
        self._probes = itertools.count(1_000_000)
        self._probing = asyncio.Lock()  # two trains at once would halve each other's rate
        self._speed: SpeedWatch | None = None

    def netem(self) -> bool:
        """See `Agent.netem`."""
        return shaping.has_netem()

    def hear_at_once(self, order: m.Order, received_ns: int) -> None:
        """See `Agent.hear_at_once`."""
        if isinstance(order, m.NetworkChanged) and self._manager is not None:
            self._manager.route_ahead(order, received_ns)

    async def obey(self, order: m.Order, received_ns: int) -> None:
        """See `Agent.obey`."""
        match order:
            case m.SetUpEdge():
                self._trains = link.TrainSender(order.probe_token)
                await self._trains.open(order.cloud_address, order.probe_port)
                await self._set_up(order)
            case m.ShapeLink():
                self._shape(order)
            case m.ProbeLink():
                self.spawn(self._probe(order))
            case m.ReadAvailability():
                self._read_availability(order)
            case m.ProfileTiers() if self._manager is not None:
                self.spawn(self._manager.profile(order))
            case m.Deploy() if self._manager is not None:
                self._manager.deploy(order)
            case m.NetworkChanged() if self._manager is not None:
                self._change(order, received_ns)
            case m.ReadSpeed() if self._speed is not None:
                self.say(m.SpeedRead(self._speed.mbps))
            case _:
                self.say(m.Trouble(f"edge: {type(order).__name__} is not for an edge that is not set up"))

    async def shut_down(self) -> None:
        """See `Agent.shut_down`."""
        if self._manager is not None:
            await self._manager.stop()
        if self._plane is not None and self._site is not None:
            counts = self._site.refusals(self._plane)
            self._log_event(Event(0, time.monotonic_ns(), EventKind.STRANGERS, dict(counts)))
            await self._site.close()
        if self._load is not None and (took_s := self._load.release()) is not None:
            self._log_event(Event(0, time.monotonic_ns(), EventKind.STRESS_RELEASED, {"took_s": took_s}))
        for log in (self._frames_log, self._events_log, self._answers):
            if log is not None:
                log.close()
        if self._trains is not None:
            self._trains.close()
        if self._plane is not None:
            self._plane.close()

    # --- set-up ---------------------------------------------------------------------------------------------

    async def _set_up(self, order: m.SetUpEdge) -> None:
        folder = Path(order.log_folder)
        self._frames_log = JsonLines(folder / "edge-frames.jsonl")
        self._events_log = JsonLines(folder / "edge-events.jsonl")
        self._answers = AnswerLog(folder / answer_log.NAME) if order.keep_answers else None
        plane = self._plane = transport.DataPlane(order.keys)
        self._shaper = shaping.LinkShaper(self.guard, order.cloud_address, delay=not order.delay_at_cloud)
        choices: dict[str, str] = {"shaping": self._shaper.method}
        self._site = await Site.open(
            role="edge",
            agent=self,
            plane=plane,
            order=order,
            peer_public=order.cloud_public,
            tail_address=order.cloud_address,
            results_endpoint="",
            on_died=lambda died: self._died("edge", died),
        )
        self._load = HostLoad(self.guard, self._site.tier.cgroup, order.session, self.folder)
        # In a thread: taking gigabytes lasts seconds, in which a controller must not think this host dead.
        stress = await asyncio.to_thread(self._load.set, Level(order.cpu_pct, order.mem_pct))
        self._log_event(Event(0, time.monotonic_ns(), EventKind.STRESS_SET, dict(stress)))
        self._open_sockets(order, plane, self._site)
        if order.detection is not None:
            self._watch_speed(order.detection)
        # The router competes with the head for the edge's CPU; a switch must not wait for an inference.
        choices["router_priority"] = raise_priority()
        # What set-up has made stays: looking through it for garbage takes ten milliseconds in which no frame moves.
        gc.collect()
        gc.freeze()
        self.say(m.Ready({**self._site.choices, **choices}, stress))

    def _open_sockets(self, order: m.SetUpEdge, plane: transport.DataPlane, site: Site) -> None:
        self._device = plane.in_loop(
            plane.server("ingress", transport.ROUTER, order.ingress_endpoint, {order.device_public})
        )
        results = plane.in_loop(plane.server("results", transport.PULL, order.results_endpoint, {order.cloud_public}))
        self._heads = plane.in_loop(plane.bind_local(transport.ROUTER, site.tier.frames_path))
        control = plane.in_loop(plane.client(transport.DEALER, order.cloud_endpoint, order.cloud_public))
        self._cloud = CloudTier(control)
        self._intake = Intake(order.queue_limit, self._settle)
        self._manager = PipelineManager(
            STRATEGIES[order.strategy],
            {"edge": site.tier, "cloud": self._cloud},
            self._intake,
            range(order.first_tail_port, order.first_tail_port + order.tail_ports),
            self.say,
            self._log_event,
            {point.index: point.name for point in site.model.points},
        )
        self.spawn(self._device.serve(self._take_in))
        self.spawn(results.serve(self._take_result))
        self.spawn(self._heads.serve(self._take_head_error))
        self.spawn(control.serve(self._hear_cloud))
        self.spawn(self._sweep(order.deadline_ms))

    def _watch_speed(self, detection: Detection) -> None:
        assert self._cloud is not None  # noqa: S101 - sockets are opened before
        assert self._trains is not None  # noqa: S101
        assert self._intake is not None  # noqa: S101
        self._speed = SpeedWatch(
            detection,
            self._cloud,
            self._trains,
            self._probes,
            self._probing,
            self._intake.holds,
            self._change,
            self.say,
            self._log_event,
        )
        self.spawn(self._speed.run())

    # --- frames ---------------------------------------------------------------------------------------------

    def _take_in(self, parts: list[bytes]) -> None:
        received_ns = time.monotonic_ns()
        sender, *frame = parts
        try:
            header = unpack_header(frame)
        except ProtocolError:
            self._count("ingress", "malformed")
            return
        assert self._intake is not None  # noqa: S101 - sockets are opened with it
        if self._speed is not None:
            self._speed.hear_offer(header.run, received_ns)
        cut = self._intake.admit(sender, header, received_ns)
        if cut is None:
            return
        onward = replace(header, point=cut.point, container=cut.container)
        try:
            self._heads.send([cut.container.encode(), m.encode(onward), frame[1]])
        except transport.SendFailed:
            self._intake.end((header.run, header.frame), Outcome.FAILED, time.monotonic_ns())

    def _take_result(self, parts: list[bytes]) -> None:
        settled_ns = time.monotonic_ns()
        try:
            header, logits = unpack(parts)
        except ProtocolError:
            self._count("results", "malformed")
            return
        label = int(np.argmax(logits)) if logits.size else None
        if self._answers is not None and header.error is None:
            self._answers.write(Answer(header.run, header.frame, header.point, logits.astype(np.float32)))
        if self._intake is not None and not self._intake.answer(header, label, settled_ns):
            self._count("results", "unexpected")

    def _take_head_error(self, parts: list[bytes]) -> None:
        self._take_result(parts[1:])

    def _settle(self, sender: bytes, record: EdgeFrame, label: int | None) -> None:
        if self._frames_log is not None:
            self._frames_log.write(record)
        if self._speed is not None:
            self._speed.hear_frame(record)
        message = m.Settled(record.run, record.frame, record.outcome, record.point, label)
        with contextlib.suppress(transport.SendFailed):  # a device that is gone, or takes nothing in
            self._device.send([sender, m.encode(message)])

    async def _sweep(self, deadline_ms: float) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now_ns = time.monotonic_ns()
            if self._intake is not None:
                self._intake.give_up_older_than(now_ns - int(LOST_AFTER_DEADLINES * deadline_ms * 1e6), now_ns)
            if self._load is not None:
                self._load.check()

    # --- cloud and link -------------------------------------------------------------------------------------

    def _hear_cloud(self, parts: list[bytes]) -> None:
        if self._cloud is not None and (died := self._cloud.hear(parts)) is not None:
            self._died("cloud", died)

    def _died(self, tier: str, died: m.Died) -> None:
        if self._manager is not None:
            self._manager.container_died(tier, died)

    def _change(self, order: m.NetworkChanged, learned_ns: int) -> None:
        assert self._manager is not None  # noqa: S101 - set up before
        assert self._site is not None  # noqa: S101
        self._manager.change(order, learned_ns)
        self._site.run = order.run

    def _shape(self, order: m.ShapeLink) -> None:
        started_ns = time.monotonic_ns()
        if self._shaper is None:
            raise WorkerError("nothing is set up here that could be shaped")
        self._shaper.set(order.mbps, order.delay_ms)
        done_ns = time.monotonic_ns()
        took_ms = (done_ns - started_ns) / 1e6
        detail: dict[str, str | int | float | bool | None] = {
            "mbps": order.mbps,
            "delay_ms": order.delay_ms,
            "took_ms": took_ms,
        }
        self._log_event(Event(order.run, done_ns, EventKind.LINK_SET, detail))
        self.say(m.LinkShaped(order.mbps, took_ms))

    async def _probe(self, order: m.ProbeLink) -> None:
        assert self._cloud is not None  # noqa: S101 - set up before
        assert self._trains is not None  # noqa: S101
        async with self._probing:
            measured = await link.probe(self._cloud, self._trains, self._probes)
        detail: dict[str, str | int | float | bool | None] = {
            "mbps": measured.mbps,
            "delay_ms": measured.delay_ms,
        }
        self._log_event(Event(order.run, time.monotonic_ns(), EventKind.LINK_PROBED, detail))
        self.say(measured)

    def _read_availability(self, order: m.ReadAvailability) -> None:
        if self._load is None or self._site is None:
            raise WorkerError("nothing is set up here of which the availability could be read")
        left = self._load.read(self._site.pipelines_bytes() or 0)
        if left is not None:
            self.say(m.AvailabilityRead(order.run, left.cpu_pct, left.mem_pct))

    def _count(self, name: str, reason: str) -> None:
        if self._plane is not None:
            self._plane.count(name, reason)

    def _log_event(self, event: Event) -> None:
        if self._events_log is not None:
            self._events_log.write(event)
        if self._speed is not None:
            self._speed.hear_event(event)


if __name__ == "__main__":
    sys.exit(main(EdgeAgent))
