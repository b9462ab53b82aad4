"""The statistics behind a suspect, against tables and by hand."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from report.watch.baseline import baseline_of, upper_tail
from report.watch.ledger import Mark
from report.watch.thresholds import Thresholds
from tests.unit.watch_nights import DOWNTIME, KINDS, STEADY, THRESHOLDS, ledger_of, night

RELEVANCE = KINDS[DOWNTIME.kind]


def seen_of(medians):
    return ledger_of(medians=medians).series[DOWNTIME]


@pytest.mark.parametrize(
    ("t", "freedom", "p"),
    [
        (2.132, 4, 0.05),
        (3.747, 4, 0.01),
        (7.173, 4, 0.001),
        (1.833, 9, 0.05),
        (4.297, 9, 0.001),
        (1.729, 19, 0.05),
        (2.539, 19, 0.01),
        (3.579, 19, 0.001),
    ],
)
def test_tails_are_those_of_the_tables_and_never_much_smaller(t, freedom, p):
    found = upper_tail(t, freedom)
    assert 0.98 * p < found < 1.25 * p
    assert upper_tail(-t, freedom) == pytest.approx(1 - found)


@given(st.floats(-30, 30), st.floats(0.01, 5), st.integers(3, 40))
def test_further_out_is_less_likely(t, further, freedom):
    assert upper_tail(t + further, freedom) <= upper_tail(t, freedom)


def test_centre_and_spread_are_those_of_the_logarithms():
    logs = [math.log(value + 1) for value in STEADY]
    found = baseline_of(seen_of(STEADY), RELEVANCE, THRESHOLDS)
    assert found.centre == pytest.approx(statistics.fmean(logs))
    assert found.spread == pytest.approx(statistics.stdev(logs))
    assert (found.freedom, found.on_level, found.nights) == (7, 8, 8)


def test_a_spread_below_the_floor_is_not_believed():
    found = baseline_of(seen_of([100.0] * 8), RELEVANCE, THRESHOLDS)
    assert found.spread == RELEVANCE.floor
    assert found.tail(found.centre) == pytest.approx(0.5)


def test_too_few_nights_are_no_baseline():
    assert baseline_of(seen_of(STEADY[:4]), RELEVANCE, THRESHOLDS) is None
    assert baseline_of(seen_of(STEADY[:5]), RELEVANCE, THRESHOLDS) is not None


def test_the_window_holds_the_last_nights_alone():
    narrow = Thresholds(kinds=KINDS, window_nights=5)
    found = baseline_of(seen_of([1.0, 2.0, *STEADY[:5]]), RELEVANCE, narrow)
    assert found == baseline_of(seen_of(STEADY[:5]), RELEVANCE, narrow)


@pytest.mark.parametrize("mark", [Mark.ALARM, Mark.REFUTED, Mark.WAITING, Mark.BETTER])
def test_nights_that_were_not_as_expected_are_no_baseline(mark):
    seen = seen_of([*STEADY, 500.0])
    seen[-1].mark = mark
    assert baseline_of(seen, RELEVANCE, THRESHOLDS) == baseline_of(seen[:-1], RELEVANCE, THRESHOLDS)


def test_a_new_level_keeps_the_spread_of_the_old_one():
    seen = seen_of([*STEADY, 200.0])
    seen[-1].level = 1
    found = baseline_of(seen, RELEVANCE, THRESHOLDS)
    old = baseline_of(seen[:-1], RELEVANCE, THRESHOLDS)
    assert found.centre == pytest.approx(math.log(201))
    assert found.spread == pytest.approx(old.spread)
    assert (found.freedom, found.on_level) == (7, 1)


def test_two_nights_are_clearer_than_one():
    found = baseline_of(seen_of(STEADY), RELEVANCE, THRESHOLDS)
    assert found.tail(found.centre + 0.05, nights=2) < found.tail(found.centre + 0.05)


def test_the_band_holds_the_share_that_it_says():
    found = baseline_of(seen_of(STEADY), RELEVANCE, THRESHOLDS)
    low, high = found.band(0.95)
    assert found.tail(high) == pytest.approx(0.025)
    assert found.tail(low) == pytest.approx(0.975)


def test_a_night_that_is_too_short_is_no_baseline():
    ledger = ledger_of(medians=STEADY)
    ledger.add(night(9, {DOWNTIME: 900.0}, short="1 of 12 runs"))
    assert len(ledger.series[DOWNTIME]) == len(STEADY)
    assert len(ledger.nights) == len(STEADY) + 1
