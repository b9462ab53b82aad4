"""Profiles: found, read, and left out where they are damaged, twice there, of another version, or of no use."""

import json
import shutil

import pytest

from report.errors import NothingToReport
from report.load import load_results
from report.profiles import read_profile
from report.tables import build_tables
from tests.synthetic import RunSpec, write_block
from tests.synthetic_profiles import HAND_MADE, MeasuredSpec, ProfileSpec, write_profile
from workers.records import Status

SPEC = ProfileSpec(HAND_MADE, (MeasuredSpec(20, 3),))


def logs_of(root):
    (profile,) = load_results(root).profiles
    return read_profile(profile)


def edited(path, **changes):
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | changes))
    return record


def test_a_profile_is_read_with_its_layers_and_frames(tmp_path):
    write_profile(tmp_path, SPEC, cpu_pct=50)
    logs = logs_of(tmp_path)
    assert (logs.status, logs.reason, logs.record.cpu_pct) == (Status.OK, None, 50)
    assert [layer.name for layer in logs.layers] == ["input", "conv", "pool", "dense"]
    assert {run: len(frames) for run, frames in logs.edge_frames.items()} == {0: 1, 1: 6}


def test_profiles_alone_are_results(tmp_path):
    write_profile(tmp_path, SPEC)
    tables = build_tables(load_results(tmp_path))
    assert tables.downtime.empty
    assert tables.profiles["status"].tolist() == ["ok"]


def test_neither_blocks_nor_profiles_are_nothing(tmp_path):
    with pytest.raises(NothingToReport, match="Measure first"):
        load_results(tmp_path)


def test_a_folder_without_profiles_has_none(tmp_path):
    write_block(tmp_path, [RunSpec()])
    assert load_results(tmp_path).profiles == ()


@pytest.mark.parametrize("what", ["infeasible", "failed"])
def test_a_profile_that_is_not_ok_keeps_its_reason_and_has_no_times(tmp_path, what):
    folder = write_profile(tmp_path, ProfileSpec(HAND_MADE))
    edited(folder / "profile.json", status=what, reason="killed: out of memory", tiers={}, exit_code=137, oom_kills=1)
    tables = build_tables(load_results(tmp_path))
    row = tables.profiles.iloc[0]
    assert (row.status, row.reason, row.exit_code, row.oom_kills) == (what, "killed: out of memory", 137, 1)
    assert tables.layers.empty
    assert tables.partition_points.empty


def test_a_damaged_log_makes_it_invalid_and_names_the_line(tmp_path):
    folder = write_profile(tmp_path, SPEC)
    log = folder / "edge-frames.jsonl"
    log.write_text(log.read_text() + '{"run": 1, "frame":\n')
    logs = logs_of(tmp_path)
    assert logs.status is Status.INVALID
    assert "profiles/vgg19/cpu100-mem100/edge-frames.jsonl, line 8 is damaged" in logs.reason


def test_a_last_line_cut_by_a_kill_is_no_damage(tmp_path):
    folder = write_profile(tmp_path, SPEC)
    log = folder / "edge-frames.jsonl"
    log.write_text(log.read_text() + '{"run": 1, "fra')
    assert logs_of(tmp_path).status is Status.OK


def test_a_missing_log_matters_only_where_frames_were_sent(tmp_path):
    (write_profile(tmp_path, SPEC) / "edge-frames.jsonl").unlink()
    assert "edge-frames.jsonl is missing" in logs_of(tmp_path).reason
    shutil.rmtree(tmp_path / "profiles")
    (write_profile(tmp_path, ProfileSpec(HAND_MADE)) / "edge-frames.jsonl").unlink()
    assert logs_of(tmp_path).status is Status.OK


def drop_a_layers_times(record):
    record["tiers"]["edge"]["layers_ms"].pop()


def drop_a_layers_facts(record):
    record["model_facts"]["layers"].pop()


def drop_the_facts(record):
    del record["model_facts"]["points"]


def empty_a_sample(record):
    record["tiers"]["cloud"]["layers_ms"][1] = []


def drop_a_tier(record):
    del record["tiers"]["cloud"]


def measure_elsewhere(record):
    record["measured"][0]["point"] = 9


@pytest.mark.parametrize(
    "damage",
    [drop_a_layers_times, drop_a_layers_facts, drop_the_facts, empty_a_sample, drop_a_tier, measure_elsewhere],
    ids=lambda damage: damage.__name__,
)
def test_times_that_are_not_the_models_make_it_invalid(tmp_path, damage):
    path = write_profile(tmp_path, SPEC) / "profile.json"
    record = json.loads(path.read_text())
    damage(record)
    path.write_text(json.dumps(record))
    tables = build_tables(load_results(tmp_path))
    row = tables.profiles.iloc[0]
    assert row.status == "invalid"
    assert row.reason.startswith("profiles/vgg19/cpu100-mem100/profile.json: ")
    assert tables.partition_points.empty


def test_another_schema_version_is_refused_by_name(tmp_path):
    write_block(tmp_path, [RunSpec()])
    edited(write_profile(tmp_path, SPEC) / "profile.json", schema_version=99)
    results = load_results(tmp_path)
    assert results.profiles == ()
    (refused,) = results.unreadable_profiles
    assert refused.other_version
    assert "schema version 99" in refused.reason
    assert "git checkout 0123456789" in refused.reason


def test_no_json_is_unreadable(tmp_path):
    write_block(tmp_path, [RunSpec()])
    (write_profile(tmp_path, SPEC) / "profile.json").write_text("{")
    (unreadable,) = load_results(tmp_path).unreadable_profiles
    assert unreadable.reason.startswith("profiles/vgg19/cpu100-mem100/profile.json cannot be read")
    assert not unreadable.other_version


def test_a_profile_found_twice_counts_once_from_its_own_folder(tmp_path):
    folder = write_profile(tmp_path, SPEC)
    shutil.copytree(folder, folder.parent / "a-copy")
    results = load_results(tmp_path)
    assert {profile.source: profile.duplicate_of for profile in results.profiles} == {
        "profiles/vgg19/a-copy": "profiles/vgg19/cpu100-mem100",
        "profiles/vgg19/cpu100-mem100": None,
    }
    tables = build_tables(results)
    assert sorted(tables.profiles["status"]) == ["invalid", "ok"]
    assert len(tables.layers) == len(HAND_MADE)
