"""Which points a soak switches among, and in which order."""

import itertools

import pytest

from hosts.hot import pareto
from hosts.soak_plan import FIRST_CHANGE, chosen, order_count, orders
from workers.bench_records import Ordered
from workers.errors import PartitionError
from workers.partition import PartitionPoint

SIZES = {"input": 600, "conv": 3200, "pool": 800, "deep": 400, "same": 400, "output": 4}
POINTS = [
    PartitionPoint(index, name, name, (1,), size, 0, 0, 0, 0)
    for index, (name, size) in enumerate(SIZES.items(), start=1)
]


def test_pareto_points_are_smaller_than_all_before_them():
    assert pareto(POINTS) == (1, 4, 6)


@pytest.mark.parametrize(
    ("wanted", "indices"),
    [("pareto", (1, 4, 6)), ("all", (1, 2, 3, 4, 5, 6)), ("pool, input", (1, 3)), ("6,2,2", (2, 6))],
)
def test_points_are_chosen_by_name_index_or_kind(wanted, indices):
    assert chosen(POINTS, wanted) == indices


def test_a_point_that_there_is_not_is_named():
    with pytest.raises(PartitionError, match="poool"):
        chosen(POINTS, "input,poool")


def test_no_order_goes_where_the_one_before_went_and_all_points_come_up():
    drawn = list(itertools.islice(orders((1, 4, 6), 7, ()), 300))
    assert all(one.point != other.point for one, other in itertools.pairwise(drawn))
    assert {order.point for order in drawn} == {1, 4, 6}
    assert [order.run for order in drawn] == list(range(FIRST_CHANGE, FIRST_CHANGE + 300))


def test_the_seed_decides():
    first, again, other = (tuple(itertools.islice(orders((1, 4, 6), seed, ()), 50)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("seed", range(5))
def test_a_soak_starts_at_a_point_that_is_kept_ready(seed):
    assert next(orders((1, 4, 6), seed, (4,))) == Ordered(FIRST_CHANGE, 4)


@pytest.mark.parametrize(("minutes", "every_ms", "count"), [(10, 100, 6000), (12 / 60, 100, 120), (0.1, 6000, 1)])
def test_as_many_orders_fall_due_as_fit_into_the_time(minutes, every_ms, count):
    assert order_count(minutes, every_ms) == count
