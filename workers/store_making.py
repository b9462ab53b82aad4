"""Makes what `workers.store` keeps; imports TensorFlow."""

from __future__ import annotations

import hashlib
import math
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from workers.errors import PartitionError
from workers.graph_export import export_graph
from workers.partition_keras import keras, read_model
from workers.partition_models import Application, ModelSource, Preprocess, build_model, choose_preprocess, preprocess
from workers.store import (
    ALIGNMENT_BYTES,
    GRAPH,
    META,
    SCHEMA_VERSION,
    WEIGHTS,
    Request,
    StoredModel,
    StoredVariable,
    compute_digest,
)

if TYPE_CHECKING:
    from pathlib import Path

_FRAME_AXES, _CHANNELS = ("height", "width", "channels"), 3
_CALIBRATION_FRAMES = 8
_PATCHES = 14  # a calibration frame's coarse pattern, per side: frames are no white noise


def make_model(source: ModelSource, request: Request, weights: str, folder: Path) -> str:
    """Write the three files of the model into `folder` and return their digest.

    Raises:
        PartitionError: a model or weights that cannot be used.
    """
    keras.utils.clear_session()  # names that Keras makes up count from the start: same model, same digest
    # Also where all weights come from a file: a dropout layer's own seed is drawn, and is a variable too.
    keras.utils.set_random_seed(request.seed or 0)
    model = _build(source, request, weights)
    how = choose_preprocess(source, model)
    exported = export_graph(model, how)
    (folder / GRAPH).write_bytes(exported.graph)
    variables, weights_sha256 = _write_weights(model, folder / WEIGHTS)
    meta = StoredModel(
        schema_version=SCHEMA_VERSION,
        digest="",
        model=source.model_id,
        weights=request.weights,
        seed=request.seed,
        keras=request.keras,
        preprocess=how,
        input_shape=tuple(model.inputs[0].shape[1:]),
        input_dtype="uint8",
        classes=math.prod(exported.points[-1].output_shape),
        weights_bytes=(folder / WEIGHTS).stat().st_size,
        points=exported.points,
        layers=exported.layers,
        variables=variables,
    )
    digest = compute_digest(meta, hashlib.sha256(exported.graph).hexdigest(), weights_sha256)
    (folder / META).write_bytes(msgspec.json.encode(msgspec.structs.replace(meta, digest=digest)))
    return digest


def _build(source: ModelSource, request: Request, weights: str) -> Any:
    if request.weights == "imagenet":
        return _download(source)
    model = build_model(source)
    _check_input(model)  # before anything long is done with it
    if request.weights.startswith("sha256:"):
        _load_weights(model, weights)
    elif isinstance(source, Application):
        calibrate(model, source.preprocess, request.seed)
    return model


def _check_input(model: Any) -> None:
    """Refuse what cannot be partitioned, and what frames cannot feed."""
    given = read_model(model).inputs[0]
    if len(given.shape) != len(_FRAME_AXES) + 1 or given.shape[-1] != _CHANNELS or given.dtype == "string":
        raise PartitionError(
            f"model {model.name!r} takes {given.dtype} of shape {tuple(given.shape[1:])}, but the device sends frames "
            f"of shape (height, width, {_CHANNELS}), so it cannot be measured; its points can be listed with: "
            "python -m workers.partition. Give a model whose keras.Input is a picture."
        )


def _download(source: ModelSource) -> Any:
    try:
        return build_model(source, weights="imagenet")
    except Exception as error:  # Keras raises a bare Exception for every failed download
        raise PartitionError(
            f"the imagenet weights of {source.model_id} could not be had: {error}. On a machine with "
            "network, download the file that this message names; then give it as the weights: --weights FILE "
            "(in the config: `weights: FILE`)."
        ) from error


def _load_weights(model: Any, path: str) -> None:
    try:
        with warnings.catch_warnings():
            # Where a file lacks a layer, Keras warns and leaves that layer's weights random.
            warnings.simplefilter("error", UserWarning)
            model.load_weights(path)
    except (ValueError, OSError, KeyError, TypeError, UserWarning, zipfile.BadZipFile) as error:
        raise PartitionError(f"weights {path} do not fit model {model.name!r}: {error}") from error


def calibrate(model: Any, how: Preprocess, seed: int | None) -> None:
    """Give batch normalisation the statistics of seeded frames.

    With the initial ones (mean 0, variance 1) random weights let the signal fade: MobileNetV2's logits are
    1e-10 and hardly depend on the frame, so that no comparison of outputs would notice a wrong result.
    """
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0  # one call in training then sets the moving statistics to the batch's
    frames = _draw_frames(model.inputs[0].shape[1:], seed)
    model(preprocess(frames, how).astype(np.float32), training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def _draw_frames(shape: tuple[int, int, int], seed: int | None) -> Any:
    height, width, channels = shape
    size = (_CALIBRATION_FRAMES, _PATCHES, _PATCHES, channels)
    patches = np.random.default_rng(seed).integers(0, 256, size)
    rows, columns = (np.arange(size) * _PATCHES // size for size in (height, width))
    return patches[:, rows][:, :, columns].astype(np.float32)


def _write_weights(model: Any, path: Path) -> tuple[tuple[StoredVariable, ...], str]:
    """Write the variables' bytes, each aligned; return where they lie and the file's SHA-256."""
    stored = []
    digest = hashlib.sha256()
    offset = 0
    with path.open("wb") as stream:
        for variable in model.variables:
            values = np.ascontiguousarray(variable.numpy())
            padding = -offset % ALIGNMENT_BYTES
            offset += padding
            stored.append(StoredVariable(variable.path, values.shape, values.dtype.name, offset))
            for data in (bytes(padding), values.reshape(-1).view(np.uint8).data):
                stream.write(data)
                digest.update(data)
            offset += values.nbytes
    return tuple(stored), digest.hexdigest()
