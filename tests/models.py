"""Small Keras models with the shapes of graph that matter, and an independent comparison of outputs."""

from __future__ import annotations

import numpy as np

from workers.partition_keras import keras
from workers.partition_models import APPLICATIONS
from workers.store_making import calibrate

layers = keras.layers
SIZE = 8


def sequential():
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Conv2D(4, 3, name="conv"),
            layers.Flatten(name="flatten"),
            layers.Dense(5, name="logits"),
        ],
        name="sequential",
    )


def residual():
    """in -> a -> [b -> add(a, b)] -> out: positions 1 2 [3 4] 5 6."""
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    a = layers.Conv2D(4, 3, padding="same", name="a")(inputs)
    b = layers.Conv2D(4, 3, padding="same", name="b")(a)
    x = layers.Add(name="add")([a, b])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(5, name="logits")(x), name="residual")


def operators():
    """As `residual`, with operations that are no layers: an operator, and one with two results."""
    inputs = keras.Input((SIZE, SIZE, 4), name="in")
    a = layers.Conv2D(4, 3, padding="same", name="a")(inputs)
    left, right = keras.ops.split(a, 2, axis=-1)
    x = left * 2.0 + right
    return keras.Model(inputs, layers.Dense(5, name="logits")(layers.Flatten()(x)), name="operators")


def one_region():
    """No inner point: both branches start at the input and meet in the output layer."""
    inputs = keras.Input((4,), name="in")
    return keras.Model(
        inputs,
        layers.Add(name="sum")([layers.Dense(3, name="a")(inputs), layers.Dense(3, name="b")(inputs)]),
        name="one_region",
    )


def nested():
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    return keras.Model(inputs, layers.Dense(2, name="logits")(residual()(inputs)), name="nested")


def normalised():
    """Batch normalisation and dropout: statistics and a seed among the variables."""
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Dropout(0.5, name="drop")(layers.Flatten(name="flatten")(x))
    return keras.Model(inputs, layers.Dense(5, name="logits")(x), name="normalised")


def shared_layer():
    inputs = keras.Input((4,), name="in")
    dense = layers.Dense(4, name="twice")
    return keras.Model(inputs, dense(dense(inputs)), name="shared_layer")


def two_inputs():
    inputs = [keras.Input((4,)), keras.Input((4,))]
    return keras.Model(inputs, layers.Add()(inputs), name="two_inputs")


def two_outputs():
    inputs = keras.Input((4,))
    return keras.Model(inputs, [layers.Dense(1)(inputs), layers.Dense(2)(inputs)], name="two_outputs")


def open_size():
    inputs = keras.Input((None, None, 3))
    return keras.Model(inputs, layers.Conv2D(2, 3)(inputs), name="open_size")


def masked():
    """The embedding's mask, made from the input, goes beside its result to the pooling."""
    inputs = keras.Input((6,), dtype="int32", name="in")
    x = layers.Embedding(10, 4, mask_zero=True, name="embedding")(inputs)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(2, name="logits")(x), name="masked")


def application(name, size=None, seed=5):
    """A model of keras.applications with seeded weights, ending in logits that depend on the frame."""
    keras.utils.set_random_seed(seed)
    source = APPLICATIONS[name]
    shape = {} if size is None else {"input_shape": (size, size, 3)}
    model = getattr(keras.applications, source.class_name)(weights=None, classifier_activation=None, **shape)
    calibrate(model, source.preprocess, seed)
    return model


def frame(shape, seed=1):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def same_logits(found, expected):
    """Whether two results agree to 1e-4 of the largest logit: a kernel that is 1 % off must not pass."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert np.abs(expected).max() > 1e-3, "degenerate logits: the comparison would mean nothing"
    assert expected.std() > 1e-3 * np.abs(expected).max()
    return found.shape == expected.shape and np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
