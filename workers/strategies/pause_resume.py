"""The baseline (Sec. III-A): stop intake, pause the containers, hand over the new cut, resume them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workers.strategies.base import (
    Armed,
    Change,
    Conclude,
    ContainerLost,
    Cut,
    LaunchContainers,
    Phase,
    Prepared,
    RebuildPaused,
    ResumeIntake,
    Route,
    Start,
    State,
    Step,
    StopIntake,
    StrategyEvent,
    WorkFailed,
    step_by,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class PauseResume:
    """One pipeline; a change interrupts it until it is rebuilt at the new cut.

    Args:
        restart: the application in the container starts again (what the paper's 6 s amount to); otherwise the
            model is loaded again in the running process.
    """

    def __init__(self, *, restart: bool) -> None:
        self._restart = restart
        self._table: dict[tuple[Phase, type[Any]], Callable[[State, Any], Step]] = {
            (Phase.NEW, Start): self._launch,
            (Phase.STARTING, Prepared): self._serve_first,
            (Phase.STARTING, WorkFailed): self._give_up,
            (Phase.SERVING, Change): self._rebuild,
            (Phase.REBUILDING, Prepared): self._serve_again,
            (Phase.REBUILDING, WorkFailed): self._give_up,
            (Phase.STARTING, ContainerLost): self._give_up,
            (Phase.SERVING, ContainerLost): self._go_down,
            (Phase.REBUILDING, ContainerLost): self._give_up,
            (Phase.DOWN, Prepared): lambda state, _: (state, ()),
            (Phase.DOWN, ContainerLost): lambda state, _: (state, ()),
            (Phase.DOWN, WorkFailed): lambda state, _: (state, ()),
        }

    def handle(self, state: State, event: StrategyEvent) -> Step:
        """See `Strategy.handle`."""
        return step_by(self._table, "pause-resume", state, event)

    @staticmethod
    def _launch(_: State, event: Start) -> Step:
        cut = Cut("p1", event.point)
        return State(Phase.STARTING, target=cut, containers=1), (LaunchContainers(cut),)

    @staticmethod
    def _serve_first(_: State, event: Prepared) -> Step:
        return State(Phase.SERVING, active=event.cut, containers=1), (Route(event.cut), Armed())

    def _rebuild(self, state: State, event: Change) -> Step:
        if state.active is None or event.point == state.active.point:
            return state, (Conclude(event.point, moved=False), Armed())
        cut = Cut(state.active.container, event.point)
        return (
            State(Phase.REBUILDING, active=state.active, target=cut, containers=1),
            (StopIntake(), RebuildPaused(cut, restart=self._restart)),
        )

    @staticmethod
    def _serve_again(_: State, event: Prepared) -> Step:
        return (
            State(Phase.SERVING, active=event.cut, containers=1),
            (Route(event.cut), ResumeIntake(), Conclude(event.cut.point, moved=True), Armed()),
        )

    @staticmethod
    def _give_up(state: State, event: WorkFailed | ContainerLost) -> Step:
        point = state.target.point if state.target else 0
        return (
            State(Phase.DOWN, containers=1),
            (StopIntake(), Conclude(point, moved=False, ok=False, reason=event.reason)),
        )

    @staticmethod
    def _go_down(_: State, event: ContainerLost) -> Step:
        del event
        return State(Phase.DOWN, containers=1), (StopIntake(),)
