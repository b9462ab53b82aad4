"""Dynamic switching when work fails, a container is lost or the points are not two: it serves on while it can."""

import pytest

from workers.strategies import STRATEGIES
from workers.strategies.base import (
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
    StopIntake,
    WorkFailed,
)

P1_16, P2_21, P3_21, P3_30 = Cut("p1", 16), Cut("p2", 21), Cut("p3", 21), Cut("p3", 30)
P1_21, P1_30, P3_16, P4_16 = Cut("p1", 21), Cut("p1", 30), Cut("p3", 16), Cut("p4", 16)
LOST_1, LOST_2, LOST_3 = (ContainerLost(name, f"{name} ended") for name in ("p1", "p2", "p3"))
TO_5, TO_20, TO_1 = Change(21, 16), Change(16, 21), Change(30, 16)

NO_STANDBY = "no standby for this speed: prepared at the change"

STARTING = [Start(16, 21)]
FIRST_SERVES = [*STARTING, Prepared(P1_16)]
ARMED = {
    "switch-a1": [*FIRST_SERVES, Prepared(P2_21)],
    "switch-a2": [*FIRST_SERVES, Prepared(P1_21)],
    "switch-b1": FIRST_SERVES,
    "switch-b2": FIRST_SERVES,
}
A, B = ("switch-a1", "switch-a2"), ("switch-b1", "switch-b2")


def live(name, events):
    """Return the last state and the actions that every event of a life led to."""
    state, told = State(), []
    for event in events:
        state, actions = STRATEGIES[name].handle(state, event)
        told.append(actions)
    return state, told


def after(name, events):
    """Return the last state and the last actions."""
    state, told = live(name, events)
    return state, told[-1]


def failed(point, reason):
    return Conclude(point, moved=False, ok=False, reason=reason)


# --- the start ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*A, *B])
@pytest.mark.parametrize("event", [WorkFailed(P1_16, "no image"), ContainerLost("p1", "no image")])
def test_a_start_that_fails_goes_down(name, event):
    state, actions = after(name, [*STARTING, event])
    assert actions == (StopIntake(), failed(16, "no image"))
    assert state.phase is Phase.DOWN


@pytest.mark.parametrize("name", A)
def test_without_another_point_there_is_no_standby(name):
    state, actions = after(name, [Start(16, 16), Prepared(P1_16)])
    assert actions == (Route(P1_16), Armed())
    assert state.standby is None


@pytest.mark.parametrize(("name", "standby"), [("switch-a1", P2_21), ("switch-a2", P1_21)])
def test_a_standby_that_cannot_be_made_is_done_without_and_the_change_prepares_it(name, standby):
    state, actions = after(name, [*FIRST_SERVES, WorkFailed(standby, "no memory")])
    assert actions == (Armed(),)
    assert (state.phase, state.active, state.standby) == (Phase.SERVING, P1_16, None)
    target = P3_21 if name == "switch-a1" else P1_21
    state, told = live(name, [*FIRST_SERVES, WorkFailed(standby, "no memory"), TO_5, Prepared(target)])
    assert told[-2] == (
        LaunchContainers(target, urgent=True) if name == "switch-a1" else BuildInside(target, urgent=True),
    )
    reason = f"the standby could not be prepared (no memory); {NO_STANDBY}"
    assert told[-1] == (Route(target), Conclude(21, moved=True, reason=reason), Armed())
    assert (state.active, state.standby, state.amiss) == (target, P1_16, None)


# --- work that fails ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "target"), [("switch-b1", P2_21), ("switch-b2", P1_21)])
def test_a_cut_that_cannot_be_prepared_leaves_the_old_one_serving(name, target):
    state, actions = after(name, [*ARMED[name], TO_5, WorkFailed(target, "no memory")])
    assert actions == (failed(16, "no memory"), Armed())
    assert (state.phase, state.active, state.target) == (Phase.SERVING, P1_16, None)


def test_after_a_failure_the_next_container_has_a_name_of_its_own():
    _, actions = after("switch-b1", [*ARMED["switch-b1"], TO_5, WorkFailed(P2_21, "no memory"), TO_5])
    assert actions == (LaunchContainers(P3_21, urgent=True),)


@pytest.mark.parametrize(("name", "target"), [("switch-b1", P2_21), ("switch-b2", P1_21)])
def test_an_old_cut_that_cannot_be_put_away_does_not_stop_the_next_change_which_says_so(name, target):
    life = [*ARMED[name], TO_5, Prepared(target), WorkFailed(P1_16, "engine says no")]
    state, actions = after(name, life)
    assert actions == (Armed(),)
    assert (state.phase, state.active) == (Phase.SERVING, target)
    reason = "p1 could not be put away (engine says no)"
    assert after(name, [*life, TO_5])[1] == (Conclude(21, moved=False, reason=reason), Armed())


@pytest.mark.parametrize("name", A)
def test_a_third_point_that_cannot_be_prepared_leaves_active_and_standby(name):
    had, _ = after(name, ARMED[name])
    target = P3_30 if name == "switch-a1" else P1_30
    state, actions = after(name, [*ARMED[name], TO_1, WorkFailed(target, "no memory")])
    assert actions == (failed(16, "no memory"), Armed())
    assert (state.phase, state.active, state.standby) == (Phase.SERVING, had.active, had.standby)


# --- losses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["switch-a2", "switch-b1", "switch-b2"])
def test_the_loss_of_all_at_rest_stops_intake(name):
    state, actions = after(name, [*ARMED[name], LOST_1])
    assert actions == (StopIntake(),)
    assert (state.phase, state.active, state.standby) == (Phase.DOWN, None, None)


def test_the_loss_of_the_active_routes_to_the_standby_and_makes_one_for_the_speed_there_is():
    life = [*ARMED["switch-a1"], LOST_1]
    state, actions = after("switch-a1", life)
    assert actions == (Route(P2_21), RemoveContainers(P1_16))
    assert (state.phase, state.active, state.standby) == (Phase.RETIRING, P2_21, None)
    state, told = live("switch-a1", [*life, PutAway(P1_16), Prepared(P3_16)])
    assert told[-2:] == [(LaunchContainers(P3_16),), (Armed(),)]
    assert (state.phase, state.active, state.standby) == (Phase.SERVING, P2_21, P3_16)


def test_after_the_standby_took_over_the_change_to_its_cut_says_that_nothing_moved_and_why():
    life = [*ARMED["switch-a1"], LOST_1, PutAway(P1_16), Prepared(P3_16), TO_5]
    unmoved = Conclude(21, moved=False, reason="p2 took over from p1")
    assert after("switch-a1", life)[1] == (unmoved, Armed())
    assert after("switch-a1", [*life, TO_20])[1] == (Route(P3_16), Conclude(16, moved=True), Armed())


def test_the_loss_of_the_standby_removes_what_is_left_of_it_and_makes_a_new_one():
    life = [*ARMED["switch-a1"], LOST_2]
    state, actions = after("switch-a1", life)
    assert actions == (RemoveContainers(P2_21),)
    assert (state.phase, state.active) == (Phase.RETIRING, P1_16)
    _, told = live("switch-a1", [*life, PutAway(P2_21), Prepared(P3_21)])
    assert told[-2:] == [(LaunchContainers(P3_21),), (Armed(),)]


def test_the_change_after_the_loss_of_a_standby_says_so_and_the_one_after_that_is_as_ever():
    life = [*ARMED["switch-a1"], LOST_2, PutAway(P2_21), Prepared(P3_21), TO_5]
    concluded = Conclude(21, moved=True, reason="the standby was lost while p1 served on")
    assert after("switch-a1", life)[1] == (Route(P3_21), concluded, Armed())
    assert after("switch-a1", [*life, TO_20])[1] == (Route(P1_16), Conclude(16, moved=True), Armed())


def test_a_lost_standby_that_cannot_be_made_again_is_prepared_at_the_change():
    life = [*ARMED["switch-a1"], LOST_2, PutAway(P2_21), WorkFailed(P3_21, "no memory"), TO_5]
    assert after("switch-a1", life)[1] == (LaunchContainers(Cut("p4", 21), urgent=True),)
    _, told = live("switch-a1", [*life, Prepared(Cut("p4", 21)), TO_20])
    _, concluded, armed = told[-2]
    assert armed == Armed()
    assert concluded.moved
    assert concluded.reason == (
        f"the standby was lost while p1 served on; the standby could not be prepared (no memory); {NO_STANDBY}"
    )
    assert told[-1] == (Route(P1_16), Conclude(16, moved=True), Armed())


@pytest.mark.parametrize("name", ["switch-a2", "switch-b2"])
def test_the_loss_of_the_only_container_while_preparing_ends_the_change(name):
    change = TO_1 if name == "switch-a2" else TO_5
    state, actions = after(name, [*ARMED[name], change, LOST_1])
    assert actions == (StopIntake(), failed(0, "p1 ended"))
    assert state.phase is Phase.DOWN


@pytest.mark.parametrize(("first", "second"), [(LOST_1, LOST_2), (LOST_2, LOST_1)])
def test_the_loss_of_old_and_new_containers_ends_the_change(first, second):
    state, told = live("switch-b1", [*ARMED["switch-b1"], TO_5, first, second])
    assert state.phase is Phase.DOWN
    assert told[-2:] == (
        [(StopIntake(),), (failed(0, "p2 ended"),)] if first is LOST_1 else [(), (StopIntake(), failed(0, "p1 ended"))]
    )


def test_the_loss_of_the_old_pipeline_makes_frames_wait_for_the_new_one():
    life = [*ARMED["switch-b1"], TO_5, LOST_1]
    state, actions = after("switch-b1", life)
    assert (state.phase, state.active, state.target, actions) == (Phase.PREPARING, None, P2_21, (StopIntake(),))
    concluded = Conclude(21, moved=True, reason="p1 was lost and nothing served until p2 did")
    state, told = live("switch-b1", [*life, Prepared(P2_21), PutAway(P1_16)])
    assert told[-2:] == [(Route(P2_21), ResumeIntake(), concluded, RemoveContainers(P1_16)), (Armed(),)]
    assert (state.phase, state.active) == (Phase.SERVING, P2_21)


def test_the_old_pipeline_is_lost_and_the_new_one_fails():
    state, actions = after("switch-b1", [*ARMED["switch-b1"], TO_5, LOST_1, WorkFailed(P2_21, "no memory")])
    assert actions == (failed(0, "no memory"),)
    assert state.phase is Phase.DOWN


def test_the_loss_of_the_active_makes_frames_wait_for_the_standby_under_way():
    life = [*FIRST_SERVES, LOST_1]
    state, actions = after("switch-a1", life)
    assert (state.phase, state.active, actions) == (Phase.ARMING, None, (StopIntake(),))
    state, told = live("switch-a1", [*life, Prepared(P2_21), PutAway(P1_16), Prepared(P3_16)])
    assert told[-3:] == [
        (Route(P2_21), ResumeIntake(), RemoveContainers(P1_16)),
        (LaunchContainers(P3_16),),
        (Armed(),),
    ]
    assert (state.active, state.standby) == (P2_21, P3_16)
    state, actions = after("switch-a1", [*life, WorkFailed(P2_21, "no memory")])
    assert (state.phase, actions) == (Phase.DOWN, ())


@pytest.mark.parametrize(
    ("name", "life", "work"),
    [
        ("switch-a1", [*FIRST_SERVES, LOST_1, LOST_2], P2_21),
        ("switch-a2", [*FIRST_SERVES, LOST_1], P1_21),
        ("switch-b1", [*FIRST_SERVES, TO_5, LOST_1, LOST_2], P2_21),
        ("switch-b2", [*FIRST_SERVES, TO_5, LOST_1], P1_21),
        ("switch-b1", [*FIRST_SERVES, TO_5, Prepared(P2_21), LOST_2], P1_16),
        ("switch-b1", [*STARTING, LOST_1], P1_16),
    ],
    ids=["a1 arming", "a2 arming", "b1 preparing", "b2 preparing", "b1 retiring", "b1 starting"],
)
@pytest.mark.parametrize("late", [Prepared, PutAway, lambda cut: WorkFailed(cut, "gone"), lambda _: LOST_2])
def test_once_down_the_work_under_way_changes_nothing(name, life, work, late):
    before, _ = after(name, life)
    assert before.phase is Phase.DOWN
    assert after(name, [*life, late(work)]) == (before, ())


def test_a_target_that_is_lost_waits_for_its_work_to_be_reported():
    life = [*ARMED["switch-b1"], TO_5, LOST_2]
    state, actions = after("switch-b1", life)
    assert (state.phase, state.target, actions) == (Phase.PREPARING, None, ())
    state, actions = after("switch-b1", [*life, WorkFailed(P2_21, "cloud: p2 ended")])
    assert actions == (failed(16, "cloud: p2 ended"), Armed())
    assert (state.phase, state.active) == (Phase.SERVING, P1_16)


def test_a_target_that_is_lost_as_soon_as_it_is_ready_is_not_routed_to():
    life = [*ARMED["switch-b1"], TO_5, LOST_2, Prepared(P2_21)]
    state, actions = after("switch-b1", life)
    assert actions == (failed(16, "container p2 was lost as soon as it was ready"), RemoveContainers(P2_21))
    assert (state.phase, state.active) == (Phase.RETIRING, P1_16)
    assert after("switch-b1", [*life, PutAway(P2_21)])[1] == (Armed(),)


def test_a_standby_that_is_lost_while_it_is_made_is_done_without():
    state, told = live("switch-a1", [*FIRST_SERVES, LOST_2, WorkFailed(P2_21, "p2 ended")])
    assert told[-2:] == [(), (Armed(),)]
    assert (state.phase, state.active, state.standby) == (Phase.SERVING, P1_16, None)


def test_a_standby_that_is_lost_as_soon_as_it_is_ready_is_put_away_and_made_again():
    _, told = live("switch-a1", [*FIRST_SERVES, LOST_2, Prepared(P2_21), PutAway(P2_21), Prepared(P3_21)])
    assert told[-4:] == [(), (RemoveContainers(P2_21),), (LaunchContainers(P3_21),), (Armed(),)]


def test_the_old_pipeline_may_die_while_it_is_put_away():
    state, told = live("switch-b1", [*ARMED["switch-b1"], TO_5, Prepared(P2_21), LOST_1, PutAway(P1_16)])
    assert told[-2:] == [(), (Armed(),)]
    assert (state.phase, state.active) == (Phase.SERVING, P2_21)


def test_a_change_goes_on_when_the_standby_takes_over_in_its_midst():
    _, told = live(
        "switch-a1",
        [*ARMED["switch-a1"], TO_1, LOST_1, Prepared(P3_30), PutAway(P2_21), PutAway(P1_16), Prepared(P4_16)],
    )
    concluded = Conclude(30, moved=True, reason=f"{NO_STANDBY}; p2 took over from p1")
    assert told[-6:] == [
        (LaunchContainers(P3_30, urgent=True),),
        (Route(P2_21),),
        (Route(P3_30), concluded, RemoveContainers(P2_21)),
        (RemoveContainers(P1_16),),
        (LaunchContainers(P4_16),),
        (Armed(),),
    ]


@pytest.mark.parametrize("name", [*A, *B])
def test_news_of_a_container_that_has_gone_before_changes_nothing(name):
    before, _ = after(name, ARMED[name])
    assert after(name, [*ARMED[name], ContainerLost("p0", "long gone")]) == (before, ())


# --- more than two points -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "old", "new", "put_away", "prepare"),
    [
        ("switch-a1", P2_21, P3_30, RemoveContainers, LaunchContainers),
        ("switch-a2", P1_21, P1_30, DropInside, BuildInside),
    ],
)
def test_a_standby_for_a_speed_that_is_no_longer_the_other_is_replaced(name, old, new, put_away, prepare):
    state, told = live(name, [*ARMED[name], Change(16, 30), PutAway(old), Prepared(new)])
    assert told[-3:] == [(Conclude(16, moved=False), put_away(old)), (prepare(new),), (Armed(),)]
    assert (state.active, state.standby) == (P1_16, new)


@pytest.mark.parametrize(
    ("name", "old", "new", "put_away"),
    [("switch-a1", P2_21, P3_30, RemoveContainers), ("switch-a2", P1_21, P1_30, DropInside)],
)
def test_a_change_to_a_third_point_keeps_the_old_cut_and_puts_the_surplus_away(name, old, new, put_away):
    state, told = live(name, [*ARMED[name], TO_1, Prepared(new), PutAway(old)])
    concluded = Conclude(30, moved=True, reason=NO_STANDBY)
    assert told[-2:] == [(Route(new), concluded, put_away(old)), (Armed(),)]
    assert (state.active, state.standby) == (new, P1_16)


def test_a_change_to_the_standby_with_a_third_point_next_puts_the_old_cut_away_first():
    state, told = live("switch-a1", [*ARMED["switch-a1"], Change(21, 30), PutAway(P1_16), Prepared(P3_30)])
    assert told[-3:] == [
        (Route(P2_21), Conclude(21, moved=True), RemoveContainers(P1_16)),
        (LaunchContainers(P3_30),),
        (Armed(),),
    ]
    assert (state.active, state.standby) == (P2_21, P3_30)


def test_a_change_between_two_other_points_leaves_nothing_behind():
    life = [*ARMED["switch-a1"], Change(30, 40), Prepared(P3_30), PutAway(P1_16), PutAway(P2_21)]
    state, told = live("switch-a1", life)
    assert told[-3][2:] == (RemoveContainers(P1_16),)
    assert told[-2:] == [(RemoveContainers(P2_21),), (LaunchContainers(Cut("p4", 40)),)]
    assert (state.active, state.standby) == (P3_30, None)


def test_a_standby_that_always_dies_is_made_no_more_until_the_next_change():
    events = list(ARMED["switch-a1"])
    made = []
    for number in range(2, 10):
        state, actions = after(
            "switch-a1", [*events, ContainerLost(f"p{number}", "killed"), PutAway(Cut(f"p{number}", 21))]
        )
        launched = [action.cut for action in actions if isinstance(action, LaunchContainers)]
        made += launched
        if not launched:
            break
        events += [ContainerLost(f"p{number}", "killed"), PutAway(Cut(f"p{number}", 21)), Prepared(launched[0])]
    assert made == [P3_21, Cut("p4", 21)]
    assert (state.phase, state.active, state.standby) == (Phase.SERVING, P1_16, None)
    assert actions == (Armed(),)


def test_after_the_next_change_a_standby_is_made_again():
    lives = list(ARMED["switch-a1"])
    for number in (2, 3, 4):
        lives += [
            ContainerLost(f"p{number}", "killed"),
            PutAway(Cut(f"p{number}", 21)),
            Prepared(Cut(f"p{number + 1}", 21)),
        ]
    lives = lives[:-1]  # after the third death nothing was made
    state, told = live("switch-a1", [*lives, TO_5, Prepared(Cut("p5", 21))])
    assert told[-2] == (LaunchContainers(Cut("p5", 21), urgent=True),)
    assert told[-1][:1] == (Route(Cut("p5", 21)),)
    assert (state.active, state.standby, state.standbys_lost) == (Cut("p5", 21), P1_16, 0)
