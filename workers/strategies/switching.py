"""Dynamic switching (Sec. III-B): the old pipeline serves while the new one is prepared, then frames switch.

Two choices make the paper's four strategies: whether a *standby* pipeline is kept ready for the other
network speed (Scenario A) or built at the change (Scenario B), and whether a new pipeline gets containers *of
its own* (Case 1) or is built inside the running ones (Case 2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from workers.errors import IllegalTransition
from workers.strategies.base import (
    Action,
    Armed,
    BuildInside,
    Change,
    Conclude,
    ContainerLost,
    Cut,
    DropInside,
    LaunchContainers,
    Phase,
    Prepared,
    PutAway,
    RemoveContainers,
    Route,
    Start,
    State,
    Step,
    StopIntake,
    StrategyEvent,
    WorkFailed,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class DynamicSwitching:
    """Prepares a pipeline beside the one that serves and routes frames to it.

    Args:
        keeps_standby: Scenario A; otherwise Scenario B.
        own_containers: Case 1; otherwise Case 2.
    """

    def __init__(self, *, keeps_standby: bool, own_containers: bool) -> None:
        self._keeps_standby = keeps_standby
        self._own_containers = own_containers
        self._table: dict[tuple[Phase, type[Any]], Callable[[State, Any], Step]] = {
            (Phase.NEW, Start): self._launch,
            (Phase.STARTING, Prepared): self._serve_first,
            (Phase.STARTING, WorkFailed): self._give_up,
            (Phase.STARTING, ContainerLost): self._give_up,
            (Phase.ARMING, Prepared): self._stand_by,
            (Phase.ARMING, WorkFailed): self._do_without,
            (Phase.ARMING, ContainerLost): self._lose,
            (Phase.SERVING, Change): self._change,
            (Phase.SERVING, ContainerLost): self._lose,
            (Phase.PREPARING, Prepared): self._switch_to_target,
            (Phase.PREPARING, WorkFailed): self._stay,
            (Phase.PREPARING, ContainerLost): self._lose,
            (Phase.RETIRING, PutAway): self._rearm,
            (Phase.RETIRING, WorkFailed): self._rearm,
            (Phase.RETIRING, ContainerLost): self._lose,
            (Phase.DOWN, Prepared): self._nothing,
            (Phase.DOWN, PutAway): self._nothing,
            (Phase.DOWN, WorkFailed): self._nothing,
            (Phase.DOWN, ContainerLost): self._nothing,
        }

    def handle(self, state: State, event: StrategyEvent) -> Step:
        """See `Strategy.handle`."""
        handler = self._table.get((state.phase, type(event)))
        if handler is None:
            raise IllegalTransition(f"dynamic switching: {event} is not expected in {state}")
        return handler(state, event)

    # --- what the two choices amount to ---------------------------------------------------------------------

    def _new_cut(self, state: State, point: int) -> tuple[State, Cut]:
        if state.active is not None and not self._own_containers:
            return state, Cut(state.active.container, point)
        count = state.containers + 1
        return replace(state, containers=count), Cut(f"p{count}", point)

    def _prepare(self, state: State, cut: Cut) -> Action:
        inside = state.active is not None and cut.container == state.active.container
        return BuildInside(cut) if inside else LaunchContainers(cut)

    def _put_away(self, cut: Cut) -> Action:
        return RemoveContainers(cut) if self._own_containers else DropInside(cut)

    # --- start ----------------------------------------------------------------------------------------------

    def _launch(self, state: State, event: Start) -> Step:
        state, cut = self._new_cut(state, event.point)
        state = replace(state, phase=Phase.STARTING, target=cut, standby_point=event.standby_point)
        return state, (LaunchContainers(cut),)

    def _serve_first(self, state: State, event: Prepared) -> Step:
        state = replace(state, active=event.cut, target=None)
        state, actions = self._arm(state)
        return state, (Route(event.cut), *actions)

    def _arm(self, state: State) -> Step:
        """Put away a standby for another speed, prepare the one that is promised; with both done be ready."""
        promised = self._keeps_standby and state.active is not None and state.standby_point != state.active.point
        point = state.standby_point if promised else None
        if state.standby is not None and state.standby.point != point:
            surplus = state.standby
            return replace(state, phase=Phase.RETIRING, standby=None, target=surplus), (self._put_away(surplus),)
        if point is None or state.standby is not None:
            return replace(state, phase=Phase.SERVING), (Armed(),)
        state, cut = self._new_cut(state, point)
        return replace(state, phase=Phase.ARMING, target=cut), (self._prepare(state, cut),)

    def _stand_by(self, state: State, event: Prepared) -> Step:
        if state.target is None:
            return replace(state, phase=Phase.RETIRING, target=event.cut), (self._put_away(event.cut),)
        return replace(state, phase=Phase.SERVING, standby=event.cut, target=None), (Armed(),)

    @staticmethod
    def _do_without(state: State, event: WorkFailed) -> Step:
        del event
        return replace(state, phase=Phase.SERVING, target=None), (Armed(),)

    # --- a change -------------------------------------------------------------------------------------------

    def _change(self, state: State, event: Change) -> Step:
        state = replace(state, standby_point=event.standby_point)
        if state.active is None or event.point == state.active.point:
            state, actions = self._arm(state)
            return state, (Conclude(event.point, moved=False), *actions)
        if state.standby is not None and state.standby.point == event.point:
            return self._switch(replace(state, standby=None), state.standby, None)
        state, cut = self._new_cut(state, event.point)
        return replace(state, phase=Phase.PREPARING, target=cut), (self._prepare(state, cut),)

    def _switch_to_target(self, state: State, event: Prepared) -> Step:
        if state.target is None:
            reason = f"container {event.cut.container} was lost as soon as it was ready"
            point = state.active.point if state.active else 0
            state = replace(state, phase=Phase.RETIRING, target=event.cut)
            return state, (Conclude(point, moved=False, ok=False, reason=reason), self._put_away(event.cut))
        missing = "no standby for this speed: prepared at the change" if self._keeps_standby else None
        return self._switch(state, event.cut, missing)

    def _switch(self, state: State, cut: Cut, reason: str | None) -> Step:
        """Route to `cut`, then keep the old pipeline as the standby or put it away."""
        old = state.active
        state = replace(state, active=cut, target=None)
        switched: tuple[Action, ...] = (Route(cut), Conclude(cut.point, moved=True, reason=reason))
        if old is None:
            raise IllegalTransition(f"dynamic switching: nothing serves in {state}")
        if not self._keeps_standby or old.point != state.standby_point:
            state = replace(state, phase=Phase.RETIRING, target=old)
            return state, (*switched, self._put_away(old))
        surplus = state.standby
        state = replace(state, standby=old)
        if surplus is not None:
            return replace(state, phase=Phase.RETIRING, target=surplus), (*switched, self._put_away(surplus))
        return replace(state, phase=Phase.SERVING), (*switched, Armed())

    def _rearm(self, state: State, event: PutAway | WorkFailed) -> Step:
        del event
        return self._arm(replace(state, target=None))

    @staticmethod
    def _stay(state: State, event: WorkFailed) -> Step:
        point = state.active.point if state.active else 0
        return (
            replace(state, phase=Phase.SERVING, target=None),
            (Conclude(point, moved=False, ok=False, reason=event.reason), Armed()),
        )

    # --- losses ---------------------------------------------------------------------------------------------

    def _lose(self, state: State, event: ContainerLost) -> Step:
        """Serve on with what is left. Work under way is still reported, also that of a target that is lost."""
        before = (state.active, state.standby, state.target)
        active, standby, target = (
            cut if cut is not None and cut.container != event.container else None for cut in before
        )
        if (active, standby, target) == before:
            return state, ()
        actions: list[Action] = []
        if active is None:
            active, standby = standby, None
            actions.append(Route(active) if active else StopIntake())
        if active is None:
            if state.phase is Phase.PREPARING:
                actions.append(Conclude(0, moved=False, ok=False, reason=event.reason))
            return replace(state, phase=Phase.DOWN, active=None, standby=None, target=None), tuple(actions)
        serving = state.phase is Phase.SERVING
        state = replace(state, active=active, standby=standby, target=target)
        if not serving:
            return state, tuple(actions)
        state, arming = self._arm(state)
        return state, (*actions, *arming)

    @staticmethod
    def _give_up(state: State, event: WorkFailed | ContainerLost) -> Step:
        point = state.target.point if state.target else 0
        return (
            replace(state, phase=Phase.DOWN, target=None),
            (StopIntake(), Conclude(point, moved=False, ok=False, reason=event.reason)),
        )

    @staticmethod
    def _nothing(state: State, event: StrategyEvent) -> Step:
        del event
        return state, ()
