"""Which blocks count as measured: those whose records are whole, of this config and of this code."""

import msgspec
import pytest
from msgspec.structs import replace

from hosts.config import parse
from hosts.grid import Block, blocks
from hosts.past import measured, past_blocks
from tests.unit.past_records import past_of
from workers.records import Status

GRID = {"models": {"vgg19": {}}, "strategies": ["pause-resume", "switch-a2"]}
CONFIG = parse(GRID, "c")
FIRST, SECOND = blocks(CONFIG)


def write(results, record):
    path = results / "runs" / record.block.folder / "run.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(msgspec.json.encode({**msgspec.to_builtins(record), "commit": "a key that is not read"}))
    return path


def test_records_are_found_below_their_models(tmp_path):
    records = [past_of(CONFIG, FIRST), past_of(CONFIG, SECOND, status=Status.INFEASIBLE)]
    for record in records:
        write(tmp_path, record)
    assert sorted(past_blocks(tmp_path, CONFIG.models), key=str) == sorted(records, key=str)
    assert past_blocks(tmp_path, ["mobilenetv2"]) == []
    assert past_blocks(tmp_path / "none", CONFIG.models) == []


@pytest.mark.parametrize("damage", [b"", b"{", b'{"duration_s": 3}', b"\xff\xfe", b"[]"])
def test_a_damaged_record_is_passed_over(tmp_path, damage):
    write(tmp_path, past_of(CONFIG, FIRST)).write_bytes(damage)
    write(tmp_path, past_of(CONFIG, SECOND))
    assert [record.block for record in past_blocks(tmp_path, CONFIG.models)] == [SECOND]


def test_a_block_of_this_config_is_measured_however_it_ended():
    failed = past_of(CONFIG, FIRST, status=Status.FAILED)
    assert measured(CONFIG, [failed]) == {FIRST: failed}


@pytest.mark.parametrize("changed", [{"config_hash": "of another"}, {"protocol_version": 0}, {"strategy": "switch-b1"}])
def test_what_would_be_measured_anew_or_is_of_another_grid_does_not_count(changed):
    assert measured(CONFIG, [replace(past_of(CONFIG, FIRST), **changed)]) == {}


def test_a_block_that_is_left_out_does_not_count():
    config = parse({**GRID, "exclude": [{"strategy": "switch-a2"}]}, "c")
    left_out = past_of(config, Block("vgg19", "switch-a2", 100.0, 100.0))
    assert measured(config, [left_out]) == {}
