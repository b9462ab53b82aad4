"""Downtime against memory: where strategies stand, and which of them no other one beats."""

import math

import pytest

from report.figures import plots
from report.load import load_results
from report.metrics.statistics import Interval
from report.tables import build_tables
from report.theme import style
from report.tradeoff import TradeOff, finding, front, paper_trade_offs, trade_offs
from tests.synthetic import RunSpec, write_block


def around(value, by=0.0):
    return Interval(value, value - by, value + by, 8, 0.96)


UNKNOWN = Interval(math.nan, math.nan, math.nan, 0, 0.0)


def point(strategy, memory, downtime, charged=None, by=0.01, model="m"):
    """Return a strategy on a pipeline of 1000 MB, which has a spread of its own that must not matter."""
    pss = around(1000 * (1 + memory), 1000 * by)
    charge = UNKNOWN if charged is None else around(1000 * (1 + charged), 1000 * by)
    times = downtime if isinstance(downtime, Interval) else around(downtime, downtime * by)
    return TradeOff(model, strategy, around(memory, 0.5), times, pss, charge, 50.0)


def names(points):
    return [found.strategy for found in points]


def test_what_is_better_in_one_and_not_worse_in_the_other_beats():
    fast, slow, large = point("fast", 0.0, 1.0), point("slow", 0.0, 100.0), point("large", 1.0, 1.0)
    assert fast.beats(slow)
    assert fast.beats(large)
    assert not slow.beats(large)  # less memory, but longer
    assert not large.beats(slow)
    assert not fast.beats(fast)


def test_intervals_that_overlap_decide_nothing():
    one, other = point("one", 0.0, 100.0, by=0.1), point("other", 0.0, 110.0, by=0.1)
    assert not one.beats(other)
    assert names(front([one, other])) == ["one", "other"]


def test_less_memory_than_noise_is_none():
    assert not point("one", 0.00, 1.0, by=0.001).beats(point("other", 0.04, 1.0, by=0.001))
    assert point("one", 0.00, 1.0, by=0.001).beats(point("other", 0.06, 1.0, by=0.001))


def test_memory_is_less_only_where_both_measures_say_so():
    lean, other = point("lean", -0.1, 100.0, charged=0.0), point("other", 0.0, 1.0, charged=0.0)
    assert names(front([lean, other])) == ["other"]
    lean = point("lean", -0.1, 100.0, charged=-0.1)
    assert names(front([lean, other])) == ["lean", "other"]


def test_without_an_interval_the_median_stands_for_itself():
    alone = Interval(5.0, math.nan, math.nan, 1, 0.0)
    assert point("one", 0.0, alone).beats(point("other", 0.0, around(6.0)))


def test_the_papers_own_front_is_its_a2():
    assert names(front(paper_trade_offs())) == ["switch-a2"]
    stands = {found.strategy: (found.memory.median, found.downtime.median) for found in paper_trade_offs()}
    assert stands == {
        "pause-resume": (0.0, 6000.0),
        "switch-a1": (1.0, 0.98),
        "switch-a2": (0.0, 0.98),
        "switch-b1": (1.0, 1900.0),
        "switch-b2": (0.0, 600.0),
    }


@pytest.fixture
def tables(tmp_path):
    def runs(rest, peak, ms):
        memory = {"rest_mb": {"edge": rest, "cloud": 900.0}, "peak_mb": {"edge": peak, "cloud": 900.0}}
        return [RunSpec(routed_ms=ms + i / 100, repeat=i, **memory) for i in range(8)]

    write_block(tmp_path, runs(700.0, 700.0, 2000.0), strategy="pause-resume")
    write_block(tmp_path, runs(1400.0, 1400.0, 0.3), strategy="switch-a1")
    write_block(tmp_path, runs(700.0, 1050.0, 500.0), strategy="switch-hot")
    return build_tables(load_results(tmp_path))


def test_memory_is_the_ratio_of_the_largest_to_one_pipeline_at_rest_minus_that_one(tables):
    stands = {found.strategy: found for found in trade_offs(tables)}
    assert {name: found.memory.median for name, found in stands.items()} == {
        "pause-resume": pytest.approx(0.0),
        "switch-a1": pytest.approx(1.0),
        "switch-hot": pytest.approx(0.5),
    }
    assert stands["switch-hot"].charged.median == pytest.approx(945.0)  # nine tenths
    assert stands["switch-hot"].pss.median == pytest.approx(1050.0)
    assert (stands["switch-hot"].memory.low, stands["switch-hot"].memory.n) == (pytest.approx(0.5), 8)
    assert stands["switch-hot"].noise_mb == pytest.approx(35.0)


def test_the_finding_names_the_front_and_what_beats_the_others(tables):
    points = trade_offs(tables)
    assert finding(points).replace("\xa0", " ") == (
        "vgg19: on the Pareto front pause-resume (2.00 s, ±0 % memory), switch-hot (500 ms, +50 % memory) and "
        "switch-a1 (0.335 ms, +100 % memory). On that of the paper's own figures: switch-a2."
    )
    beaten = point("switch-warm", 1.5, around(900.0), model="vgg19")
    assert "Not on it: switch-warm beaten by switch-a1 and switch-hot." in finding([*points, beaten])


def test_a_strategy_that_is_not_the_papers_is_drawn_with_its_own_stable_look(tables):
    (found,) = (plot for plot in plots(tables) if plot.name == "tradeoff")
    drawn = found.render()["svg"].decode()
    assert ">switch-hot<" in drawn
    assert style("switch-hot").light in drawn
    assert style("switch-hot") != style("switch-warm")
    assert ">Pareto front<" in drawn
    assert ">Switching B1: new container<" in drawn  # the paper's point, though not measured
