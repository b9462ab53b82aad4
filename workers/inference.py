"""What a runner process needs of TensorFlow: load a stored model, build heads and tails, run them.

Importing this module imports no TensorFlow; `LoadedModel.load` does. Every process, and every model loaded,
has its own copy of the weights in private memory, as in the paper: nothing is mapped or shared, so that the
memory measured for two pipelines is that of two pipelines.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.errors import PartitionError
from workers.partition import resolve, split
from workers.partition_models import preprocess
from workers.store import ALIGNMENT_BYTES, ARCHITECTURE, WEIGHTS, StoredModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import DTypeLike, NDArray

    from workers.partition import PartitionPoint

    Array = NDArray[Any]


class Part:
    """A head or tail, traced and warm: one array in, one float32 array out, no batch dimension.

    The result may be a read-only view of TensorFlow's memory, which lives as long as the view. `timings_ms`:
    ``build`` (the Keras models), ``trace`` (the graph), ``first_inference`` (the call that warmed it).
    """

    def __init__(
        self,
        run: Callable[[Array], Any],
        shape: tuple[int, ...],
        dtype: DTypeLike,
        timings_ms: dict[str, float],
    ) -> None:
        self._run = run
        self._shape, self._dtype = shape, np.dtype(dtype)
        started_ns = time.monotonic_ns()
        self(np.zeros(shape, dtype))
        self.timings_ms = {**timings_ms, "first_inference": _elapsed_ms(started_ns)}

    def __call__(self, array: Array) -> NDArray[np.float32]:
        """Run it on one frame or tensor.

        Raises:
            ValueError: `array` has another shape or type than this part takes.
        """
        if array.shape != self._shape or array.dtype != self._dtype:
            raise ValueError(f"this part takes {self._dtype} {self._shape}, but was given {array.dtype} {array.shape}")
        # A memoryview of an eager tensor is its own memory; .numpy() would copy it.
        return np.asarray(memoryview(self._run(array)))


class LoadedModel:
    """A stored model in this process's private memory.

    `timings_ms`: ``import`` (TensorFlow, near 0 the second time), ``read`` (the weights' file into memory),
    ``assemble`` (Keras's layers over it).
    """

    def __init__(self, model: Any, meta: StoredModel, timings_ms: dict[str, float]) -> None:
        self._model = model
        self.meta = meta
        self.timings_ms = timings_ms

    @classmethod
    def load(cls, folder: Path) -> LoadedModel:
        """Load the model that `workers.store` put into `folder`.

        Raises:
            PartitionError: no stored model there, or one whose files do not fit together.
        """
        meta = StoredModel.read(folder)
        started_ns = time.monotonic_ns()
        _tensorflow()
        imported_ns = time.monotonic_ns()
        weights = _read_aligned(folder / WEIGHTS, meta.weights_bytes)
        read_ns = time.monotonic_ns()
        model = _assemble((folder / ARCHITECTURE).read_text(), meta, weights)
        timings_ms = {
            "import": (imported_ns - started_ns) / 1e6,
            "read": (read_ns - imported_ns) / 1e6,
            "assemble": _elapsed_ms(read_ns),
        }
        return cls(model, meta, timings_ms)

    @property
    def points(self) -> tuple[PartitionPoint, ...]:
        """The model's partition points."""
        return self.meta.points

    def build_head(self, index: int) -> Part:
        """Build the head of a point: uint8 RGB frame (H, W, C) -> float32 tensor of the point's shape.

        It preprocesses the frame; at the input point it does no more than that.

        Raises:
            PartitionError: no such point; names the nearest.
        """
        started_ns = time.monotonic_ns()
        head, _ = split(self._model, resolve(self.points, index))
        tf = _tensorflow().tf

        def run(frame: Any) -> Any:
            return head(preprocess(tf.cast(frame, tf.float32), self.meta.preprocess), training=False)

        return _make_part(run, self.meta.input_shape, self.meta.input_dtype, started_ns)

    def build_tail(self, index: int) -> Part:
        """Build the tail of a point: float32 tensor of the point's shape -> logits (classes,).

        At the output point it is the identity.

        Raises:
            PartitionError: no such point; names the nearest.
        """
        started_ns = time.monotonic_ns()
        point = resolve(self.points, index)
        _, tail = split(self._model, point)
        tf = _tensorflow().tf

        def run(tensor: Any) -> Any:
            return tf.reshape(tail(tensor, training=False), (1, self.meta.classes))

        return _make_part(run, point.output_shape, "float32", started_ns)


def _elapsed_ms(since_ns: int) -> float:
    return (time.monotonic_ns() - since_ns) / 1e6


@functools.cache
def _tensorflow() -> ModuleType:
    """Import TensorFlow, giving it as many threads as this process has CPUs, and Keras."""
    from workers import partition_keras as backend  # noqa: PLC0415 - takes seconds

    cpus = len(os.sched_getaffinity(0))
    # Once TensorFlow has run anything in this process, its threads stay as they are.
    with contextlib.suppress(RuntimeError):
        backend.tf.config.threading.set_intra_op_parallelism_threads(cpus)
        backend.tf.config.threading.set_inter_op_parallelism_threads(cpus)
    return backend


def _read_aligned(path: Path, size: int) -> NDArray[np.uint8]:
    """Return the file's bytes in private memory that starts at a multiple of `ALIGNMENT_BYTES`."""
    memory = np.empty(size + ALIGNMENT_BYTES, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT_BYTES
    memory = memory[start : start + size]
    view, done = memory.data, 0
    with path.open("rb", buffering=0) as stream:
        while done < size:
            count = stream.readinto(view[done:])
            if not count:
                raise PartitionError(
                    f"{path} ends after {done} of {size} bytes: the copy was interrupted. Remove its folder "
                    "and make or copy it again."
                )
            done += count
    return memory


def _assemble(architecture: str, meta: StoredModel, weights: NDArray[np.uint8]) -> Any:
    """Return the Keras model whose variables are `weights`, without a copy.

    Within a stateless scope variables get no value until the scope ends; then Keras asks their initialisers,
    which here hand over the memory of the file. Neither random values nor zeros are ever made.
    """
    keras, from_dlpack = _tensorflow().keras, _tensorflow().tf.experimental.dlpack.from_dlpack

    def hand_over(values: Any) -> Callable[..., Any]:
        return lambda *_args, **_options: from_dlpack(values.__dlpack__())  # keeps the memory alive

    with keras.StatelessScope():
        model = _rebuild(architecture, meta)
        for variable, stored in zip(model.variables, meta.variables, strict=True):
            size = math.prod(stored.shape) * np.dtype(stored.dtype).itemsize
            values = weights[stored.offset : stored.offset + size].view(stored.dtype).reshape(stored.shape)
            variable._initializer = hand_over(values)  # noqa: SLF001 - no public way without a copy
    return model


def _rebuild(architecture: str, meta: StoredModel) -> Any:
    """Return the Keras model after checking that its variables are those that were stored."""
    keras = _tensorflow().keras
    try:
        model = keras.models.model_from_json(architecture)
    except (ValueError, TypeError, KeyError) as error:
        keras.utils.clear_session()  # or leaving the scope would draw values for what was built
        raise PartitionError(f"{_cannot_rebuild(meta)}: {error}") from error
    expected = [(stored.shape, stored.dtype) for stored in meta.variables]
    if expected != [(tuple(variable.shape), variable.dtype) for variable in model.variables]:
        keras.utils.clear_session()
        raise PartitionError(f"{_cannot_rebuild(meta)}: its variables are laid out otherwise.")
    return model


def _cannot_rebuild(meta: StoredModel) -> str:
    return (
        f"stored model {meta.digest[:12]} ({meta.model}) was made with Keras {meta.keras} and cannot be rebuilt "
        f"with Keras {_tensorflow().keras.__version__}; all hosts need the same version"
    )


def _make_part(run: Callable[[Any], Any], shape: tuple[int, ...], dtype: str, started_ns: int) -> Part:
    """Trace `run`, which takes and returns a batch of one, and warm it."""
    tf = _tensorflow().tf

    def one(array: Any) -> Any:
        return tf.cast(run(array[tf.newaxis])[0], tf.float32)

    built_ns = time.monotonic_ns()
    signature = [tf.TensorSpec(shape, dtype)]
    traced = tf.function(one, input_signature=signature, autograph=False).get_concrete_function()
    timings_ms = {"build": (built_ns - started_ns) / 1e6, "trace": _elapsed_ms(built_ns)}
    return Part(lambda array: traced(tf.convert_to_tensor(array)), shape, dtype, timings_ms)
