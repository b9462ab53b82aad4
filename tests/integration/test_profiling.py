"""A model is timed in the process that serves it."""

import subprocess
import sys
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from tests.heavy import WEIGHTS_MB
from workers.errors import PartitionError
from workers.inference import LoadedModel
from workers.profiling import layer_of, make_input, profile_model
from workers.store import FRAME, GRAPH, point_node, put

pytest.importorskip("workers.partition_keras", reason="TensorFlow is not installed", exc_type=ImportError)
from tests import models
from workers import graph_runtime
from workers.graph_trace import TracedGraph

pytestmark = pytest.mark.tensorflow
MEASURE_MEMORY = """
import pathlib, sys
from workers.inference import LoadedModel
from workers.profiling import profile_model
folder = pathlib.Path(sys.argv[1])
def read(key):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(key)) / 1024
loaded = LoadedModel.load(folder, "private")  # pages of a mapped file would count when they are first read
kept = loaded.build_head(loaded.points[-1].index)
before_mb = read("VmRSS")
profile_model(loaded, folder, "edge", [1], 3)
print(before_mb, read("VmHWM"))
"""


@pytest.fixture(scope="module", params=["tests.models:sequential", "tests.models:nested", "tests.models:branches"])
def folder(request, tmp_path_factory):
    return Path(put(request.param, "random", 4, tmp_path_factory.mktemp("store")).path)


@pytest.mark.parametrize("tier", ["edge", "cloud"])
def test_every_layer_and_the_parts_of_the_points_are_timed(folder, tier):
    loaded = LoadedModel.load(folder)
    points = [loaded.points[0].index, loaded.points[-1].index]
    timings = profile_model(loaded, folder, tier, points, 7)
    assert len(timings.whole_ms) == 7
    assert len(timings.layers_ms) == len(loaded.meta.layers) == loaded.points[-1].index
    assert {len(samples) for samples in timings.layers_ms} == {7}
    assert {point: len(samples) for point, samples in timings.parts_ms.items()} == dict.fromkeys(points, 7)
    assert all(sample > 0 for samples in timings.parts_ms.values() for sample in samples)
    assert sum(map(median, timings.layers_ms)) == pytest.approx(median(timings.whole_ms))
    assert timings.threads == graph_runtime.threads()


def test_nearly_all_operations_are_those_of_layers_and_each_layer_has_some(folder):
    loaded = LoadedModel.load(folder)
    frame = models.frame(loaded.meta.input_shape)[np.newaxis]
    with TracedGraph(folder / GRAPH, loaded.weights(), FRAME, point_node(loaded.points[-1].index)) as traced:
        took_ms = traced.run(frame)
    layers = {layer_of(node) for node in took_ms} - {None}
    assert layers <= set(range(1, loaded.points[-1].index + 1))
    heavy = {layer.index for layer in loaded.meta.layers if layer.params}
    assert heavy <= layers
    outside_ms = sum(took for node, took in took_ms.items() if layer_of(node) is None)
    assert outside_ms < sum(took_ms.values()) / 2


def test_the_layer_that_takes_the_time_gets_it_and_the_weights_are_not_copied(tmp_path):
    folder = Path(put("tests.heavy:heavy", "random", 1, tmp_path).path)
    loaded = LoadedModel.load(folder)
    timings = profile_model(loaded, folder, "cloud", [], 5)
    slowest = max(loaded.meta.layers, key=lambda layer: median(timings.layers_ms[layer.index - 1]))
    assert slowest.name == "heavy"
    assert median(timings.layers_ms[slowest.index - 1]) > 0.5 * median(timings.whole_ms)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE_MEMORY, str(folder)], capture_output=True, check=True, text=True
    )
    before_mb, peak_mb = map(float, done.stdout.split())
    assert before_mb > WEIGHTS_MB
    assert peak_mb - before_mb < WEIGHTS_MB / 4  # the weights are not there twice


def test_the_weights_are_this_very_memory(folder):
    loaded = LoadedModel.load(folder)
    weights = loaded.weights()
    assert weights
    assert [values.shape for values in weights.values()] == [stored.shape for stored in loaded.meta.variables]
    again = loaded.weights()
    assert all(
        values.__array_interface__["data"][0] == again[name].__array_interface__["data"][0]
        for name, values in weights.items()
    )


def test_a_point_that_is_none_is_refused_before_anything_is_timed(folder):
    loaded = LoadedModel.load(folder)
    with pytest.raises(PartitionError, match="99"):
        profile_model(loaded, folder, "edge", [99], 5)


def test_a_part_is_timed_on_what_it_takes(folder):
    loaded = LoadedModel.load(folder)
    head, tail = loaded.build_head(loaded.points[0].index), loaded.build_tail(loaded.points[0].index)
    assert (make_input(head).dtype, make_input(head).shape) == (np.uint8, loaded.meta.input_shape)
    assert (make_input(tail).dtype, make_input(tail).shape) == (np.float32, loaded.points[0].output_shape)
    assert np.array_equal(make_input(tail), make_input(tail))


def test_a_graph_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / GRAPH).write_bytes(b"no graph")
    with pytest.raises(PartitionError, match=r"graph\.pb holds no graph .*make or copy it again"):
        TracedGraph(tmp_path / GRAPH, {}, FRAME, point_node(1))
