"""Numbers as text, names and colours."""

import math

import pytest

from report import text
from report.metrics.statistics import Interval, median_interval, wilson
from report.reference import paper
from report.theme import STRATEGIES, ordered, style


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (0.4123, "0.412 ms"),
        (0.0, "0 ms"),
        (59.96, "60.0 ms"),
        (612.4, "612 ms"),
        (1000.0, "1.00 s"),
        (6012.3, "6.01 s"),
        (62_345.0, "62.3 s"),
        (-0.5, "-0.500 ms"),
        (math.nan, "–"),
    ],
)
def test_durations_have_three_digits_and_a_fitting_unit(ms, shown):
    assert text.duration(ms).replace("\xa0", " ") == shown


@pytest.mark.parametrize(
    ("pct", "shown"),
    [
        (4.76, "4.8 %"),
        (-4.76, "−4.8 %"),
        (-0.01, "0.0 %"),
        (10.4, "10 %"),
        (205.3, "205 %"),
        (-1234.0, "−1,234 %"),
        (math.nan, "–"),
    ],
)
def test_figures_in_percent_have_a_decimal_below_ten_and_no_negative_zero(pct, shown):
    assert text.points(pct).replace("\xa0", " ") == shown


def test_an_interval_stands_in_the_unit_of_its_median():
    found = text.durations(Interval(1100.0, 900.0, 2000.0, 8, 0.96))
    assert found.replace("\xa0", " ") == "1.10 s [0.900, 2.00]"
    assert text.durations(median_interval([5.0])).replace("\xa0", " ") == "5.00 ms"
    assert text.durations(median_interval([])) == "–"


def test_certainty_names_n_and_what_is_wrong_with_it():
    assert text.certainty(median_interval(range(8))) == "n = 8"
    assert text.certainty(median_interval(range(5))) == "n = 5, range: covers 94% only"
    assert text.certainty(median_interval([1])) == "n = 1, no interval"
    assert text.certainty(median_interval([])) == "no run"


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0, "0 %"), (1.0, "100 %"), (0.5, "50 %"), (0.012, "1.2 %"), (0.998, "99.8 %"), (math.nan, "–")],
)
def test_percentages_are_finer_near_the_ends(share, shown):
    assert text.percent(share).replace("\xa0", " ") == shown


def test_rates_factors_and_lists():
    assert text.rate(wilson(5, 10)).replace("\xa0", " ") == "50 % [24, 76]"
    assert text.rate(wilson(0, 0)) == "–"
    assert text.factor(Interval(9.84, 8.1, 11.2, 8, 0.96)) == "9.8× [8.1, 11]"
    assert text.listing(["a", "b", "c"]) == "a, b and c"
    assert text.plural(1, "run") == "1 run"
    assert text.plural(1200, "run") == "1,200 runs"
    assert text.moment("2026-11-23T20:47:34+00:00") == "2026-11-23 20:47:34"


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_can_be_seen_on_light_and_dark(name):
    assert contrast(style(name).light, "#ffffff") >= 3
    assert contrast(style(name).dark, "#1a1e23") >= 3


def test_strategies_are_told_apart_without_colour():
    assert len({style(name).marker for name in STRATEGIES}) == len(STRATEGIES)


def test_order_and_style_do_not_depend_on_what_else_is_there():
    ours = ["zz-ours", "switch-b2", "pause-resume", "aa-ours"]
    assert ordered(ours) == ["pause-resume", "switch-b2", "aa-ours", "zz-ours"]
    assert style("aa-ours") == style("aa-ours")
    assert style("aa-ours").name == "aa-ours"


def test_the_papers_figures_are_those_of_the_paper():
    reference = paper()
    assert reference.downtime["pause-resume"].ms == 6000
    assert reference.memory["switch-a1"].total_mb == 2 * reference.memory["switch-a1"].initial_mb == 1526.2
    assert reference.memory["switch-b1"].additional_when == "during switching"
    assert set(reference.downtime) == set(reference.memory)
