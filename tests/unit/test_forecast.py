"""How long blocks should take: by rules of thumb, and better by blocks like them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.config import parse
from hosts.forecast import Split, edge_memory_mb, forecast, most_alike, rule_of_thumb
from hosts.grid import Block, blocks
from hosts.inventory import load as load_inventory
from tests.unit.past_records import past_of
from workers.records import Status
from workers.strategies import STRATEGIES

CONFIG = parse(
    {
        "models": {"vgg19": {}, "mobilenetv2": {}},
        "strategies": ["pause-resume", "switch-a1", "switch-b2"],
        "cpu_pct": [100, 50],
        "mem_pct": [100, 10],
    },
    "c",
)
RUNS = 10
ROOMY_MB = 7000.0
PLAIN = Block("mobilenetv2", "switch-b2", 100.0, 100.0)


def block(**changed):
    values = {"model": "mobilenetv2", "strategy": "switch-b2", "cpu_pct": 100.0, "mem_pct": 100.0} | changed
    return Block(**values)


def thumb_s(runs=RUNS, *, fits=True, **changed):
    return rule_of_thumb(CONFIG, block(**changed), runs, fits=fits).total_s


def expected(one, past=(), edge_mb=ROOMY_MB):
    (found,) = [entry for entry in forecast(CONFIG, past, edge_mb) if entry.block == one]
    return found


# --- rules of thumb -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("longer", "shorter"),
    [
        ({"strategy": "pause-resume"}, {"strategy": "switch-b2"}),
        ({"strategy": "switch-b1"}, {"strategy": "switch-b2"}),
        ({"strategy": "switch-b2"}, {"strategy": "switch-a2"}),
        ({"cpu_pct": 25.0}, {"cpu_pct": 50.0}),
        ({"cpu_pct": 50.0}, {"cpu_pct": 100.0}),
        ({"model": "vgg19"}, {"model": "mobilenetv2"}),
        ({"runs": 11}, {"runs": 10}),
        ({}, {"fits": False}),
    ],
)
def test_what_takes_longer(longer, shorter):
    assert thumb_s(**longer) > thumb_s(**shorter)


@pytest.mark.parametrize("strategy", [*STRATEGIES, "of-ones-own"])
def test_a_run_takes_at_least_its_windows(strategy):
    run_s = thumb_s(strategy=strategy, runs=2) - thumb_s(strategy=strategy, runs=1)
    assert 1.6 < run_s < 12


@given(st.floats(1, 100), st.integers(1, 100), st.booleans())
def test_no_part_of_a_block_takes_less_than_no_time(cpu_pct, runs, fits):
    assert min(rule_of_thumb(CONFIG, block(cpu_pct=cpu_pct), runs, fits=fits)) >= 0


def test_a_split_adds_up():
    assert Split(1.0, 2.0, 3.0, 4.0).times(2).total_s == 20.0


# --- blocks alike -------------------------------------------------------------------------------------------


def test_what_is_measured_is_not_forecast():
    past = [past_of(CONFIG, one) for one in blocks(CONFIG)[:5]]
    assert [entry.block for entry in forecast(CONFIG, past, ROOMY_MB)] == blocks(CONFIG)[5:]


def test_without_anything_measured_all_is_a_guess():
    found = forecast(CONFIG, [], ROOMY_MB)
    assert len(found) == len(blocks(CONFIG))
    assert {entry.likes for entry in found} == {0}


@given(st.floats(0.2, 5.0))
def test_a_machine_that_is_slower_by_a_factor_is_forecast_slower_by_it(factor):
    old = past_of(CONFIG, PLAIN, duration_s=factor * thumb_s())
    found = expected(block(cpu_pct=50.0), [old])
    assert found.likes == 1
    assert found.split.total_s == pytest.approx(factor * thumb_s(cpu_pct=50.0))


def test_a_block_of_another_length_counts_by_its_runs():
    old = past_of(CONFIG, PLAIN, duration_s=2 * thumb_s(runs=4), runs=4)
    assert expected(block(cpu_pct=50.0), [old]).split.total_s == pytest.approx(2 * thumb_s(cpu_pct=50.0))


def test_the_middle_of_several_counts():
    olds = [past_of(CONFIG, PLAIN, duration_s=factor * thumb_s()) for factor in (1.0, 1.5, 9.0)]
    found = expected(block(cpu_pct=50.0), olds)
    assert found.likes == 3
    assert found.split.total_s == pytest.approx(1.5 * thumb_s(cpu_pct=50.0))


def test_a_block_that_failed_tells_nothing_of_others():
    old = past_of(CONFIG, PLAIN, duration_s=999.0, status=Status.FAILED)
    assert expected(block(cpu_pct=50.0), [old]).likes == 0


def test_the_most_alike_are_of_the_same_strategy_then_model_then_cpu_level():
    same, other_model, other_cpu, other = (
        past_of(CONFIG, one)
        for one in (
            block(mem_pct=10.0),
            block(model="vgg19"),
            block(cpu_pct=50.0),
            block(strategy="pause-resume"),
        )
    )
    assert most_alike(PLAIN, [other_model, other_cpu, same, other]) == [same]
    assert most_alike(PLAIN, [other_model, other_cpu, other]) == [other_cpu]
    assert most_alike(PLAIN, [other_model, other]) == [other_model]
    assert most_alike(PLAIN, [other]) == []


# --- memory -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "edge_mb", "fits"),
    [
        ({"model": "vgg19", "mem_pct": 10.0}, 7000.0, False),
        ({"model": "vgg19"}, 7000.0, True),
        ({"mem_pct": 10.0}, 7000.0, True),
        ({"mem_pct": 10.0, "strategy": "switch-a1"}, 2000.0, False),  # keeps two
        ({"mem_pct": 10.0}, 2000.0, True),
        ({"model": "vgg19", "mem_pct": 10.0}, None, True),
    ],
)
def test_what_fits_by_its_size(changed, edge_mb, fits):
    assert expected(block(**changed), edge_mb=edge_mb).fits is fits


@pytest.mark.parametrize(("status", "fits"), [(Status.OK, True), (Status.INFEASIBLE, False)])
def test_what_was_seen_counts_more_than_a_size(status, fits):
    tight = block(model="vgg19", mem_pct=10.0)
    old = past_of(CONFIG, tight, status=status)
    assert expected(block(model="vgg19", mem_pct=10.0, cpu_pct=50.0), [old]).fits is fits


def test_what_does_not_fit_is_forecast_by_what_did_not_fit():
    fitted = past_of(CONFIG, block(model="vgg19"), duration_s=500.0)
    found = expected(block(model="vgg19", mem_pct=10.0), [fitted])
    assert (found.fits, found.likes) == (False, 0)
    assert found.split.total_s < 30


def test_a_testbeds_edge_has_at_most_what_the_inventory_gives_it():
    inventory = load_inventory(Path(__file__).parents[2] / "hosts/local.yaml")
    assert 0 < edge_memory_mb(inventory) <= inventory.edge.memory_mb
