"""Writes a Keras model as a TensorFlow graph in which every layer and every partition point has a name.

The model is traced once, and all that is known of its layers comes from that trace: what each reads, what it makes and
its FLOPs. So masks, shared layers, nested models and operations that are no layers need no rules of their own.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from workers.errors import PartitionError
from workers.graph_flops import count_flops
from workers.graph_functions import name_functions
from workers.partition import INPUT, Call, make_layers, make_points
from workers.partition_graph import find_cuts, node_of, trace_flow
from workers.partition_keras import keep, keras, read_model, run_calls, tf
from workers.partition_models import preprocess
from workers.store import FRAME, layer_scope, point_node, weight_node

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping, Sequence

    from workers.partition import Layer, PartitionPoint
    from workers.partition_graph import Cut, Flow
    from workers.partition_models import Preprocess

_SCOPE = re.compile(r"call_(\d+)/")  # of a call in the trace: which calls count as layers is known only after it


class ExportedGraph(NamedTuple):
    """A serialized GraphDef from a frame (with a batch of 1), uint8, to the output, and what is known of it."""

    graph: bytes
    layers: tuple[Layer, ...]
    points: tuple[PartitionPoint, ...]


def export_graph(model: Any, how: Preprocess) -> ExportedGraph:
    """Return the graph, the layers and the partition points of a model.

    Variables are placeholders, so that the graph is small, whoever runs it decides where the weights lie, and a model
    whose weights have no values can be read, too. The nodes of a layer lie under its `layer_scope`; the tensor at each
    point passes through a node named after it: what lies before it is the head, what after it the tail.

    Raises:
        PartitionError: see `workers.partition_keras.read_model`; a layer that cannot be run on one frame, or an output
            that cannot be sent.
    """
    trace = _Trace(model, how)
    graph, target = trace.run()
    definition = graph.as_graph_def()
    flow = trace_flow({node.name: node.input for node in definition.node}, FRAME, target, _call_of)
    if FRAME not in flow.needed:
        raise PartitionError(f"model {model.name!r}: its output does not depend on its input; there is nothing to cut.")
    cuts = find_cuts(flow.operations, target, lambda tensor: _is_sendable(graph, tensor))
    if not cuts or cuts[-1].position != len(flow.operations):
        raise PartitionError(
            f"model {model.name!r}: its output, {_tensor(graph, target)}, is not one tensor of numbers of a fixed size "
            "for each frame, so it could not be sent. Give the model an output layer that makes one."
        )
    _embed_constants(model, graph, definition, flow)
    flops = count_flops(graph, flow.owner)
    calls = [trace.calls[number - 1]._replace(flops=flops.get(number, 0)) for number in flow.calls]
    shapes = [tuple(_tensor(graph, cut.tensor).shape[1:]) for cut in cuts]
    placeholders = {weight_node(number) for number in range(len(model.variables))}
    named = _renamed(definition, flow.needed | placeholders, _names(flow, cuts))
    return ExportedGraph(named, make_layers(calls, cuts), make_points(calls, cuts, shapes))


class _Trace:
    """One run of a model on symbolic tensors, each call under a name scope of its own."""

    def __init__(self, model: Any, how: Preprocess) -> None:
        self.calls: list[Call] = []
        self._model, self._how = model, how
        self._function = read_model(model)

    def run(self) -> tuple[Any, str]:
        """Return the TensorFlow graph and the name of the node that holds the result."""
        signature = [tf.TensorSpec((1, *self._function.inputs[0].shape[1:]), tf.uint8, FRAME)]
        signature += [
            tf.TensorSpec(variable.shape, variable.dtype, weight_node(number))
            for number, variable in enumerate(self._model.variables)
        ]
        traced = tf.function(self._run, input_signature=signature, autograph=False).get_concrete_function()
        return traced.graph, traced.outputs[0].op.name

    def _run(self, frame: Any, *weights: Any) -> Any:
        given_weights = list(zip(self._model.variables, weights, strict=True))
        # Keras would otherwise give an outline's weights values on leaving, and TensorFlow then trace once more.
        with keras.StatelessScope(state_mapping=given_weights, initialize_variables=False):
            self.calls = []  # TensorFlow may trace twice
            source = self._function.inputs[0]
            with tf.name_scope(self._next_scope()):
                pixels = preprocess(tf.cast(frame, tf.float32), self._how)
                given = keep(keras.ops.cast(pixels, source.dtype))
            self._add(INPUT, source._keras_history.operation, [given])  # noqa: SLF001 - Keras has no public way
            (result,) = run_calls(self._function, [given], self._visit)
            return result

    def _visit(self, path: str, operation: Any, *args: Any, **kwargs: Any) -> list[Any]:
        try:
            with tf.name_scope(self._next_scope()):
                made = [keep(tensor) for tensor in keras.tree.flatten(operation(*args, **kwargs))]
        except Exception as error:  # a layer may be anyone's code
            raise PartitionError(
                f"model {self._model.name!r}: layer {path!r} ({type(operation).__name__}) cannot be run on one frame: "
                f"{type(error).__name__}: {' '.join(str(error).split())}"
            ) from error
        self._add(path, operation, made)
        return made

    def _next_scope(self) -> str:
        return f"call_{len(self.calls) + 1}/"

    def _add(self, path: str, operation: Any, made: Sequence[Any]) -> None:
        taken = {call.name for call in self.calls}
        name, count = path, 1
        while name in taken:
            count += 1
            name = f"{path}@{count}"
        weights = {id(weight): math.prod(weight.shape) for weight in getattr(operation, "weights", ())}
        shapes = tuple(_sizes(tensor.shape) for tensor in made)
        self.calls.append(Call(name, type(operation).__name__, shapes, weights, 0))


def _call_of(node: str) -> int | None:
    match = _SCOPE.match(node)
    return int(match[1]) if match else None


def _sizes(shape: Any) -> tuple[int, ...]:
    """Return a traced tensor's shape without the batch; -1 for what is known only when it runs."""
    sizes = [-1 if size is None else size for size in shape] if shape.rank is not None else [-1]
    return tuple(sizes[1:] if sizes[:1] == [1] else sizes)


def _tensor(graph: Any, name: Hashable) -> Any:
    return graph.get_tensor_by_name(name if ":" in str(name) else f"{name}:0")


def _is_sendable(graph: Any, name: Hashable) -> bool:
    """Whether a tensor has a node of its own, which can be named, and is numbers of a fixed size, a frame at a time."""
    if str(name).startswith("^"):
        return False  # says what has to run first, and holds nothing
    tensor = _tensor(graph, name)
    numbers = tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool
    sized = tensor.shape.is_fully_defined() and tuple(tensor.shape[:1]) == (1,)
    return tensor.op.type == "Identity" and numbers and sized


def _embed_constants(model: Any, graph: Any, definition: Any, flow: Flow) -> None:
    """Put the values that layers hold beside their weights into the graph.

    Raises:
        PartitionError: one of them is no value but a variable or table, which only this process has.
    """
    nodes = {node.name: node for node in definition.node}
    for held, placeholder in graph.captures:
        node = nodes[placeholder.op.name]
        if node.name not in flow.needed:
            continue
        if held.dtype in (tf.resource, tf.variant):
            name = _SCOPE.sub("", node.name)
            raise PartitionError(
                f"model {model.name!r} reads a tf.Variable or a table ({name}) that is no Keras weight, so it "
                "cannot be stored. Make it with Layer.add_weight."
            )
        node.Clear()
        node.name, node.op = placeholder.op.name, "Const"
        node.attr["dtype"].type = held.dtype.as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(held.numpy()))


def _names(flow: Flow, cuts: Sequence[Cut]) -> dict[str, str]:
    """Return the final names of the nodes that belong to a layer."""
    index = {number: position for position, number in enumerate(flow.calls, start=1)}
    names = {}
    for node, number in flow.owner.items():
        rest = _SCOPE.sub("", node, count=1) if _call_of(node) else f"between/{node}"
        names[node] = layer_scope(index[number]) + rest
    return names | {str(cut.tensor): point_node(cut.position) for cut in cuts}


def _renamed(definition: Any, kept: Collection[str], names: Mapping[str, str]) -> bytes:
    """Return the graph with the nodes that are kept, under their final names."""
    renamed = type(definition)(versions=definition.versions, library=definition.library)
    for node in definition.node:
        if node.name in kept:
            copy = renamed.node.add()
            copy.CopyFrom(node)
            copy.name = names.get(node.name, node.name)
            copy.input[:] = [_renamed_input(source, names) for source in node.input]
            copy.attr.pop("_class", None)  # says beside which node to place it, by the old name; there is one CPU
    name_functions(renamed)
    serialized: bytes = renamed.SerializeToString(deterministic=True)
    return serialized


def _renamed_input(source: str, names: Mapping[str, str]) -> str:
    node = node_of(source)
    return source.replace(node, names.get(node, node), 1)
