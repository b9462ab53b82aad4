"""Which point is for which speed: exact bounds of a profile, geometric means between named speeds."""

import itertools
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.latency import Interval
from workers.speed_map import SpeedMap

INTERVALS = (Interval(0.5, 3.0, 9), Interval(3.0, 40.0, 4), Interval(40.0, 200.0, 1))
speeds = st.floats(0.1, 1000)


@pytest.mark.parametrize(
    ("mbps", "point"), [(0.01, 9), (0.5, 9), (3.0, 9), (3.01, 4), (40.0, 4), (40.01, 1), (200.0, 1), (9999.0, 1)]
)
def test_a_speed_has_the_point_of_its_interval_and_beyond_them_of_the_outermost(mbps, point):
    assert SpeedMap.from_intervals(INTERVALS).point_for(mbps) == point


def test_one_interval_is_for_all_speeds():
    whole = SpeedMap.from_intervals(INTERVALS[:1])
    assert whole == SpeedMap((), (9,))
    assert {whole.point_for(mbps) for mbps in (0.1, 5.0, 500.0)} == {9}


@pytest.mark.parametrize("points", [{20: 17, 5: 22}, {5: 22, 20: 17}])
def test_the_bound_of_two_named_speeds_is_their_geometric_mean(points):
    named = SpeedMap.from_points(points)
    assert named.bounds_mbps == pytest.approx((10.0,))
    assert (named.point_for(9.9), named.point_for(10.1)) == (22, 17)


def test_speeds_that_share_a_point_have_no_bound():
    assert SpeedMap.from_points({20: 17, 5: 17}) == SpeedMap((), (17,))
    shared = SpeedMap.from_points({1: 9, 4: 9, 16: 3, 64: 9})
    assert shared.points == (9, 3, 9)
    assert shared.bounds_mbps == pytest.approx((8.0, 32.0))


@given(points=st.dictionaries(speeds, st.integers(1, 4), min_size=1, max_size=6))
def test_each_named_speed_has_its_point(points):
    named = SpeedMap.from_points(points)
    # Speeds of which one is hardly above the other leave no room for a bound between them.
    ordered = sorted(points)
    if all(fast > slow * (1 + 1e-9) for slow, fast in itertools.pairwise(ordered)):
        assert {mbps: named.point_for(mbps) for mbps in points} == points


@given(points=st.dictionaries(speeds, st.integers(1, 4), min_size=1, max_size=6), mbps=speeds)
def test_any_other_speed_has_the_point_of_the_nearest_by_ratio(points, mbps):
    distances = {abs(math.log(mbps / speed)): point for speed, point in points.items()}
    nearest = {point for distance, point in distances.items() if distance <= min(distances) + 1e-9}
    assert SpeedMap.from_points(points).point_for(mbps) in nearest


@pytest.mark.parametrize(
    ("bounds", "points", "why"),
    [
        ((), (), "0 bounds part"),
        ((5.0,), (1,), "1 bounds part"),
        ((), (1, 2), "0 bounds part"),
        ((5.0, 5.0), (1, 2, 1), "must ascend"),
        ((7.0, 5.0), (1, 2, 1), "must ascend"),
        ((0.0,), (1, 2), "must ascend"),
        ((math.nan,), (1, 2), "must ascend"),
        ((math.inf,), (1, 2), "must ascend"),
        ((5.0,), (2, 2), "must differ"),
    ],
)
def test_a_map_that_does_not_fit_together_is_refused_here_and_at_the_door(bounds, points, why):
    with pytest.raises(ValueError, match=why):
        SpeedMap(bounds, points)
    encoded = msgspec.msgpack.encode({"bounds_mbps": bounds, "points": points})
    with pytest.raises(msgspec.ValidationError, match=why):
        msgspec.msgpack.decode(encoded, type=SpeedMap)


def test_no_point_makes_no_map():
    with pytest.raises(ValueError, match="0 bounds"):
        SpeedMap.from_points({})
    with pytest.raises(ValueError, match="0 bounds"):
        SpeedMap.from_intervals(())


@given(points=st.dictionaries(st.integers(1, 1000), st.integers(1, 4), min_size=1, max_size=6))
def test_a_map_travels_in_a_message(points):
    named = SpeedMap.from_points(points)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(named), type=SpeedMap) == named
