"""The nearest name to a typo."""

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hosts.suggest import did_you_mean, nearest

KEYS = ["address", "port", "user", "key", "known_hosts", "data_address", "data_ports", "memory_mb"]


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("adress", "address"),
        ("Port", "port"),
        ("knownhosts", "known_hosts"),
        ("data_port", "data_ports"),
        ("memory", "memory_mb"),
        ("zzz", None),
        ("", None),
    ],
)
def test_nearest(typo, meant):
    assert nearest(typo, KEYS) == meant


def test_the_end_of_a_message():
    assert did_you_mean("adress", KEYS) == "; did you mean `address`?"
    assert did_you_mean("zzz", ["a", "b"]) == "; known: a, b"
    assert did_you_mean("zzz", []) == ""


@given(st.sampled_from(KEYS), st.data())
def test_a_letter_left_out_of_a_long_word_is_found(word, data):
    assume(len(word) > 5)
    at = data.draw(st.integers(0, len(word) - 1))
    assert nearest(word[:at] + word[at + 1 :], [word, "zzzzzz"]) == word


@given(st.text(string.printable), st.lists(st.text(string.printable)))
def test_the_suggestion_is_one_of_the_known(word, known):
    assert nearest(word, known) in [*known, None]
