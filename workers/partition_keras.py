"""Reads Keras models as graphs of calls and runs stretches of them.

Importing this module imports Keras and all of TensorFlow, which takes seconds: import it inside functions. It is the
one place where that happens, because the environment has to be set before.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only: a runner's stderr is fetched and read
os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever ~/.keras/keras.json says

# Keras imports these where it finds them, 3 s of an import of 9, and needs them for nothing that is done here.
_HIDDEN = [name for name in ("matplotlib", "pandas", "scipy") if name not in sys.modules]
for _name in _HIDDEN:
    sys.modules[_name] = None  # type: ignore[assignment]

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

for _name in _HIDDEN:  # whoever else in this process wants them shall have them
    del sys.modules[_name]

from workers.errors import PartitionError  # noqa: E402
from workers.partition_graph import Operation  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

__all__ = ["CallGraph", "Segment", "keras", "read_graph", "run_calls", "tf"]


class CallGraph(NamedTuple):
    """The calls of a model with one input and one output, in an order in which they can run.

    A call is Keras's record of one operation applied to symbolic tensors (``keras.src.ops.node.Node``); the
    first is that of the input layer, which makes `source`. `target` is the model's output.
    """

    calls: tuple[Any, ...]
    source: Any
    target: Any

    def operations(self) -> list[Operation]:
        """Return the calls as plain operations over tensor ids."""

        def ids(tensors: list[Any]) -> tuple[int, ...]:
            return tuple(map(id, tensors))

        return [Operation(ids(call.input_tensors), ids(call.output_tensors)) for call in self.calls]

    def tensor(self, identity: Hashable) -> Any:
        """Return the symbolic tensor with this id."""
        return next(t for call in self.calls for t in call.output_tensors if id(t) == identity)

    def params(self) -> list[int]:
        """Return each call's number of weights, 0 for operations that are no layers."""
        return [
            call.operation.count_params() if isinstance(call.operation, keras.layers.Layer) else 0
            for call in self.calls
        ]


def read_graph(model: Any) -> CallGraph:
    """Return the graph of a functional or Sequential model.

    The graph is found by walking back from the model's own output: layers may well have further calls, by
    other models over the same layers, so that ``layer.output`` says nothing.

    Raises:
        PartitionError: not functional, several inputs or outputs, or a layer that is called more than once.
    """
    source, target = _only(model, "inputs"), _only(model, "outputs")
    calls: dict[int, Any] = {}  # by the operation's id
    waiting = [target]
    while waiting:
        operation, index, _ = waiting.pop()._keras_history  # noqa: SLF001 - Keras has no public way
        call = operation._inbound_nodes[index]  # noqa: SLF001
        if calls.setdefault(id(operation), call) is not call:
            raise PartitionError(
                f"model {model.name!r} calls layer {operation.name!r} more than once; a shared layer would "
                "be needed on both sides of a cut. Give each call a layer of its own."
            )
        waiting += [tensor for tensor in call.input_tensors if not _seen(tensor, calls)]
    # Keras's order, which its layer numbers follow; Sequential.layers leaves out the input layer.
    ordered = keras.Model(source, target).operations
    return CallGraph(tuple(calls[id(operation)] for operation in ordered), source, target)


def _seen(tensor: Any, calls: dict[int, Any]) -> bool:
    operation, index, _ = tensor._keras_history  # noqa: SLF001
    return calls.get(id(operation)) is operation._inbound_nodes[index]  # noqa: SLF001


def _only(model: Any, side: str) -> Any:
    if not isinstance(model, keras.Sequential) and not hasattr(model, "operations"):
        raise PartitionError(
            f"model {getattr(model, 'name', model)!r} ({type(model).__name__}) is neither a functional nor a "
            "Sequential Keras model, so its layers' connections cannot be read. Rebuild it with "
            "keras.Model(inputs, outputs)."
        )
    tensors = getattr(model, side, None) if getattr(model, "built", True) else None
    if not tensors:
        raise PartitionError(f"model {model.name!r} has no {side} yet; start it with keras.Input(shape).")
    if len(tensors) != 1:
        raise PartitionError(
            f"model {model.name!r} has {len(tensors)} {side}; a pipeline sends one tensor from tier to tier, "
            f"so only models with one input and one output can be partitioned."
        )
    return tensors[0]


class Segment(keras.Model):  # type: ignore[misc]  # Keras is untyped
    """A stretch of a model from the symbolic tensor `source` to `target`, over the model's own layers.

    It runs the recorded calls between the two and records none itself: segments can be made again and again
    in a long-lived process, where each ``keras.Model(tensor, output)`` would leave its copies of the calls on
    the layers for good. Input and output have a batch dimension; the input is cast to the type of `source`.
    """

    def __init__(self, calls: tuple[Any, ...], source: Any, target: Any, name: str) -> None:
        super().__init__(name=name, autocast=False)
        self._calls = calls
        self._source, self._target = source, target
        operations = [call.operation for call in calls]
        self._parts = [operation for operation in operations if isinstance(operation, keras.layers.Layer)]
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Run the calls in order."""
        values = {id(self._source): keras.ops.cast(inputs, self._source.dtype)}
        return run_calls(self._calls, values)[id(self._target)]


def run_calls(
    calls: Iterable[Any], values: dict[int, Any], seen: Callable[[int, Any], Any] = lambda _, value: value
) -> dict[int, Any]:
    """Run recorded calls in order on `values`, by the symbolic tensors' ids; return all that they made.

    `seen` is given each tensor's id and value, and returns the value to go on with.
    """
    made = dict(values)
    for call in calls:
        arguments, options = call.arguments.fill_in(made)
        outputs = keras.tree.flatten(call.operation(*arguments, **options))
        for symbol, value in zip(call.output_tensors, outputs, strict=True):
            made[id(symbol)] = seen(id(symbol), value)
    return made
