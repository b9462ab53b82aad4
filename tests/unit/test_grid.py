"""The blocks of a grid: what is left out, and an order in which no strategy is measured earlier than another."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.config import Exclusion, parse
from hosts.errors import ConfigError
from hosts.grid import Block, blocks, every_block, interleaved, is_excluded
from workers.strategies import STRATEGIES

AXES = {
    "models": {"vgg19": {}, "mobilenetv2": {}},
    "strategies": ["pause-resume", "switch-a2", "switch-b2"],
    "cpu_pct": [100, 50, 25],
    "mem_pct": [100, 10],
}
BLOCK = Block("vgg19", "switch-b2", 50.0, 100.0)


def grid(**changed):
    return parse({**AXES, **changed}, "c.yaml")


def problems(*exclude, **changed):
    with pytest.raises(ConfigError) as refused:
        grid(exclude=list(exclude), **changed)
    return [line.removeprefix("c.yaml: ") for line in str(refused.value).splitlines()]


# --- exclusions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "left_out"),
    [
        ({"model": "vgg19"}, True),
        ({"model": "mobilenetv2"}, False),
        ({"strategy": ["switch-a2", "switch-b2"]}, True),
        ({"cpu_pct": 50}, True),
        ({"cpu_pct": [100, 25]}, False),
        ({"model": "vgg19", "strategy": "switch-b2", "cpu_pct": 50, "mem_pct": 100}, True),
        ({"model": "vgg19", "strategy": "switch-b2", "cpu_pct": 50, "mem_pct": 10}, False),
    ],
)
def test_a_block_is_left_out_if_it_matches_every_key_that_is_given(entry, left_out):
    assert is_excluded(BLOCK, grid(exclude=[entry]).exclude[0]) is left_out


def test_entries_add_up():
    kept = blocks(grid(exclude=[{"model": "vgg19", "cpu_pct": [50, 25]}, {"strategy": "switch-a2", "mem_pct": 10}]))
    assert len(kept) == 36 - 12 - (2 * 3 - 2)
    assert not [block for block in kept if block.model == "vgg19" and block.cpu_pct != 100]
    assert not [block for block in kept if block.strategy == "switch-a2" and block.mem_pct == 10]


@given(st.data())
def test_what_is_left_is_what_no_entry_matches(data):
    def some(values):
        return st.none() | st.sampled_from(values) | st.lists(st.sampled_from(values), min_size=1).map(tuple)

    entry = Exclusion(
        data.draw(some(list(AXES["models"]))),
        data.draw(some(AXES["strategies"])),
        data.draw(some([100.0, 50.0, 25.0])),
        data.draw(some([100.0, 10.0])),
    )
    whole = every_block(grid())
    kept = [block for block in whole if not is_excluded(block, entry)]
    matched = 1
    for key, axis in zip(("model", "strategy", "cpu_pct", "mem_pct"), AXES.values(), strict=True):
        matched *= len(set(entry.given().get(key, axis)))
    assert len(whole) - len(kept) == matched


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ({"strategy": "swich-b2"}, "strategy: 'swich-b2' is not among `strategies`; did you mean `switch-b2`?"),
        (
            {"strategy": "switch-a1", "cpu_pct": 50},
            "strategy: 'switch-a1' is not among `strategies`; did you mean `switch-a2`?",
        ),
        ({"model": ["vgg19", "vgg16"]}, "model: 'vgg16' is not among `models`; did you mean `vgg19`?"),
        ({"cpu_pct": 30}, "cpu_pct: 30 is not among `cpu_pct`; did you mean 25?"),
        ({"mem_pct": [10, 12.5]}, "mem_pct: 12.5 is not among `mem_pct`; did you mean 10?"),
    ],
)
def test_a_value_that_the_grid_does_not_have_is_named_with_its_path_and_the_nearest(entry, line):
    assert problems({"model": "vgg19"}, entry) == [f"exclude[1].{line}"]


def test_an_unknown_key_is_named():
    assert problems({"stratgy": "switch-b2"}) == ["exclude[0].stratgy: unknown key; did you mean `strategy`?"]


def test_an_entry_that_gives_nothing_is_a_mistake():
    first, *_ = problems({})
    assert first == "exclude[0]: would leave out everything; give at least one of model, strategy, cpu_pct, mem_pct"


def test_an_entry_that_matches_nothing_is_a_mistake():
    assert problems({"model": []}) == ["exclude[0]: matches no block; give each key a value, or leave the key out"]


@pytest.mark.parametrize(
    "exclude", [[{"cpu_pct": [100, 50, 25]}], [{"model": "vgg19"}, {"mem_pct": 100}, {"mem_pct": 10}]]
)
def test_leaving_out_everything_is_a_mistake(exclude):
    assert problems(*exclude) == ["exclude: leaves out all 36 blocks; nothing would be measured. Remove an entry"]


# --- order --------------------------------------------------------------------------------------------------

models = st.lists(st.sampled_from(["vgg19", "mobilenetv2", "resnet50"]), min_size=1, unique=True)
levels = st.lists(st.sampled_from([100.0, 75.0, 50.0, 25.0, 10.0]), min_size=1, unique=True)
names = st.lists(st.sampled_from(list(STRATEGIES)), min_size=1, unique=True)


@st.composite
def grids(draw):
    """Return a grid, whole or with some blocks missing."""
    whole = [
        Block(model, strategy, cpu_pct, mem_pct)
        for model in draw(models)
        for strategy in draw(names)
        for cpu_pct in draw(levels)
        for mem_pct in draw(levels)
    ]
    return draw(st.lists(st.sampled_from(sorted(set(whole), key=str)), min_size=1, unique=True))


@given(grids(), st.integers(0, 2**32 - 1))
def test_every_block_has_its_turn_once(some, seed):
    assert sorted(interleaved(some, seed), key=str) == sorted(some, key=str)


@given(grids(), st.integers(0, 2**32 - 1), st.randoms())
def test_the_order_depends_on_the_blocks_and_the_seed_alone(some, seed, chance):
    turned = list(some)
    chance.shuffle(turned)
    assert interleaved(turned, seed) == interleaved(some, seed)


@given(grids(), st.integers(0, 2**32 - 1))
def test_at_no_time_is_a_strategy_far_ahead_of_its_share_or_behind_it(some, seed):
    whole = Counter(block.strategy for block in some)
    seen = Counter()
    for place, block in enumerate(interleaved(some, seed), start=1):
        seen[block.strategy] += 1
        for strategy, count in whole.items():
            # Each block lies within its strategy's share of the time, and so do those of the others.
            assert abs(seen[strategy] - place / len(some) * count) < 1 + (len(whole) - 1) * count / len(some) + 1e-9


def test_in_a_whole_grid_every_strategy_has_its_turn_in_every_round():
    order = blocks(grid())
    for first in range(0, len(order), 3):
        assert {block.strategy for block in order[first : first + 3]} == set(AXES["strategies"])


@pytest.mark.parametrize("seed", range(20))
def test_in_the_papers_grid_no_strategy_model_or_level_is_early_or_late_on_average(seed):
    paper = grid(
        strategies=[name for name in STRATEGIES if name != "pause-resume-inprocess"],
        cpu_pct=[100, 75, 50, 25],
        mem_pct=[100, 75, 50, 25, 10],
        seed=seed,
    )
    order = blocks(paper)
    middle = (len(order) - 1) / 2
    for key in ("model", "strategy", "cpu_pct", "mem_pct"):
        for value in {getattr(block, key) for block in order}:
            places = [place for place, block in enumerate(order) if getattr(block, key) == value]
            assert abs(sum(places) / len(places) - middle) < 0.1 * len(order)


def test_the_order_of_a_seed_stays_the_same_on_every_machine_and_python():
    small = grid(models={"vgg19": {}}, cpu_pct=[100, 50], mem_pct=[100])
    assert [(block.strategy, block.cpu_pct) for block in blocks(small)] == [
        ("pause-resume", 100.0),
        ("switch-a2", 100.0),
        ("switch-b2", 50.0),
        ("switch-a2", 50.0),
        ("switch-b2", 100.0),
        ("pause-resume", 50.0),
    ]
