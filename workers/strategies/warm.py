"""Case B1 with a pair of containers that is nearly there: its runners wait with their imports done, without a model.

On a change the warm pair loads the model and builds its cut; what it does not do any more is start containers,
interpreters and TensorFlow. Then the old pair is removed and another warm one made. Where there is no warm pair, new
containers are started at the change, as B1 does.
"""

from __future__ import annotations

from msgspec.structs import replace

from workers.strategies.base import (
    UNCUT,
    Action,
    BuildInside,
    Change,
    ContainerLost,
    Cut,
    Phase,
    Prepared,
    State,
    Step,
    StopIntake,
    WorkFailed,
    note,
)
from workers.strategies.switching import DynamicSwitching


class WarmSwitching(DynamicSwitching):
    """Scenario B, Case 1, with a warm pair as its standby. While the pair is built in, it stays the standby, too."""

    def __init__(self) -> None:
        super().__init__(keeps_standby=False, own_containers=True)

    def _promised(self, state: State) -> int | None:
        return UNCUT if state.active is not None else None

    def _prepare_for(self, state: State, event: Change) -> Step:
        if state.standby is None:
            return super()._prepare_for(note(state, "no warm pair: new containers at the change"), event)
        return _build(replace(state, phase=Phase.PREPARING), event.point)

    def _stand_by(self, state: State, event: Prepared) -> Step:
        """Take in a warm pair, or a cut built in one to take over; with nothing that serves, build in the warm pair."""
        if state.target is not None and state.active is None and event.cut.point == UNCUT:
            return _build(replace(state, standby=event.cut), state.standby_point or UNCUT)
        return super()._stand_by(_without_standby_of(state, event.cut), event)

    def _switch(self, state: State, cut: Cut) -> Step:
        return super()._switch(_without_standby_of(state, cut), cut)

    def _stay(self, state: State, event: WorkFailed) -> Step:
        """Serve on, and remove a warm pair in which a build failed: it may hold half of one."""
        kept = _without_standby_of(state, event.cut)
        spoilt = (event.cut,) if kept.standby != state.standby else ()
        return super()._stay(replace(kept, broken=(*kept.broken, *spoilt)), event)

    def _lose_active(self, before: State, left: State, event: ContainerLost) -> Step:
        """A warm pair serves nothing yet: at rest it is built in for the cut that was lost."""
        if left.phase is Phase.SERVING and left.standby is not None and before.active is not None:
            taking_over = f"nothing served until {left.standby.container}, which was warm, took over"
            left = note(left, f"{event.container} was lost and {taking_over}")
            state, actions = _build(replace(left, phase=Phase.ARMING), before.active.point)
            return state, (StopIntake(), *actions)
        state, actions = super()._lose_active(before, replace(left, standby=None), event)
        return replace(state, standby=left.standby if state.phase is not Phase.DOWN else None), actions


def _build(state: State, point: int) -> tuple[State, tuple[Action, ...]]:
    assert state.standby is not None  # noqa: S101 - the callers have looked
    cut = Cut(state.standby.container, point)
    return replace(state, target=cut), (BuildInside(cut, urgent=True),)


def _without_standby_of(state: State, cut: Cut) -> State:
    same = state.standby is not None and state.standby.container == cut.container
    return replace(state, standby=None) if same else state
