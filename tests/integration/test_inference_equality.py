"""Head and tail make the whole model, on logits, through the stored graph; and a wrong weight is noticed.

``BIG_MODELS=1 pytest -s tests/integration/test_inference_equality.py -k big`` takes big models, too: minutes, 2 GB.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from workers.inference import LoadedModel
from workers.partition_models import Application, build_model, choose_preprocess, parse_source, preprocess
from workers.store import WEIGHTS, put

pytest.importorskip("workers.partition_keras", reason="TensorFlow is not installed", exc_type=ImportError)
from tests import models
from workers.graph_runtime import Chain
from workers.store_making import calibrate

pytestmark = [
    pytest.mark.tensorflow,
    # Keras's own saving of models, under NumPy 2.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]

SEED = 3
TOLERANCE = 1e-4  # of the largest logit
DEEP_TOLERANCE = 1e-3  # hundreds of layers add up what fused operations round otherwise; a kernel 1 % off makes 1e-2


def load(text, store, weights="random"):
    return LoadedModel.load(Path(put(text, weights, SEED, store).path))


def whole_model(text):
    models.keras.utils.set_random_seed(SEED)
    return build_model(parse_source(text))


def logits_of(model, text, frame):
    how = choose_preprocess(parse_source(text), model)
    pixels = preprocess(frame[np.newaxis].astype(np.float32), how)
    return np.asarray(model(pixels.astype(model.inputs[0].dtype), training=False)[0], np.float32).reshape(-1)


def damaged(folder, variable, to):
    """Return a copy of a stored model in which the values of one variable are 1 % off."""
    shutil.copytree(folder, to)
    raw = np.memmap(to / WEIGHTS, np.uint8, mode="r+")
    size = int(np.prod(variable.shape)) * np.dtype(variable.dtype).itemsize
    values = raw[variable.offset : variable.offset + size].view(variable.dtype)
    values *= np.dtype(variable.dtype).type(1.01)
    raw.flush()
    return LoadedModel.load(to)


@pytest.mark.parametrize("make", models.STRUCTURES, ids=lambda make: make.__name__)
def test_at_every_point_head_and_tail_make_the_whole_and_a_wrong_kernel_is_noticed(make, tmp_path):
    text = f"tests.models:{make.__name__}"
    loaded, frame = load(text, tmp_path / "store"), models.frame((8, 8, 3))
    expected = logits_of(whole_model(text), text, frame)
    tensors = {point.index: loaded.build_head(point.index)(frame).copy() for point in loaded.points}
    tolerance = 2e-3 if make is models.nested_of_another_type else TOLERANCE  # half precision has ten bits
    for index, tensor in tensors.items():
        assert error(loaded.build_tail(index)(tensor), expected) <= tolerance, index
    wrong = damaged(tmp_path / "store" / loaded.meta.digest, last_kernel(loaded), tmp_path / "wrong")
    for index in list(tensors)[:-1:2]:
        assert error(wrong.build_tail(index)(tensors[index]), expected) > tolerance, index


@pytest.mark.parametrize("make", models.STRUCTURES, ids=lambda make: make.__name__)
def test_parts_upon_each_other_give_the_same_to_the_bit_as_parts_of_their_own(make, tmp_path):
    loaded, frame = load(f"tests.models:{make.__name__}", tmp_path / "store"), models.frame((8, 8, 3))
    indices = [point.index for point in loaded.points]
    heads, tails = [], []
    for index in indices:
        heads.append(loaded.build_head(index, heads))
    for index in reversed(indices):
        tails.insert(0, loaded.build_tail(index, tails))
    chained = [part for part in (*heads, *tails) if isinstance(part.run, Chain)]
    assert chained or make is models.one_region, "nothing was built upon anything"
    for index, head, tail in zip(indices, heads, tails, strict=True):
        tensor = loaded.build_head(index)(frame)
        np.testing.assert_array_equal(head(frame), tensor, err_msg=str(index))
        np.testing.assert_array_equal(tail(tensor), loaded.build_tail(index)(tensor), err_msg=str(index))


def test_at_points_of_a_real_model_head_and_tail_make_the_whole_and_a_wrong_kernel_is_noticed(tmp_path):
    _check("tests.models:mobilenet_small", tmp_path, count=10)


BIG = [
    *("vgg19", "mobilenetv2", "resnet50", "densenet121", "inceptionv3", "efficientnetv2b0", "nasnetmobile"),
    *("tests.models:transferred", "saved.keras"),
]


@pytest.mark.skipif("BIG_MODELS" not in os.environ, reason="minutes and 2 GB: BIG_MODELS=1")
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("text", BIG)
def test_at_points_of_big_models_head_and_tail_make_the_whole(text, tmp_path):
    if text == "saved.keras":
        text = str(tmp_path / text)
        models.keras.utils.set_random_seed(SEED)
        models.mobilenet_small().save(text)
    _check(text, tmp_path, count=10)


def _check(text, tmp_path, count):
    """Compare the whole with head and tail at `count` points; then with head and tail of which a kernel is 1 % off."""
    started = time.monotonic()
    loaded = load(text, tmp_path / "store")
    original = calibrated(text)
    points = spread(loaded.points, count)
    frame = models.frame(loaded.meta.input_shape)
    expected = logits_of(original, text, frame)
    tensors = {point.index: loaded.build_head(point.index)(frame).copy() for point in points}
    errors = [error(loaded.build_tail(index)(tensor), expected) for index, tensor in tensors.items()]
    wrong = damaged(tmp_path / "store" / loaded.meta.digest, last_kernel(loaded), tmp_path / "wrong")
    # Behind the last point lies nothing that could be wrong.
    missed = [error(wrong.build_tail(index)(tensors[index]), expected) for index in list(tensors)[:-1]]
    print(
        f"{text}: {len(loaded.points)} points, {len(loaded.meta.layers)} layers, checked {[*tensors]}: worst error "
        f"{max(errors):.1e}; with a kernel 1 % off at least {min(missed):.1e}; {time.monotonic() - started:.0f} s"
    )
    assert len(points) == min(count, len(loaded.points))
    assert max(errors) <= DEEP_TOLERANCE < min(missed)


def last_kernel(loaded):
    """Return the kernel that lies behind every point but the last."""
    return next(variable for variable in reversed(loaded.meta.variables) if variable.path.endswith("kernel"))


def spread(points, count):
    """Return `count` of the points at even distances, the first and the last among them."""
    places = np.linspace(0, len(points) - 1, min(count, len(points))).round().astype(int)
    return [points[place] for place in places]


def calibrated(text):
    """Return the Keras model with the weights that the store drew for it."""
    model, source = whole_model(text), parse_source(text)
    if isinstance(source, Application):
        calibrate(model, source.preprocess, SEED)
    return model


def error(found, expected):
    """Return the largest difference as a share of the largest logit; refuse logits that would prove nothing."""
    assert expected.std() > 1e-3 * np.abs(expected).max() > 1e-6, "degenerate logits: the comparison would mean nothing"
    return float(np.abs(found - expected).max() / np.abs(expected).max())
