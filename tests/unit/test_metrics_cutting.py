"""Costs of points by repetition, how far points are behind the best, and sums of layers against parts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from report.metrics.cutting import ErrorSummary, behind, costs_of, parts, summarised
from tests.synthetic_profiles import HAND_MADE, LayerSpec, ProfileSpec, profile_record
from workers.latency import Link, best, total_ms

FAST = Link(20.0, 20.0)
# By hand: input 0 + 61.848 + 30, conv 10 + 40.924 + 25, pool 30 + 22.1056 + 5, dense 60 + 20.0424 + 0.
TOTALS = {1: 91.848, 2: 75.924, 3: 57.1056, 4: 80.0424}


def record(layers=HAND_MADE, **changes):
    return profile_record(ProfileSpec(tuple(layers), **changes), "vgg19", 100.0, 100.0)


def test_totals_by_hand():
    costs = costs_of(record())
    assert {cost.index: total_ms(cost, FAST) for cost in costs.points} == pytest.approx(TOTALS)
    assert [cost.edge_ms for cost in costs.points] == pytest.approx([0, 10, 30, 60])
    assert [cost.cloud_ms for cost in costs.points] == pytest.approx([30, 25, 5, 0])


def test_every_repetition_has_costs_of_its_own():
    costs = costs_of(record(spread=(0.0, 0.1, -0.1)))
    assert [repetition[-1].edge_ms for repetition in costs.repetitions] == pytest.approx([60, 66, 54])


def test_the_tier_with_fewer_repetitions_counts():
    shorter = record(spread=(0.0, 0.1, -0.1))
    edge = shorter.tiers["edge"]
    edge = type(edge)(edge.threads, edge.whole_ms, tuple(s[:2] for s in edge.layers_ms), edge.parts_ms)
    shorter.tiers["edge"] = edge
    assert len(costs_of(shorter).repetitions) == 2


def test_how_far_behind_the_best_by_hand():
    found = behind(costs_of(record()), FAST)
    best_ms = TOTALS[3]
    assert {index: one.median for index, one in found.items()} == pytest.approx(
        {index: ms - best_ms for index, ms in TOTALS.items()}
    )
    # A repetition is off by s = -3 % to 3 % on both tiers. Dense is 80.0424 - 57.1056 + (60 - 35) s behind.
    assert (found[4].low, found[4].high, found[4].n) == pytest.approx((22.9368 - 0.75, 22.9368 + 0.75, 7))
    assert (found[3].median, found[3].low, found[3].high) == (0, 0, 0)


def test_the_interval_holds_the_difference_of_the_medians():
    # One layer is slow in each repetition: no repetition is as quick as the medians are together.
    slow_in = [tuple(10.0 + 30 * (k == i) for k in range(7)) for i in range(3)]
    spiky = record([LayerSpec(f"l{i}", 1000, 10.0, 1.0) for i in range(3)])
    edge = spiky.tiers["edge"]
    spiky.tiers["edge"] = type(edge)(edge.threads, edge.whole_ms, tuple(slow_in), edge.parts_ms)
    for one in behind(costs_of(spiky), FAST).values():
        assert one.low <= one.median <= one.high


def test_a_single_repetition_has_no_interval():
    found = behind(costs_of(record(spread=(0.0,))), FAST)
    assert found[1].n == 1
    assert math.isnan(found[1].low)
    assert found[1].median == pytest.approx(TOTALS[1] - TOTALS[3])


TIMES = st.floats(0, 1e3)
LAYERS = st.lists(st.tuples(st.integers(1, 10**7), TIMES, TIMES), min_size=1, max_size=12)


@given(layers=LAYERS, mbps=st.floats(0.5, 200))
def test_no_point_is_ahead_of_the_best(layers, mbps):
    costs = costs_of(record([LayerSpec(f"l{i}", *values) for i, values in enumerate(layers)]))
    found = behind(costs, Link(mbps, 20.0))
    assert min(one.median for one in found.values()) == 0
    assert found[best(costs.points, Link(mbps, 20.0)).index].median == 0
    assert all(one.low <= one.median <= one.high for one in found.values())


def test_parts_are_set_beside_the_sums_of_their_layers():
    found = parts(record(parts_at=(1, 3), parts_stretch=1.25), costs_of(record()))
    assert [(part.tier, part.name, part.sum_ms) for part in found] == [
        ("edge", "input", 0),
        ("edge", "pool", pytest.approx(30)),
        ("cloud", "input", pytest.approx(30)),
        ("cloud", "pool", pytest.approx(5)),
    ]
    assert [part.measured.median for part in found] == pytest.approx([0, 37.5, 37.5, 6.25])
    # A head of no time has no error in percent; 30 against 37.5 is 20 % too short.
    assert [part.error_pct for part in found] == [None, *[pytest.approx(-20)] * 3]


def test_a_part_that_was_not_timed_has_no_error():
    assert [part.error_pct for part in parts(record(parts_at=(3,), spread=()), costs_of(record()))] == [None, None]


def test_errors_are_summarised_by_size():
    assert summarised([-20.0, None, 5.0, 10.0]) == ErrorSummary(10.0, 20.0, 3)
    assert summarised([None]) is None
    assert summarised([]) is None
