"""The pipeline manager: carries out a strategy's actions on both tiers and feeds the outcomes back to it."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
import traceback
from collections import deque
from typing import TYPE_CHECKING, Protocol

from workers import messages as m
from workers.ahead import RouteAhead
from workers.records import Event, EventKind
from workers.strategies import base as s

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workers.ahead import Routed
    from workers.intake import Intake

DRAIN_POLL_S = 0.005

Detail = dict[str, str | int | float | bool | None]
Work = s.LaunchContainers | s.BuildInside | s.RebuildPaused | s.DropInside | s.RemoveContainers
_NAMES: dict[type[Work], str] = {
    s.LaunchContainers: "launch",
    s.BuildInside: "build",
    s.RebuildPaused: "rebuild",
    s.DropInside: "drop",
    s.RemoveContainers: "remove",
}


class ObeysTierOrders(Protocol):
    """The edge's own tier, or the cloud's over the link."""

    async def obey(self, order: m.TierOrder) -> m.TierReply:
        """Carry out one order."""


class PipelineManager:
    """Runs one strategy.

    Args:
        tail_ports: ports for tails on the cloud; each pair of containers gets the next one in turn that no other has.
        report: takes what the controller should hear.
        log: takes the events.
        names: of the model's points.
    """

    def __init__(
        self,
        strategy: s.Strategy,
        tiers: dict[str, ObeysTierOrders],
        intake: Intake,
        tail_ports: range,
        report: Callable[[m.Report], None],
        log: Callable[[Event], None],
        names: Mapping[int, str] | None = None,
    ) -> None:
        self._strategy = strategy
        self._state = s.State()
        self._tiers = tiers
        self._intake = intake
        self._tail_ports = deque(tail_ports)
        self._port_of: dict[str, int] = {}  # pair of containers -> its tail's port
        self._orders = itertools.count(1)
        self._report = report
        self._log_event = log
        self._names = names or {}
        self._run = 0
        self._held_back: tuple[m.NetworkChanged, int] | None = None
        self._ahead = RouteAhead(intake)
        self._routed: Routed | None = None  # ahead of the strategy, which is hearing of it
        self._taken: m.NetworkChanged | None = None  # before its turn
        self._tasks: set[asyncio.Task[None]] = set()

    def deploy(self, order: m.Deploy) -> None:
        """Start serving; `Rearmed` or `Trouble` is reported when it is clear."""
        self._feed(s.Start(order.point, order.standby_point, order.hot))

    def route_ahead(self, order: m.NetworkChanged, learned_ns: int) -> None:
        """Route a change at once if its cut is ready, from any thread; `change` with the same order is to follow."""
        self._ahead.route(order, learned_ns)

    def change(self, order: m.NetworkChanged, learned_ns: int) -> None:
        """Take in a change of the network speed that the edge learned of at `learned_ns` (t0)."""
        self._catch_up()
        if order is self._taken:
            self._taken = None
            return
        self._take(order, learned_ns)

    def _catch_up(self) -> None:
        """Tell the strategy of what was routed ahead of it, before it hears anything else."""
        routed = self._ahead.withdraw()
        if routed is not None:
            self._routed, self._taken = routed, routed.order
            self._take(routed.order, routed.learned_ns)
            self._routed = None

    def _take(self, order: m.NetworkChanged, learned_ns: int) -> None:
        if self._state.phase is not s.Phase.SERVING:
            self._held_back = (order, learned_ns)
            return
        self._held_back = None
        self._run = order.run
        from_point = self._state.active.point if self._state.active else None
        self._feed(s.Change(order.point, order.standby_point, self._names.get(order.point, "")))
        self._log(
            EventKind.CHANGE_LEARNED,
            {"mbps": order.mbps, "from_point": from_point, "to_point": order.point},
            learned_ns,
        )

    def container_died(self, tier: str, died: m.Died) -> None:
        """Take in that a container ended by itself."""
        now_ns = time.monotonic_ns()
        reason = f"{tier}: {died.reason}"
        self._log(
            EventKind.CONTAINER_DIED,
            {
                "container": died.container,
                "tier": tier,
                "exit_code": died.exit_code,
                "oom_kills": died.oom_kills,
                "reason": reason,
            },
            now_ns,
        )
        self._intake.fail_container(died.container, now_ns)
        self._feed(s.ContainerLost(died.container, reason))
        if died.oom_kills or self._state.phase is s.Phase.DOWN:  # a strategy that finds no memory cannot be measured
            self._report(m.Trouble(reason, died.exit_code, died.oom_kills))
        else:
            self._report(m.PipelineLost(self._run, reason))

    async def profile(self, order: m.ProfileTiers) -> None:
        """Have the model timed on one tier after the other: on one machine they would disturb each other.

        It is for a pipeline that serves nothing meanwhile. `TiersProfiled` or `Trouble` is reported.
        """
        if self._state.active is None:
            self._report(m.Trouble("edge: nothing is deployed that could be profiled"))
            return
        timings = {}
        for name, tier in self._tiers.items():
            container = self._state.active.container
            reply = await tier.obey(m.Profile(next(self._orders), container, order.points, order.repetitions))
            if not isinstance(reply, m.Profiled):
                reason = reply.reason if isinstance(reply, m.Refused) else f"{name} answered {type(reply).__name__}"
                self._report(m.Trouble(f"the model was not profiled: {reason}"))
                return
            timings[name] = reply.timings
        self._report(m.TiersProfiled(timings))

    async def stop(self) -> None:
        """Abandon the work under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- the strategy ---------------------------------------------------------------------------------------

    def _feed(self, event: s.StrategyEvent) -> None:
        self._catch_up()
        self._state, actions = self._strategy.handle(self._state, event)
        for action in actions:
            self._apply(action)
        if self._state.phase is s.Phase.SERVING:
            self._ahead.offer(self._foresee())

    def _foresee(self) -> dict[int, s.Cut]:
        """Return where the changes that need no work would be routed, by their points."""
        active, ready = self._state.active, {}
        for cut in (self._state.standby, *self._state.hot):
            if cut is not None and active is not None and cut.point not in {active.point, s.UNCUT}:
                _, actions = self._strategy.handle(self._state, s.Change(cut.point, active.point))
                if actions and isinstance(actions[0], s.Route):
                    ready[cut.point] = actions[0].cut
        return ready

    def _route(self, cut: s.Cut) -> None:
        if self._routed is not None and self._intake.route == cut:
            now_ns = self._routed.routed_ns
        else:
            self._intake.set_route(cut)
            now_ns = time.monotonic_ns()
        self._log(EventKind.ROUTED, {"container": cut.container, "point": cut.point}, now_ns)

    def _apply(self, action: s.Action) -> None:
        """Do what is quick at once, stamped after it took effect; give the rest to a task."""
        match action:
            case s.Route(cut):
                self._route(cut)
            case s.StopIntake():
                now_ns = time.monotonic_ns()
                self._intake.stop(now_ns)
                self._log(EventKind.INTAKE_STOPPED, {}, now_ns)
            case s.ResumeIntake():
                self._intake.resume()
                self._log(EventKind.INTAKE_RESUMED, {}, time.monotonic_ns())
            case s.Conclude():
                self._conclude(action)
            case s.Armed():
                self._armed()
            case _:
                task = asyncio.get_running_loop().create_task(self._work(action))
                self._tasks.add(task)
                task.add_done_callback(self._reap)

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            traceback.print_exception(error)
            self._report(m.Trouble(f"edge: pipeline manager: {type(error).__name__}: {error}"))

    def _conclude(self, action: s.Conclude) -> None:
        self._log(
            EventKind.REPARTITIONED,
            {
                "point": action.point,
                "moved": action.moved,
                "ok": action.ok,
                "reason": action.reason,
            },
            time.monotonic_ns(),
        )
        self._report(m.Repartitioned(self._run, action.point, action.moved, action.ok, action.reason))

    def _armed(self) -> None:
        self._log(EventKind.REARMED, {}, time.monotonic_ns())
        state = self._state
        cold = tuple((one.point, one.reason) for one in state.cold)
        ready = (*state.hot, state.active) if state.promised else ()
        self._report(m.Rearmed(self._run, tuple(sorted(cut.point for cut in ready if cut)), cold))
        if self._held_back is not None:
            asyncio.get_running_loop().call_soon(self._hand_over_held_back)

    def _hand_over_held_back(self) -> None:
        self._catch_up()
        if self._held_back is not None:  # a newer change may have overtaken it
            self._take(*self._held_back)

    # --- work on both tiers ---------------------------------------------------------------------------------

    async def _work(self, action: Work) -> None:
        cut, name = action.cut, _NAMES[type(action)]
        about: Detail = {"work": name, "container": cut.container, "point": cut.point}
        if isinstance(action, s.DropInside | s.RemoveContainers):
            while self._intake.holds(cut):  # noqa: ASYNC110 - the intake is pure and knows no event
                await asyncio.sleep(DRAIN_POLL_S)
        self._log(EventKind.WORK_STARTED, about, time.monotonic_ns())
        order = self._order(action)
        replies = await (self._launch_both(order) if isinstance(order, m.Launch) else self._order_both(order))
        now_ns = time.monotonic_ns()
        failures = [reply for reply in replies.values() if isinstance(reply, m.Refused)]
        if failures:
            reason = "; ".join(failure.reason for failure in failures)
            lasting = any(failure.lasting for failure in failures)
            self._log(EventKind.WORK_FAILED, {**about, "reason": reason}, now_ns)
            await self._clean_up_after(action)
            if isinstance(action, s.BuildInside) and action.sparing and not action.urgent:
                print(f"edge: point {cut.point} ({self._names.get(cut.point)}) stays cold: {reason}", file=sys.stderr)
            self._feed(s.WorkFailed(cut, reason, lasting))
            if self._state.phase is s.Phase.DOWN:
                self._report(m.Trouble(f"nothing serves any more: {name} of {cut.container} failed: {reason}"))
            return
        parts: Detail = {
            f"{tier}_{part}_ms": round(took_ms, 3)
            for tier, reply in replies.items()
            if isinstance(reply, m.Fulfilled)
            for part, took_ms in reply.parts_ms.items()
        }
        put_away = isinstance(action, s.DropInside | s.RemoveContainers)
        self._feed(s.PutAway(cut) if put_away else s.Prepared(cut))
        self._log(EventKind.WORK_DONE, {**about, **parts}, now_ns)

    def _take_port(self, container: str) -> int:
        """Return a free port; where all are taken, the one taken longest ago, and the cloud says that it is in use."""
        taken = set(self._port_of.values())
        port = next((port for port in self._tail_ports if port not in taken), self._tail_ports[0])
        self._tail_ports.remove(port)
        self._tail_ports.append(port)  # one that was just given back comes last
        self._port_of[container] = port
        return port

    async def _order_both(self, order: m.TierOrder) -> dict[str, m.TierReply]:
        replies = await asyncio.gather(*(tier.obey(order) for tier in self._tiers.values()))
        if isinstance(order, m.Remove):
            self._port_of.pop(order.container, None)
        return dict(zip(self._tiers, replies, strict=True))

    async def _launch_both(self, order: m.Launch) -> dict[str, m.TierReply]:
        """Launch on both tiers; where one refuses, call the other off, which would wait for its partner to answer."""
        launches = {name: asyncio.ensure_future(tier.obey(order)) for name, tier in self._tiers.items()}
        try:
            done, pending = await asyncio.wait(launches.values(), return_when=asyncio.FIRST_COMPLETED)
            if pending and any(isinstance(launch.result(), m.Refused) for launch in done):
                await self._order_both(m.Remove(next(self._orders), order.container))
            return dict(zip(launches, await asyncio.gather(*launches.values()), strict=True))
        finally:
            for launch in launches.values():
                launch.cancel()

    def _order(self, action: Work) -> m.TierOrder:
        number, cut = next(self._orders), action.cut
        match action:
            case s.LaunchContainers(_, urgent):
                points = () if cut.point == s.UNCUT else (cut.point,)
                return m.Launch(number, cut.container, points, self._take_port(cut.container), urgent)
            case s.BuildInside(_, urgent, sparing):
                return m.Build(number, cut.container, cut.point, urgent, sparing)
            case s.RebuildPaused(_, restart):
                return m.Rebuild(number, cut.container, cut.point, restart)
            case s.DropInside():
                return m.Drop(number, cut.container, cut.point)
            case s.RemoveContainers():
                return m.Remove(number, cut.container)

    async def _clean_up_after(self, action: Work) -> None:
        """Leave nothing half made: one tier may have succeeded where the other failed."""
        match action:
            case s.LaunchContainers(cut):
                await self._order_both(m.Remove(next(self._orders), cut.container))
            case s.BuildInside(cut):
                await self._order_both(m.Drop(next(self._orders), cut.container, cut.point))
            case _:
                pass

    def _log(self, kind: EventKind, detail: Detail, at_ns: int) -> None:
        self._log_event(Event(self._run, at_ns, kind, detail))
