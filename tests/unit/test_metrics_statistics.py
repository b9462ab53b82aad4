"""Medians and rates with their intervals: hand-computed answers and properties."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from report.metrics.statistics import difference_interval, median_interval, quantile, ratio_interval, wilson

finite = st.floats(min_value=-1e9, max_value=1e9)


def test_six_values_are_the_fewest_with_a_95_percent_interval():
    interval = median_interval([3, 1, 2, 6, 5, 4])
    assert (interval.median, interval.low, interval.high, interval.n) == (3.5, 1, 6, 6)
    assert interval.coverage == pytest.approx(1 - 2 / 64)
    assert not interval.is_short


def test_five_values_give_their_range_and_say_that_it_covers_less():
    interval = median_interval([10, 50, 20, 40, 30])
    assert (interval.median, interval.low, interval.high) == (30, 10, 50)
    assert interval.coverage == pytest.approx(0.9375)
    assert interval.is_short


def test_nine_values_use_the_second_and_the_eighth():
    # P(B < 2) with B ~ Binomial(9, 1/2) is 10/512; one rank further in it would be 46/512 > 2.5 %.
    interval = median_interval(range(1, 10))
    assert (interval.low, interval.high) == (2, 8)
    assert interval.coverage == pytest.approx(1 - 20 / 512)


def test_one_value_has_no_interval():
    interval = median_interval([7.0])
    assert interval.median == 7.0
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert interval.is_short


def test_no_value_is_no_number():
    interval = median_interval([])
    assert math.isnan(interval.median)
    assert interval.n == 0


def test_missing_values_do_not_count():
    assert median_interval([1.0, math.nan, 3.0]).n == 2


@given(st.lists(finite, min_size=2, max_size=60))
def test_the_interval_is_made_of_measured_values_and_holds_the_median(values):
    interval = median_interval(values)
    assert interval.low in values
    assert interval.high in values
    assert interval.low <= interval.median <= interval.high
    assert interval.is_short == (len(values) < 6)


@given(st.lists(finite, min_size=2, max_size=40), st.randoms(use_true_random=False))
def test_the_order_of_the_values_does_not_matter(values, rng):
    shuffled = values.copy()
    rng.shuffle(shuffled)
    assert median_interval(shuffled) == median_interval(values)


def test_the_interval_covers_the_true_median_as_often_as_it_says():
    rng = random.Random(20)
    interval = [median_interval([rng.expovariate(1) for _ in range(15)]) for _ in range(2000)]
    covered = sum(i.low <= math.log(2) <= i.high for i in interval) / len(interval)
    assert covered == pytest.approx(interval[0].coverage, abs=0.015)


def test_thousands_of_values_are_no_trouble():
    interval = median_interval(range(6401))
    assert interval.median == 3200
    assert 3200 - interval.low == pytest.approx(1.96 * math.sqrt(6401) / 2, abs=2)


def test_ratio_of_two_samples_is_on_the_wide_side():
    ratio = ratio_interval([60, 61, 62, 63, 64, 65, 66, 67], [6, 6, 6, 6, 6, 6, 6, 6])
    assert ratio.median == pytest.approx(63.5 / 6)
    assert (ratio.low, ratio.high) == (60 / 6, 67 / 6)
    assert ratio.coverage == pytest.approx(1 - 4 / 256)
    assert ratio.n == 8


def test_ratio_with_an_empty_side_is_no_number():
    assert math.isnan(ratio_interval([1.0], []).median)


def test_wilson_against_published_values():
    # Newcombe (1998), Table I: 81 of 263 gives 0.2553 to 0.3662.
    rate = wilson(81, 263)
    assert rate.rate == pytest.approx(81 / 263)
    assert (rate.low, rate.high) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))


def test_wilson_at_the_ends():
    none, every = wilson(0, 10), wilson(10, 10)
    assert none.low == 0
    assert none.high == pytest.approx(0.2775, abs=5e-5)
    assert (every.low, every.high) == (pytest.approx(1 - none.high), 1)


def test_wilson_of_nothing_is_no_number():
    assert math.isnan(wilson(0, 0).rate)


def test_more_hits_than_frames_are_refused():
    with pytest.raises(ValueError, match="3 of 2"):
        wilson(3, 2)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_rate_and_stays_between_0_and_1(pair):
    rate = wilson(*pair)
    assert 0 <= rate.low <= rate.rate <= rate.high <= 1


def test_the_median_as_a_quantile_has_the_median_s_interval():
    found = quantile(range(1, 10), 0.5)
    assert (found.value, found.low, found.high) == (5, 2, 8)
    assert found.coverage == pytest.approx(1 - 20 / 512)


def test_the_99th_percentile_of_100_values_is_the_99th_and_has_no_upper_end():
    # P(B < 97) with B ~ Binomial(100, 0.99) is P(at least 4 of 100 above) = 0.0184; P(all 100 below) = 0.366 > 2.5 %.
    found = quantile(range(1, 101), 0.99)
    assert (found.value, found.low) == (99, 97)
    assert math.isnan(found.high)
    assert found.coverage == pytest.approx(1 - 0.018374, abs=1e-5)
    assert not found.is_extreme


def test_368_values_are_the_fewest_with_an_upper_end_for_the_99th_percentile():
    assert math.isnan(quantile(range(367), 0.99).high)
    found = quantile(range(368), 0.99)
    assert found.high == 367
    assert found.coverage >= 0.95


def test_the_99th_percentile_of_few_values_is_the_largest_and_says_so():
    found = quantile([3.0, 1.0, 2.0], 0.99)
    assert found.value == 3.0
    assert found.is_extreme
    assert math.isnan(found.high)


def test_no_value_has_no_quantile():
    assert math.isnan(quantile([math.nan], 0.99).value)


@given(st.lists(finite, min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_quantile_is_a_measured_value_within_its_interval(values, share):
    found = quantile(values, share)
    assert found.value in values
    assert not found.low > found.value
    assert not found.high < found.value
    assert 0 < found.coverage <= 1


def test_the_interval_of_a_quantile_holds_it_as_often_as_it_says():
    draw = random.Random(3)
    held = sum(
        not (found.low > 0.9 or found.high < 0.9)
        for found in (quantile([draw.random() for _ in range(60)], 0.9) for _ in range(2000))
    )
    assert held / 2000 >= 0.94


def test_a_difference_of_medians_is_as_wide_as_both_intervals():
    # With eight values each median has its whole range at 97.5 %: 254/256.
    found = difference_interval(range(11, 19), range(1, 9))
    assert (found.median, found.low, found.high, found.n) == (10, 11 - 8, 18 - 1, 8)
    assert found.coverage == pytest.approx(1 - 4 / 256)


def test_a_difference_to_nothing_is_no_number():
    assert math.isnan(difference_interval([1.0, 2.0], []).median)
