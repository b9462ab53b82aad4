"""A model that is nearly all weights."""

WEIGHTS_MB = 256


def heavy():
    """Return a model whose weights take `WEIGHTS_MB`, and its tensors next to nothing."""
    import keras  # noqa: PLC0415 - takes seconds

    inputs = keras.Input((4, 4, 3))
    vector = keras.layers.Dense(8192, name="widen")(keras.layers.Flatten(name="flatten")(inputs))
    vector = keras.layers.Dense(8192, activation="relu", name="heavy")(vector)
    return keras.Model(inputs, keras.layers.Dense(5, name="out")(vector), name="heavy")
