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
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    a = layers.Conv2D(4, 3, padding="same", name="a")(inputs)
    left, right = keras.ops.split(a, 2, axis=-1)
    x = left * 2.0 + right
    return keras.Model(inputs, layers.Dense(5, name="logits")(layers.Flatten()(x)), name="operators")


def one_region():
    """No inner point: both branches start at the input and meet in the output layer."""
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    branches = [layers.Conv2D(2, 3, name=name)(inputs) for name in "ab"]
    return keras.Model(inputs, layers.Add(name="sum")(branches), name="one_region")


def branches():
    """Three branches of different lengths, two of which meet before the third."""
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    stem = layers.Conv2D(4, 3, padding="same", name="stem")(inputs)
    one = layers.Conv2D(4, 1, name="one")(stem)
    two = layers.ReLU(name="two_b")(layers.Conv2D(4, 3, padding="same", name="two_a")(stem))
    x = layers.Concatenate(name="meet")([layers.Add(name="early")([one, two]), stem])
    return keras.Model(inputs, layers.Dense(5, name="logits")(layers.Flatten(name="flatten")(x)), name="branches")


def nested():
    """in -> [residual's five layers, opened up] -> out."""
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    return keras.Model(inputs, layers.Dense(2, name="logits")(residual()(inputs)), name="nested")


def nested_twice_over():
    """A Sequential that starts with a functional model, in which there is a Sequential without an Input layer."""
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    stem = keras.Sequential([layers.Conv2D(4, 3, name="conv"), layers.BatchNormalization(name="norm")], name="stem")
    backbone = keras.Model(inputs, stem(inputs, training=False), name="backbone")
    return keras.Sequential([backbone, layers.Flatten(name="flatten"), layers.Dense(5, name="logits")], name="outer")


def nested_with_several_ends():
    """A model of two inputs and three outputs, one of them unread, called as a layer."""
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    total, product = layers.Add(name="total")([left, right]), layers.Multiply(name="product")([left, right])
    unread = layers.Dense(3, name="unread")(product)
    pair = keras.Model({"left": left, "right": right}, [total, unread, product], name="pair")
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    x = layers.Dense(4, name="a")(layers.Flatten(name="flatten")(inputs))
    total, _, product = pair({"right": layers.Dense(4, name="b")(x), "left": x})
    return keras.Model(inputs, layers.Dense(5, name="logits")(layers.Concatenate()([total, product])), name="several")


def nested_that_does_nothing():
    """A model whose output is its input, in the middle of another."""
    nothing_in = keras.Input((SIZE, SIZE, 3))
    nothing = keras.Model(nothing_in, nothing_in, name="nothing")
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    x = nothing(layers.Conv2D(3, 3, padding="same", name="conv")(nothing(inputs)))
    return keras.Model(inputs, layers.Dense(5, name="logits")(layers.Flatten(name="flatten")(x)), name="around_nothing")


def nested_of_another_type():
    """A model of half precision, whose float32 input makes Keras cast between its layers."""
    half = keras.dtype_policies.DTypePolicy("mixed_float16")
    inner_in = keras.Input((SIZE, SIZE, 3))
    inner = keras.Model(inner_in, layers.Conv2D(4, 3, dtype=half, name="conv")(inner_in), name="inner")
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    x = inner(layers.Conv2D(3, 3, padding="same", dtype=half, name="conv")(inputs))
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, layers.Dense(5, dtype="float32", name="logits")(x), name="half")


def siamese():
    """One model called on two halves of the picture."""
    encoder_in = keras.Input((SIZE, SIZE // 2, 3))
    x = layers.Conv2D(4, 3, name="conv")(encoder_in)
    encoder = keras.Model(encoder_in, layers.Flatten(name="flatten")(x), name="encoder")
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    left, right = keras.ops.split(layers.ReLU(name="relu")(inputs), 2, axis=2)
    both = layers.Subtract(name="minus")([encoder(left), encoder(right)])
    return keras.Model(inputs, layers.Dense(5, name="logits")(both), name="siamese")


def shared_layer():
    """in -> flatten -> twice -> twice@2 -> out."""
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    dense = layers.Dense(SIZE * SIZE * 3, name="twice")
    x = dense(dense(layers.Flatten(name="flatten")(inputs)))
    return keras.Model(inputs, layers.Dense(5, name="logits")(x), name="shared_layer")


def normalised():
    """Batch normalisation and dropout: statistics and a seed among the variables."""
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Dropout(0.5, name="drop")(layers.Flatten(name="flatten")(x))
    return keras.Model(inputs, layers.Dense(5, name="logits")(x), name="normalised")


def always_dropping():
    """Dropout that the model's maker switched on: Keras's predict switches it off."""
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    x = layers.Dropout(0.5, name="drop")(layers.Flatten(name="flatten")(inputs), training=True)
    return keras.Model(inputs, layers.Dense(5, name="logits")(x), name="always_dropping")


class Gate(layers.Layer):
    """A custom layer: two tensors by position, one by keyword, a weight, and a big constant beside its weights."""

    def build(self, shape, *_, **__):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="random_normal", name="scale")
        self.offsets = keras.ops.convert_to_tensor(np.linspace(-1, 1, 200, dtype=np.float32))

    def call(self, value, gate, *, bias=None):
        return value * keras.ops.sigmoid(gate * self.scale) + bias + self.offsets[: value.shape[-1]]


def custom_layers():
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    x = layers.Flatten(name="flatten")(inputs)
    value, gate, bias = (layers.Dense(6, name=name)(x) for name in ("value", "gate", "bias"))
    x = Gate(name="gated")(value, gate, bias=bias)
    x = layers.Lambda(lambda tensor: tensor * 3.0, output_shape=(6,), name="triple")(x)
    return keras.Model(inputs, layers.Dense(5, name="logits")(x), name="custom_layers")


def attention():
    """Several tensors by position and keyword, and a part of the picture as the query."""
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    rows = layers.Reshape((SIZE, SIZE * 3), name="rows")(inputs)
    query = keras.ops.mean(rows, axis=1, keepdims=True)
    x = layers.MultiHeadAttention(2, 4, name="attention")(query, rows, key=layers.Dense(4, name="keys")(rows))
    x = layers.LayerNormalization(name="norm")(x)
    return keras.Model(inputs, layers.Dense(5, name="logits")(layers.Flatten(name="flatten")(x)), name="attention")


def recurrent():
    """Rows as a sequence through loops; one of them returns its state as well."""
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    x = layers.Reshape((SIZE, SIZE * 3), name="rows")(inputs)
    x = layers.Bidirectional(layers.GRU(4, return_sequences=True), name="both_ways")(x)
    _, hidden, cell = layers.LSTM(6, return_state=True, name="memory")(x)
    x = layers.Concatenate(name="states")([hidden, cell])
    return keras.Model(inputs, layers.Dense(5, name="logits")(x), name="recurrent")


def masked_rows():
    """Dark rows are left out: the mask goes beside the tensor, into a nested model and out of it."""
    inner_in = keras.Input((SIZE, SIZE * 3))
    # An operation that is no layer drops the mask; a model that says so hands it on all the same.
    inner = keras.Model(inner_in, layers.LSTM(6, return_sequences=True, name="rnn")(inner_in) * 2.0, name="inner")
    inner.supports_masking = True
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    x = layers.Reshape((SIZE, SIZE * 3), name="rows")(inputs)
    x = layers.Lambda(lambda rows: rows * keras.ops.cast(rows[..., :1] > 0.5, "float32"), name="darken")(x)
    x = inner(layers.Masking(name="masking")(x))
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(5, name="logits")(x), name="masked_rows")


def every_row():
    """A model that a wrapper applies to each row: the wrapper is one layer."""
    row_in = keras.Input((SIZE, 3))
    row = keras.Model(row_in, layers.Dense(2)(layers.Flatten()(row_in)), name="row")
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    x = layers.TimeDistributed(row, name="rows")(inputs)
    return keras.Model(inputs, layers.Dense(5, name="logits")(layers.Flatten(name="flatten")(x)), name="every_row")


def whole_numbers():
    """Takes pixels as they are, and brings its own scaling and statistics."""
    inputs = keras.Input((SIZE, SIZE, 3), dtype="uint8", name="in")
    x = layers.Rescaling(1 / 255, name="scale")(inputs)
    x = layers.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.1, 0.2, 0.3], name="norm")(x)
    x = layers.Conv2D(4, 3, name="conv")(x)
    return keras.Model(inputs, layers.Dense(5, name="logits")(layers.Flatten(name="flatten")(x)), name="whole_numbers")


def windows():
    """Between `cut_up` and `put_together` the first axis holds windows, not frames."""
    inputs = keras.Input((SIZE, SIZE, 3), name="in")
    x = layers.Conv2D(4, 3, padding="same", name="conv")(inputs)
    x = layers.Lambda(lambda t: keras.ops.reshape(t, (-1, 4, SIZE, 4)), name="cut_up")(x)
    x = layers.Conv2D(4, 3, padding="same", name="inside")(x)
    x = layers.Lambda(lambda t: keras.ops.reshape(t, (-1, SIZE * SIZE * 4)), name="put_together")(x)
    return keras.Model(inputs, layers.Dense(5, name="logits")(x), name="windows")


STRUCTURES = [
    *(sequential, residual, operators, one_region, branches),
    *(nested, nested_twice_over, nested_with_several_ends, nested_that_does_nothing, nested_of_another_type),
    *(siamese, shared_layer, normalised, always_dropping, custom_layers, attention),
    *(recurrent, masked_rows, every_row, whole_numbers, windows),
]


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


def mobilenet_small():
    """All layers of MobileNetV2 at a twelfth of the work."""
    return application("mobilenetv2", 64)


def transferred():
    """MobileNetV2 without its top, frozen in a Sequential, as transfer learning nests it."""
    base = application("mobilenetv2", 96, include_top=False)
    return keras.Sequential(
        [base, layers.GlobalAveragePooling2D(name="pool"), layers.Dense(7, name="logits")], name="transferred"
    )


def application(name, size=None, seed=5, **options):
    """A model of keras.applications with seeded weights, ending in logits that depend on the frame."""
    keras.utils.set_random_seed(seed)
    source = APPLICATIONS[name]
    shape = {} if size is None else {"input_shape": (size, size, 3)}
    model = getattr(keras.applications, source.class_name)(weights=None, classifier_activation=None, **shape, **options)
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
