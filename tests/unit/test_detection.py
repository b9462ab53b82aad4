"""The edge notices a new speed, soon and once; and neither noise nor outliers nor flapping makes it repartition."""

import bisect
import itertools
import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.simulated_link import DETECTION, FAST, SLOW, SimulatedEdge, jittered
from workers.detection import (
    LONGEST_PATIENCE,
    Detection,
    Noticed,
    Rule,
    State,
    bounds_mbps,
    moved,
    observe,
    rearmed,
    train_due,
)
from workers.errors import WorkerError
from workers.speed_map import SpeedMap
from workers.transfers import Observation

RULE = Rule()
FPS = [5, 10, 20]
LARGE = {FAST: 602_112, SLOW: 100_352}  # MobileNetV2's input and block_3_project
EDGE_ONLY = {FAST: 602_112, SLOW: 4_000}  # too little to tell: trains alone
CUTS = [None, LARGE]


def ns(seconds):
    return round(seconds * 1e9)


def changes(*speeds, every_s):
    """Return a rate that goes through `speeds`, over and over."""
    return lambda second: speeds[int(second / every_s) % len(speeds)]


def step(before, after, at_s=5.0):
    return lambda second: before if second < at_s else after


def points(decisions):
    return [noticed.point for _, noticed in decisions]


# --- noise --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", FPS)
@pytest.mark.parametrize(("mbps", "point"), [(20, FAST), (5, SLOW)])
@pytest.mark.parametrize("cut_bytes", [None, LARGE, EDGE_ONLY])
def test_a_steady_link_with_jitter_is_left_alone_for_five_minutes(fps, mbps, point, cut_bytes):
    edge = SimulatedEdge(jittered(mbps, 0.1, seed=fps), fps=fps, point=point, cut_bytes=cut_bytes)
    assert edge.run(300) == []
    assert len(edge.observations) > 100


@pytest.mark.parametrize("fps", FPS)
def test_frames_that_tell_need_no_trains(fps):
    edge = SimulatedEdge(jittered(20, 0.1, seed=fps), fps=fps)
    edge.run(60)
    assert edge.trains == 0


@pytest.mark.parametrize("mbps", [9.2, 9.6, 10.0, 10.4, 10.9])
@pytest.mark.parametrize("point", [FAST, SLOW])
def test_near_the_bound_the_cut_may_move_once_but_never_back(mbps, point):
    """Within the margin of the bound, which is at 10 Mbit/s, both cuts are about as good."""
    assert len(SimulatedEdge(jittered(mbps, 0.1, seed=2), point=point).run(300)) <= (mbps != 10.0)


@pytest.mark.parametrize("number", range(20, 40, 3))
@pytest.mark.parametrize("mishap", ["lost", "slow"])
def test_one_frame_that_is_lost_or_ten_times_slower_is_nothing(number, mishap):
    assert SimulatedEdge(jittered(20, 0.1, seed=number), **{mishap: [number]}).run(15) == []


@pytest.mark.parametrize("number", [25, 30])
def test_two_in_a_row_neither(number):
    assert SimulatedEdge(jittered(20, 0.1, seed=number), slow=[number, number + 1]).run(15) == []


@pytest.mark.parametrize("fps", [30, 60])
@pytest.mark.parametrize("point", [FAST, SLOW])
def test_a_link_that_is_always_busy_is_not_slow(fps, point):
    """More frames than it can carry: the queue is full all the time, and frames are dropped as busy."""
    edge = SimulatedEdge(jittered(20 if point == FAST else 5, 0.1, seed=3), fps=fps, point=point, cut_bytes=LARGE)
    assert edge.run(60) == []


# --- changes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fps", FPS)
@pytest.mark.parametrize("cut_bytes", CUTS)
@pytest.mark.parametrize(("before", "after"), [(20, 5), (5, 20)])
def test_a_change_is_noticed_once_and_soon(before, after, fps, cut_bytes, seed):
    start = FAST if before > after else SLOW
    rate = jittered(step(before, after, 5.0 + seed * 0.13), 0.1, seed)
    edge = SimulatedEdge(rate, fps=fps, point=start, cut_bytes=cut_bytes)
    decisions = edge.run(20)
    assert points(decisions) == [SLOW if after < before else FAST]
    at_s, noticed = decisions[0]
    assert at_s - (5.0 + seed * 0.13) < 1.7
    assert noticed.mbps == pytest.approx(after, rel=0.35)
    assert noticed.evidence >= 3
    assert 4.5 < noticed.since_ns / 1e9 < at_s


@pytest.mark.parametrize("seed", range(5))
def test_where_frames_tell_nothing_trains_notice(seed):
    edge = SimulatedEdge(jittered(step(5, 20), 0.1, seed), point=SLOW, cut_bytes=EDGE_ONLY)
    decisions = edge.run(15)
    assert points(decisions) == [FAST]
    assert decisions[0][0] - 5.0 < RULE.probe_every_s + 1.2
    assert edge.trains >= 3


def test_a_link_that_all_but_stops_is_noticed_before_a_frame_comes_through():
    """At 0.5 Mbit/s a frame takes ten seconds."""
    edge = SimulatedEdge(step(20, 0.5), cut_bytes=LARGE)
    decisions = edge.run(20)
    assert points(decisions) == [SLOW]
    assert decisions[0][0] < 5 + 6  # three trains of 1.5 s each
    assert all(seen.train for seen in edge.observations[-3:])


@pytest.mark.parametrize("over_s", [10, 60, 300])
@pytest.mark.parametrize(("before", "after", "point"), [(20, 5, FAST), (5, 20, SLOW)])
def test_a_slow_ramp_is_one_change(before, after, point, over_s):
    def ramp(second):
        return before + (after - before) * min(1.0, second / over_s)

    decisions = SimulatedEdge(jittered(ramp, 0.05, seed=4), point=point).run(over_s + 10)
    assert points(decisions) == [SLOW if point == FAST else FAST]


def test_a_change_that_asks_for_no_other_cut_is_none():
    assert SimulatedEdge(jittered(step(20, 12), 0.05, seed=5)).run(30) == []
    assert SimulatedEdge(jittered(step(20, 80), 0.05, seed=5)).run(30) == []


def test_the_point_between_is_chosen_where_the_speed_is_between():
    detection = Detection(SpeedMap((8.0, 30.0), (3, 2, 1)))
    sizes = {1: 602_112, 2: 150_528, 3: 100_352}
    rate = changes(60, 15, 4, 60, every_s=5)
    edge = SimulatedEdge(jittered(rate, 0.05, seed=6), detection=detection, cut_bytes=sizes)
    assert points(edge.run(20)) == [2, 3, 1]


# --- flapping -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", FPS)
@pytest.mark.parametrize("cut_bytes", CUTS)
@pytest.mark.parametrize("half_s", [0.1, 0.25, 0.5])
def test_a_link_that_flaps_at_one_hertz_or_faster_is_not_followed(half_s, cut_bytes, fps):
    edge = SimulatedEdge(jittered(changes(20, 5, every_s=half_s), 0.1, seed=7), fps=fps, cut_bytes=cut_bytes)
    assert len(edge.run(60)) <= 1


@pytest.mark.parametrize("half_s", [0.6, 0.8, 1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 3.0, 4.0])
@pytest.mark.parametrize("cut_bytes", CUTS)
def test_one_that_flaps_more_slowly_is_given_up_after_a_few_repartitions(half_s, cut_bytes):
    edge = SimulatedEdge(jittered(changes(20, 5, every_s=half_s), 0.1, seed=8), cut_bytes=cut_bytes)
    decisions = edge.run(120)
    assert len(decisions) <= 5
    assert all(first != second for first, second in itertools.pairwise(points(decisions)))


def test_what_stays_after_the_flapping_is_followed():
    rate = jittered(lambda second: (20, 5)[int(second) % 2] if second < 30 else 20, 0.1, seed=9)
    edge = SimulatedEdge(rate)
    decisions = edge.run(60)
    assert edge.state.point == FAST
    assert decisions[-1][0] < 30 + LONGEST_PATIENCE * RULE.lasts_s + 1


@given(st.lists(st.floats(0.05, 12), min_size=5, max_size=40), st.integers(0, 9))
@settings(max_examples=30)
def test_no_link_can_make_it_repartition_more_than_13_times_a_minute(holds_s, seed):
    ends_s = list(itertools.accumulate(holds_s))
    rate = jittered(lambda second: (20, 5)[bisect.bisect(ends_s, second) % 2], 0.05, seed)
    made_s = [at_s for at_s, _ in SimulatedEdge(rate).run(min(90, ends_s[-1]))]
    assert all(sum(start <= at_s < start + 60 for at_s in made_s) <= 13 for start in made_s)


# --- the rule by itself -------------------------------------------------------------------------------------


def frame(at_s, mbps, took_s=0.05):
    return Observation(1, ns(at_s - took_s), ns(at_s), mbps)


def train(at_s, mbps, took_s=0.05):
    return Observation(1, ns(at_s - took_s), ns(at_s), mbps, train=True)


def decided(seen, state=None, detection=DETECTION):
    """Return the state after these observations and the decisions made."""
    state = state or rearmed(State(FAST), 0)
    decisions = []
    for each in seen:
        state, noticed = observe(detection, state, each)
        decisions += [noticed] if noticed else []
    return state, decisions


def test_two_frames_and_a_train_that_lasts():
    _, decisions = decided([frame(1.0, 5), frame(1.4, 5), train(1.7, 5.1)])
    assert decisions == [Noticed(1, 5.1, SLOW, 3, ns(0.95), ns(1.7))]


def test_not_before_it_has_lasted():
    state, decisions = decided([frame(1.0, 5), frame(1.2, 5), train(1.4, 5)])
    assert decisions == []
    assert decided([train(1.6, 5)], state)[1]


def test_not_without_a_train():
    assert decided([frame(1.0 + 0.1 * index, 5) for index in range(50)])[1] == []


def test_a_train_that_disagrees_ends_the_suspicion():
    state, _ = decided([frame(1.0, 5), frame(1.4, 5), train(1.7, 19.5)])
    assert state.suspicion is None
    assert not train_due(RULE, state, ns(1.75), 0)
    state, _ = decided([frame(1.8 + 0.1 * index, 5) for index in range(9)], state)
    assert state.suspicion is not None
    assert not train_due(RULE, state, ns(2.7), 0)
    assert train_due(RULE, state, ns(3.75), 0)


def test_the_median_of_the_trains_is_the_speed():
    _, (noticed,) = decided([train(1.0, 5), train(1.3, 0.7), train(1.65, 5.2)])
    assert noticed.mbps == 5


def test_good_frames_between_wipe_it_out():
    seen = [frame(0.1 * index, 5 if index % 3 else 20) for index in range(1, 100)]
    assert decided([*seen, train(10.0, 5)])[1] == []


@pytest.mark.parametrize(("ratio", "observations"), [(4, 3), (2, 3), (1.55, 3), (1.4, 5), (1.25, 9), (1.2, 13)])
def test_how_many_observations_it_takes(ratio, observations):
    """As docs/detection.md says: threshold / (min(cutoff, ln ratio) - margin)."""
    assert observations == math.ceil(RULE.threshold / (min(RULE.cutoff, math.log(ratio)) - RULE.margin) - 1e-9)
    seen = [train(1.0 + index, 10 / ratio) for index in range(observations)]
    assert decided(seen[:-1])[1] == []
    assert len(decided(seen)[1]) == 1


def test_patience_doubles_with_every_turn_and_comes_back():
    slow = [train(1.0, 5), train(1.4, 5), train(1.8, 5)]
    state, decisions = decided(slow)
    assert [noticed.at_ns for noticed in decisions] == [ns(1.8)]
    state = rearmed(moved(state, SLOW), ns(1.8))
    quick = [train(2.0 + 0.1 * index, 20) for index in range(20)]
    assert [noticed.at_ns for noticed in decided(quick, state)[1]] == [ns(3.2)]
    later = [train(12.0 + 0.1 * index, 20) for index in range(20)]
    assert [noticed.at_ns for noticed in decided(later, state)[1]] == [ns(12.6)]


def test_a_run_starts_without_the_suspicions_and_the_patience_of_the_one_before():
    state, _ = decided([train(1.0, 5), train(1.4, 5), train(1.8, 5)])
    state, _ = decided([train(2.2, 20), train(2.4, 20)], rearmed(moved(state, SLOW), ns(1.8)))
    assert state.suspicion is not None
    assert state.patience == 2
    seen = [msgspec.structs.replace(train(at_s, 20), run=2) for at_s in (2.6, 2.9)]
    state, decisions = decided(seen, state)
    assert decisions == []
    assert (state.patience, state.suspicion.evidence) == (1, 2)
    assert decided([msgspec.structs.replace(train(3.2, 20), run=2)], state)[1]


def test_nothing_counts_until_the_strategy_has_rearmed():
    state, _ = decided([train(1.0, 5), train(1.4, 5), train(1.8, 5)])
    fast = [train(2.0 + 0.1 * index, 20) for index in range(50)]
    assert decided(fast, state)[1] == []
    state = moved(state, SLOW)
    assert decided(fast, state)[1] == []
    assert not train_due(RULE, state, ns(99), 0)
    state = rearmed(state, ns(5.0))
    assert [noticed.since_ns >= ns(5.0) for noticed in decided(fast, state)[1]] == [True]


SEEN = st.lists(
    st.tuples(st.floats(0.001, 2.0), st.sampled_from([0.5, 5, 9, 10, 11, 20, 100]), st.booleans()), max_size=200
)


@given(SEEN, st.floats(0, 3))
def test_whatever_is_seen_each_decision_has_evidence_of_its_own(seen, repartition_s):
    """Three observations since the strategy re-armed, over `lasts_s`, the last of them a train; never a cut twice."""
    state, now_s, armed_s, counted, last_ns = rearmed(State(FAST), 0), 0.0, 0.0, 0, -ns(1)
    for gap_s, mbps, by_train in seen:
        now_s += gap_s
        if state.fresh_ns is None and now_s >= armed_s:
            state, counted = rearmed(state, ns(now_s)), 0
            continue
        before = state.point
        counted += 1
        state, noticed = observe(DETECTION, state, Observation(1, ns(now_s - gap_s / 2), ns(now_s), mbps, by_train))
        if noticed is None:
            continue
        assert by_train
        assert counted >= noticed.evidence >= 3
        assert noticed.at_ns - noticed.since_ns >= ns(RULE.lasts_s)
        assert noticed.since_ns >= ns(armed_s) > last_ns
        assert noticed.point != before
        last_ns, armed_s = noticed.at_ns, now_s + repartition_s
        state = moved(state, noticed.point)


@given(SEEN)
def test_within_the_margin_nothing_adds_up(seen):
    now_s, observations = 0.0, []
    for gap_s, factor, by_train in seen:
        now_s += gap_s
        mbps = 10 * math.exp(0.1 * math.sin(factor))  # 9.05 to 11.05 Mbit/s around the bound at 10
        observations.append(Observation(1, ns(now_s - gap_s / 2), ns(now_s), mbps, by_train))
    for point in (FAST, SLOW):
        assert decided(observations, rearmed(State(point), 0))[1] == []


# --- trains -------------------------------------------------------------------------------------------------


def test_a_train_is_due_where_nothing_tells():
    state = rearmed(State(FAST), ns(1))
    assert not train_due(RULE, state, ns(2.9), 0)
    assert train_due(RULE, state, ns(3.1), 0)
    assert not train_due(RULE, state, ns(3.1), ns(3))  # frames have only just begun to come


def test_a_train_is_due_where_frames_stay_away():
    state, _ = decided([frame(1 + 0.1 * index, 20) for index in range(8)])
    assert not train_due(RULE, state, ns(2.1), 0)
    assert train_due(RULE, state, ns(2.3), 0)
    state, _ = decided([frame(1 + 0.4 * index, 20) for index in range(8)])
    assert not train_due(RULE, state, ns(3.8 + 0.7), 0)
    assert train_due(RULE, state, ns(3.8 + 0.9), 0)


def test_a_train_is_due_where_a_suspicion_lacks_nothing_else():
    state, _ = decided([frame(1.0 + 0.1 * index, 5) for index in range(5)])
    assert not train_due(RULE, state, ns(1.45), 0)
    assert train_due(RULE, state, ns(1.0 - 0.05 + RULE.lasts_s), 0)


def test_a_suspicion_that_hears_no_more_asks_for_a_train():
    state, _ = decided([frame(1.0, 5)])
    assert not train_due(RULE, state, ns(1.2), 0)
    assert train_due(RULE, state, ns(1.3), 0)
    state, _ = decided([train(1.3, 5)], state)
    assert train_due(RULE, state, ns(1.45), 0)


# --- the map ------------------------------------------------------------------------------------------------


def test_bounds_of_a_point():
    speeds = SpeedMap((2.0, 8.0), (7, 9, 4))
    assert bounds_mbps(speeds, 7, 5) == (0.0, 2.0)
    assert bounds_mbps(speeds, 9, 5) == (2.0, 8.0)
    assert bounds_mbps(speeds, 4, 5) == (8.0, math.inf)


def test_a_point_that_is_on_the_map_twice_has_the_nearer_bounds():
    speeds = SpeedMap((2.0, 8.0), (7, 9, 7))
    assert bounds_mbps(speeds, 7, 1) == (0.0, 2.0)
    assert bounds_mbps(speeds, 7, 3) == (0.0, 2.0)
    assert bounds_mbps(speeds, 7, 7) == (8.0, math.inf)


def test_a_point_that_is_not_on_the_map_is_refused():
    with pytest.raises(WorkerError, match="point 3 is not on the map of speeds"):
        bounds_mbps(DETECTION.speeds, 3, 5)


def test_with_one_point_for_all_speeds_nothing_is_ever_noticed():
    detection = Detection(SpeedMap((), (FAST,)))
    assert SimulatedEdge(jittered(changes(20, 5, every_s=5), 0.1, seed=1), detection=detection).run(60) == []


def test_detection_travels():
    data = msgspec.msgpack.encode(DETECTION)
    assert msgspec.msgpack.decode(data, type=Detection) == DETECTION
