"""Head and tail make the whole model, on logits, for every partition point; and a wrong tail is noticed."""

from __future__ import annotations

import numpy as np
import pytest

from workers.partition import find_points, resolve, split

pytest.importorskip("workers.partition_keras", reason="TensorFlow is not installed", exc_type=ImportError)
from tests import models

pytestmark = pytest.mark.tensorflow

SMALL = 64  # pixels a side: every layer is there, at a twelfth of the work


@pytest.fixture(scope="module", params=["mobilenetv2", "vgg19"])
def model(request):
    return models.application(request.param, SMALL)


def inputs_for(model):
    pixels = models.frame((1, *model.inputs[0].shape[1:])).astype(np.float32)
    return pixels - 127.5 if model.name == "vgg19" else pixels / 127.5 - 1  # about what each was trained on


def test_at_every_point_head_and_tail_make_the_whole(model):
    inputs = inputs_for(model)
    expected = model(inputs, training=False).numpy()
    points = find_points(model)
    assert len(points) == (26 if model.name == "vgg19" else 76)
    for point in points:
        head, tail = split(model, point)
        assert models.same_logits(tail(head(inputs)), expected), point


def test_a_tail_with_one_kernel_one_percent_off_is_noticed(model):
    inputs = inputs_for(model)
    expected = model(inputs, training=False).numpy()
    tested = 0
    for point in find_points(model)[:: 4 if model.name == "vgg19" else 12]:
        head, tail = split(model, point)
        tensor = head(inputs)
        kernels = [weight for weight in tail.weights if weight.name == "kernel"]
        if not kernels:
            continue
        kernel, kept = kernels[0], kernels[0].numpy()
        kernel.assign(kept * np.float32(1.01))
        wrong = tail(tensor).numpy()
        kernel.assign(kept)
        assert not models.same_logits(wrong, expected), point
        assert models.same_logits(tail(tensor), expected), point
        tested += 1
    assert tested >= 5


@pytest.mark.parametrize(
    ("name", "cuts"),
    [
        ("mobilenetv2", ["input", "block_3_project", "block_12_add", "out_relu"]),
        ("vgg19", ["block4_pool", "block5_pool"]),
    ],
)
def test_at_the_real_size(name, cuts):
    model = models.application(name)
    inputs = inputs_for(model)
    expected = model(inputs, training=False).numpy()
    points = find_points(model)
    for cut in cuts:
        head, tail = split(model, resolve(points, cut))
        assert models.same_logits(tail(head(inputs)), expected), cut
