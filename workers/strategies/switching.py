"""Dynamic switching (Sec. III-B): the old pipeline serves while the new one is prepared, then frames switch.

Two choices make the paper's four strategies: whether a *standby* pipeline is kept ready for the other
network speed (Scenario A) or built at the change (Scenario B), and whether a new pipeline gets containers *of
its own* (Case 1) or is built inside the running ones (Case 2). `workers.strategies.warm` makes a fifth of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

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
    ResumeIntake,
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

STANDBYS_LOST = 3  # so many between two changes: what kills them kills the next one, too


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
        return step_by(self._table, "dynamic switching", state, event)

    # --- what the two choices amount to ---------------------------------------------------------------------

    def _new_cut(self, state: State, point: int) -> tuple[State, Cut]:
        if state.active is not None and not self._own_containers:
            return state, Cut(state.active.container, point)
        count = state.containers + 1
        return replace(state, containers=count), Cut(f"p{count}", point)

    @staticmethod
    def _prepare(state: State, cut: Cut, *, urgent: bool) -> Action:
        inside = state.active is not None and cut.container == state.active.container
        return BuildInside(cut, urgent) if inside else LaunchContainers(cut, urgent)

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
        """Take the next step towards what is promised at rest; with none left be ready.

        First what is left of broken pairs is removed, then a standby for another speed, then the promised one made.
        """
        if state.broken:
            pair, *others = state.broken
            state = replace(state, phase=Phase.RETIRING, target=pair, broken=tuple(others))
            return state, (RemoveContainers(pair),)
        point = self._promised(state) if state.standbys_lost < STANDBYS_LOST else None
        if state.standby is not None and state.standby.point != point:
            surplus = state.standby
            return replace(state, phase=Phase.RETIRING, standby=None, target=surplus), (self._put_away(surplus),)
        if point is None or state.standby is not None:
            return replace(state, phase=Phase.SERVING), (Armed(),)
        state, cut = self._new_cut(state, point)
        return replace(state, phase=Phase.ARMING, target=cut), (self._prepare(state, cut, urgent=False),)

    def _promised(self, state: State) -> int | None:
        """Return the point of the standby that is to be there at rest, None where there is to be none."""
        differs = state.active is not None and state.standby_point != state.active.point
        return state.standby_point if self._keeps_standby and differs else None

    def _stand_by(self, state: State, event: Prepared) -> Step:
        if state.target is None:
            return self._arm(_broken_when_ready(state, event.cut))
        state = replace(state, target=None)
        if state.active is None:
            state, actions = self._arm(replace(state, active=event.cut))
            return state, (Route(event.cut), ResumeIntake(), *actions)
        return self._arm(replace(state, standby=event.cut))

    @staticmethod
    def _do_without(state: State, event: WorkFailed) -> Step:
        state = replace(state, target=None)
        if state.active is None:
            return replace(state, phase=Phase.DOWN), ()
        state = note(state, f"the standby could not be prepared ({event.reason})")
        return replace(state, phase=Phase.SERVING), (Armed(),)

    # --- a change -------------------------------------------------------------------------------------------

    def _change(self, state: State, event: Change) -> Step:
        state = replace(state, standby_point=event.standby_point, standbys_lost=0)
        if state.active is None or event.point == state.active.point:
            unmoved = Conclude(event.point, moved=False, reason=state.amiss)
            state, actions = self._arm(replace(state, amiss=None))
            return state, (unmoved, *actions)
        if state.standby is not None and state.standby.point == event.point:
            return self._switch(replace(state, standby=None), state.standby)
        return self._prepare_for(state, event)

    def _prepare_for(self, state: State, event: Change) -> Step:
        if self._keeps_standby:
            state = note(state, "no standby for this speed: prepared at the change")
        state, cut = self._new_cut(state, event.point)
        return replace(state, phase=Phase.PREPARING, target=cut), (self._prepare(state, cut, urgent=True),)

    def _switch_to_target(self, state: State, event: Prepared) -> Step:
        if state.target is None:
            state = _broken_when_ready(state, event.cut)
            return self._stay(state, WorkFailed(event.cut, state.amiss or ""))
        return self._switch(state, event.cut)

    def _switch(self, state: State, cut: Cut) -> Step:
        """Route to `cut`, then keep the old pipeline as the standby or put it away."""
        old, resume = state.active, () if state.active else (ResumeIntake(),)
        concluded = Conclude(cut.point, moved=True, reason=state.amiss)
        switched: tuple[Action, ...] = (Route(cut), *resume, concluded)
        keeps = self._keeps_standby and old is not None and old.point == state.standby_point
        surplus = state.standby if keeps else old
        standby = old if keeps else state.standby
        state = replace(state, active=cut, standby=standby, target=surplus, amiss=None)
        if surplus is not None:
            return replace(state, phase=Phase.RETIRING), (*switched, self._put_away(surplus))
        state, actions = self._arm(state)
        return state, (*switched, *actions)

    def _rearm(self, state: State, event: PutAway | WorkFailed) -> Step:
        if isinstance(event, WorkFailed):
            state = note(state, f"{event.cut.container} could not be put away ({event.reason})")
        return self._arm(replace(state, target=None))

    def _stay(self, state: State, event: WorkFailed) -> Step:
        """Serve on where it served, with the standby it had."""
        point = state.active.point if state.active else 0
        stayed = Conclude(point, moved=False, ok=False, reason=event.reason)
        state = replace(state, target=None, amiss=None)
        if state.active is None:
            return replace(state, phase=Phase.DOWN), (stayed,)
        had = state.standby or state.active
        state, actions = self._arm(replace(state, standby_point=had.point))
        return state, (stayed, *actions)

    # --- losses ---------------------------------------------------------------------------------------------

    def _lose(self, state: State, event: ContainerLost) -> Step:
        """Serve on with what is left. Work under way is still reported, also that of a target that is lost.

        How the container died the manager reports; the next Conclude says what that did to the service.
        """
        lost = tuple(cut for cut in (state.active, state.standby) if cut and cut.container == event.container)
        active, standby, target = (
            cut if cut and cut.container != event.container else None
            for cut in (state.active, state.standby, state.target)
        )
        if not lost and target == state.target:
            return state, ()
        left = replace(state, active=active, standby=standby, target=target, broken=(*state.broken, *lost))
        if active is None:
            return self._lose_active(state, left, event)
        if lost:
            left = note(left, f"the standby was lost while {active.container} served on")
            left = replace(left, standbys_lost=left.standbys_lost + 1)
        return self._arm(left) if state.phase is Phase.SERVING else (left, ())

    def _lose_active(self, before: State, left: State, event: ContainerLost) -> Step:
        """Route to the standby, or take in no frame until the pair under way is ready; else go down."""
        stop = (StopIntake(),) if before.active else ()
        if before.active and left.phase is not Phase.PREPARING:  # there the change names the other speed's cut
            left = replace(left, standby_point=before.active.point)
        if left.standby is not None:
            cut = left.standby
            left = note(left, f"{cut.container} took over from {event.container}")
            left = replace(left, active=cut, standby=None)
            state, actions = self._arm(left) if left.phase is Phase.SERVING else (left, ())
            return state, (Route(cut), *actions)
        if left.target is not None and left.phase in {Phase.PREPARING, Phase.ARMING}:
            what = f"{event.container} was lost and nothing served until {left.target.container} did"
            return note(left, what), stop
        ended = Conclude(0, moved=False, ok=False, reason=event.reason)
        down = replace(left, phase=Phase.DOWN, standby=None, target=None, broken=())
        return down, (*stop, ended) if left.phase is Phase.PREPARING else stop

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


def _broken_when_ready(state: State, cut: Cut) -> State:
    """Take in that a pair was reported ready after one of its containers had died."""
    state = note(state, f"container {cut.container} was lost as soon as it was ready")
    if any(pair.container == cut.container for pair in state.broken):
        return state
    return replace(state, broken=(*state.broken, cut), standbys_lost=state.standbys_lost + 1)
