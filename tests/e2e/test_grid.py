"""The whole path at the smallest size: testbed, SSH, containers, TensorFlow, tc, logs, report."""

import json

import pandas as pd
import pytest

from tests.e2e.conftest import NAME
from tests.e2e.traces import traces

pytestmark = [pytest.mark.root, pytest.mark.tensorflow]
SUBNETS = ("198.19.40.", "198.19.41.", "198.19.42.")
STRATEGIES = ["pause-resume", "pause-resume-inprocess", "switch-a1", "switch-a2", "switch-b1", "switch-b2"]


def test_every_strategy_moves_the_cut_and_every_frame_is_accounted_for(workspace):
    work = workspace(strategies=STRATEGIES)
    done = work.run()
    assert done.returncode == 0, done.stdout + done.stderr
    table = pd.read_parquet(work.results / "tables/downtime.parquet")
    assert table.groupby("strategy").size().to_dict() == dict.fromkeys(STRATEGIES, 2)
    assert set(table.status) == {"ok"}, table[["strategy", "status", "reason"]]
    assert (table.downtime_ms > 0).all()
    stopped = table.strategy.str.startswith("pause-resume")
    assert (table[stopped].outage_ms > 0).all()
    assert (table[~stopped].outage_ms == 0).all()
    frames = pd.read_parquet(work.results / "tables/frames.parquet").query("window == 'whole'")
    assert (frames.offered == frames.answered + frames.dropped).all()
    assert (frames.offered > 0).all()
    assert (work.results / "report/index.html").read_text().startswith("<!")
    assert traces(NAME, SUBNETS) == []


def test_a_second_call_runs_nothing_and_a_changed_grid_only_what_is_new(workspace):
    work = workspace(runtime="process")
    assert work.run().returncode == 0
    record = work.results / "runs/tiny/switch-a2/cpu100-mem100/run.json"
    first = record.read_bytes()
    again = work.run()
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout + again.stderr
    assert record.read_bytes() == first
    block = json.loads(first)
    assert block["choices"]["edge_runtime"].startswith("process")
    assert block["status"] == "ok"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"repeat": 1}, ["repeat", "did you mean `repeats`"]),
        ({"strategies": ["switch-b3"]}, ["strategies", "switch-b3", "switch-b"]),
        ({"fps": [0]}, ["fps", "above 0"]),
        ({"models": {"vgg19": {"partition": {20: "input"}}}}, ["models.vgg19.partition", "5 Mbit/s"]),
    ],
)
def test_a_mistake_in_the_config_is_named_before_anything_is_made(workspace, overrides, words):
    work = workspace(**overrides)
    done = work.run()
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert all(word in said for word in words), said
    assert "Traceback" not in said
    assert not work.results.exists()


def test_a_point_that_does_not_exist_is_named(workspace):
    work = workspace(models={"tiny": {"source": "tests.models:sequential", "partition": {20: "inptu", 5: 4}}})
    done = work.run()
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "inptu" in said
    assert "input" in said
    assert "Traceback" not in said


def test_an_engine_that_cannot_be_used_is_named_before_anything_is_measured(workspace):
    work = workspace(runtime="docker")
    done = work.run()
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "edge.runtime" in said or "cloud.runtime" in said
    assert "use podman" in said
    assert "Traceback" not in said
    assert not (work.results / "runs").exists()
    assert traces(NAME, SUBNETS) == []
