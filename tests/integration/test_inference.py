from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from workers.errors import PartitionError
from workers.inference import LoadedModel
from workers.partition import resolve
from workers.store import GRAPH, WEIGHTS, put, weight_node

pytest.importorskip("workers.partition_keras", reason="TensorFlow is not installed", exc_type=ImportError)
from tensorflow.python.eager import context

from tests import models

pytestmark = [
    pytest.mark.tensorflow,
    # Keras's own saving of models, under NumPy 2.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]
keras = models.keras


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory):
    """MobileNetV2 at its real size: Keras's model, and the same weights through store and loader."""
    folder = tmp_path_factory.mktemp("store")
    original = models.application("mobilenetv2")
    original.save_weights(folder / "original.weights.h5")
    stored = put("mobilenetv2", str(folder / "original.weights.h5"), 0, folder)
    return original, LoadedModel.load(folder / stored.digest)


def weights_of(loaded):
    """Return the memory of a loaded model's weights, in the order in which they are stored."""
    tensors = loaded._graph._weights
    return [np.asarray(memoryview(tensors[weight_node(number)])) for number in range(len(tensors))]


@pytest.fixture
def small(tmp_path):
    return Path(put("tests.models:normalised", "random", 4, tmp_path).path)


@pytest.mark.parametrize("index", [1, 2, 35, 90, 156])
def test_traced_head_and_tail_give_what_keras_gives(mobilenet, index):
    original, loaded = mobilenet
    frame = models.frame((224, 224, 3))
    inputs = keras.applications.mobilenet_v2.preprocess_input(frame[np.newaxis].astype(np.float32))
    expected = original(inputs, training=False).numpy()[0]
    head, tail = loaded.build_head(index), loaded.build_tail(index)
    tensor = head(frame)
    logits = tail(tensor)
    assert (tensor.shape, tensor.dtype) == (resolve(loaded.points, index).output_shape, np.float32)
    assert (logits.shape, logits.dtype) == ((1000,), np.float32)
    assert models.same_logits(logits, expected)


def test_the_ends_do_no_more_than_they_must(mobilenet):
    _, loaded = mobilenet
    frame, logits = models.frame((224, 224, 3)), np.arange(1000, dtype=np.float32)
    np.testing.assert_allclose(loaded.build_head(1)(frame), frame / np.float32(127.5) - 1, atol=1e-6)
    np.testing.assert_array_equal(loaded.build_tail(156)(logits), logits)


def test_parts_say_how_long_they_took(mobilenet):
    _, loaded = mobilenet
    part = loaded.build_tail(120)
    assert set(part.timings_ms) == {"build", "first_inference"}
    assert set(loaded.timings_ms) == {"import", "read", "assemble"}
    assert all(took_ms > 0 for took_ms in {**part.timings_ms, **loaded.timings_ms}.values())


def test_a_result_outlives_the_next_call_and_the_part(mobilenet):
    _, loaded = mobilenet
    head = loaded.build_head(35)
    result = head(models.frame((224, 224, 3)))
    kept = result.copy()
    head(models.frame((224, 224, 3), seed=2))
    del head
    gc.collect()
    np.testing.assert_array_equal(result, kept)


@pytest.mark.parametrize(
    "wrong", [np.zeros((8, 8, 3), np.float32), np.zeros((8, 9, 3), np.uint8), np.zeros((1, 8, 8, 3), np.uint8)]
)
def test_a_frame_of_another_shape_or_type_is_refused(small, wrong):
    head = LoadedModel.load(small).build_head(2)
    with pytest.raises(ValueError, match=r"takes uint8 \(8, 8, 3\)"):
        head(wrong)


def test_a_point_that_is_none_is_refused(mobilenet):
    _, loaded = mobilenet
    with pytest.raises(PartitionError, match=r"19-27.*18 \(.*27 \("):
        loaded.build_head(20)


def test_statistics_seeds_and_layers_of_any_kind_are_loaded(small):
    loaded = LoadedModel.load(small)
    keras.utils.set_random_seed(4)
    original = models.normalised()
    assert [values.tolist() for values in weights_of(loaded)] == [v.numpy().tolist() for v in original.variables]
    frame = models.frame((8, 8, 3))
    expected = original(frame[np.newaxis] / np.float32(255), training=False).numpy()[0]
    assert models.same_logits(loaded.build_tail(4)(loaded.build_head(4)(frame)), expected)


def test_every_load_has_weights_of_its_own_in_private_memory(small):
    loads = LoadedModel.load(small), LoadedModel.load(small)
    addresses = [w.__array_interface__["data"][0] for loaded in loads for w in weights_of(loaded) if w.size]
    assert len(set(addresses)) == len(addresses)
    assert str(small) not in Path("/proc/self/maps").read_text()


def test_parts_that_are_dropped_leave_nothing_in_tensorflow(mobilenet):
    _, loaded = mobilenet
    known = context.context().list_function_names()
    kept = loaded.build_tail(150)
    assert len(context.context().list_function_names() - known) == 1
    del kept
    gc.collect()
    assert context.context().list_function_names() == known


def test_a_weights_file_that_was_cut_off_is_refused(small):
    raw = (small / WEIGHTS).read_bytes()
    (small / WEIGHTS).write_bytes(raw[:-8])
    with pytest.raises(PartitionError, match="ends after"):
        LoadedModel.load(small)


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"no graph")])
def test_a_graph_that_cannot_be_read_is_refused(small, damage):
    damage(small / GRAPH)
    with pytest.raises(PartitionError, match=r"graph\.pb holds no graph .*make or copy it again"):
        LoadedModel.load(small)


def test_to_serve_takes_a_small_part_of_tensorflow_and_no_keras(small):
    check = (
        "import pathlib, sys; import numpy as np; from workers.inference import LoadedModel;"
        f"loaded = LoadedModel.load(pathlib.Path({str(small)!r}));"
        "loaded.build_tail(4)(loaded.build_head(4)(np.zeros((8, 8, 3), np.uint8)));"
        "print(sorted({'keras', 'tensorflow._api', 'tensorflow.lite', 'pandas'} & set(sys.modules)), len(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, check=True, text=True)
    imported, _, count = done.stdout.strip().rpartition(" ")
    assert imported == "[]"
    assert int(count) < 1200  # with the whole of it 2,800


def test_tensorflow_gets_as_many_threads_as_the_process_has_cpus(small):
    check = (
        "import os, pathlib; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]);"
        "from workers.inference import LoadedModel;"
        f"LoadedModel.load(pathlib.Path({str(small)!r}));"
        "from workers import graph_runtime; print(*graph_runtime.threads())"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["1", "1"]
    assert os.sched_getaffinity(0)
