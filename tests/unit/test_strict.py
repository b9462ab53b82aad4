"""Strict decoding: all problems at once, each with its path."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.errors import ConfigError
from hosts.strict import decode, problems, read_yaml


class Inner(msgspec.Struct, frozen=True):
    name: str
    size: int = 1


class Outer(msgspec.Struct, frozen=True):
    inner: Inner
    kind: Literal["big", "small"] = "big"
    rates: tuple[float, ...] = ()
    pair: tuple[int, str] = (1, "a")
    several: list[Inner] = []
    by_speed: Literal["paper"] | dict[float, str | int] = "paper"
    maybe: Inner | None = None


class Even(msgspec.Struct, frozen=True):
    number: int

    def __post_init__(self):
        if self.number % 2:
            raise ValueError("must be even")


class Holder(msgspec.Struct, frozen=True):
    even: Even


def test_good_data_becomes_the_struct():
    data = {
        "inner": {"name": "x"},
        "kind": "small",
        "rates": [1, 2.5],
        "pair": [3, "b"],
        "several": [{"name": "y", "size": 2}],
        "by_speed": {20: "input", 5.0: 7},
        "maybe": None,
    }
    found = decode(data, Outer, "file")
    assert found == Outer(Inner("x"), "small", (1.0, 2.5), (3, "b"), [Inner("y", 2)], {20.0: "input", 5.0: 7}, None)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"innr": 1}, "innr: unknown key; did you mean `inner`?"),
        ({"qqqqq": 1}, "qqqqq: unknown key; known: inner, kind, rates, pair, several, by_speed, maybe"),
        ({"inner": {}}, "inner.name: is missing"),
        (
            {"inner": {"name": "x", "size": "2"}},
            "inner.size: expected `int`, got `str`, found '2', which YAML takes for text; write 2",
        ),
        ({"inner": {"name": "x", "sise": 2}}, "inner.sise: unknown key; did you mean `size`?"),
        ({"inner": None}, "inner: holds nothing; write a mapping with `name`"),
        ({"inner": [1]}, "inner: expected a mapping, got a list, found [1]"),
        ({"kind": "smal"}, "kind: cannot be 'smal'; did you mean `small`?"),
        ({"kind": 3}, "kind: expected big or small, found 3"),
        ({"rates": [1, "x"]}, "rates[1]: expected `float`, got `str`, found 'x'"),
        ({"rates": 1}, "rates: expected a list, got `int`, found 1"),
        ({"pair": ["x", "b"]}, "pair[0]: expected `int`, got `str`, found 'x'"),
        ({"pair": [1]}, "pair: expected a list of length 2, got 1, found [1]"),
        ({"several": [{"name": "a"}, {"nam": "b"}]}, "several[1].nam: unknown key; did you mean `name`?"),
        ({"by_speed": "papr"}, "by_speed: cannot be 'papr'; did you mean `paper`?"),
        ({"by_speed": {"fast": "x"}}, "by_speed.fast (the key): expected `float`, got `str`, found 'fast'"),
        ({"by_speed": {20: [1]}}, "by_speed.20: expected `int | str`, got a list, found [1]"),
        ({"by_speed": [1, 2]}, "by_speed: expected paper or a mapping, found [1, 2]"),
        ({"by_speed": None}, "by_speed: holds nothing; write paper or a mapping, or leave the key out"),
        ({"kind": None}, "kind: holds nothing; write big or small, or leave the key out"),
        ({"several": [None]}, "several[0]: holds nothing; write a mapping with `name`"),
        ({"qq": 1, "zz": 2}, "qq, zz: unknown keys; known: inner, kind, rates, pair, several, by_speed, maybe"),
        ({"maybe": {"name": 1}}, "maybe.name: expected `str`, got `int`, found 1"),
    ],
)
def test_a_problem_has_the_path_of_its_key(changes, problem):
    data = {"inner": {"name": "x"}} | changes
    assert problem in list(problems(data, Outer))
    with pytest.raises(ConfigError) as caught:
        decode(data, Outer, "file.yaml")
    assert f"file.yaml: {problem}" in str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("1e9", "1.0e+9 or 1000000000"),
        ("2.5e-3", "2.5e-3 or 0.0025"),
        ("-1E+3", "-1.0e+3 or -1000"),
        ("1e99", "1.0e+99"),
        ("20", "20"),
    ],
)
def test_a_number_that_yaml_takes_for_text_is_told_how_to_be_written(tmp_path, text, advice):
    (problem,) = problems({"inner": {"name": "x"}, "rates": [text]}, Outer)
    assert (
        problem == f"rates[0]: expected `float`, got `str`, found {text!r}, which YAML takes for text; write {advice}"
    )
    for way in advice.split(" or "):
        (tmp_path / "a.yaml").write_text(f"inner: {{name: x}}\nrates: [{way}]\n")
        assert decode(read_yaml(tmp_path / "a.yaml", "config"), Outer, "a").rates == (float(text),)


@pytest.mark.parametrize("text", ["fast", "nan", "Infinity", "", "1e"])
def test_text_that_is_no_number_is_not(text):
    (problem,) = problems({"inner": {"name": "x"}, "rates": [text]}, Outer)
    assert problem == f"rates[0]: expected `float`, got `str`, found {text!r}"


def test_a_whole_number_is_told_to_be_written_without_an_exponent():
    (whole,) = problems({"inner": {"name": "x", "size": "1e3"}}, Outer)
    (broken,) = problems({"inner": {"name": "x", "size": "1e-3"}}, Outer)
    assert whole.endswith("write 1000")
    assert broken.endswith("found '1e-3'")


def test_many_unknown_keys_are_one_line():
    strange = {f"qqqq{n}": n for n in range(9)}
    (problem,) = problems({"inner": {"name": "x"}} | strange, Outer)
    assert problem.startswith("qqqq0, qqqq1, qqqq2, qqqq3, qqqq4 and 4 more: unknown keys; known: inner, ")


def test_what_aliases_blow_up_is_shown_in_a_few_letters():
    grown = ["x"] * 9
    for _ in range(30):
        grown = [grown] * 9
    (problem,) = problems({"inner": {"name": "x"}, "rates": grown[:1]}, Outer)
    assert problem.startswith("rates[0]: expected `float`, got a list, found [[[")
    assert len(problem) < 100


def test_all_problems_come_at_once():
    data = {"inner": {"size": "x"}, "kind": "bg", "rates": ["a", 1, "b"], "zzz": 0}
    assert [problem.split(":")[0] for problem in problems(data, Outer)] == [
        "inner.size",
        "inner.name",
        "kind",
        "rates[0]",
        "rates[2]",
        "zzz",
    ]


def test_a_rule_across_fields_has_its_path_too():
    with pytest.raises(ConfigError, match=r"^file: even: must be even$"):
        decode({"even": {"number": 3}}, Holder, "file")


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["inner", "kind", "name", "size", "rates", "by_speed", "x"]), inner)
    ),
    max_leaves=8,
)


@given(values)
def test_no_problem_found_means_that_msgspec_takes_it(data):
    """And the other way round, but for unknown keys, which msgspec ignores here."""
    found = list(problems(data, Outer))
    if not found:
        msgspec.convert(data, Outer)
    elif not any("unknown key" in problem for problem in found):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(data, Outer)


def test_yaml_is_read(tmp_path):
    (tmp_path / "a.yaml").write_text("a: &x {b: 1}\nc: {<<: *x, d: 2}\n")
    assert read_yaml(tmp_path / "a.yaml", "config") == {"a": {"b": 1}, "c": {"b": 1, "d": 2}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"a: [1, 2\nb: 3\n", r"a\.yaml:2:2: not valid YAML: expected"),
        (b"a: 1\nb: 2\na: 3\n", r"a\.yaml:3:1: not valid YAML: the key `a` is given twice"),
        (b"a:\n\t- 1\n", r"a\.yaml:2:1: not valid YAML: .*'\\t'"),
        (b"\xff\xfe\xff", r"a\.yaml: is not UTF-8 text .* Save the config as UTF-8"),
        (b"x: " + b"[" * 3000, r"a\.yaml:1:33: not valid YAML: nested more than 30 levels deep"),
        (b"\n".join(b" " * n + b"a:" for n in range(300)), r"a\.yaml:30:30: not valid YAML: nested more than 30"),
        (b"a: \x00", r"a\.yaml: not valid YAML"),
        (b"? [1, 2]\n: 3\n", r"a\.yaml:1:3: not valid YAML: found unhashable key"),
    ],
)
def test_bad_yaml_is_refused_with_its_place(tmp_path, text, words):
    (tmp_path / "a.yaml").write_bytes(text)
    with pytest.raises(ConfigError, match=words) as caught:
        read_yaml(tmp_path / "a.yaml", "config")
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file.*config file"):
        read_yaml(tmp_path / "none.yaml", "config")
