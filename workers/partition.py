"""Partition points of a Keras model, and the head and tail of each.

``python -m workers.partition MODEL [--json]`` lists them. Points count from 1 with the input layer, as in the
paper: VGG-19's block4_pool is 17. Importing this module imports no TensorFlow.
"""

from __future__ import annotations

import argparse
import difflib
import math
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from workers.errors import PartitionError
from workers.partition_graph import find_cuts
from workers.partition_models import outline_model, parse_source

if TYPE_CHECKING:
    from collections.abc import Sequence

INPUT = "input"
OUTPUT = "output"
_FLOAT32_BYTES = 4


class PartitionPoint(msgspec.Struct, frozen=True):
    """A place where the model can be cut: after layer `name`, the `index`-th (from 1) in Keras's order.

    The first point is always called ``input``: its head is the identity, everything runs in the cloud. The
    last is the model's output layer: everything runs on the edge. `block` is the layers since the point
    before, one (``17``) or a parallel region (``19-27``). `output_shape` is without the batch, `output_bytes`
    those of one frame's tensor as float32; `params_head` and `params_tail` are numbers of weights.
    """

    index: int
    name: str
    block: str
    output_shape: tuple[int, ...]
    output_bytes: int
    params_head: int
    params_tail: int


class PointList(msgspec.Struct, frozen=True):
    """What ``--json`` prints."""

    model: str
    points: tuple[PartitionPoint, ...]


def find_points(model: Any) -> tuple[PartitionPoint, ...]:
    """Return the partition points of a Keras model, from its input to its output.

    Raises:
        PartitionError: see `workers.partition_keras.read_graph`; or a tensor without a fixed size.
    """
    from workers.partition_keras import read_graph  # noqa: PLC0415 - seconds

    graph = read_graph(model)
    params = graph.params()
    points = []
    for cut in find_cuts(graph.operations(), id(graph.target)):
        name = graph.calls[cut.position - 1].operation.name if cut.position > 1 else INPUT
        shape = graph.tensor(cut.tensor).shape[1:]
        if None in shape:
            raise PartitionError(
                f"model {model.name!r}: the size of the tensor after {name!r} is open ({shape}), so "
                "the bytes that a cut sends are unknown. Give its keras.Input a full shape."
            )
        size = math.prod(shape) * _FLOAT32_BYTES
        before = sum(params[: cut.position])
        points.append(PartitionPoint(cut.position, name, cut.block, tuple(shape), size, before, sum(params) - before))
    return tuple(points)


def resolve(points: Sequence[PartitionPoint], spec: int | str) -> PartitionPoint:
    """Return the point with this index or layer name; ``input`` and ``output`` are the first and the last.

    Raises:
        PartitionError: names the nearest points.
    """
    if isinstance(spec, str) and spec.isdecimal():
        spec = int(spec)
    for point in points:
        if spec in (point.index, point.name):
            return point
    if spec == OUTPUT:
        return points[-1]
    if isinstance(spec, int):
        raise PartitionError(_no_such_index(points, spec))
    names = [point.name for point in points]
    near = difflib.get_close_matches(spec, names, n=3, cutoff=0.4) or [names[0], names[-1]]
    raise PartitionError(
        f"the model has no partition point after a layer {spec!r}; nearest names: {', '.join(near)}. "
        "List all with: python -m workers.partition MODEL"
    )


def _no_such_index(points: Sequence[PartitionPoint], index: int) -> str:
    below = [point for point in points if point.index < index][-1:]
    above = [point for point in points if point.index > index][:1]
    near = " and ".join(f"{point.index} ({point.name})" for point in below + above)
    if below and above:
        why = f"layer {index} lies inside the parallel region {above[0].block}"
    else:
        why = f"layers are counted from {points[0].index} to {points[-1].index}"
    return f"the model cannot be cut at {index}: {why}. Nearest points: {near}."


def split(model: Any, point: PartitionPoint) -> tuple[Any, Any]:
    """Return head and tail as Keras models over `model`'s own layers: they share its weights.

    The head takes what the model takes and returns the tensor at `point`, batch included; the tail goes on
    from there. At the input point the head is the identity, at the output point the tail is. Splitting
    leaves no trace on `model`.

    Raises:
        PartitionError: `point` is not one of this model's.
    """
    from workers.partition_keras import Segment, read_graph  # noqa: PLC0415

    graph = read_graph(model)
    cuts = {cut.position: cut.tensor for cut in find_cuts(graph.operations(), id(graph.target))}
    if point.index not in cuts:
        raise PartitionError(f"model {model.name!r} has no partition point {point.index} ({point.name}).")
    tensor = graph.tensor(cuts[point.index])
    before, after = graph.calls[1 : point.index], graph.calls[point.index :]
    return (
        Segment(before, graph.source, tensor, name="head"),
        Segment(after, tensor, graph.target, name="tail"),
    )


def list_points(text: str) -> PointList:
    """Return the points of the model that `text` names, building it without weights where possible.

    Raises:
        PartitionError: unknown model, or one that cannot be partitioned.
    """
    source = parse_source(text)
    from workers.partition_keras import keras  # noqa: PLC0415

    keras.utils.clear_session()  # names that Keras makes up ("rescaling_1") count from the start again
    try:
        return PointList(source.model_id, find_points(outline_model(source)))
    finally:
        keras.utils.clear_session()


def _table(points: Sequence[PartitionPoint]) -> str:
    width = max(len(point.name) for point in points)
    row = f"{{:>5}}  {{:<{width}}}  {{:<9}}  {{:>9}}  {{:>11}}  {{:>11}}  {{}}".format
    lines = [row("index", "name", "block", "bytes", "params head", "params tail", "shape")]
    for point in points:
        *columns, shape, size, head, tail = msgspec.structs.astuple(point)
        lines.append(row(*columns, size, head, tail, " x ".join(map(str, shape))))
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """List a model's partition points; 2 where it has none to list."""
    parser = argparse.ArgumentParser(prog="python -m workers.partition", description=main.__doc__)
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a name of keras.applications in lower case, a .keras file, or package.module:factory",
    )
    parser.add_argument("--json", action="store_true", help="print an object with a list `points`")
    arguments = parser.parse_args(argv)
    try:
        listed = list_points(arguments.model)
    except PartitionError as error:
        print(f"workers.partition: {error}", file=sys.stderr)
        return 2
    print(msgspec.json.encode(listed).decode() if arguments.json else _table(listed.points))
    return 0


if __name__ == "__main__":
    sys.exit(main())
