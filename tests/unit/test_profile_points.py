"""Which points a profile times, which it measures end to end, and how fast it sends frames through them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.config import parse
from hosts.measure import nothing_to_repartition
from hosts.profile_points import DEADLINE_MS, named_points, pace, parts_to_time, points_to_measure
from workers.errors import PartitionError
from workers.latency import Link, PointCost, best, total_ms
from workers.partition import PartitionPoint

DELAY_MS = 20.0
# A frame (602 kB), a layer that blows it up, two that shrink it, and the result.
SIZES = {1: 602_112, 2: 12_845_056, 17: 401_408, 22: 100_352, 26: 4_000}
NAMES = {1: "input", 2: "block1_conv1", 17: "block4_pool", 22: "block5_pool", 26: "predictions"}


def point(index, size=None, name=None):
    bytes_ = SIZES.get(index, 1000) if size is None else size
    return PartitionPoint(index, name or NAMES.get(index, f"p{index}"), str(index), (1,), bytes_, 0, 0, 0, 0)


VGG = tuple(point(index) for index in SIZES)


def config(model="vgg19", **changed):
    return parse({"models": {model: changed}, "strategies": ["switch-b2"]}, "c")


def cost(index, edge_ms, cloud_ms):
    return PointCost(index, NAMES[index], edge_ms, cloud_ms, SIZES[index])


# An edge four times as slow as the cloud.
COSTS = tuple(cost(index, 8 * done, 2 * (100 - done)) for index, done in zip(SIZES, (0, 5, 80, 95, 100), strict=True))


# --- parts --------------------------------------------------------------------------------------------------


def test_parts_are_those_named_those_that_shrink_and_some_between():
    points = [point(index, size) for index, size in enumerate([50, 90, 60, 40, 45, 40, 30, 80], start=1)]
    found = parts_to_time(points, [3])
    assert found == tuple(range(1, 9))  # eight points: all of them
    many = [point(index, 1000 + index) for index in range(1, 101)] + [point(101, 5)]
    found = parts_to_time(many, [42])
    assert {1, 42, 101} <= set(found)
    assert 6 <= len(found) <= 8


@given(st.lists(st.integers(1, 10**7), min_size=2, max_size=80), st.data())
def test_parts_of_any_model(sizes, data):
    points = [point(3 * number + 1, size) for number, size in enumerate(sizes)]
    indices = [each.index for each in points]
    named = data.draw(st.sets(st.sampled_from(indices), max_size=4))
    found = parts_to_time(points, named)
    assert list(found) == sorted(set(found))
    assert {indices[0], indices[-1], *named} <= set(found) <= set(indices)
    smallest = min(points, key=lambda each: (each.output_bytes, each.index))
    assert smallest.index in found


# --- points with a name -------------------------------------------------------------------------------------


def test_a_point_can_matter_for_several_reasons():
    assert named_points(config(), "vgg19", VGG) == {
        1: ("cloud-only",),
        17: ("config", "paper"),
        22: ("config", "paper"),
        26: ("edge-only",),
    }


def test_the_configs_points_and_the_papers_are_told_apart():
    own = config(partition={20: "input", 5: 22})
    assert named_points(own, "vgg19", VGG) == {
        1: ("cloud-only", "config"),
        17: ("paper",),
        22: ("config", "paper"),
        26: ("edge-only",),
    }


@pytest.mark.parametrize(
    "changed", [{"partition": "optimal"}, {"source": "tests.models:sequential", "partition": "optimal"}]
)
def test_best_points_are_no_points_of_the_config(changed):
    found = named_points(config(**changed), "vgg19", VGG)
    assert not any("config" in why for why in found.values())
    assert any("paper" in why for why in found.values()) is ("source" not in changed)


def test_a_model_that_the_paper_has_not_is_measured_at_its_ends():
    found = named_points(config("other", source="some.package:other", partition={20: 1, 5: 26}), "other", VGG)
    assert found == {1: ("cloud-only", "config"), 26: ("edge-only", "config")}


def test_a_point_that_the_model_has_not_is_refused():
    with pytest.raises(PartitionError, match="blok4_pool"):
        named_points(config(partition={20: "blok4_pool", 5: 22}), "vgg19", VGG)


# --- points to measure --------------------------------------------------------------------------------------


def measured(mbps, costs=COSTS, named=None):
    link = Link(mbps, DELAY_MS)
    named = {1: ("cloud-only",), 26: ("edge-only",)} if named is None else named
    return {spec.point: spec for spec in points_to_measure(costs, link, named)}


def test_the_best_point_and_its_neighbours_are_measured_beside_those_named():
    found = measured(20)
    assert {index: spec.why for index, spec in found.items()} == {
        1: ("best", "cloud-only"),  # 200 ms in the cloud, 252 on the link
        26: ("edge-only",),  # 800 ms; nothing is nearer to the best one than twice its time but point 17 at 840
        17: ("neighbour",),
    }


def test_a_neighbour_that_is_far_worse_is_passed_over():
    assert 2 not in measured(20)  # 12.8 MB: more than five seconds on the link
    assert 2 not in measured(5)


def test_a_point_whose_frames_would_take_too_long_is_left_out():
    slow = measured(0.5)
    assert 1 not in slow  # ten seconds for the frame itself
    assert 26 in slow


def test_points_are_measured_in_the_order_of_the_model():
    assert list(measured(20)) == sorted(measured(20))


TIMES = st.floats(0, 2000)


@given(st.lists(st.tuples(TIMES, TIMES), min_size=5, max_size=5), st.floats(0.5, 200))
def test_points_to_measure_of_any_profile(times, mbps):
    costs = tuple(cost(index, *each) for index, each in zip(SIZES, times, strict=True))
    link = Link(mbps, DELAY_MS)
    winner = best(costs, link)
    found = measured(mbps, costs)
    for index, spec in found.items():
        frame_ms = next(total_ms(each, link) for each in costs if each.index == index)
        assert frame_ms <= DEADLINE_MS / 2
        assert 1000 / spec.fps > frame_ms  # the next frame starts when this one is through
        assert spec.why
        assert ("best" in spec.why) == (index == winner.index)
    if total_ms(winner, link) <= DEADLINE_MS / 2:
        assert winner.index in found


@given(st.floats(0.1, 10_000))
def test_frames_are_sent_with_room_between_them(frame_ms):
    period_ms = 1000 / pace(frame_ms)
    assert frame_ms + 25 < period_ms < 1.5 * frame_ms + 100


# --- equal best points --------------------------------------------------------------------------------------


def test_equal_best_points_leave_nothing_to_repartition():
    reason = nothing_to_repartition(config(partition="optimal"), "vgg19", VGG, {20.0: 26, 5.0: 26})
    assert reason.startswith(
        "the best point is the same (predictions) at 20 and 5 Mbit/s: nothing to repartition; choose speeds"
    )


@pytest.mark.parametrize(
    ("partition", "points"),
    [("optimal", {20.0: 1, 5.0: 26}), ("paper", {20.0: 17, 5.0: 22}), ({20: 17, 5: 18}, {20.0: 17, 5.0: 18})],
)
def test_what_is_to_be_measured_is(partition, points):
    wanted = config(partition=partition)
    assert nothing_to_repartition(wanted, "vgg19", VGG, points) is None
