"""A profile on a testbed: layers and parts in the containers, frames through the cuts, and blocks cut by it."""

import itertools

import msgspec
import pandas as pd
import pytest

from tests.e2e.conftest import NAME
from tests.e2e.traces import traces
from workers.records import BlockRecord, EdgeFrame, Outcome, ProfileRecord, Status, read_lines

pytestmark = [pytest.mark.root, pytest.mark.tensorflow]
SUBNETS = ("198.19.40.", "198.19.41.", "198.19.42.")
LEVEL = "tiny/cpu100-mem100"


def read(path, kind):
    return msgspec.json.decode(path.read_bytes(), type=kind)


def test_a_model_is_profiled_and_cut_where_its_profile_says(workspace):
    work = workspace(
        models={"tiny": {"source": "tests.models:sequential", "partition": "optimal"}},
        profile={"levels": "full", "repetitions": 5, "frames": 3},
    )
    done = work.run()
    assert done.returncode == 0, done.stdout + done.stderr
    folder = work.results / "profiles" / LEVEL
    record = read(folder / "profile.json", ProfileRecord)
    assert (record.status, record.reason) == (Status.OK, None)
    layers = record.model_facts["layers"]
    for timings in record.tiers.values():
        assert [len(samples) for samples in timings.layers_ms] == [5] * len(layers)
        assert {layers[0]["index"], layers[-1]["index"]} <= set(timings.parts_ms)
        assert min(timings.threads) >= 1
    assert set(record.tiers) == {"edge", "cloud"}
    check_frames(record, list(read_lines(folder / "edge-frames.jsonl", EdgeFrame)))
    # So small a model takes no time anywhere: whatever sends least is the best at both speeds.
    block = read(work.results / f"runs/tiny/switch-a2/{LEVEL.partition('/')[2]}/run.json", BlockRecord)
    assert block.status is Status.INFEASIBLE
    assert "nothing to repartition" in block.reason
    assert len(pd.read_csv(work.results / "tables/layers.csv")) == len(layers)
    points = pd.read_csv(work.results / "tables/partition_points.csv")
    assert set(points.network_mbps) == {5.0, 20.0}
    assert points.measured_total_ms.notna().any()
    assert traces(NAME, SUBNETS) == []


def check_frames(record, frames):
    """Each cut that was measured has its frames, alone on their way through it."""
    assert {run.mbps for run in record.measured} == {20.0, 5.0}
    for run in record.measured:
        own = sorted((frame for frame in frames if frame.run == run.run), key=lambda frame: frame.frame)
        assert len(own) == 3
        assert {frame.point for frame in own} == {run.point}
        assert {frame.outcome for frame in own} == {Outcome.ANSWERED}
        for before, after in itertools.pairwise(own):
            assert before.settled_ns < after.received_ns
        assert run.achieved.link_mbps_after == pytest.approx(run.mbps, rel=0.2)
    whys = {why for run in record.measured for why in run.why}
    assert {"best", "edge-only", "cloud-only"} <= whys
