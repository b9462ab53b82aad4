from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from workers.errors import PartitionError
from workers.inference import LoadedModel
from workers.partition import resolve
from workers.partition_models import build_model, parse_source
from workers.store import GRAPH, WEIGHTS, point_node, put, weight_node
from workers.store_check import state_of

pytest.importorskip("workers.partition_keras", reason="TensorFlow is not installed", exc_type=ImportError)
from tensorflow.python.eager import context

from tests import models
from workers.graph_runtime import Function

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
    assert set(part.timings_ms) == {"build", "instantiate"}
    part.warm_up()
    assert set(part.timings_ms) == {"build", "instantiate", "first_inference"}
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


def test_every_load_has_weights_of_its_own_in_private_memory_where_that_is_wanted(small):
    loads = LoadedModel.load(small, "private"), LoadedModel.load(small, "private")
    addresses = [w.__array_interface__["data"][0] for loaded in loads for w in weights_of(loaded) if w.size]
    assert len(set(addresses)) == len(addresses)
    assert str(small) not in Path("/proc/self/maps").read_text()


def test_mapped_weights_are_the_pages_of_the_file_and_a_write_would_not_reach_it(small):
    loaded = LoadedModel.load(small, "mapped")
    (mapping,) = [line for line in Path("/proc/self/maps").read_text().splitlines() if str(small / WEIGHTS) in line]
    addresses, rights, *_ = mapping.split()
    begin, end = (int(address, 16) for address in addresses.split("-"))
    assert rights == "rw-p"
    assert all(begin <= w.__array_interface__["data"][0] < end for w in weights_of(loaded) if w.size)


def test_mapped_and_private_weights_give_the_same_to_the_bit_and_a_wrong_weight_does_not(small, tmp_path):
    def outputs(folder, memory):
        loaded = LoadedModel.load(folder, memory)
        tensors = [loaded.build_head(point.index)(models.frame((8, 8, 3))).tobytes() for point in loaded.points]
        return tensors, loaded.build_tail(2)(np.ones(resolve(loaded.points, 2).output_shape, np.float32)).tobytes()

    wrong = tmp_path / "wrong"
    shutil.copytree(small, wrong)
    described = next(v for v in LoadedModel.load(small).meta.variables if v.path.endswith("kernel"))
    raw = bytearray((wrong / WEIGHTS).read_bytes())
    raw[described.offset + 3] ^= 1  # the sign's neighbour: half or twice the first weight
    (wrong / WEIGHTS).write_bytes(raw)
    assert outputs(small, "mapped") == outputs(small, "private")
    assert outputs(small, "mapped") != outputs(wrong, "mapped") == outputs(wrong, "private")


def test_without_tensorflows_optimiser_every_cut_gives_the_same_to_the_bit(mobilenet):
    _, loaded = mobilenet
    frame = models.frame((224, 224, 3))
    whole = loaded.build_head(156)(frame).tobytes()
    for index in (1, 17, 35, 62, 124, 155):
        assert loaded.build_tail(index)(loaded.build_head(index)(frame)).tobytes() == whole, index


def test_instantiating_computes_nothing_and_the_first_call_is_right(mobilenet):
    _, loaded = mobilenet
    frame = models.frame((224, 224, 3))
    one, other = loaded.build_head(35), loaded.build_head(35)
    other.warm_up()
    np.testing.assert_array_equal(one(frame), other(frame))


def test_what_tensorflow_cannot_run_is_a_partition_error(small):
    loaded = LoadedModel.load(small)
    head = loaded.build_head(2)
    head.run._weights[:] = [weight[:1] for weight in head.run._weights]
    with pytest.raises(PartitionError, match="TensorFlow could not run a part: "):
        head(models.frame((8, 8, 3)))


def test_parts_that_are_dropped_leave_nothing_in_tensorflow(mobilenet):
    _, loaded = mobilenet
    known = context.context().list_function_names()
    kept = loaded.build_tail(150)
    assert len(context.context().list_function_names() - known) == 1
    del kept
    gc.collect()
    assert context.context().list_function_names() == known


def test_a_part_is_built_upon_the_largest_other_that_covers_half_of_it(mobilenet):
    _, loaded = mobilenet
    early, late = loaded.build_head(17), loaded.build_head(124)
    head = loaded.build_head(155, [early, late])
    assert (head.run._first, head.run._then.size) == (late.run, loaded.build_head(155).run.size - late.run.size + 1)
    assert isinstance(loaded.build_head(124, [early]).run, Function), "not half of it is covered"
    assert isinstance(loaded.build_head(124, [head]).run, Function), "what covers more is no part of it"
    assert isinstance(loaded.build_head(156, [head]).run, Function), "no chain upon a chain: a frame pays one more call"
    tail = loaded.build_tail(17, [early, loaded.build_tail(35)])
    assert (tail.run._first.stretch.feed, tail.run._then.stretch.fetch) == (point_node(17), point_node(156))


def test_a_part_outlives_the_one_that_it_stands_upon(mobilenet):
    _, loaded = mobilenet
    frame = models.frame((224, 224, 3))
    late = loaded.build_head(124)
    head = loaded.build_head(155, [late])
    del late
    gc.collect()
    np.testing.assert_array_equal(head(frame), loaded.build_head(155)(frame))


@pytest.mark.parametrize("memory", ["mapped", "private"])
def test_a_model_that_was_changed_after_its_check_is_not_served(small, memory):
    state = state_of(small)
    LoadedModel.load(small, memory, state)
    raw = bytearray((small / WEIGHTS).read_bytes())
    raw[len(raw) // 2] ^= 1
    other = small / "other"
    other.write_bytes(raw)
    other.replace(small / WEIGHTS)
    with pytest.raises(PartitionError, match="was changed after it had been compared with its digest"):
        LoadedModel.load(small, memory, state)


@pytest.mark.parametrize("memory", ["mapped", "private"])
def test_a_model_whose_weights_are_gone_is_refused_in_one_line(small, memory):
    (small / WEIGHTS).unlink()
    with pytest.raises(PartitionError, match=r"weights.bin cannot be read: No such file"):
        LoadedModel.load(small, memory)


@pytest.mark.parametrize("memory", ["mapped", "private"])
def test_a_weights_file_that_was_cut_off_is_refused(small, memory):
    raw = (small / WEIGHTS).read_bytes()
    (small / WEIGHTS).write_bytes(raw[:-8])
    with pytest.raises(PartitionError, match="ends after"):
        LoadedModel.load(small, memory)


@pytest.mark.parametrize("memory", ["mapped", "private"])
def test_a_model_without_weights_is_served(tmp_path, memory):
    stored = put("workers.null_models:small", "random", 0, tmp_path)
    loaded, frame = LoadedModel.load(tmp_path / stored.digest, memory), models.frame((8, 8, 3))
    for point in loaded.points:
        logits = loaded.build_tail(point.index)(loaded.build_head(point.index)(frame))
        assert logits.tolist() == frame[0, 0].tolist()


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


def test_loops_run_in_a_process_that_did_not_trace_them(tmp_path):
    texts = ["tests.models:recurrent", "tests.models:masked_rows"]  # two models, so that names of functions could clash
    folders = {text: Path(put(text, "random", 4, tmp_path).path) for text in texts}
    load = (
        "import pathlib, sys, numpy as np; from workers.inference import LoadedModel\n"
        "for folder in sys.argv[1:]:\n"
        "    loaded = LoadedModel.load(pathlib.Path(folder))\n"
        "    frame = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)\n"
        "    print(*loaded.build_tail(2)(loaded.build_head(2)(frame)))"
    )
    command = [sys.executable, "-c", load, *map(str, folders.values())]
    lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    for line, text in zip(lines, folders, strict=True):
        keras.utils.set_random_seed(4)
        frame = np.arange(192, dtype=np.float32).reshape(1, 8, 8, 3) / np.float32(255)
        expected = build_model(parse_source(text))(frame, training=False).numpy()[0]
        assert models.same_logits([float(number) for number in line.split()], expected)


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
