"""Models that do nothing, to measure everything else: ``workers.null_models:small`` and ``…:picture``.

Their input is whole numbers, which are not preprocessed, and their output three of them. Cut at the input the whole
picture goes over the link, at the output three numbers do.
"""

from __future__ import annotations

from typing import Any

from workers.partition_keras import keras

SMALL, PICTURE = 8, 224


def small() -> Any:
    """Return the model for frames of 8 × 8: what a frame costs whatever its size."""
    return _corner(SMALL)


def picture() -> Any:
    """Return the model for frames of 224 × 224, those of the paper's models: what its bytes cost."""
    return _corner(PICTURE)


def _corner(size: int) -> Any:
    """Return a model that cuts out one corner: it moves three numbers and computes nothing."""
    inputs = keras.Input((size, size, 3), name="input", dtype="uint8")
    corner = keras.layers.Cropping2D(((0, size - 1), (0, size - 1)), name="corner")(inputs)
    return keras.Model(inputs, keras.layers.Flatten(name="output", dtype="float32")(corner), name=f"null_{size}")
