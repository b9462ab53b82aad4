"""Which profiles count as made: those whose records are whole, of this config and of this code."""

import msgspec
import pytest
from msgspec.structs import replace

from hosts.config import parse
from hosts.errors import ConfigError
from hosts.forecast import forecast_profiles, profile_rule_of_thumb
from hosts.grid import Level, highest_level, levels, profiled_levels
from hosts.past_profiles import past_profiles, profiled, read_profile
from tests.unit.past_records import past_profile_of
from workers.records import Status

GRID = {
    "models": {"vgg19": {}, "mobilenetv2": {}},
    "strategies": ["pause-resume", "switch-a2"],
    "cpu_pct": [50, 100],
    "mem_pct": [100, 10],
    "exclude": [{"cpu_pct": 50, "mem_pct": 10}, {"model": "mobilenetv2", "cpu_pct": 100, "mem_pct": 100}],
}
CONFIG = parse({**GRID, "profile": {"levels": "all"}}, "c")
FIRST = Level("vgg19", 100.0, 100.0)


def write(results, record):
    path = results / "profiles" / record.level.folder / "profile.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(msgspec.json.encode({**msgspec.to_builtins(record), "commit": "a key that is not read"}))
    return path


# --- levels -------------------------------------------------------------------------------------------------


def test_levels_are_those_of_the_grids_blocks_the_highest_first():
    assert [level.folder for level in levels(CONFIG)] == [
        "vgg19/cpu100-mem100",
        "vgg19/cpu50-mem100",
        "vgg19/cpu100-mem10",
        "mobilenetv2/cpu50-mem100",
        "mobilenetv2/cpu100-mem10",
    ]


@pytest.mark.parametrize(
    ("wanted", "folders"),
    [
        ("none", []),
        ("full", ["vgg19/cpu100-mem100", "mobilenetv2/cpu50-mem100"]),
        ("all", [level.folder for level in levels(CONFIG)]),
    ],
)
def test_the_config_says_which_are_profiled(wanted, folders):
    config = parse({**GRID, "profile": {"levels": wanted}}, "c")
    assert [level.folder for level in profiled_levels(config)] == folders


def test_a_model_without_blocks_has_no_level():
    config = parse({**GRID, "exclude": [{"model": "vgg19"}]}, "c")
    assert highest_level(config, "vgg19") is None
    assert {level.model for level in profiled_levels(config)} == {"mobilenetv2"}


# --- records ------------------------------------------------------------------------------------------------


def test_records_are_found_below_their_models(tmp_path):
    record = past_profile_of(CONFIG, FIRST)
    write(tmp_path, record)
    assert past_profiles(tmp_path, CONFIG.models) == [record]
    assert past_profiles(tmp_path, ["mobilenetv2"]) == []
    assert past_profiles(tmp_path / "none", CONFIG.models) == []


@pytest.mark.parametrize("damage", [b"", b"{", b'{"duration_s": 3}', b"\xff\xfe", b"[]"])
def test_a_damaged_record_is_passed_over(tmp_path, damage):
    path = write(tmp_path, past_profile_of(CONFIG, FIRST))
    path.write_bytes(damage)
    assert past_profiles(tmp_path, CONFIG.models) == []
    with pytest.raises(ConfigError, match=r"profile\.json: is not what hosts\.profile writes"):
        read_profile(path)


def test_a_profile_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.json: cannot be read.*python -m hosts\.profile"):
        read_profile(tmp_path / "none.json")


def test_a_profile_of_this_config_is_made_however_it_ended():
    failed = past_profile_of(CONFIG, FIRST, status=Status.FAILED)
    assert profiled(CONFIG, [failed]) == {FIRST: failed}


@pytest.mark.parametrize(
    "changed", [{"config_hash": "of another"}, {"protocol_version": 0}, {"cpu_pct": 75.0}, {"choices": {}}]
)
def test_what_would_be_made_anew_or_is_of_another_grid_does_not_count(changed):
    assert profiled(CONFIG, [replace(past_profile_of(CONFIG, FIRST), **changed)]) == {}


@pytest.mark.parametrize("changed", [{"repetitions": 30}, {"frames": 20}])
def test_more_samples_are_another_profile(changed):
    more = parse({**GRID, "profile": {"levels": "all", **changed}}, "c")
    assert profiled(more, [past_profile_of(CONFIG, FIRST)]) == {}


# --- time ---------------------------------------------------------------------------------------------------


def test_a_profile_is_forecast_by_those_of_its_model():
    old = past_profile_of(CONFIG, FIRST, duration_s=3 * profile_rule_of_thumb(FIRST))
    found = {expected.level: expected for expected in forecast_profiles(CONFIG, [old])}
    assert FIRST not in found
    assert len(found) == 4
    slower = found[Level("vgg19", 50.0, 100.0)]
    assert slower.likes == 1
    assert slower.total_s == pytest.approx(3 * profile_rule_of_thumb(slower.level))
    assert found[Level("mobilenetv2", 50.0, 100.0)].likes == 0


def test_a_profile_that_failed_tells_nothing_of_others():
    old = past_profile_of(CONFIG, FIRST, duration_s=999.0, status=Status.FAILED)
    assert {expected.likes for expected in forecast_profiles(CONFIG, [old])} == {0}


def test_less_of_a_host_takes_longer():
    full, half, tenth = (Level("vgg19", *pct) for pct in ((100.0, 100.0), (50.0, 100.0), (100.0, 10.0)))
    assert profile_rule_of_thumb(full) < profile_rule_of_thumb(tenth)
    assert profile_rule_of_thumb(full) < profile_rule_of_thumb(half)
