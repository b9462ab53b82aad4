"""What a runner process needs of TensorFlow: load a stored model, build heads and tails, run them.

Importing this module imports no TensorFlow; `LoadedModel.load` does. Every process, and every model loaded,
has its own copy of the weights in private memory, as in the paper: nothing is mapped or shared, so that the
memory measured for two pipelines is that of two pipelines.
"""

from __future__ import annotations

import functools
import math
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.errors import PartitionError
from workers.partition import resolve
from workers.store import ALIGNMENT_BYTES, FRAME, GRAPH, WEIGHTS, StoredModel, point_node, weight_node

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import DTypeLike, NDArray

    from workers.graph_runtime import StoredGraph
    from workers.partition import PartitionPoint
    from workers.store import StoredVariable

    Array = NDArray[Any]


class Part:
    """A head or tail, warm: one array in, one float32 array out, no batch dimension.

    The result may be a read-only view of TensorFlow's memory, which lives as long as the view. `timings_ms`:
    ``build`` (its stretch of the graph), ``first_inference`` (the call that warmed it).
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
    ``assemble`` (the graph over it).
    """

    def __init__(self, graph: StoredGraph, meta: StoredModel, timings_ms: dict[str, float]) -> None:
        self._graph = graph
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
        runtime = _runtime()
        imported_ns = time.monotonic_ns()
        weights = _read_aligned(folder / WEIGHTS, meta.weights_bytes)
        read_ns = time.monotonic_ns()
        tensors = {weight_node(i): runtime.over(_view(weights, v)) for i, v in enumerate(meta.variables)}
        graph = runtime.StoredGraph(folder / GRAPH, tensors)
        timings_ms = {
            "import": (imported_ns - started_ns) / 1e6,
            "read": (read_ns - imported_ns) / 1e6,
            "assemble": _elapsed_ms(read_ns),
        }
        return cls(graph, meta, timings_ms)

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
        point = resolve(self.points, index)
        return self._build(FRAME, point, self.meta.input_shape, self.meta.input_dtype, point.output_shape)

    def build_tail(self, index: int) -> Part:
        """Build the tail of a point: float32 tensor of the point's shape -> logits (classes,).

        At the output point it is the identity.

        Raises:
            PartitionError: no such point; names the nearest.
        """
        point = resolve(self.points, index)
        last = self.points[-1]
        return self._build(point_node(point.index), last, point.output_shape, "float32", (self.meta.classes,))

    def _build(
        self, feed: str, end: PartitionPoint, shape: tuple[int, ...], dtype: str, out_shape: tuple[int, ...]
    ) -> Part:
        started_ns = time.monotonic_ns()
        run = self._graph.function(_runtime().Stretch(feed, point_node(end.index), shape, dtype, out_shape))
        return Part(run, shape, dtype, {"build": _elapsed_ms(started_ns)})


def _elapsed_ms(since_ns: int) -> float:
    return (time.monotonic_ns() - since_ns) / 1e6


@functools.cache
def _runtime() -> ModuleType:
    """Import what runs graphs, giving it as many threads as this process has CPUs."""
    from workers import graph_runtime  # noqa: PLC0415 - takes most of a second

    graph_runtime.set_threads(len(os.sched_getaffinity(0)))
    return graph_runtime


def _view(weights: NDArray[np.uint8], stored: StoredVariable) -> Array:
    size = math.prod(stored.shape) * np.dtype(stored.dtype).itemsize
    return weights[stored.offset : stored.offset + size].view(stored.dtype).reshape(stored.shape)


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
