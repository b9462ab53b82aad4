"""Partition points and layers of a Keras model.

``python -m workers.partition MODEL [--json]`` lists them. Points count from 1 with the input layer, as in the
paper: VGG-19's block4_pool is 17. Importing this module imports no TensorFlow.
"""

from __future__ import annotations

import argparse
import difflib
import math
import sys
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from workers.errors import PartitionError
from workers.partition_models import choose_preprocess, outline_model, parse_source
from workers.stderr_notes import without_notes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from workers.partition_graph import Cut

INPUT = "input"
OUTPUT = "output"
_FLOAT32_BYTES = 4


class PartitionPoint(msgspec.Struct, frozen=True):
    """A place where the model can be cut: after layer `name`, the `index`-th (from 1) in Keras's order.

    The first point is always called ``input``: its head is the preprocessing alone, all layers run in the cloud. The
    last is the model's output layer: all layers run on the edge. `block` is the layers since the point
    before, one (``17``) or a parallel region (``19-27``). `output_shape` is without the batch, `output_bytes`
    those of one frame's tensor as float32. `params_head` and `params_tail` are numbers of weights: those of a layer
    that is called on both sides count on both. `flops_head` and `flops_tail` are sums of `Layer.flops`,
    None (not known) where one of them is.
    """

    index: int
    name: str
    block: str
    output_shape: tuple[int, ...]
    output_bytes: int
    params_head: int
    params_tail: int
    flops_head: int | None
    flops_tail: int | None


class Layer(msgspec.Struct, frozen=True):
    """One call of a layer or operation, the `index`-th (from 1) in an order in which they run.

    A layer in a nested model is named by its path (``backbone/conv1``), the second call of ``dense`` is ``dense@2``.
    `kind` is its class, `block` that of the point that ends its block. `output_shape` is that of its first output,
    without the batch (-1: known only when it runs); `output_bytes` those of all its outputs as float32. `params` is
    its number of weights, in each of its calls. `flops` counts a multiply-accumulate as two, and is None where that
    cannot be told, as of recurrent layers: see `workers.graph_flops.count_flops`. Preprocessing belongs to layer 1, the
    input.
    """

    index: int
    name: str
    kind: str
    block: str
    output_shape: tuple[int, ...]
    output_bytes: int
    params: int
    flops: int | None


class Call(NamedTuple):
    """What is known of a call by itself: shapes of its outputs without the batch, sizes of its weights by identity."""

    name: str
    kind: str
    shapes: tuple[tuple[int, ...], ...]
    weights: Mapping[int, int]
    flops: int | None


class PointList(msgspec.Struct, frozen=True):
    """What ``--json`` prints."""

    model: str
    points: tuple[PartitionPoint, ...]
    layers: tuple[Layer, ...]


def make_layers(calls: Sequence[Call], cuts: Sequence[Cut]) -> tuple[Layer, ...]:
    """Return the calls as layers, each in its block."""
    blocks = {position: cut.block for cut in cuts for position in range(cut.first, cut.position + 1)}
    return tuple(
        Layer(
            index,
            call.name,
            call.kind,
            blocks[index],
            call.shapes[0] if call.shapes else (),
            sum(math.prod(shape) for shape in call.shapes if -1 not in shape) * _FLOAT32_BYTES,
            sum(call.weights.values()),
            call.flops,
        )
        for index, call in enumerate(calls, start=1)
    )


def make_points(
    calls: Sequence[Call], cuts: Sequence[Cut], shapes: Sequence[tuple[int, ...]]
) -> tuple[PartitionPoint, ...]:
    """Return the cuts as points; `shapes` are those of their tensors."""
    points = []
    for cut, shape in zip(cuts, shapes, strict=True):
        head, tail = calls[: cut.position], calls[cut.position :]
        points.append(
            PartitionPoint(
                cut.position,
                head[-1].name,
                cut.block,
                shape,
                math.prod(shape) * _FLOAT32_BYTES,
                _count_params(head),
                _count_params(tail),
                add_flops(call.flops for call in head),
                add_flops(call.flops for call in tail),
            )
        )
    return tuple(points)


def _count_params(calls: Sequence[Call]) -> int:
    weights = {identity: size for call in calls for identity, size in call.weights.items()}
    return sum(weights.values())


def add_flops(counts: Iterable[int | None]) -> int | None:
    """Return the sum of counts; None (not known) where one of them is."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


def resolve(points: Sequence[PartitionPoint], spec: int | str) -> PartitionPoint:
    """Return the point with this index or layer name; ``input`` and ``output`` are the first and the last.

    A layer between them that is called ``output`` is found by its index alone, as one called ``input`` is by
    ``input@2``.

    Raises:
        PartitionError: names the nearest points.
    """
    if isinstance(spec, str) and spec.isdecimal():
        spec = int(spec)
    if spec == OUTPUT:
        return points[-1]
    for point in points:
        if spec in (point.index, point.name):
            return point
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


def list_points(text: str) -> PointList:
    """Return the points and layers of the model that `text` names, building it without weights where possible.

    Raises:
        PartitionError: unknown model, or one that cannot be partitioned.
    """
    source = parse_source(text)
    from workers.graph_export import export_graph  # noqa: PLC0415 - imports TensorFlow, which takes seconds
    from workers.partition_keras import keras  # noqa: PLC0415

    keras.utils.clear_session()  # names that Keras makes up ("rescaling_1") count from the start again
    try:
        model = outline_model(source)
        exported = export_graph(model, choose_preprocess(source, model))
        return PointList(source.model_id, exported.points, exported.layers)
    finally:
        keras.utils.clear_session()


def _table(listed: PointList) -> str:
    points = listed.points
    width = max(len(point.name) for point in points)
    row = f"{{:>5}}  {{:<{width}}}  {{:<9}}  {{:>9}}  {{:>11}}  {{:>11}}  {{:>14}}  {{:>14}}  {{}}".format
    lines = [row("index", "name", "block", "bytes", "params head", "params tail", "FLOPs head", "FLOPs tail", "shape")]
    for point in points:
        index, name, block, shape, *numbers = msgspec.structs.astuple(point)
        shown = ("?" if number is None else number for number in numbers)
        lines.append(row(index, name, block, *shown, " x ".join(map(str, shape))))
    return "\n".join([*lines, *_footnotes(listed)])


def _footnotes(listed: PointList) -> Iterator[str]:
    if _has_no_inner_point(listed.points):
        yield (
            f"model {listed.model!r} has no point between its input and its output: it can only run whole, on the edge "
            f"(cut at {OUTPUT}) or in the cloud (cut at {INPUT})."
        )
    uncounted = [f"{layer.name} ({layer.kind})" for layer in listed.layers if layer.flops is None]
    if uncounted:
        yield f"?  not known: the FLOPs of {', '.join(uncounted)} cannot be told from the graph."
    for point in listed.points[:-1]:
        if point.name == OUTPUT:
            yield f"{OUTPUT} means the last point; give the layer of that name by its index, {point.index}."


def _has_no_inner_point(points: Sequence[PartitionPoint]) -> bool:
    return len(points) <= len((INPUT, OUTPUT))


def main(argv: Sequence[str] | None = None) -> int:
    """List a model's partition points; 2 where it has none to list.

    A multiply-accumulate is two FLOPs, an activation such as ReLU none; ? is not known, as of recurrent layers.
    """
    parser = argparse.ArgumentParser(prog="python -m workers.partition", description=main.__doc__)
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a name of keras.applications in lower case, a .keras file, or package.module:factory",
    )
    parser.add_argument(
        "--json", action="store_true", help="print an object with lists `points` and `layers`; FLOPs null: not known"
    )
    arguments = parser.parse_args(argv)
    try:
        with without_notes():
            listed = list_points(arguments.model)
    except PartitionError as error:
        print(f"workers.partition: {error}", file=sys.stderr)
        return 2
    print(msgspec.json.encode(listed).decode() if arguments.json else _table(listed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
