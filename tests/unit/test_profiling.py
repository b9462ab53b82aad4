"""Rounds, and to which layer their times count: pure parts of the profile."""

from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.profiling import BUDGET_S, LEAST_ROUNDS, Round, by_layer, layer_of, scaled, take_rounds


class Host:
    """Rounds of so many seconds each, by a clock that they alone move on."""

    def __init__(self, lasts_s):
        self.lasts_s, self.now_s, self.count = lasts_s, 100.0, 0

    def call_all(self):
        self.now_s += self.lasts_s
        self.count += 1
        return Round(float(self.count), {}, {})

    def rounds(self, repetitions):
        return take_rounds(self.call_all, repetitions, lambda: self.now_s)


@pytest.mark.parametrize(
    ("lasts_s", "expected"),
    [
        (0.1, 15),  # quick: as many as were asked for
        (BUDGET_S / 9.5, 10),  # the budget ends it
        (BUDGET_S, LEAST_ROUNDS),  # slow: as many as an interval needs
    ],
)
def test_rounds_are_bound_by_number_and_by_time(lasts_s, expected):
    assert len(Host(lasts_s).rounds(15)) == expected


def test_no_more_rounds_than_asked_for_however_few():
    assert [each.whole_ms for each in Host(BUDGET_S).rounds(2)] == [1.0, 2.0]


@given(lasts_s=st.floats(0.001, 50), repetitions=st.integers(1, 40))
def test_rounds_of_any_host(lasts_s, repetitions):
    count = len(Host(lasts_s).rounds(repetitions))
    assert min(LEAST_ROUNDS, repetitions) <= count <= repetitions
    if count > LEAST_ROUNDS:
        assert (count - 1) * lasts_s < BUDGET_S + 1e-6


@pytest.mark.parametrize(
    ("node", "index"),
    [
        ("layer_3/block1_conv1/Relu", 3),
        ("layer_154/point", 154),
        ("ConstantFolding/layer_12/reshape", 12),
        ("layer_4/inner/layer_9/add", 4),  # a model in a model: the outer scope counts
        ("frame", None),
        ("weight_3", None),
        ("my_layer_3/add", None),
        ("layer_3", None),
    ],
)
def test_a_node_belongs_to_the_layer_in_whose_scope_it_lies(node, index):
    assert layer_of(node) == index


def test_a_layers_time_is_that_of_its_operations():
    runs = [{"layer_1/cast": 1.0, "layer_3/conv": 4.0, "layer_3/add": 0.5, "_retval": 9.0}, {"layer_3/conv": 5.0}]
    assert by_layer(runs, 3) == ((1.0, 0.0), (0.0, 0.0), (4.5, 5.0))


TIMES = st.integers(1, 9).flatmap(
    lambda count: st.lists(st.lists(st.floats(0, 1e3), min_size=count, max_size=count).map(tuple), min_size=1)
)


@given(TIMES, st.floats(0.01, 1e4))
def test_medians_of_scaled_layers_add_up_to_the_whole(layers_ms, whole_ms):
    found = scaled(layers_ms, whole_ms)
    assert [len(samples) for samples in found] == [len(samples) for samples in layers_ms]
    total_ms = sum(median(samples) for samples in layers_ms)
    if total_ms > 1e-3:
        assert sum(median(samples) for samples in found) == pytest.approx(whole_ms)


def test_layers_without_any_time_stay_without():
    assert scaled([(0.0, 0.0)], 5.0) == ((0.0, 0.0),)
