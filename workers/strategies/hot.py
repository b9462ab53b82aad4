"""Every point that is worth it is ready: one pair of containers, one copy of the weights, a head and a tail for each.

A change is a route alone, to any of these *hot* points. What frames are in flight to another point go on there: the cut
stands in each frame's header. A point that is not hot is built at the change, as B2 does, and dropped when it is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from workers.strategies.base import (
    Armed,
    BuildInside,
    Change,
    Cold,
    Conclude,
    ContainerLost,
    Cut,
    DropInside,
    LaunchContainers,
    Phase,
    Prepared,
    PutAway,
    Route,
    Start,
    State,
    Step,
    StopIntake,
    StrategyEvent,
    WorkFailed,
    note,
    step_by,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class HotPoints:
    """Keeps all promised points built; one that cannot be is left cold, and service goes on.

    A point that failed in a way that may pass is tried again after the next change.
    """

    def __init__(self) -> None:
        self._table: dict[tuple[Phase, type[Any]], Callable[[State, Any], Step]] = {
            (Phase.NEW, Start): self._launch,
            (Phase.STARTING, Prepared): self._serve_first,
            (Phase.STARTING, WorkFailed): self._go_down,
            (Phase.STARTING, ContainerLost): self._go_down,
            (Phase.ARMING, Prepared): self._heat,
            (Phase.ARMING, WorkFailed): self._leave_cold,
            (Phase.ARMING, ContainerLost): self._go_down,
            (Phase.SERVING, Change): self._change,
            (Phase.SERVING, ContainerLost): self._go_down,
            (Phase.PREPARING, Prepared): self._switch,
            (Phase.PREPARING, WorkFailed): self._stay,
            (Phase.PREPARING, ContainerLost): self._go_down,
            (Phase.RETIRING, PutAway): self._rearm,
            (Phase.RETIRING, WorkFailed): self._rearm,
            (Phase.RETIRING, ContainerLost): self._go_down,
            (Phase.DOWN, Prepared): self._nothing,
            (Phase.DOWN, PutAway): self._nothing,
            (Phase.DOWN, WorkFailed): self._nothing,
            (Phase.DOWN, ContainerLost): self._nothing,
        }

    def handle(self, state: State, event: StrategyEvent) -> Step:
        """See `Strategy.handle`."""
        return step_by(self._table, "hot points", state, event)

    # --- start ----------------------------------------------------------------------------------------------

    @staticmethod
    def _launch(_: State, event: Start) -> Step:
        cut = Cut("p1", event.point)
        promised = tuple(dict.fromkeys((event.point, event.standby_point, *event.hot)))
        return State(Phase.STARTING, target=cut, containers=1, promised=promised), (LaunchContainers(cut),)

    def _serve_first(self, state: State, event: Prepared) -> Step:
        state, actions = self._arm(replace(state, active=event.cut, target=None))
        return state, (Route(event.cut), *actions)

    @staticmethod
    def _arm(state: State) -> Step:
        """Build the next of the promised points that is neither ready nor known to be impossible; else be ready."""
        assert state.active is not None  # noqa: S101 - the only container is there
        known = {state.active.point, *(cut.point for cut in state.hot), *(cold.point for cold in state.cold)}
        missing = next((point for point in state.promised if point not in known), None)
        if missing is None:
            return replace(state, phase=Phase.SERVING, target=None), (Armed(),)
        cut = Cut(state.active.container, missing)
        return replace(state, phase=Phase.ARMING, target=cut), (BuildInside(cut, sparing=True),)

    def _heat(self, state: State, event: Prepared) -> Step:
        return self._arm(replace(state, hot=(*state.hot, event.cut)))

    def _leave_cold(self, state: State, event: WorkFailed) -> Step:
        if not event.lasting:
            state = note(state, f"point {event.cut.point} could not be made hot ({event.reason})")
        return self._arm(replace(state, cold=(*state.cold, Cold(event.cut.point, event.reason, event.lasting))))

    # --- a change -------------------------------------------------------------------------------------------

    def _change(self, state: State, event: Change) -> Step:
        if any(not cold.lasting for cold in state.cold):
            state = replace(state, cold=tuple(cold for cold in state.cold if cold.lasting))
        if state.active is None or event.point == state.active.point:
            unmoved = Conclude(event.point, moved=False, reason=state.amiss)
            state, actions = self._arm(replace(state, amiss=None))
            return state, (unmoved, *actions)
        cut = Cut(state.active.container, event.point)
        if cut in state.hot:
            return self._switch(state, Prepared(cut))
        point = f"point {event.point} ({event.name})" if event.name else f"point {event.point}"
        state = note(state, f"{point} is not hot: built at the change")
        return replace(state, phase=Phase.PREPARING, target=cut), (BuildInside(cut, urgent=True, sparing=True),)

    def _switch(self, state: State, event: Prepared) -> Step:
        """Route to what is ready; what served stays hot where that was promised."""
        cut, old = event.cut, state.active
        switched = (Route(cut), Conclude(cut.point, moved=True, reason=state.amiss))
        hot = tuple(other for other in state.hot if other != cut)
        cold = tuple(other for other in state.cold if other.point != cut.point)
        state = replace(state, active=cut, target=None, hot=hot, cold=cold, amiss=None)
        if old is not None and old.point not in state.promised:
            return replace(state, phase=Phase.RETIRING, target=old), (*switched, DropInside(old))
        state, actions = self._arm(replace(state, hot=(*hot, old) if old is not None else hot))
        return state, (*switched, *actions)

    def _rearm(self, state: State, event: PutAway | WorkFailed) -> Step:
        if isinstance(event, WorkFailed):
            state = note(state, f"point {event.cut.point} could not be put away ({event.reason})")
        return self._arm(replace(state, target=None))

    def _stay(self, state: State, event: WorkFailed) -> Step:
        """Serve on where it served."""
        point = state.active.point if state.active else 0
        state = note(state, event.reason)
        stayed = Conclude(point, moved=False, ok=False, reason=state.amiss)
        state, actions = self._arm(replace(state, target=None, amiss=None))
        return state, (stayed, *actions)

    # --- losses ---------------------------------------------------------------------------------------------

    @staticmethod
    def _go_down(state: State, event: WorkFailed | ContainerLost) -> Step:
        """With the only pair all that could serve is gone; a start or a change that is under way ends."""
        down = replace(state, phase=Phase.DOWN, active=None, target=None, hot=())
        if state.phase in {Phase.STARTING, Phase.PREPARING}:
            point = state.target.point if state.target else 0
            return down, (StopIntake(), Conclude(point, moved=False, ok=False, reason=event.reason))
        return down, (StopIntake(),)

    @staticmethod
    def _nothing(state: State, event: StrategyEvent) -> Step:
        del event
        return state, ()
