"""What switch-hot and switch-warm do when something is missing: served all the same, and said."""

from workers.strategies import STRATEGIES
from workers.strategies.base import (
    UNCUT,
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
    RemoveContainers,
    ResumeIntake,
    Route,
    Start,
    State,
    StopIntake,
    WorkFailed,
)

P1_1, P1_5, P1_16, P1_21 = (Cut("p1", point) for point in (1, 5, 16, 21))
P2_16, P2_21, P2_WARM = (Cut("p2", point) for point in (16, 21, UNCUT))
P3_16, P3_21, P3_WARM = (Cut("p3", point) for point in (16, 21, UNCUT))
TO_5, TO_20 = Change(21, 16), Change(16, 21)
NO_ROOM = "edge: no room: building a part and serving meanwhile may take 120 MB, and 3 of 240 MB are left"


def live(name, *events):
    """Return the state after some events, and the actions of each."""
    state, told = State(), []
    for event in events:
        state, actions = STRATEGIES[name].handle(state, event)
        told.append(actions)
    return state, told


# --- hot ----------------------------------------------------------------------------------------------------

HOT = [Start(16, 21, hot=(1, 5)), Prepared(P1_16)]
ALL_HOT = [*HOT, Prepared(P1_21), Prepared(P1_1), Prepared(P1_5)]


def test_any_of_the_hot_points_is_a_route_away_in_any_order():
    state, _ = live("switch-hot", *ALL_HOT)
    for cut in (P1_5, P1_21, P1_1, P1_5, P1_16, P1_1):
        state, actions = STRATEGIES["switch-hot"].handle(state, Change(cut.point, 16))
        assert actions == (Route(cut), Conclude(cut.point, moved=True), Armed())
        assert {state.active, *state.hot} == {P1_1, P1_5, P1_16, P1_21}


def test_a_point_without_room_stays_cold_and_the_others_become_hot():
    state, told = live("switch-hot", *HOT, WorkFailed(P1_21, NO_ROOM, lasting=True), Prepared(P1_1), Prepared(P1_5))
    assert told[2] == (BuildInside(P1_1, sparing=True),)
    assert told[-1] == (Armed(),)
    assert state.cold == (Cold(21, NO_ROOM, lasting=True),)
    assert set(state.hot) == {P1_1, P1_5}


def test_a_point_that_stays_cold_spoils_no_row_of_another_and_is_not_tried_again():
    state, _ = live("switch-hot", *HOT, WorkFailed(P1_5, NO_ROOM, lasting=True), Prepared(P1_1), Prepared(P1_21))
    for point in (1, 21, 16, 21):
        state, actions = STRATEGIES["switch-hot"].handle(state, Change(point, 16))
        assert actions == (Route(Cut("p1", point)), Conclude(point, moved=True), Armed())


def test_a_change_to_a_point_for_which_there_is_still_no_room_is_refused_and_service_goes_on():
    events = [*HOT, WorkFailed(P1_21, NO_ROOM, lasting=True), Prepared(P1_1), Prepared(P1_5), TO_5]
    state, told = live("switch-hot", *events, WorkFailed(P1_21, NO_ROOM, lasting=True), TO_20)
    reason = f"point 21 is not hot: built at the change; {NO_ROOM}"
    assert told[6] == (Conclude(16, moved=False, ok=False, reason=reason), Armed())
    assert (state.phase, state.active) == (Phase.SERVING, P1_16)
    assert told[7] == (Conclude(16, moved=False), Armed())


def test_a_change_to_a_cold_point_builds_it_says_so_and_keeps_it():
    events = [*HOT, WorkFailed(P1_21, NO_ROOM, lasting=True), Prepared(P1_1), Prepared(P1_5), TO_5, Prepared(P1_21)]
    state, told = live("switch-hot", *events, TO_20, TO_5)
    assert told[5] == (BuildInside(P1_21, urgent=True, sparing=True),)
    reason = "point 21 is not hot: built at the change"
    assert told[6] == (Route(P1_21), Conclude(21, moved=True, reason=reason), Armed())
    assert told[8] == (Route(P1_21), Conclude(21, moved=True), Armed())
    assert state.cold == ()


def test_a_failure_that_may_pass_is_said_and_tried_again_after_the_next_change():
    events = [*HOT, WorkFailed(P1_21, "no answer in 150 s"), Prepared(P1_1), Prepared(P1_5), Change(1, 16)]
    state, told = live("switch-hot", *events, Prepared(P1_21))
    reason = "point 21 could not be made hot (no answer in 150 s)"
    assert told[5] == (Route(P1_1), Conclude(1, moved=True, reason=reason), BuildInside(P1_21, sparing=True))
    assert told[6] == (Armed(),)
    assert state.amiss is None


def test_where_a_cold_point_cannot_be_built_at_the_change_it_serves_on():
    events = [*ALL_HOT, Change(9, 16, "block2_conv1"), WorkFailed(Cut("p1", 9), "cloud: no")]
    state, told = live("switch-hot", *events)
    reason = "point 9 (block2_conv1) is not hot: built at the change; cloud: no"
    assert told[-1] == (Conclude(16, moved=False, ok=False, reason=reason), Armed())
    assert (state.phase, state.active) == (Phase.SERVING, P1_16)


def test_a_point_that_is_not_hot_and_cannot_be_dropped_is_told():
    events = [*ALL_HOT, Change(9, 16), Prepared(Cut("p1", 9)), TO_5, WorkFailed(Cut("p1", 9), "busy"), TO_20]
    _, told = live("switch-hot", *events)
    assert told[7] == (Route(P1_21), Conclude(21, moved=True), DropInside(Cut("p1", 9)))
    reason = "point 9 could not be put away (busy)"
    assert told[-1] == (Route(P1_16), Conclude(16, moved=True, reason=reason), Armed())


def test_with_its_only_pair_a_hot_strategy_goes_down():
    state, told = live("switch-hot", *ALL_HOT, ContainerLost("p1", "killed"))
    assert told[-1] == (StopIntake(),)
    assert state.phase is Phase.DOWN
    state, told = live("switch-hot", *ALL_HOT, Change(9, 16), ContainerLost("p1", "killed"))
    assert told[-1] == (StopIntake(), Conclude(9, moved=False, ok=False, reason="killed"))


# --- warm ---------------------------------------------------------------------------------------------------

WARM = [Start(16, 21), Prepared(P1_16), Prepared(P2_WARM)]


def test_a_warm_pair_that_died_is_made_again():
    state, told = live("switch-warm", *WARM, ContainerLost("p2", "killed"), PutAway(P2_WARM), Prepared(P3_WARM))
    assert told[3] == (RemoveContainers(P2_WARM),)
    assert told[4] == (LaunchContainers(P3_WARM),)
    assert state.standby == P3_WARM


def test_without_a_warm_pair_new_containers_are_started_at_the_change_and_that_is_said():
    events = [Start(16, 21), Prepared(P1_16), WorkFailed(P2_WARM, "no room"), TO_5, Prepared(P3_21)]
    _, told = live("switch-warm", *events)
    assert told[3] == (LaunchContainers(P3_21, urgent=True),)
    reason = "the standby could not be prepared (no room); no warm pair: new containers at the change"
    assert told[4] == (Route(P3_21), Conclude(21, moved=True, reason=reason), RemoveContainers(P1_16))


def test_where_the_build_in_the_warm_pair_fails_it_serves_on_and_makes_another():
    events = [*WARM, TO_5, WorkFailed(P2_21, "cloud: damaged"), PutAway(P2_21), Prepared(P3_WARM)]
    state, told = live("switch-warm", *events)
    assert told[4] == (Conclude(16, moved=False, ok=False, reason="cloud: damaged"), RemoveContainers(P2_21))
    assert told[5] == (LaunchContainers(P3_WARM),)
    assert (state.phase, state.active, state.standby) == (Phase.SERVING, P1_16, P3_WARM)


def test_a_warm_pair_takes_over_for_the_pair_that_served():
    events = [*WARM, ContainerLost("p1", "killed"), Prepared(P2_16), PutAway(P1_16), Prepared(P3_WARM), TO_5]
    _, told = live("switch-warm", *events, Prepared(P3_21))
    assert told[3] == (StopIntake(), BuildInside(P2_16, urgent=True))
    assert told[4] == (Route(P2_16), ResumeIntake(), RemoveContainers(P1_16))
    reason = "p1 was lost and nothing served until p2, which was warm, took over"
    assert told[8][1] == Conclude(21, moved=True, reason=reason)


def test_the_pair_that_serves_dies_while_the_warm_one_is_built_in():
    _, told = live("switch-warm", *WARM, TO_5, ContainerLost("p1", "killed"), Prepared(P2_21))
    assert told[4] == (StopIntake(),)
    assert told[5][:2] == (Route(P2_21), ResumeIntake())
    assert told[5][2].moved


def test_both_pairs_lost_is_the_end():
    state, told = live("switch-warm", *WARM, ContainerLost("p1", "killed"), ContainerLost("p2", "killed"))
    assert told[3] == (StopIntake(), BuildInside(P2_16, urgent=True))
    assert state.phase is Phase.DOWN
