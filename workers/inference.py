"""What a runner process needs of TensorFlow: load a stored model, build heads and tails, run them.

Importing this module imports no TensorFlow; `LoadedModel.load` does, or `import_runtime` before it. All strategies load
by this code. Weights are mapped from their file, whose pages all processes of a host share, or read into private memory
of each process, as in the paper, so that the memory of two pipelines is that of two (docs/adr/0010-one-loader.md).
"""

from __future__ import annotations

import functools
import math
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.errors import PartitionError
from workers.graph_stretch import Stretch
from workers.partition import resolve
from workers.store import ALIGNMENT_BYTES, FRAME, GRAPH, WEIGHTS, StoredModel, point_node, weight_node
from workers.store_check import state_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import DTypeLike, NDArray

    from workers.graph_runtime import Chain, Function, StoredGraph
    from workers.messages import WeightsMemory
    from workers.partition import PartitionPoint
    from workers.store import StoredVariable

    Array = NDArray[Any]

_REMEDY = "Remove its folder and make or copy it again."


class Part:
    """A head or tail, warm: one array in, one float32 array out, no batch dimension.

    The result may be a read-only view of TensorFlow's memory, which lives as long as the view. `shape` and `dtype` are
    those of what it takes. `timings_ms`: ``build`` (its stretch of the graph), ``instantiate`` (TensorFlow optimises it
    and makes its kernels), and once it is warm ``first_inference``.
    """

    def __init__(
        self,
        run: Function | Chain,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        timings_ms: dict[str, float],
    ) -> None:
        self.run = run
        self.shape, self.dtype = shape, np.dtype(dtype)
        started_ns = time.monotonic_ns()
        run.instantiate()
        self.timings_ms = {**timings_ms, "instantiate": _elapsed_ms(started_ns)}

    def warm_up(self) -> None:
        """Run it once on nothing, so that also its first frame finds its memory and kernels in place."""
        started_ns = time.monotonic_ns()
        self(np.zeros(self.shape, self.dtype))
        self.timings_ms = {**self.timings_ms, "first_inference": _elapsed_ms(started_ns)}

    def __call__(self, array: Array) -> NDArray[np.float32]:
        """Run it on one frame or tensor.

        Raises:
            ValueError: `array` has another shape or type than this part takes.
        """
        if array.shape != self.shape or array.dtype != self.dtype:
            raise ValueError(f"this part takes {self.dtype} {self.shape}, but was given {array.dtype} {array.shape}")
        # A memoryview of an eager tensor is its own memory; .numpy() would copy it.
        return np.asarray(memoryview(self.run(array)))


class LoadedModel:
    """A stored model in this process.

    `timings_ms`: ``import`` (TensorFlow, near 0 the second time), ``read`` (the weights' file into memory, or its
    mapping), ``assemble`` (the graph over it).
    """

    def __init__(
        self, graph: StoredGraph, tensors: Mapping[str, Any], meta: StoredModel, timings_ms: dict[str, float]
    ) -> None:
        self._graph = graph
        self._tensors = tensors
        self.meta = meta
        self.timings_ms = timings_ms

    @classmethod
    def load(cls, folder: Path, weights_memory: WeightsMemory = "mapped", state: str | None = None) -> LoadedModel:
        """Load the model that `workers.store` put into `folder`.

        `state` is what `workers.store_check.state_of` said of it when it was compared with its digest.

        Raises:
            PartitionError: no stored model there, one whose files do not fit together, or one that was changed since.
        """
        meta = StoredModel.read(folder)
        started_ns = time.monotonic_ns()
        runtime = _runtime()
        imported_ns = time.monotonic_ns()
        place = _map if weights_memory == "mapped" else _read_aligned
        try:
            weights = place(folder / WEIGHTS, meta.weights_bytes)
        except OSError as error:
            raise PartitionError(f"{error.filename} cannot be read: {error.strerror}. {_REMEDY}") from error
        read_ns = time.monotonic_ns()
        tensors = {weight_node(i): runtime.over(_view(weights, v)) for i, v in enumerate(meta.variables)}
        graph = runtime.StoredGraph(folder / GRAPH, tensors)
        if state is not None:
            _check_unchanged(folder, state)  # after all was read or mapped
        timings_ms = {
            "import": (imported_ns - started_ns) / 1e6,
            "read": (read_ns - imported_ns) / 1e6,
            "assemble": _elapsed_ms(read_ns),
        }
        return cls(graph, tensors, meta, timings_ms)

    @property
    def points(self) -> tuple[PartitionPoint, ...]:
        """The model's partition points."""
        return self.meta.points

    def weights(self) -> dict[str, Array]:
        """Return the weights by the names of the graph's nodes that stand for them: views of this very memory."""
        return {name: np.asarray(memoryview(tensor)) for name, tensor in self._tensors.items()}

    def build_head(self, index: int, beside: Iterable[Part] = ()) -> Part:
        """Build the head of a point: uint8 RGB frame (H, W, C) -> float32 tensor of the point's shape.

        It preprocesses the frame; at the input point it does no more than that. Of the heads `beside` it, one that
        covers at least half of it becomes its beginning, which spares the memory of that half.

        Raises:
            PartitionError: no such point; names the nearest.
        """
        point = resolve(self.points, index)
        meta = self.meta
        head = Stretch(FRAME, point_node(point.index), meta.input_shape, meta.input_dtype, point.output_shape)
        return self._build(head, beside)

    def build_tail(self, index: int, beside: Iterable[Part] = ()) -> Part:
        """Build the tail of a point: float32 tensor of the point's shape -> logits (classes,).

        At the output point it is the identity. See `build_head` for `beside`, of which one becomes its end.

        Raises:
            PartitionError: no such point; names the nearest.
        """
        point = resolve(self.points, index)
        last = point_node(self.points[-1].index)
        tail = Stretch(point_node(point.index), last, point.output_shape, "float32", (self.meta.classes,))
        return self._build(tail, beside)

    def _build(self, stretch: Stretch, beside: Iterable[Part]) -> Part:
        started_ns = time.monotonic_ns()
        run = self._graph.function(stretch, [part.run for part in beside])
        return Part(run, stretch.shape, stretch.dtype, {"build": _elapsed_ms(started_ns)})


def _check_unchanged(folder: Path, state: str) -> None:
    try:
        now = state_of(folder)
    except OSError as error:
        now = str(error)
    if now != state:
        raise PartitionError(
            f"stored model {folder} was changed after it had been compared with its digest; it is not served. "
            "Find out what writes there; the next session compares it again."
        )


def _elapsed_ms(since_ns: int) -> float:
    return (time.monotonic_ns() - since_ns) / 1e6


def import_runtime() -> float:
    """Import what runs graphs and start it; return how long that took (ms), near 0 the second time."""
    started_ns = time.monotonic_ns()
    _runtime().start()
    return _elapsed_ms(started_ns)


@functools.cache
def _runtime() -> ModuleType:
    """Import what runs graphs, giving it as many threads as this process has CPUs."""
    from workers import graph_runtime  # noqa: PLC0415 - takes half a second

    graph_runtime.set_threads(len(os.sched_getaffinity(0)))
    return graph_runtime


def _view(weights: NDArray[np.uint8], stored: StoredVariable) -> Array:
    size = math.prod(stored.shape) * np.dtype(stored.dtype).itemsize
    return weights[stored.offset : stored.offset + size].view(stored.dtype).reshape(stored.shape)


def _map(path: Path, size: int) -> NDArray[np.uint8]:
    """Return the file's bytes as they are in the page cache; a write to them would make a private copy of its page."""
    found = path.stat().st_size
    if found < size:  # reading what is not there would end the process
        raise _cut_off(path, found, size)
    if not size:  # a model that has nothing to learn; the kernel maps no empty file
        return np.empty(0, np.uint8)
    return np.memmap(path, np.uint8, mode="c", shape=(size,))


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
                raise _cut_off(path, done, size)
            done += count
    return memory


def _cut_off(path: Path, found: int, size: int) -> PartitionError:
    return PartitionError(f"{path} ends after {found} of {size} bytes: the copy was interrupted. {_REMEDY}")
