"""Pause-and-resume when something goes wrong: it stops intake, says so once, and takes no harm from late news."""

import pytest

from workers.strategies.base import (
    Change,
    Conclude,
    ContainerLost,
    Cut,
    Phase,
    Prepared,
    RebuildPaused,
    Start,
    State,
    StopIntake,
    WorkFailed,
)
from workers.strategies.pause_resume import PauseResume

P1_16, P1_21 = Cut("p1", 16), Cut("p1", 21)
LOST = ContainerLost("p1", "edge: container p1 ended")
STARTING = [Start(16, 21)]
SERVING = [*STARTING, Prepared(P1_16)]
REBUILDING = [*SERVING, Change(21, 16)]


def after(events, *, restart=True):
    """Return the last step of a life."""
    state, actions = State(), ()
    for event in events:
        state, actions = PauseResume(restart=restart).handle(state, event)
    return state, actions


def failed(point, reason):
    return (StopIntake(), Conclude(point, moved=False, ok=False, reason=reason))


@pytest.mark.parametrize("restart", [True, False])
def test_the_choice_of_a_restart_is_passed_on(restart):
    _, actions = after(REBUILDING, restart=restart)
    assert actions == (StopIntake(), RebuildPaused(P1_21, restart=restart))


@pytest.mark.parametrize(
    ("life", "event", "actions"),
    [
        (STARTING, WorkFailed(P1_16, "no image"), failed(16, "no image")),
        (STARTING, LOST, failed(16, LOST.reason)),
        (SERVING, LOST, (StopIntake(),)),
        (REBUILDING, WorkFailed(P1_21, "no memory"), failed(21, "no memory")),
        (REBUILDING, LOST, failed(21, LOST.reason)),
    ],
    ids=["launch fails", "lost in launch", "lost at rest", "rebuild fails", "lost in rebuild"],
)
def test_it_goes_down(life, event, actions):
    state, told = after([*life, event])
    assert told == actions
    assert state.phase is Phase.DOWN
    assert (state.active, state.standby, state.target) == (None, None, None)


@pytest.mark.parametrize("late", [Prepared(P1_21), WorkFailed(P1_21, "gone"), LOST])
@pytest.mark.parametrize("life", [[*STARTING, LOST], [*REBUILDING, LOST]])
def test_once_down_late_news_changes_nothing(life, late):
    before, _ = after(life)
    assert after([*life, late]) == (before, ())
