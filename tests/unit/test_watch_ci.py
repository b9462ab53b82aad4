"""The workflows of continuous integration: pinned, without rights, and by the commands that a person uses."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
NIGHTLY = ROOT / ".github/workflows/nightly.yml"


def steps_of(path):
    return [step for job in yaml.safe_load(path.read_text())["jobs"].values() for step in job["steps"]]


def test_there_are_both_workflows():
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "nightly.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_their_whole_hash_with_the_version_beside_it(path):
    used = re.findall(r"uses: (.*)", path.read_text())
    assert used
    assert [line for line in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_may_read_alone_and_end_some_time(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 240 for job in workflow["jobs"].values())
    checkout = next(step for step in steps_of(path) if step.get("uses", "").startswith("actions/checkout"))
    assert checkout["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_commands_of_workflows_exist(path):
    commands = "\n".join(step.get("run", "") for step in steps_of(path))
    targets = re.findall(r"^make ([a-z-]+)", commands, re.MULTILINE)
    assert [
        name for name in targets if not re.search(rf"^{name}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    ] == []
    for script in re.findall(r"\.ci/[\w-]+", commands):
        assert os.access(ROOT / script, os.X_OK)
    for config in re.findall(r"(?:config|hosts)/\w+\.yaml", commands):
        assert (ROOT / config).exists()


def test_the_night_keeps_report_tables_and_history():
    kept = next(step for step in steps_of(NIGHTLY) if "upload-artifact" in step.get("uses", ""))
    assert kept["if"] == "always()"
    assert {"results/nightly/latest/grid/report", "results/nightly/latest/grid/tables", "${{ env.HISTORY }}"} <= set(
        kept["with"]["path"].split("\n")
    )


def test_the_runner_is_checked_before_anything_is_done():
    first = next(step for step in steps_of(NIGHTLY) if "run" in step)
    assert first["run"] == '.ci/check-runner "$HISTORY"'


def check_runner(history):
    return subprocess.run([ROOT / ".ci/check-runner", str(history)], capture_output=True, text=True, check=False)


def test_a_runner_that_cannot_keep_the_history_is_told_so(tmp_path):
    (tmp_path / "file").write_text("")
    done = check_runner(tmp_path / "file/nights.jsonl")
    assert done.returncode == 1
    assert f"runner: it cannot write to {tmp_path}/file, where the history is kept" in done.stderr


def test_every_lack_of_a_runner_is_one_sentence(tmp_path):
    done = check_runner(tmp_path / "nights.jsonl")
    assert done.returncode == (1 if done.stderr else 0)
    assert all(line.startswith("runner: ") and line.endswith(".") for line in done.stderr.splitlines())
