"""The life of every strategy, action by action: start, there, back, and a change that moves nothing.

Point 16 is the cut for 20 Mbit/s, 21 that for 5 Mbit/s.
"""

import pytest

from workers.errors import IllegalTransition
from workers.strategies import STRATEGIES
from workers.strategies.base import (
    UNCUT,
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
    RebuildPaused,
    RemoveContainers,
    ResumeIntake,
    Route,
    Start,
    State,
    StopIntake,
    WorkFailed,
)

P1_16, P1_21 = Cut("p1", 16), Cut("p1", 21)
P2_16, P2_21 = Cut("p2", 16), Cut("p2", 21)
P3_16 = Cut("p3", 16)
P1_1, P1_5 = Cut("p1", 1), Cut("p1", 5)
P2_WARM, P3_WARM, P4_WARM = Cut("p2", UNCUT), Cut("p3", UNCUT), Cut("p4", UNCUT)
NOT_HOT = "point 5 (block1_pool) is not hot: built at the change"
TO_5, TO_20 = Change(21, 16), Change(16, 21)

START_ALONE = [
    (Start(16, 21), (LaunchContainers(P1_16),)),
    (Prepared(P1_16), (Route(P1_16), Armed())),
]


def pause_resume(*, restart):
    return [
        *START_ALONE,
        (TO_5, (StopIntake(), RebuildPaused(P1_21, restart=restart))),
        (Prepared(P1_21), (Route(P1_21), ResumeIntake(), Conclude(21, moved=True), Armed())),
        (TO_20, (StopIntake(), RebuildPaused(P1_16, restart=restart))),
        (Prepared(P1_16), (Route(P1_16), ResumeIntake(), Conclude(16, moved=True), Armed())),
        (TO_20, (Conclude(16, moved=False), Armed())),
    ]


LIVES = {
    "pause-resume": pause_resume(restart=True),
    "pause-resume-inprocess": pause_resume(restart=False),
    "switch-a1": [
        (Start(16, 21), (LaunchContainers(P1_16),)),
        (Prepared(P1_16), (Route(P1_16), LaunchContainers(P2_21))),
        (Prepared(P2_21), (Armed(),)),
        (TO_5, (Route(P2_21), Conclude(21, moved=True), Armed())),
        (TO_20, (Route(P1_16), Conclude(16, moved=True), Armed())),
        (TO_20, (Conclude(16, moved=False), Armed())),
    ],
    "switch-a2": [
        (Start(16, 21), (LaunchContainers(P1_16),)),
        (Prepared(P1_16), (Route(P1_16), BuildInside(P1_21))),
        (Prepared(P1_21), (Armed(),)),
        (TO_5, (Route(P1_21), Conclude(21, moved=True), Armed())),
        (TO_20, (Route(P1_16), Conclude(16, moved=True), Armed())),
        (TO_20, (Conclude(16, moved=False), Armed())),
    ],
    "switch-b1": [
        *START_ALONE,
        (TO_5, (LaunchContainers(P2_21, urgent=True),)),
        (Prepared(P2_21), (Route(P2_21), Conclude(21, moved=True), RemoveContainers(P1_16))),
        (PutAway(P1_16), (Armed(),)),
        (TO_20, (LaunchContainers(P3_16, urgent=True),)),
        (Prepared(P3_16), (Route(P3_16), Conclude(16, moved=True), RemoveContainers(P2_21))),
        (PutAway(P2_21), (Armed(),)),
        (TO_20, (Conclude(16, moved=False), Armed())),
    ],
    "switch-b2": [
        *START_ALONE,
        (TO_5, (BuildInside(P1_21, urgent=True),)),
        (Prepared(P1_21), (Route(P1_21), Conclude(21, moved=True), DropInside(P1_16))),
        (PutAway(P1_16), (Armed(),)),
        (TO_20, (BuildInside(P1_16, urgent=True),)),
        (Prepared(P1_16), (Route(P1_16), Conclude(16, moved=True), DropInside(P1_21))),
        (PutAway(P1_21), (Armed(),)),
        (TO_20, (Conclude(16, moved=False), Armed())),
    ],
    "switch-hot": [
        (Start(16, 21, hot=(1, 16)), (LaunchContainers(P1_16),)),
        (Prepared(P1_16), (Route(P1_16), BuildInside(P1_21, sparing=True))),
        (Prepared(P1_21), (BuildInside(P1_1, sparing=True),)),
        (Prepared(P1_1), (Armed(),)),
        (TO_5, (Route(P1_21), Conclude(21, moved=True), Armed())),
        (Change(1, 21), (Route(P1_1), Conclude(1, moved=True), Armed())),
        (TO_20, (Route(P1_16), Conclude(16, moved=True), Armed())),
        (Change(5, 16, "block1_pool"), (BuildInside(P1_5, urgent=True, sparing=True),)),
        (Prepared(P1_5), (Route(P1_5), Conclude(5, moved=True, reason=NOT_HOT), Armed())),
        (TO_20, (Route(P1_16), Conclude(16, moved=True), DropInside(P1_5))),
        (PutAway(P1_5), (Armed(),)),
        (TO_20, (Conclude(16, moved=False), Armed())),
    ],
    "switch-warm": [
        (Start(16, 21), (LaunchContainers(P1_16),)),
        (Prepared(P1_16), (Route(P1_16), LaunchContainers(P2_WARM))),
        (Prepared(P2_WARM), (Armed(),)),
        (TO_5, (BuildInside(P2_21, urgent=True),)),
        (Prepared(P2_21), (Route(P2_21), Conclude(21, moved=True), RemoveContainers(P1_16))),
        (PutAway(P1_16), (LaunchContainers(P3_WARM),)),
        (Prepared(P3_WARM), (Armed(),)),
        (TO_20, (BuildInside(P3_16, urgent=True),)),
        (Prepared(P3_16), (Route(P3_16), Conclude(16, moved=True), RemoveContainers(P2_21))),
        (PutAway(P2_21), (LaunchContainers(P4_WARM),)),
        (Prepared(P4_WARM), (Armed(),)),
        (TO_20, (Conclude(16, moved=False), Armed())),
    ],
}

# What each strategy hears of in each phase; everything else is illegal there.
HEARD_PAUSE_RESUME = {
    Phase.NEW: {Start},
    Phase.STARTING: {Prepared, WorkFailed, ContainerLost},
    Phase.SERVING: {Change, ContainerLost},
    Phase.REBUILDING: {Prepared, WorkFailed, ContainerLost},
    Phase.DOWN: {Prepared, WorkFailed, ContainerLost},
}
HEARD_SWITCHING = {
    Phase.NEW: {Start},
    Phase.STARTING: {Prepared, WorkFailed, ContainerLost},
    Phase.ARMING: {Prepared, WorkFailed, ContainerLost},
    Phase.SERVING: {Change, ContainerLost},
    Phase.PREPARING: {Prepared, WorkFailed, ContainerLost},
    Phase.RETIRING: {PutAway, WorkFailed, ContainerLost},
    Phase.DOWN: {Prepared, PutAway, WorkFailed, ContainerLost},
}
HEARD = {
    "pause-resume": HEARD_PAUSE_RESUME,
    "pause-resume-inprocess": HEARD_PAUSE_RESUME,
    "switch-a1": HEARD_SWITCHING,
    "switch-a2": HEARD_SWITCHING,
    "switch-b1": HEARD_SWITCHING,
    "switch-b2": HEARD_SWITCHING,
    "switch-hot": HEARD_SWITCHING,
    "switch-warm": HEARD_SWITCHING,
}
EVENTS = [Start(16, 21), TO_5, Prepared(P1_16), PutAway(P1_16), WorkFailed(P1_16, "why"), ContainerLost("p1", "why")]


def states_of(strategy, life):
    """Return every state that a life passes through, the first included."""
    states = [State()]
    for event, _ in life:
        states.append(strategy.handle(states[-1], event)[0])
    return states


def test_every_strategy_has_its_life_told():
    assert LIVES.keys() == STRATEGIES.keys()


@pytest.mark.parametrize("name", LIVES)
def test_the_life_of(name):
    state, told = State(), []
    for event, _ in LIVES[name]:
        state, actions = STRATEGIES[name].handle(state, event)
        told.append((event, actions))
    assert told == LIVES[name]
    assert state.phase is Phase.SERVING


@pytest.mark.parametrize("name", LIVES)
def test_a_strategy_keeps_nothing_between_two_lives(name):
    assert states_of(STRATEGIES[name], LIVES[name]) == states_of(STRATEGIES[name], LIVES[name])


@pytest.mark.parametrize("name", HEARD)
@pytest.mark.parametrize("phase", Phase)
def test_an_illegal_event_raises_and_names_event_and_state(name, phase):
    strategy = STRATEGIES[name]
    heard = HEARD[name].get(phase, set())
    state = State(phase, active=P1_16, target=P1_21, standby_point=21, containers=2)
    for event in EVENTS:
        if type(event) in heard:
            strategy.handle(state, event)
        else:
            with pytest.raises(IllegalTransition, match=f"{type(event).__name__}.*not expected.*{phase.name}"):
                strategy.handle(state, event)
        assert state == State(phase, active=P1_16, target=P1_21, standby_point=21, containers=2)
