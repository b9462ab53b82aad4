"""What a bench measures, in which order, and what it refuses."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from hosts.bench_plan import describe, expected_s, refuse_unfit, round_order, without_result
from hosts.config import load, parse
from hosts.errors import ConfigError
from hosts.grid import Block, blocks
from workers.bench_records import BenchedBlock
from workers.records import Status

GRID = {
    "models": {"vgg19": {}, "mobilenetv2": {}},
    "strategies": ["pause-resume", "switch-a2", "switch-b2"],
    "bench": {"rounds": 3, "burst_s": 5},
}
CONFIG = parse(GRID, "c")


def of(block, duration_s, number=1):
    return BenchedBlock(number, block.model, block.strategy, 100.0, 100.0, block.folder, Status.OK, None, duration_s)


def test_every_round_has_every_block_once():
    for number in (1, 2, 3):
        order = round_order(CONFIG, number)
        assert sorted(order, key=lambda block: block.folder) == sorted(blocks(CONFIG), key=lambda block: block.folder)


def test_rounds_have_orders_of_their_own_that_the_seed_gives_again():
    orders = [tuple(block.folder for block in round_order(CONFIG, number)) for number in range(1, 6)]
    assert len(set(orders)) == 5
    assert orders[1] == tuple(block.folder for block in round_order(parse(GRID, "c"), 2))
    assert orders[1] != tuple(block.folder for block in round_order(parse({**GRID, "seed": 2}, "c"), 2))


def test_over_many_rounds_each_strategy_comes_first_about_equally_often():
    firsts = [round_order(CONFIG, number)[0].strategy for number in range(600)]
    assert all(150 < firsts.count(strategy) < 250 for strategy in CONFIG.strategies)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"bench": {"baseline": "switch-b3"}}, ["bench.baseline", "switch-b3", "switch-b2"]),
        ({"strategies": ["switch-a2"]}, ["bench.baseline", "pause-resume"]),
        ({"detection": "estimated"}, ["bench.burst_s", "notified"]),
        ({"models": {"vgg19": {"partition": "optimal"}}}, ["models.vgg19.partition", "profile"]),
    ],
)
def test_a_config_that_no_bench_can_be_made_of_is_refused_by_its_key(changed, words):
    with pytest.raises(ConfigError) as refused:
        refuse_unfit(parse(GRID | changed, "c"), "my.yaml")
    assert all(word in str(refused.value) for word in ["my.yaml", *words])


def test_without_a_burst_the_edge_may_notice_by_itself():
    refuse_unfit(parse({**GRID, "detection": "estimated", "bench": {"burst_s": 0}}, "c"), "c")


@pytest.mark.parametrize("key", ["rounds", "burst_s", "burst_changes"])
def test_numbers_below_zero_are_refused(key):
    with pytest.raises(ConfigError, match=f"bench.{key}"):
        parse({**GRID, "bench": {key: -1}}, "c")


def test_what_belongs_to_the_bench_alone_leaves_measured_blocks_as_they_are():
    other = parse({**GRID, "bench": {"rounds": 9, "burst_changes": 1, "plane": False}}, "c")
    assert other.digest("vgg19") == CONFIG.digest("vgg19")


def test_a_block_takes_as_long_as_in_earlier_rounds():
    block, other = Block("vgg19", "switch-a2", 100.0, 100.0), Block("vgg19", "switch-b2", 100.0, 100.0)
    past = [of(block, 20.0), of(block, 30.0, 2), of(other, 99.0)]
    assert expected_s(CONFIG, block, past) == 25.0
    guessed = expected_s(CONFIG, block, [])
    assert guessed - expected_s(parse({**GRID, "bench": {"burst_s": 0}}, "c"), block, []) == pytest.approx(5.0)


def test_the_plan_counts_what_is_left():
    left = {1: [], 2: round_order(CONFIG, 2)[4:], 3: round_order(CONFIG, 3)}
    said = "\n".join(describe(CONFIG, left, [], 0, 1))
    assert "3 strategies × 2 models, 3 rounds" in said
    assert "18 blocks, 8 left" in said
    assert "ratios to pause-resume" in said
    assert "models that do nothing: 1" in said
    assert "data plane" not in "\n".join(describe(CONFIG, left, [], 0, 0))


def test_what_came_to_a_result_in_one_round_is_not_lacking():
    row = of(Block("vgg19", "switch-a2", 100.0, 100.0), 1.0)
    failed = replace(row, round=2, status=Status.FAILED, reason="gone")
    assert without_result([row, failed]) == []
    assert without_result([replace(row, status=Status.INFEASIBLE), failed]) == []
    lines = without_result([failed, replace(failed, round=3, reason="still gone")])
    assert lines == [f"{row.folder}: no result in any round (still gone)"]


def test_the_config_that_is_shipped_can_be_benched():
    for name in ("bench", "soak"):
        config = load(Path(__file__).parents[2] / f"config/{name}.yaml")
    refuse_unfit(load(Path(__file__).parents[2] / "config/bench.yaml"), "config/bench.yaml")
    assert config.fps == (20.0,)
