"""The part of TensorFlow that runs a graph, and no more of it. The one place where a serving process imports it.

``import tensorflow`` and ``import keras`` load 2,800 modules in two to three seconds, of which a process that runs a
stored graph needs a quarter. So TensorFlow's submodules are imported without its ``__init__``: below a stand-in for
the package that has the same path. Where TensorFlow was imported whole before, that one is used.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import sys
import types
from typing import TYPE_CHECKING, Any, NamedTuple

from workers.errors import PartitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only: a runner's stderr is fetched and read

if "tensorflow" not in sys.modules:
    _spec = importlib.util.find_spec("tensorflow")
    if _spec is None or _spec.submodule_search_locations is None:
        raise ImportError("TensorFlow is not installed here. Install it with: hosts/setup.sh --role edge")
    _stand_in = types.ModuleType("tensorflow", "TensorFlow without its API; see workers.graph_runtime.")
    _stand_in.__path__ = list(_spec.submodule_search_locations)
    _stand_in.__spec__ = _spec
    sys.modules["tensorflow"] = _stand_in

from google.protobuf.message import DecodeError
from tensorflow.core.framework import graph_pb2
from tensorflow.python import tf2
from tensorflow.python.dlpack.dlpack import from_dlpack
from tensorflow.python.eager import context
from tensorflow.python.eager.polymorphic_function import atomic_function
from tensorflow.python.framework import func_graph, importer, ops
from tensorflow.python.ops import array_ops, math_ops

tf2.enable()
ops.enable_eager_execution()

_numbers = itertools.count(1)  # a function's name is registered once in a process


def set_threads(count: int) -> None:
    """Give TensorFlow so many threads. Once it has run anything in this process they stay as they are."""
    settings = context.context()
    if not settings._initialized:  # noqa: SLF001 - no public way to ask
        settings.intra_op_parallelism_threads = count
        settings.inter_op_parallelism_threads = count


def threads() -> tuple[int, int]:
    """Return the threads within an operation and between operations."""
    settings = context.context()
    return settings.intra_op_parallelism_threads, settings.inter_op_parallelism_threads


def over(values: Any) -> Any:
    """Return a tensor that is the memory of a NumPy array (64-byte aligned), and keeps it alive."""
    return from_dlpack(values.__dlpack__())


class Stretch(NamedTuple):
    """A stretch of a graph from node `feed` to node `fetch`; shapes without the batch dimension.

    It takes an array of `shape` and `dtype` and gives one of `out_shape`.
    """

    feed: str
    fetch: str
    shape: tuple[int, ...]
    dtype: str
    out_shape: tuple[int, ...]


class StoredGraph:
    """A graph as `workers.graph_export` wrote it, with its weights.

    Args:
        path: the file of the GraphDef.
        weights: tensors by the name of the node that stands for them.

    Raises:
        PartitionError: the file holds no graph.
    """

    def __init__(self, path: Path, weights: Mapping[str, Any]) -> None:
        self._graph = graph_pb2.GraphDef()
        try:
            self._graph.ParseFromString(path.read_bytes())
        except (OSError, DecodeError) as error:
            raise PartitionError(
                f"{path} holds no graph ({error}). Remove its folder and make or copy it again."
            ) from error
        self._nodes = {node.name: node for node in self._graph.node}
        self._weights = weights

    def function(self, stretch: Stretch) -> Callable[[Any], Any]:
        """Return what computes a stretch of the graph, whatever else hangs on its ends.

        It takes a NumPy array of the stretch's shape and type and returns a float32 tensor.
        """
        feed, fetch = stretch.feed, stretch.fetch
        wanted = self._between(feed, fetch)
        used = [name for name in self._weights if name in wanted]
        graph = func_graph.FuncGraph(f"{feed}_to_{fetch}")
        with graph.as_default():
            given = array_ops.placeholder(stretch.dtype, stretch.shape)
            fed = math_ops.cast(array_ops.expand_dims(given, 0), self._dtype(feed))
            captured = {f"{name}:0": graph.capture(self._weights[name]) for name in used}
            found = fed
            if feed != fetch:
                (found,) = importer.import_graph_def(
                    self._part(wanted - {feed, *used}),
                    input_map={f"{feed}:0": fed, **captured},
                    return_elements=[f"{fetch}:0"],
                    name="",
                )
            result = math_ops.cast(array_ops.reshape(found, stretch.out_shape), "float32")
        graph.inputs = [given, *captured.values()]
        graph.outputs = [result]
        compiled = atomic_function.from_func_graph(f"__inference_{graph.name}_{next(_numbers)}", graph, {})
        weights = [self._weights[name] for name in used]
        return lambda values: compiled.call_flat(ops.convert_to_tensor(values), *weights)[0]

    def _dtype(self, name: str) -> int:
        attributes = self._nodes[name].attr
        return int(attributes["dtype" if self._nodes[name].op == "Placeholder" else "T"].type)

    def _between(self, feed: str, fetch: str) -> set[str]:
        """Return the nodes that `fetch` needs, walking back no further than `feed`."""
        found: set[str] = set()
        waiting = [fetch]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                if name != feed:
                    waiting += [_node_of(source) for source in self._nodes[name].input]
        return found

    def _part(self, names: set[str]) -> Any:
        part = graph_pb2.GraphDef(versions=self._graph.versions, library=self._graph.library)
        part.node.extend(node for node in self._graph.node if node.name in names)
        return part


def _node_of(source: str) -> str:
    """Return the node that an input such as ``^conv``, ``conv`` or ``conv:1`` names."""
    return source.removeprefix("^").partition(":")[0]
