"""Finding and reading raw logs, and what is said when they cannot be read."""

import json

import pytest

from report.errors import NothingToReport, SchemaError
from report.load import load_results, read_runs
from tests.synthetic import RunSpec, write_block
from workers.records import Status


def runs_of(root):
    (block,) = load_results(root).blocks
    return read_runs(block)


def test_logs_are_sorted_by_run(tmp_path):
    write_block(tmp_path, [RunSpec(fps=5), RunSpec(fps=10)])
    first, second = runs_of(tmp_path)
    assert (first.record.run, second.record.run) == (1, 2)
    assert (len(first.device_frames), len(second.device_frames)) == (25, 50)
    assert {event.run for event in second.edge_events} == {2}
    assert set(first.memory) == {"edge", "cloud"}
    assert first.status is Status.OK


def test_memory_samples_belong_to_runs_by_their_time(tmp_path):
    write_block(tmp_path, [RunSpec(), RunSpec()])
    first, second = runs_of(tmp_path)
    assert first.memory == second.memory
    stamps = [sample.at_ns for sample in first.memory["cloud"]]
    assert stamps == sorted(stamps)


def test_the_warm_up_is_left_out(tmp_path):
    folder = write_block(tmp_path, [RunSpec(), RunSpec()])
    record = json.loads((folder / "run.json").read_text())
    record["runs"][0]["run"] = 0
    (folder / "run.json").write_text(json.dumps(record))
    assert [run.record.run for run in runs_of(tmp_path)] == [2]


def test_no_such_folder(tmp_path):
    with pytest.raises(NothingToReport, match=r"No results folder at .*nowhere.*snakemake --cores all"):
        load_results(tmp_path / "nowhere")


def test_nothing_in_the_folder(tmp_path):
    with pytest.raises(NothingToReport, match=r"no measured block.*run\.json.*snakemake --cores all"):
        load_results(tmp_path)


def test_another_schema_version_is_refused_with_a_remedy(tmp_path):
    folder = write_block(tmp_path, [RunSpec()], schema_version=99)
    with pytest.raises(SchemaError, match=r"schema version 99.*reads version 1.*git checkout 0123.*measure") as said:
        load_results(tmp_path)
    assert str(folder / "run.json") in str(said.value)


def test_a_block_of_another_schema_version_is_refused_by_name_and_the_others_are_shown(tmp_path):
    write_block(tmp_path, [RunSpec()])
    write_block(tmp_path, [RunSpec()], strategy="switch-a1", schema_version=99)
    results = load_results(tmp_path)
    assert [block.record.strategy for block in results.blocks] == ["switch-b2"]
    (refused,) = results.unreadable
    assert refused.source == "runs/vgg19/switch-a1/cpu100-mem100"
    assert refused.other_version
    assert "schema version 99" in refused.reason
    assert "git checkout 0123" in refused.reason


def test_a_record_from_before_there_was_stress_is_read(tmp_path):
    folder = write_block(tmp_path, [RunSpec()])
    record = json.loads((folder / "run.json").read_text())
    del record["stress"]
    for run in record["runs"]:
        del run["exit_code"], run["oom_kills"]
    (folder / "run.json").write_text(json.dumps(record))
    (run,) = runs_of(tmp_path)
    assert (run.record.exit_code, run.record.oom_kills) == (None, 0)


def test_a_damaged_log_makes_its_runs_invalid_and_names_the_line(tmp_path):
    folder = write_block(tmp_path, [RunSpec(), RunSpec(status=Status.INFEASIBLE, reason="out of memory")])
    log = folder / "edge-frames.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:6], b"\x00\x00garbage\n", *lines[7:]]))
    good, infeasible = runs_of(tmp_path)
    assert good.status is Status.INVALID
    assert "cpu100-mem100/edge-frames.jsonl, line 7 is damaged" in good.reason
    assert (infeasible.status, infeasible.reason) == (Status.INFEASIBLE, "out of memory")


def test_a_line_of_another_shape_is_damage_too(tmp_path):
    folder = write_block(tmp_path, [RunSpec()])
    with (folder / "edge-events.jsonl").open("a") as log:
        log.write('{"run": 1, "at_ns": 5, "kind": "sneezed"}\n')
    (run,) = runs_of(tmp_path)
    assert run.status is Status.INVALID
    assert "sneezed" in run.reason


def test_an_empty_line_is_damage(tmp_path):
    folder = write_block(tmp_path, [RunSpec()])
    log = folder / "cloud-memory.jsonl"
    log.write_bytes(b"\n" + log.read_bytes())
    (run,) = runs_of(tmp_path)
    assert "cloud-memory.jsonl, line 1 is damaged" in run.reason


def test_a_last_line_cut_by_a_kill_is_left_out(tmp_path):
    folder = write_block(tmp_path, [RunSpec()])
    log = folder / "edge-memory.jsonl"
    log.write_bytes(log.read_bytes()[:-5])
    (run,) = runs_of(tmp_path)
    assert run.status is Status.OK


def test_a_missing_log_is_named(tmp_path):
    folder = write_block(tmp_path, [RunSpec()])
    (folder / "device-frames.jsonl").unlink()
    (run,) = runs_of(tmp_path)
    assert run.status is Status.INVALID
    assert run.reason.endswith("device-frames.jsonl is missing")


def test_an_unreadable_record_is_listed_beside_the_others(tmp_path):
    write_block(tmp_path, [RunSpec()])
    bad = write_block(tmp_path, [RunSpec()], strategy="switch-a1")
    (bad / "run.json").write_text('{"schema_version": 1, "model"')
    results = load_results(tmp_path)
    assert len(results.blocks) == 1
    (unreadable,) = results.unreadable
    assert unreadable.source == "runs/vgg19/switch-a1/cpu100-mem100"
    assert "run.json cannot be read" in unreadable.reason


def test_the_config_is_read_where_there_is_one(tmp_path):
    write_block(tmp_path, [RunSpec()])
    assert load_results(tmp_path).config is None
    (tmp_path / "config.json").write_text('{"models": ["vgg19"]}')
    assert load_results(tmp_path).config == {"models": ["vgg19"]}
