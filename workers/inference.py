"""What a runner process needs of TensorFlow: load a stored model, build heads and tails, run them.

Importing this module imports no TensorFlow; `LoadedModel.load` does. Every process, and every model loaded,
has its own copy of the weights in private memory, as in the paper: nothing is mapped or shared, so that the
memory measured for two pipelines is that of two pipelines.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.errors import PartitionError
from workers.partition import PartitionPoint, resolve, split
from workers.partition_models import preprocess
from workers.store import ALIGNMENT_BYTES, ARCHITECTURE, WEIGHTS, StoredModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    Array = NDArray[np.generic]


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
            raise ValueError(
                f"this part takes {self._dtype} {self._shape}, but was given {array.dtype} {array.shape}"
            )
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
        _import_tensorflow()
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
        """Build the head of the point with this index: uint8 RGB frame (H, W, C) -> tensor of the point's shape.

        It preprocesses the frame; at the input point it does no more than that.

        Raises:
            PartitionError: no such point; names the nearest.
        """
        started_ns = time.monotonic_ns()
        head, _ = split(self._model, resolve(self.points, index))
        how = self.meta.preprocess

        def run(frame: Any) -> Any:
            return head(preprocess(_as_float(frame), how), training=False)

        return _make_part(run, self.meta.input_shape, self.meta.input_dtype, started_ns)

    def build_tail(self, index: int) -> Part:
        """Build the tail of the point with this index: float32 tensor of its shape -> logits (classes,).

        At the output point it is the identity.

        Raises:
            PartitionError: no such point; names the nearest.
        """
        started_ns = time.monotonic_ns()
        point = resolve(self.points, index)
        _, tail = split(self._model, point)

        def run(tensor: Any) -> Any:
            from workers.partition_keras import tf  # noqa: PLC0415

            return tf.reshape(tail(tensor, training=False), (1, self.meta.classes))

        return _make_part(run, point.output_shape, "float32", started_ns)


def _elapsed_ms(since_ns: int) -> float:
    return (time.monotonic_ns() - since_ns) / 1e6


def _import_tensorflow() -> None:
    """Import TensorFlow and give it as many threads as this process has CPUs.

    Its own default counts the machine's CPUs, not those that an affinity mask or a cpuset leave.
    """
    from workers.partition_keras import tf  # noqa: PLC0415

    cpus = len(os.sched_getaffinity(0))
    # Once TensorFlow has run anything in this process, its threads stay as they are.
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(cpus)
        tf.config.threading.set_inter_op_parallelism_threads(cpus)


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
    from workers.partition_keras import keras  # noqa: PLC0415

    with keras.StatelessScope():
        model = keras.models.model_from_json(architecture)
        expected = [(stored.shape, stored.dtype) for stored in meta.variables]
        found = [(tuple(variable.shape), variable.dtype) for variable in model.variables]
        if expected != found:
            keras.utils.clear_session()  # or leaving the scope would draw values for all of them
            raise PartitionError(
                f"stored model {meta.digest[:12]} was made with Keras {meta.keras}; here Keras "
                f"{keras.__version__} lays out its variables otherwise. Install the same version on all hosts."
            )
        for variable, stored in zip(model.variables, meta.variables, strict=True):
            size = math.prod(stored.shape) * np.dtype(stored.dtype).itemsize
            values = weights[stored.offset : stored.offset + size].view(stored.dtype).reshape(stored.shape)
            variable._initializer = _hand_over(values)  # noqa: SLF001 - no public way without a copy
    return model


def _hand_over(values: Array) -> Callable[..., Any]:
    """Return an initialiser that gives `values` to TensorFlow, which keeps the memory alive."""
    from workers.partition_keras import tf  # noqa: PLC0415

    return lambda *_args, **_options: tf.experimental.dlpack.from_dlpack(values.__dlpack__())


def _as_float(frame: Any) -> Any:
    from workers.partition_keras import tf  # noqa: PLC0415

    return tf.cast(frame, tf.float32)


def _make_part(run: Callable[[Any], Any], shape: tuple[int, ...], dtype: str, started_ns: int) -> Part:
    """Trace `run`, which takes and returns a batch of one, and warm it."""
    from workers.partition_keras import tf  # noqa: PLC0415

    def one(array: Any) -> Any:
        return tf.cast(run(array[tf.newaxis])[0], tf.float32)

    built_ns = time.monotonic_ns()
    signature = [tf.TensorSpec(shape, dtype)]
    traced = tf.function(one, input_signature=signature, autograph=False).get_concrete_function()
    timings_ms = {"build": (built_ns - started_ns) / 1e6, "trace": _elapsed_ms(built_ns)}
    return Part(lambda array: traced(tf.convert_to_tensor(array)), shape, dtype, timings_ms)
