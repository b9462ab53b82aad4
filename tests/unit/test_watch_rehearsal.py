"""Nights made up from a real night's spread: few false alarms, and changes found soon.

The samples are those of config/default.yaml on a machine with two cores: 12 blocks, 5 repeats, 362 series.
"""

import json
from pathlib import Path

import pytest

from report.watch.measures import Sample
from report.watch.records import Kind, Series
from report.watch.rehearsal import Change, Rehearsal, nights_until_found
from report.watch.thresholds import load_thresholds

ROOT = Path(__file__).parents[2]
THRESHOLDS = load_thresholds(ROOT / "config/watch/thresholds.yaml")
STRATEGIES = ("pause-resume", "switch-a1", "switch-a2", "switch-b1", "switch-b2")
BEFORE = 21  # nights


def read_samples():
    rows = json.loads(Path(__file__).with_name("test_watch_samples.json").read_text())
    return [
        Sample(Series(Kind(kind), name, of, scenario), tuple(values), tuple(totals), tuple(scenarios))
        for kind, name, of, scenario, values, totals, scenarios in rows
    ]


SAMPLES = read_samples()


def found_within(nights, change, seed):
    """Say whether a change alarms within so many nights, in a series that changed."""
    return nights_until_found(Rehearsal(SAMPLES, THRESHOLDS, seed=seed), change, patience=nights) is not None


def test_two_hundred_unchanged_nights_have_at_most_two_with_a_false_alarm():
    verdicts = Rehearsal(SAMPLES, THRESHOLDS, seed=1).nights(200)
    assert sum(bool(verdict.alarms) for verdict in verdicts) <= 2
    measured_again = sum(bool(verdict.alarms or verdict.refuted) for verdict in verdicts)
    assert 0 < measured_again <= 30


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_fifth_of_what_takes_no_time_is_not_relevant(strategy):
    change = Change(Kind.DOWNTIME, factor=1.2).of_strategy(strategy)
    assert change.matters(SAMPLES, THRESHOLDS) is (strategy not in {"switch-a1", "switch-a2"})


@pytest.mark.parametrize("strategy", ["pause-resume", "switch-b1", "switch-b2"])
def test_a_fifth_more_downtime_is_found_within_two_nights(strategy):
    assert found_within(2, Change(Kind.DOWNTIME, factor=1.2).of_strategy(strategy), seed=2)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_tenth_more_memory_is_found_within_two_nights(strategy):
    assert found_within(2, Change(Kind.MEMORY, factor=1.1).of_strategy(strategy), seed=3)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_five_points_more_drops_are_found_within_two_nights(strategy):
    assert found_within(2, Change(Kind.DROPS, points=5.0).of_strategy(strategy), seed=4)


def test_what_changed_elsewhere_is_not_blamed():
    change = Change(Kind.DOWNTIME, factor=1.3).of_strategy("switch-b2")
    rehearsal = Rehearsal(SAMPLES, THRESHOLDS, seed=5)
    rehearsal.nights(BEFORE)
    alarms = rehearsal.night(change).alarms
    assert alarms
    assert {alarm.series.kind for alarm in alarms} == {Kind.DOWNTIME}
    assert all(change.of(alarm.series) for alarm in alarms)
    assert all(alarm.since == f"commit {BEFORE + 1}" for alarm in alarms)


def test_a_rehearsal_can_be_repeated():
    runs = [Rehearsal(SAMPLES, THRESHOLDS, seed=6) for _ in range(2)]
    assert runs[0].nights(6) == runs[1].nights(6)
    assert runs[0].ledger.nights == runs[1].ledger.nights


def test_a_night_that_is_made_up_has_the_series_of_the_real_one():
    rehearsal = Rehearsal(SAMPLES, THRESHOLDS, seed=7)
    rehearsal.night()
    made = {value.series for value in rehearsal.ledger.nights[0].values}
    assert {sample.series for sample in SAMPLES if sample.value() is not None} <= made
    assert {series.of for series in made if series.kind is Kind.DOWNTIME} >= set(STRATEGIES)
