"""What is relevant, on which scale nights are compared, and what a file of thresholds must hold."""

import math
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from report.watch.errors import ThresholdsError
from report.watch.records import Kind
from report.watch.thresholds import Relevance, load_thresholds

SHIPPED = Path(__file__).parents[2] / "config/watch/thresholds.yaml"
RELATIVE = Relevance(percent=10, at_least=5)
POINTS = Relevance(points=3)
VALUES = st.floats(0, 1e6)


@pytest.mark.parametrize(
    ("relevance", "value", "expected", "met"),
    [
        (RELATIVE, 110, 100, True),
        (RELATIVE, 109, 100, False),
        (RELATIVE, 90, 100, True),
        (RELATIVE, 24, 20, False),  # 20 per cent, but less than 5
        (RELATIVE, 25, 20, True),
        (POINTS, 8, 5, True),
        (POINTS, 7.9, 5, False),
        (POINTS, 3, 0, True),
    ],
)
def test_a_difference_matters_by_share_and_by_size(relevance, value, expected, met):
    assert relevance.is_met(value, expected) is met


@given(st.sampled_from([RELATIVE, POINTS]), VALUES)
def test_the_scale_leads_back_to_the_value(relevance, value):
    assert relevance.unscaled(relevance.scaled(value)) == pytest.approx(value, abs=1e-6)


@given(st.sampled_from([RELATIVE, POINTS]), VALUES, VALUES)
def test_the_scale_keeps_the_order(relevance, one, other):
    assert (relevance.scaled(one) < relevance.scaled(other)) <= (one < other)


def test_the_floor_is_a_fifth_of_what_matters():
    assert POINTS.floor == pytest.approx(0.6)
    assert RELATIVE.floor == pytest.approx(math.log(1.1) / 5)


@pytest.mark.parametrize(
    "keys", [{}, {"percent": 5}, {"at_least": 1}, {"percent": 5, "points": 3}, {"points": 0}, {"points": math.inf}]
)
def test_relevance_is_either_relative_or_in_points(keys):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(keys, Relevance)


def test_the_shipped_thresholds_know_every_kind():
    assert set(load_thresholds(SHIPPED).kinds) == set(Kind)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kinds": {}}, "`kinds` lacks downtime"),
        ({"fewest_nights": 50}, "`window_nights` is smaller"),
        ({"windows_nights": 3}, "unknown field `windows_nights`"),
        ({"suspects_per_night": 1.5}, "suspects_per_night"),
    ],
)
def test_thresholds_that_cannot_be_used_are_refused_by_name(tmp_path, change, said):
    path = tmp_path / "thresholds.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(SHIPPED.read_text()) | change))
    with pytest.raises(ThresholdsError, match=said):
        load_thresholds(path)


def test_a_file_that_is_not_there_or_no_yaml_is_one_sentence(tmp_path):
    with pytest.raises(ThresholdsError, match="cannot be read: No such file"):
        load_thresholds(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("kinds: [")
    with pytest.raises(ThresholdsError, match="is no YAML"):
        load_thresholds(tmp_path / "bad.yaml")
