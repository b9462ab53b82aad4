"""The part of TensorFlow that runs a graph, and no more of it. The one place where a serving process imports it.

``import tensorflow`` and ``import keras`` load 2,800 modules in two to three seconds, of which a process that runs a
stored graph needs a quarter. So TensorFlow's submodules are imported without its ``__init__``: below a stand-in for
the package that has the same path. Where TensorFlow was imported whole before, that one is used.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import itertools
import os
import sys
import types
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.errors import PartitionError
from workers.graph_stretch import Argument, Stretch, Types, between, make_function

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
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
from tensorflow.core.framework import function_pb2, graph_pb2
from tensorflow.python import tf2
from tensorflow.python.dlpack.dlpack import from_dlpack
from tensorflow.python.eager import cancellation, context, execute
from tensorflow.python.framework import dtypes, errors_impl, op_def_registry, ops

tf2.enable()
ops.enable_eager_execution()

_COVERED = 0.5  # of a stretch: with less, a second call a frame spares too little (docs/adr/0010-one-loader.md)
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


def start() -> None:
    """Make TensorFlow's context: its devices and threads."""
    context.context().ensure_initialized()


def over(values: Any) -> Any:
    """Return a tensor that is the memory of a NumPy array (64-byte aligned), and keeps it alive."""
    return from_dlpack(values.__dlpack__())


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
        self._functions = {function.signature.name: function for function in self._graph.library.function}
        for name, function in self._functions.items():  # named by their content: what is there already is the same
            if not context.context().has_function(name):
                context.context().add_function_def(function)

    def function(self, stretch: Stretch, beside: Iterable[Function | Chain] = ()) -> Function | Chain:
        """Return what computes a stretch of the graph.

        Where one of the functions `beside` covers at least half of it, it is that and a function of the rest: the
        kernels of what is covered are there once, and each call costs a second one.
        """
        wanted = between(self._nodes, stretch.feed, stretch.fetch)
        ends = (one for one in beside if isinstance(one, Function) and one.stretch.is_end_of(stretch, wanted))
        largest = max(ends, key=lambda one: one.size, default=None)
        if largest is None or largest.size < _COVERED * len(wanted):
            return self._make(stretch, wanted)
        rest = stretch.without(largest.stretch)
        made = self._make(rest, between(self._nodes, rest.feed, rest.fetch))
        return Chain(largest, made) if largest.stretch.feed == stretch.feed else Chain(made, largest)

    def _make(self, stretch: Stretch, wanted: set[str]) -> Function:
        used = [name for name in self._weights if name in wanted]
        weights = [self._weights[name] for name in used]
        arguments = [
            Argument(name, tensor.dtype.as_datatype_enum, tensor.shape)
            for name, tensor in zip(used, weights, strict=True)
        ]
        name = f"stretch_{next(_numbers)}"
        known = Types(
            function_pb2.FunctionDef, lambda text: int(dtypes.as_dtype(text).as_datatype_enum), self._operation
        )
        context.context().add_function_def(make_function(name, self._nodes, stretch, arguments, known))
        return Function(name, weights, stretch, len(wanted))

    def _operation(self, name: str) -> Any:
        function = self._functions.get(name)
        return function.signature if function is not None else op_def_registry.get(name)


class Function:
    """A function of TensorFlow's runtime, forgotten there once nobody has it any more.

    It takes a NumPy array, whose memory must stay as it is until the result is gone, or a tensor, and returns a float32
    tensor. `size` is the number of the graph's nodes in it.
    """

    def __init__(self, name: str, weights: Sequence[Any], stretch: Stretch, size: int) -> None:
        self._name, self._weights = name, weights
        self.stretch, self.size = stretch, size
        weakref.finalize(self, _forget, name)

    def __call__(self, values: Any) -> Any:
        """Compute it.

        Raises:
            PartitionError: TensorFlow cannot.
        """
        try:
            return execute.execute(self._name, 1, self._inputs(values), _call_options(), context.context())[0]
        except errors_impl.OpError as error:
            raise _refused(error) from error

    def instantiate(self) -> None:
        """Have TensorFlow make the function's kernels and place them, without computing anything.

        A call that is cancelled before it begins does just that.

        Raises:
            PartitionError: TensorFlow cannot.
        """
        values = np.zeros(self.stretch.shape, self.stretch.dtype)
        cancelled = cancellation.CancellationManager()
        cancelled.start_cancel()
        try:
            with contextlib.suppress(errors_impl.CancelledError), cancellation.CancellationManagerContext(cancelled):
                execute.execute_with_cancellation(
                    self._name,
                    num_outputs=1,
                    inputs=self._inputs(values),
                    attrs=_call_options(),
                    ctx=context.context(),
                    cancellation_manager=cancellation.context(),
                )
        except errors_impl.OpError as error:
            raise _refused(error) from error

    def _inputs(self, values: Any) -> list[Any]:
        given = values if isinstance(values, ops.EagerTensor) else _tensor(values)
        return [given, *self._weights]


class Chain:
    """Two functions, the second on what the first returns; like one `Function`."""

    def __init__(self, first: Function, then: Function) -> None:
        self._first, self._then = first, then

    def __call__(self, values: Any) -> Any:
        """See `Function`."""
        return self._then(self._first(values))

    def instantiate(self) -> None:
        """See `Function`; nothing where TensorFlow has done so before."""
        self._first.instantiate()
        self._then.instantiate()


def _tensor(values: Any) -> Any:
    return ops.EagerTensor(values, context.context().device_name, None)


def _refused(error: Any) -> PartitionError:
    return PartitionError(f"TensorFlow could not run a part: {type(error).__name__}: {' '.join(error.message.split())}")


@functools.cache
def _call_options() -> tuple[Any, ...]:
    """Return the attributes of every call. Without TensorFlow's optimiser of graphs: docs/adr/0010-one-loader.md.

    The same in all threads: a call with other attributes would make the kernels anew.
    """
    config = context.context().config
    config.allow_soft_placement = True
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    options = context.FunctionCallOptions(config_proto=config).as_attrs()
    return tuple(itertools.chain(*options.items()))


def _forget(name: str) -> None:
    settings = context.context()
    if settings is not None and settings.has_function(name):
        settings.remove_function(name)
