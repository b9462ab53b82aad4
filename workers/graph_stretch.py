"""A stretch of a stored graph as a function of TensorFlow's runtime: protocol buffers in, protocol buffers out.

TensorFlow's own way, importing the stretch into a graph and making a function of that, makes a Python object of every
operation and takes 40 times as long (docs/adr/0010-one-loader.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from workers.partition_graph import node_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

GIVEN, RESULT = "given", "result"
_FED, _BATCH, _FLAT, _SIZES, _AS_FLOAT = "fed/cast", "fed/batch", "result/flat", "result/sizes", "result/cast"


class Stretch(NamedTuple):
    """A stretch of a graph from node `feed` to node `fetch`; shapes without the batch dimension.

    It takes an array of `shape` and `dtype` and gives one of `out_shape`.
    """

    feed: str
    fetch: str
    shape: tuple[int, ...]
    dtype: str
    out_shape: tuple[int, ...]

    def is_end_of(self, whole: Stretch, nodes: AbstractSet[str]) -> bool:
        """Return whether this is where a longer stretch, of these nodes, begins or ends."""
        begins = self.feed == whole.feed and self.fetch in nodes
        ends = self.fetch == whole.fetch and self.feed in nodes
        return self != whole and (begins or ends)

    def without(self, end: Stretch) -> Stretch:
        """Return what is left of this stretch without its beginning or its end."""
        if end.feed == self.feed:
            return Stretch(end.fetch, self.fetch, end.out_shape, "float32", self.out_shape)
        return Stretch(self.feed, end.feed, self.shape, self.dtype, end.shape)


class Argument(NamedTuple):
    """An argument of a function: `type` is a number of TensorFlow's ``DataType``."""

    name: str
    type: int
    shape: Sequence[int]


class Types(NamedTuple):
    """What must be known of TensorFlow: its messages, numbers of types, and the definitions of operations."""

    function: Callable[[], Any]  # an empty FunctionDef
    of_name: Callable[[str], int]  # "float32" -> number
    operation: Callable[[str], Any]  # name -> OpDef


def between(nodes: Mapping[str, Any], feed: str, fetch: str) -> set[str]:
    """Return the nodes that `fetch` needs, walking back no further than `feed`."""
    found: set[str] = set()
    waiting = [fetch]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            if name != feed:
                waiting += map(node_of, nodes[name].input)
    return found


def type_of(node: Any) -> int:
    """Return the type of the tensor that a partition point's node, or the frame's, holds."""
    return int(node.attr["dtype" if node.op == "Placeholder" else "T"].type)


def make_function(
    name: str, nodes: Mapping[str, Any], stretch: Stretch, weights: Sequence[Argument], types: Types
) -> Any:
    """Return the FunctionDef of a stretch, whatever else hangs on its ends.

    It takes a tensor of the stretch's shape and type, then `weights`, and returns one float32 tensor. `nodes` are the
    graph's by name, `weights` those among the stretch's that stand for weights.
    """
    made, floats = types.function(), types.of_name("float32")
    given = Argument(GIVEN, types.of_name(stretch.dtype), stretch.shape)
    made.signature.name = name
    _take(made, (given, *weights))
    fed = _add_batch(made, given, type_of(nodes[stretch.feed]))
    found = _Body(made, nodes, {argument.name for argument in weights}, stretch.feed, fed, types).add(stretch.fetch)
    flat = _reshaped(made, found, type_of(nodes[stretch.fetch]), stretch.out_shape)
    made.signature.output_arg.add(name=RESULT, type=floats)
    made.ret[RESULT] = _cast(made, _AS_FLOAT, flat, type_of(nodes[stretch.fetch]), floats)
    return made


class _Body:
    """Copies the nodes of a stretch into a function, where inputs are named in another way than in a graph."""

    def __init__(
        self, made: Any, nodes: Mapping[str, Any], weights: set[str], feed: str, fed: str, types: Types
    ) -> None:
        self._made, self._nodes, self._weights = made, nodes, weights
        self._feed, self._fed, self._types = feed, fed, types
        self._outputs: dict[str, Any] = {}  # operation -> its outputs

    def add(self, fetch: str) -> str:
        """Add what `fetch` needs and return its name as an input."""
        outside = {self._feed, *self._weights}
        for name in sorted(between(self._nodes, self._feed, fetch) - outside):
            copy = self._made.node_def.add()
            copy.CopyFrom(self._nodes[name])
            inputs = [source for source in copy.input if not (source.startswith("^") and source[1:] in outside)]
            copy.input[:] = [self._input(source) for source in inputs]
        return self._input(fetch)

    def _input(self, source: str) -> str:
        if source.startswith("^"):
            return source
        name, _, number = source.partition(":")
        if name == self._feed:
            return self._fed
        if name in self._weights:
            return name
        return f"{name}:{self._output(self._nodes[name], int(number or 0))}"

    def _output(self, node: Any, number: int) -> str:
        """Return which output of an operation is its `number`-th tensor, as ``output:index``."""
        for output in self._definition(node.op).output_arg:
            if output.type_list_attr:
                count = len(node.attr[output.type_list_attr].list.type)
            else:
                count = node.attr[output.number_attr].i if output.number_attr else 1
            if number < count:
                return f"{output.name}:{number}"
            number -= count
        raise ValueError(f"operation {node.name} ({node.op}) has no such output")

    def _definition(self, operation: str) -> Any:
        if operation not in self._outputs:
            self._outputs[operation] = self._types.operation(operation)
            self._made.signature.is_stateful |= self._outputs[operation].is_stateful
        return self._outputs[operation]


def _take(made: Any, arguments: Sequence[Argument]) -> None:
    for number, argument in enumerate(arguments):
        made.signature.input_arg.add(name=argument.name, type=argument.type)
        shape = made.arg_attr[number].attr["_output_shapes"].list.shape.add()
        for size in argument.shape:
            shape.dim.add(size=size)


def _add_batch(made: Any, given: Argument, type_: int) -> str:
    """Return the given tensor with a batch dimension and as `type_`."""
    batched = _reshaped(made, given.name, given.type, (1, *given.shape), _BATCH)
    return _cast(made, _FED, batched, given.type, type_)


def _reshaped(made: Any, source: str, type_: int, shape: Sequence[int], name: str = _FLAT) -> str:
    int32 = 3  # DT_INT32
    sizes = made.node_def.add(name=f"{name}/{_SIZES}", op="Const")
    sizes.attr["dtype"].type = int32
    value = sizes.attr["value"].tensor
    value.dtype = int32
    value.tensor_shape.dim.add(size=len(shape))
    value.int_val.extend(shape)
    node = made.node_def.add(name=name, op="Reshape", input=[source, f"{sizes.name}:output:0"])
    node.attr["T"].type, node.attr["Tshape"].type = type_, int32
    return f"{name}:output:0"


def _cast(made: Any, name: str, source: str, from_type: int, to_type: int) -> str:
    if from_type == to_type:
        return source
    node = made.node_def.add(name=name, op="Cast", input=[source])
    node.attr["SrcT"].type, node.attr["DstT"].type = from_type, to_type
    return f"{name}:y:0"
