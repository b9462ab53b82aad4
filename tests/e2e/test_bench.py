"""A bench and a soak on the real testbed, as small as they can be."""

import json
import subprocess
import sys

import msgspec
import pytest
import yaml

from report.bench.spread import read_bench
from tests.e2e.conftest import NAME, REPOSITORY
from tests.e2e.traces import traces
from workers.bench_records import AnswersChecked
from workers.records import Status

pytestmark = [pytest.mark.root, pytest.mark.tensorflow]
SUBNETS = ("198.19.40.", "198.19.41.", "198.19.42.")


def python(*arguments, timeout_s=280):
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
    )


def configure(work, **changed):
    """Lay other keys over the workspace's config, with results by their whole path; return the config's file."""
    path = work.folder / "config.yaml"
    config = yaml.safe_load(path.read_text()) | {"results": str(work.results)} | changed
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_bench_of_two_strategies_has_a_row_for_each_with_ratios_and_bursts(workspace):
    work = workspace(runtime="process")
    config = configure(
        work,
        models={"mobilenetv2": {}},
        strategies=["pause-resume-inprocess", "switch-a2"],
        fps=[5],
        bench={"rounds": 1, "baseline": "pause-resume-inprocess", "burst_s": 2.0, "burst_changes": 60, "plane": False},
    )
    done = python("hosts.bench", "--config", config)
    assert done.returncode == 0, done.stderr
    out = work.folder / "bench.json"
    made = python("report.bench", "--results", work.results, "--out", out)
    assert made.returncode == 0, made.stdout + made.stderr
    bench = read_bench(out)
    assert bench.complete
    slow, fast = bench.rows
    assert (slow.strategy, fast.strategy) == ("pause-resume-inprocess", "switch-a2")
    for row in bench.rows:
        assert (row.blocks, row.reasons) == ({Status.OK.value: 1}, ())
        assert row.frames.offered > 0
    assert slow.ratio_to_baseline.value == 1.0
    assert fast.ratio_to_baseline.value < 0.5
    assert slow.changes >= 3  # both runs, and at least one of the burst
    assert fast.changes_of_bursts > 10
    assert fast.changes == 2 + fast.changes_of_bursts
    assert all(memory.rest_mb.value > 0 for row in bench.rows for memory in row.memory)
    assert {steady.mbps for steady in fast.steady} == {20.0, 5.0}
    assert any(part.part == "import" for part in slow.parts)
    assert out.with_suffix(".md").read_text().count("mobilenetv2") >= 4
    assert traces(NAME, SUBNETS) == []


@pytest.mark.timeout(700)
def test_the_data_plane_is_measured_with_models_that_do_nothing(workspace):
    work = workspace(runtime="process")
    config = configure(work, strategies=["switch-a2"], bench={"rounds": 1, "baseline": "switch-a2", "burst_s": 0})
    done = python("hosts.bench", "--config", config, timeout_s=600)
    assert done.returncode == 0, done.stderr
    made = python("report.bench", "--results", work.results, "--out", work.folder / "bench.json")
    assert made.returncode == 0, made.stdout + made.stderr
    plane = read_bench(work.folder / "bench.json").plane
    assert plane.reasons == ()
    overheads = [step for step in plane.steps if step.purpose == "overhead"]
    assert len(overheads) == 6
    assert all(step.overhead_p50_ms.n == step.answered > 0 for step in overheads)
    assert {ceiling.model for ceiling in plane.ceilings} == {"null-small", "null-picture"}
    assert all(ceiling.held_fps for ceiling in plane.ceilings)


@pytest.mark.parametrize("strategy", ["switch-a2", "switch-b2"])
def test_a_soak_answers_every_frame_as_the_whole_model_does(workspace, strategy):
    work = workspace(runtime="process")
    config = configure(
        work,
        models={"mobilenetv2": {"partition": {1000: "input", 500: "output"}}},
        strategies=[strategy],
        network={"speeds_mbps": [1000, 500], "delay_ms": 1},
        fps=[10],
    )
    out = work.folder / "soak"
    soak = ["--config", config, "--model", "mobilenetv2", "--strategy", strategy, "--out", out]
    done = python("hosts.soak", *soak, "--minutes", 12 / 60, "--every-ms", 100)
    assert done.returncode == 0, done.stdout + done.stderr
    answers = msgspec.json.decode((out / "answers.json").read_bytes(), type=AnswersChecked)
    assert answers.compared > 10
    assert answers.wrong_count == 0
    assert answers.control > answers.tolerance
    summary = json.loads((out / "summary.json").read_text())
    assert summary["ordered"] == 120
    assert summary["served"] > 0
    assert summary["ordered"] == sum(summary[key] for key in ("served", "unmoved", "overtaken", "failed"))
    assert answers.compared >= summary["frames"]["answered"] > 0
    assert summary["memory"].keys() == {"edge", "cloud"}
    assert traces(NAME, SUBNETS) == []


def test_logits_are_kept_on_request_only(workspace):
    work = workspace(runtime="process")
    assert work.run().returncode == 0
    assert list(work.results.rglob("edge-frames.jsonl"))
    assert list(work.results.rglob("*.bin")) == []
