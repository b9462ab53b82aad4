"""The cloud agent: obeys the edge's pipeline manager; delays packets where the edge's kernel cannot."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from workers import delayline, link, transport
from workers import messages as m
from workers.agent import Agent, main
from workers.errors import ProtocolError
from workers.records import Event, EventKind, JsonLines
from workers.site import Site

if TYPE_CHECKING:
    from workers.agent import ControlChannel
    from workers.loop_socket import LoopSocket


class CloudAgent(Agent):
    """Wires the tier to the edge."""

    role = "cloud"

    def __init__(self, control: ControlChannel) -> None:
        super().__init__(control)
        self._plane: transport.DataPlane | None = None
        self._site: Site | None = None
        self._edge: LoopSocket | None = None
        self._edge_identity: bytes | None = None
        self._codec = m.Codec(m.TierOrder)
        self._trains: link.TrainReceiver | None = None
        self._log: JsonLines | None = None
        self._delay: delayline.DelayLine | None = None

    async def obey(self, order: m.Order, received_ns: int) -> None:
        """See `Agent.obey`."""
        del received_ns
        if not isinstance(order, m.SetUpCloud):
            self.say(m.Trouble(f"cloud: {type(order).__name__} is not for a cloud"))
            return
        self._log = JsonLines(Path(order.log_folder) / "cloud-events.jsonl")
        if order.delay_ms is not None:
            self._delay = delayline.DelayLine(self.guard, order.edge_address, order.delay_ms)
            self._delay.start()
        self._trains = await link.receive_trains(order.probe_token, order.data_address, order.probe_port)
        self._plane = transport.DataPlane(order.keys)
        self._edge = self._plane.in_loop(
            self._plane.server("control", transport.ROUTER, order.endpoint, {order.edge_public})
        )
        self._site = await Site.open(
            role="cloud",
            agent=self,
            plane=self._plane,
            order=order,
            peer_public=order.edge_public,
            tail_address=order.data_address,
            results_endpoint=order.edge_results_endpoint,
            on_died=self._reply,
        )
        self.spawn(self._edge.serve(self._hear))
        self.say(m.Ready(self._site.choices, {}))

    async def shut_down(self) -> None:
        """See `Agent.shut_down`."""
        if self._plane is not None and self._site is not None and self._log is not None:
            counts = self._site.refusals(self._plane)
            if self._trains is not None and self._trains.strangers:
                counts["probe_stranger"] = self._trains.strangers
            self._log.write(Event(0, time.monotonic_ns(), EventKind.STRANGERS, dict(counts)))
            await self._site.close()
        if self._delay is not None:
            self._delay.stop()
        if self._log is not None:
            self._log.close()
        if self._trains is not None:
            self._trains.close()
        if self._plane is not None:
            self._plane.close()

    def _hear(self, parts: list[bytes]) -> None:
        self._edge_identity = parts[0]
        try:
            order = self._codec.decode(parts[-1])
        except ProtocolError:
            if self._plane is not None:
                self._plane.count("control", "malformed")
            return
        match order:
            case m.ProbePing(number):
                self._reply(m.ProbeReport(number, ()))
            case m.CollectTrain(number):
                self.spawn(self._report_train(number))
            case _:
                self.spawn(self._work(order))

    async def _report_train(self, number: int) -> None:
        assert self._trains is not None  # noqa: S101 - orders come after set-up
        self._reply(m.ProbeReport(number, await self._trains.collect(number)))

    async def _work(self, order: m.TierOrder) -> None:
        assert self._site is not None  # noqa: S101 - orders come after set-up
        self._reply(await self._site.tier.obey(order))

    def _reply(self, reply: m.TierReply) -> None:
        if self._edge is not None and self._edge_identity is not None:
            self._edge.send([self._edge_identity, m.encode(reply)])


if __name__ == "__main__":
    sys.exit(main(CloudAgent))
