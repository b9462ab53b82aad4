"""Columns as the page carries them: unpacked they are what they were, to four digits, and no text of them is markup."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from report.explore.columns import DIGITS, as_json, numbers, packed, rounded


def unpacked(text):
    """What ``templates/explore.js`` makes of a packed column."""
    column = json.loads(text)
    values = column["values"]
    if "words" in column:
        values = [None if place < 0 else column["words"][place] for place in values]
    if "lengths" in column:
        values = [value for value, times in zip(values, column["lengths"], strict=True) for _ in range(times)]
    return values


@given(st.lists(st.none() | st.sampled_from(["ok", "failed", "", "</script>", "é🙂", "\u2028"]), max_size=30))
def test_texts_survive(texts):
    assert unpacked(packed(pd.Series(texts, dtype="string"))) == texts


@given(st.lists(st.none() | st.integers(-(2**50), 2**50), max_size=30))
def test_whole_numbers_survive(values):
    assert unpacked(packed(pd.Series(values, dtype="Int64"))) == values


def test_truth_is_one_or_zero():
    assert unpacked(packed(pd.Series([True, None, False], dtype="boolean"))) == [1, None, 0]


@given(st.floats(1e-9, 1e12) | st.floats(-1e12, -1e-9))
def test_numbers_keep_four_significant_digits(value):
    (short,) = unpacked(packed(pd.Series([value])))
    assert math.isclose(short, value, rel_tol=0.5001 * 10 ** (1 - DIGITS))
    assert float(value).is_integer() or len(f"{abs(short):.15g}".replace(".", "").strip("0").split("e")[0]) <= DIGITS


@pytest.mark.parametrize(
    ("value", "text"),
    [(3651.4, "3651"), (0.31872, "0.3187"), (100.0, "100"), (123456.0, "123456"), (123456.7, "123500")],
)
def test_numbers_are_written_short(value, text):
    assert numbers(rounded(np.array([value]))) == f"[{text}]"


def test_what_is_not_known_or_infinite_is_null():
    assert numbers(rounded(np.array([math.nan, math.inf, -math.inf, 2.0]))) == "[null,null,null,2]"


def test_equal_neighbours_stand_together_where_that_is_shorter():
    assert json.loads(packed(pd.Series([5.0] * 100))) == {"values": [5], "lengths": [100]}
    assert "lengths" not in json.loads(packed(pd.Series([5.0, 20.0] * 50)))
    gaps = pd.Series([None, None, None, 1.5, 1.5, 1.5], dtype="float64")
    assert unpacked(packed(gaps)) == [None] * 3 + [1.5] * 3


HOSTILE = ["</script><img src=x onerror=alert(1)>", "<!--<script>", "&lt;", '"\\', "\u2028"]


def test_no_text_ends_the_script_or_begins_a_tag():
    text = packed(pd.Series(HOSTILE, dtype="string")) + as_json({name: name for name in HOSTILE})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(as_json(HOSTILE)) == HOSTILE
