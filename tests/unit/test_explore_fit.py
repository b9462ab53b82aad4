"""Which runs a page carries that cannot carry all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from report.explore.fit import chosen, fitting

MARKED = st.lists(st.booleans(), max_size=60).map(lambda flags: np.array(flags, dtype=bool))


@given(MARKED, st.integers(0, 80))
def test_marked_rows_go_first_and_none_stands_twice(marked, count):
    rows = chosen(marked, count)
    assert len(rows) == min(count, len(marked))
    assert (np.diff(rows) > 0).all()
    assert marked[rows].sum() == min(count, marked.sum())


def test_the_same_rows_are_drawn_every_time():
    marked = np.arange(1000) % 50 == 0
    assert (chosen(marked, 200) == chosen(marked, 200)).all()
    others = np.setdiff1d(chosen(marked, 200), np.flatnonzero(marked))
    assert others.min() < 100
    assert others.max() > 900  # from everywhere, not the first ones


def text_of(rows):
    return "x" * (10 + 7 * len(rows))


@pytest.mark.parametrize(("most", "expected"), [(710, 100), (709, None), (100, None), (12, 0), (9, 0)])
def test_as_many_as_fit_are_taken(most, expected):
    rows, text = fitting(np.zeros(100, dtype=bool), text_of, most)
    assert text == text_of(rows)
    assert len(text) <= max(most, 10)
    if expected is None:
        assert len(rows) > 0.9 * (most - 10) / 7 - 2
    else:
        assert len(rows) == expected
