"""Eq. 1 by hand-computed numbers; the best points and where they change against dense sampling."""

import itertools
import math
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workers.envelope import Line, lower_envelope, lowest_at
from workers.errors import PartitionError
from workers.latency import (
    HIGH_MBPS,
    LOW_MBPS,
    Interval,
    Link,
    PointCost,
    best,
    best_by_speed,
    edge_to_cloud,
    loss_of_staying,
    point_costs,
    profile_costs,
    ratio_sweep,
    sending_ms,
    sustainable_fps,
    total_ms,
    transfer_ms,
    wire_bytes,
    with_edge_factor,
)
from workers.partition import PartitionPoint
from workers.records import ProfileRecord, Status, TierTimings

ROOT = Path(__file__).parents[2]

# A model of three cuts: a segment's payload sent 1000, 100 and 10 times, on an edge that is slower than the cloud.
KILO = 1000 * 1448
INPUT = PointCost(1, "input", 0.0, 30.0, KILO)
MIDDLE = PointCost(4, "pool", 100.0, 20.0, KILO // 10)
OUTPUT = PointCost(9, "logits", 400.0, 0.0, KILO // 100)
COSTS = (INPUT, MIDDLE, OUTPUT)


def sampled(low, high, n=400):
    """Return `n` values from low to high, evenly on a log axis."""
    return [low * (high / low) ** (step / (n - 1)) for step in range(n)]


def by_index(costs, index):
    return next(cost for cost in costs if cost.index == index)


# --- Eq. 1 --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "wire"), [(0, 0), (1, 67), (1448, 1514), (1449, 1581), (100_352, 104_972), (401_408, 419_756)]
)
def test_every_segment_carries_its_headers(payload, wire):
    assert wire_bytes(payload) == wire


def test_a_transfer_is_the_delay_and_the_time_on_the_wire():
    # 1,514,000 bytes are 12.112 Mbit: 605.6 ms at 20 Mbit/s.
    assert sending_ms(KILO, 20.0) == pytest.approx(605.6)
    assert transfer_ms(KILO, Link(20.0, 20.0)) == pytest.approx(625.6)


def test_the_total_is_head_transfer_and_tail():
    assert total_ms(MIDDLE, Link(20.0, 20.0)) == pytest.approx(100 + (20 + 60.56) + 20)


@pytest.mark.parametrize(
    ("cost", "mbps", "fps"),
    [
        (INPUT, 20.0, 1000 / 605.6),  # the link is the slowest
        (MIDDLE, 20.0, 10.0),  # the edge is
        (PointCost(1, "p", 10.0, 40.0, 0), 20.0, 25.0),  # the cloud is
        (PointCost(1, "p", 0.0, 0.0, 0), 20.0, math.inf),
    ],
)
def test_the_slowest_stage_sets_the_pace_and_the_delay_does_not(cost, mbps, fps):
    assert sustainable_fps(cost, Link(mbps, 1e6)) == pytest.approx(fps)


# --- costs of a profile -------------------------------------------------------------------------------------


def point(index, name="p", size=4):
    return PointCost(index, name, 0.0, 0.0, size)  # has what a point needs


def test_a_head_is_the_layers_up_to_the_cut_and_a_tail_those_after_it():
    costs = point_costs([point(1), point(3), point(4)], [1.0, 2.0, 4.0, 8.0], [10.0, 20.0, 40.0, 80.0])
    assert [(cost.edge_ms, cost.cloud_ms) for cost in costs] == [(1, 140), (7, 80), (15, 0)]


def test_the_points_of_a_model_are_taken_as_they_are():
    fields = {field.name: 0 for field in msgspec.structs.fields(PartitionPoint)}
    given_point = PartitionPoint(**{**fields, "index": 1, "name": "input", "output_bytes": 12})
    assert point_costs([given_point], [2.0], [3.0]) == (PointCost(1, "input", 2.0, 0.0, 12),)


@pytest.mark.parametrize(("edge", "cloud"), [([1.0], [1.0, 1.0]), ([1.0] * 3, [1.0] * 3), ([], [])])
def test_times_of_another_model_are_refused(edge, cloud):
    with pytest.raises(PartitionError, match="of another model or an older version"):
        point_costs([point(1), point(2)], edge, cloud)


@given(times=st.lists(st.tuples(st.floats(0, 1e3), st.floats(0, 1e3)), min_size=1, max_size=60))
def test_each_layer_is_computed_once(times):
    edge, cloud = zip(*times, strict=True)
    costs = point_costs([point(index) for index in range(1, len(times) + 1)], edge, cloud)
    for cost in costs:
        assert cost.edge_ms == pytest.approx(math.fsum(edge[: cost.index]))
        assert cost.cloud_ms == pytest.approx(math.fsum(cloud[cost.index :]))


def timings(*layers):
    return TierTimings(threads=(1, 1), whole_ms=(1.0,), layers_ms=layers, parts_ms={})


def profile(**changed):
    facts = {"points": [{"index": 1, "name": "input", "output_bytes": 600_000, "block": "1"}]}
    facts["points"].append({"index": 2, "name": "logits", "output_bytes": 40, "block": "2"})
    tiers = {"edge": timings((1.0, 2.0, 9.0), (30.0, 50.0)), "cloud": timings((0.5,), (10.0, 20.0, 11.0))}
    values = {field.name: "" for field in msgspec.structs.fields(ProfileRecord) if field.required}
    values |= {"model": "vgg19", "cpu_pct": 100.0, "mem_pct": 10.0, "status": Status.OK, "reason": None}
    values |= {"schema_version": 1, "protocol_version": 1, "delay_ms": 20.0, "duration_s": 1.0, "dirty": False}
    values |= {"tiers": tiers, "measured": (), "model_facts": facts, "hosts": {}, "choices": {}}
    return ProfileRecord(**{**values, **changed})


def test_a_profile_is_read_by_the_medians_of_its_layers():
    assert profile_costs(profile()) == (
        PointCost(1, "input", 2.0, 11.0, 600_000),
        PointCost(2, "logits", 42.0, 0.0, 40),
    )


def test_a_profile_without_times_says_why():
    record = profile(tiers={}, status=Status.INFEASIBLE, reason="the kernel killed the head")
    with pytest.raises(PartitionError, match=r"vgg19 at 100 % CPU and 10 % memory .* infeasible \(the kernel killed"):
        profile_costs(record)


# --- the best point, by hand --------------------------------------------------------------------------------


@pytest.mark.parametrize(("mbps", "expected"), [(200.0, INPUT), (20.0, MIDDLE), (1.0, OUTPUT)])
def test_the_slower_the_link_the_deeper_the_cut(mbps, expected):
    assert best(COSTS, Link(mbps, 20.0)) == expected


def test_the_bounds_are_where_two_lines_cross():
    # 8·(1,514,000 − 151,400) bit for 90 ms of computation saved, and 8·(151,400 − 15,140) bit for 280 ms.
    shallow, deep = 8 * 1_362_600 / 90e3, 8 * 136_260 / 280e3
    intervals = best_by_speed(COSTS, 20.0)
    assert [interval.point for interval in intervals] == [9, 4, 1]
    assert [interval.to_mbps for interval in intervals] == pytest.approx([deep, shallow, HIGH_MBPS])
    assert intervals[0].from_mbps == LOW_MBPS


def test_a_cut_that_is_beaten_at_every_speed_does_not_appear():
    worse = PointCost(2, "worse", 100.0, 20.1, KILO // 10)
    assert best_by_speed((*COSTS, worse), 20.0) == best_by_speed(COSTS, 20.0)


def test_a_cut_that_only_draws_level_at_a_bound_does_not_appear():
    # Halfway between two others in bytes and in time: at their bound all three are equal.
    ends = PointCost(1, "a", 0.0, 0.0, 4 * 1448), PointCost(3, "c", 2.0, 0.0, 0)
    between = PointCost(2, "b", 1.0, 0.0, 2 * 1448)
    assert best_by_speed((*ends, between), 0.0) == best_by_speed(ends, 0.0)


def test_of_equal_cuts_the_first_is_the_best_however_they_are_listed():
    twins = [msgspec.structs.replace(MIDDLE, index=index) for index in (4, 5, 6)]
    for listed in itertools.permutations(twins):
        assert best(listed, Link(20.0, 20.0)).index == 4
        assert best_by_speed(listed, 20.0) == (Interval(LOW_MBPS, HIGH_MBPS, 4),)


def test_a_model_that_can_only_run_whole_has_one_interval():
    assert best_by_speed([OUTPUT], 20.0, 2.0, 8.0) == (Interval(2.0, 8.0, 9),)


def test_tiers_of_equal_speed_leave_nothing_to_repartition():
    costs = [
        PointCost(1, "a", 0.0, 50.0, 600_000),
        PointCost(2, "b", 20.0, 30.0, 900),
        PointCost(3, "c", 50.0, 0.0, 99),
    ]
    assert [interval.point for interval in best_by_speed(costs, 20.0)] == [3]


def test_the_delay_moves_no_bound():
    near, far = best_by_speed(COSTS, 0.0), best_by_speed(COSTS, 500.0)
    assert [interval.point for interval in near] == [interval.point for interval in far]
    assert [interval.to_mbps for interval in near] == pytest.approx([interval.to_mbps for interval in far])


@pytest.mark.parametrize(("low", "high"), [(0.0, 5.0), (-1.0, 5.0), (5.0, 5.0), (6.0, 5.0), (1.0, math.inf)])
def test_no_range_is_refused(low, high):
    with pytest.raises(ValueError, match="expected a range"):
        best_by_speed(COSTS, 20.0, low, high)
    with pytest.raises(ValueError, match="expected a range"):
        ratio_sweep(COSTS, 20.0, 5.0, 20.0, low_factor=low, high_factor=high)


def test_no_point_is_refused():
    with pytest.raises(ValueError, match="no line"):
        best_by_speed([], 20.0)


# --- the loss, by hand --------------------------------------------------------------------------------------


def test_staying_costs_the_difference_to_the_best():
    # At 1 Mbit/s the middle cut takes 120 + 1211.2 ms, the deepest 400 + 121.12 ms.
    loss = loss_of_staying(COSTS, Link(20.0, 0.0), Link(1.0, 0.0))
    assert loss.ms == pytest.approx(1331.2 - 521.12)
    assert loss.pct == pytest.approx(100 * 810.08 / 521.12)


def test_staying_costs_nothing_where_the_best_cut_stays():
    assert loss_of_staying(COSTS, Link(20.0, 20.0), Link(18.0, 20.0)) == (0.0, 0.0)


def test_no_time_at_all_is_no_loss():
    assert loss_of_staying([point(1, size=0)], Link(20.0, 0.0), Link(5.0, 0.0)) == (0.0, 0.0)


# --- the sweep, by hand -------------------------------------------------------------------------------------

# Two cuts that differ by 1000 ms on the edge, by 10 ms in the cloud, and by 66 segments on the wire.
SHALLOW = PointCost(1, "shallow", 0.0, 10.0, 66 * 1448)
DEEP = PointCost(2, "deep", 1000.0, 0.0, 0)


def test_the_cut_moves_while_the_edge_costs_more_than_the_fast_link_and_less_than_the_slow_one():
    fast_ms, slow_ms = sending_ms(SHALLOW.output_bytes, 20.0), sending_ms(SHALLOW.output_bytes, 5.0)
    sweep = ratio_sweep([SHALLOW, DEEP], 20.0, 5.0, 20.0, low_factor=0.01)
    assert [(each.slow_point, each.fast_point) for each in sweep] == [(2, 2), (2, 1), (1, 1)]
    assert sweep[1].from_factor == pytest.approx((fast_ms + 10) / 1000)
    assert sweep[1].to_factor == pytest.approx((slow_ms + 10) / 1000)
    assert (sweep[0].from_factor, sweep[-1].to_factor) == (0.01, 100.0)


def test_a_cut_that_never_moves_is_one_interval():
    (only,) = ratio_sweep([OUTPUT], 20.0, 5.0, 20.0)
    assert not only.moves


def test_the_ratio_of_the_tiers_is_that_of_the_layers_which_either_can_run():
    costs = point_costs([point(1), point(2), point(3)], [7.0, 30.0, 60.0], [5.0, 10.0, 20.0])
    assert edge_to_cloud(costs) == pytest.approx(3.0)
    assert edge_to_cloud(with_edge_factor(costs, 0.5)) == pytest.approx(1.5)
    assert edge_to_cloud([OUTPUT]) == math.inf


# --- against sampling ---------------------------------------------------------------------------------------

# Few different values, so that bytes and times tie often; and any values.
few = st.sampled_from([0.0, 1.0, 2.0, 3.0, 50.0])
milliseconds = st.one_of(few, st.floats(0, 1e4))
sizes = st.one_of(st.sampled_from([0, 4, 1448, 2896, 100_000]), st.integers(0, 10**8))
delays = st.floats(0, 100)


@st.composite
def profiles(draw):
    """Draw the costs of a model: what heads take grows with the index, what tails take shrinks."""
    layers = draw(st.lists(st.tuples(milliseconds, milliseconds, sizes), min_size=1, max_size=12))
    edge, cloud, output = zip(*layers, strict=True)
    points = [point(index, f"layer-{index}", size) for index, size in enumerate(output, 1)]
    return point_costs(draw(st.permutations(points)), edge, cloud)


def same(one, other):
    return one == pytest.approx(other, rel=1e-9, abs=1e-6)


@given(costs=profiles(), delay=delays)
@example(costs=(MIDDLE, msgspec.structs.replace(MIDDLE, index=1)), delay=0.0)
def test_bounds_agree_with_dense_sampling(costs, delay):
    intervals = best_by_speed(costs, delay)
    for mbps in sampled(LOW_MBPS, HIGH_MBPS, 150):
        link = Link(mbps, delay)
        holding = next(interval for interval in intervals if mbps <= interval.to_mbps * (1 + 1e-12))
        assert same(total_ms(by_index(costs, holding.point), link), total_ms(best(costs, link), link))


@given(costs=profiles(), delay=delays)
def test_intervals_cover_the_range_without_gaps_and_ever_deeper_ones_do_not_come_back(costs, delay):
    intervals = best_by_speed(costs, delay)
    assert (intervals[0].from_mbps, intervals[-1].to_mbps) == (LOW_MBPS, HIGH_MBPS)
    assert all(slower.to_mbps == faster.from_mbps for slower, faster in itertools.pairwise(intervals))
    assert all(interval.from_mbps < interval.to_mbps for interval in intervals)
    sent = [by_index(costs, interval.point).output_bytes for interval in intervals]
    assert all(fewer < more for fewer, more in itertools.pairwise(sent))  # the faster the link, the more is sent


@given(costs=profiles(), delay=delays)
def test_two_points_are_equal_where_they_change_places(costs, delay):
    for slower, faster in itertools.pairwise(best_by_speed(costs, delay)):
        link = Link(slower.to_mbps, delay)
        assert same(total_ms(by_index(costs, slower.point), link), total_ms(by_index(costs, faster.point), link))


@given(costs=profiles(), mbps=st.floats(0.5, 200), delay=delays)
def test_the_best_is_the_least_and_of_equals_the_first(costs, mbps, delay):
    link = Link(mbps, delay)
    chosen = best(costs, link)
    totals = {cost.index: total_ms(cost, link) for cost in costs}
    assert totals[chosen.index] == min(totals.values())
    assert chosen.index == min(index for index, total in totals.items() if total == min(totals.values()))


@given(costs=profiles(), before=st.floats(0.5, 200), after=st.floats(0.5, 200), delay=delays)
def test_staying_never_pays(costs, before, after, delay):
    loss = loss_of_staying(costs, Link(before, delay), Link(after, delay))
    assert loss.ms >= 0
    assert loss.pct >= 0
    assert loss_of_staying(costs, Link(after, delay), Link(after, delay)) == (0.0, 0.0)


@given(costs=profiles(), delay=delays, slow=st.floats(0.5, 20), fast=st.floats(20, 200))
def test_the_sweep_agrees_with_dense_sampling(costs, delay, slow, fast):
    sweep = ratio_sweep(costs, delay, slow, fast)
    for factor in sampled(0.1, 100.0, 100):
        at = next(each for each in sweep if factor <= each.to_factor * (1 + 1e-12))
        scaled = with_edge_factor(costs, factor)
        for mbps, index in ((slow, at.slow_point), (fast, at.fast_point)):
            link = Link(mbps, delay)
            assert same(total_ms(by_index(scaled, index), link), total_ms(best(scaled, link), link))


@given(costs=profiles(), delay=delays)
def test_the_sweep_covers_its_range_without_gaps(costs, delay):
    sweep = ratio_sweep(costs, delay, 5.0, 20.0)
    assert (sweep[0].from_factor, sweep[-1].to_factor) == (0.1, 100.0)
    assert all(left.to_factor == right.from_factor for left, right in itertools.pairwise(sweep))


# --- envelope -----------------------------------------------------------------------------------------------


@given(
    lines=st.lists(st.builds(Line, st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 99)), min_size=1),
    at=st.floats(0.1, 5, exclude_max=True),
)
def test_the_envelope_is_the_least_of_the_lines(lines, at):
    line = lowest_at(lower_envelope(lines, 0.1, 5.0), at)
    value = line.intercept + line.slope * at
    assert value == pytest.approx(min(each.intercept + each.slope * at for each in lines), abs=1e-9)


def test_a_line_that_comes_to_be_lowest_only_at_the_end_does_not_appear():
    assert lower_envelope([Line(0.0, 1.0, 1), Line(2.0, 0.0, 2)], 1.0, 2.0) == [(1.0, Line(0.0, 1.0, 1))]


def test_a_line_that_is_lowest_only_at_the_start_does_not_appear():
    assert lower_envelope([Line(0.0, 1.0, 1), Line(1.0, 0.0, 2)], 1.0, 2.0) == [(1.0, Line(1.0, 0.0, 2))]


def test_hundreds_of_points_that_are_all_the_best_somewhere_are_found():
    # Tangents of a parabola: each is the highest of all at its own place, so its negative is the lowest.
    lines = [Line(place * place, -2.0 * place, place) for place in range(1, 801)]
    assert [line.key for _, line in lower_envelope(lines, 0.5, 1000.0)] == list(range(1, 801))


# --- docs ---------------------------------------------------------------------------------------------------


def test_the_example_of_the_docs_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    text = (ROOT / "docs" / "where-to-cut.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (path,) = re.findall(r'Path\("(.*?)"\)', code)
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_bytes(msgspec.json.encode(profile()))
    monkeypatch.chdir(tmp_path)
    exec(code, {})  # noqa: S102 - the text is our own
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("PointCost(index=2, name='logits'")
    # 29 ms of computation at 173 Mbit/s; edge times so long that 40 ms of them are worth these bits at 20 and at 5.
    assert lines[1:4] == ["0.5 to 173.0 Mbit/s: 2", "173.0 to 200.0 Mbit/s: 1", "Loss(ms=0.0, pct=0.0)"]
    bits = 8 * (627_390 - 106)
    expected = [(bits / 20e3 + 11) / 40, (bits / 5e3 + 11) / 40]
    (moving,) = [line.split() for line in lines[4:] if line.endswith("True")]
    assert [float(word) for word in moving[:2]] == pytest.approx(expected)
