"""Counts the floating-point operations in a TensorFlow graph, and says where it cannot."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from workers.partition import add_flops
from workers.partition_keras import deprecation, ops

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Work that TensorFlow's registry counts as none. What it counts as none besides is copying, or elementwise.
_UNCOUNTED = re.compile(
    r"\w*FFT\w*|Conv3DBackpropInput\w*|Sparse\w*MatMul\w*|Cholesky|Lu|Qr|Svd|\w*Eig\w*"
    r"|Matrix(?:Inverse|Determinant|LogDeterminant|SquareRoot|Logarithm|Exponential|\w*Solve\w*)"
)


def count_flops(graph: Any, owner: Mapping[str, int]) -> dict[int, int | None]:
    """Return the floating-point operations of each owner of nodes in a TensorFlow graph; None where not known.

    A multiply-accumulate counts as two. TensorFlow's own registry has convolutions, matrix products, biases, pooling,
    softmax, reductions, and elementwise arithmetic and comparison; einsum is counted here. Other activations (ReLU,
    ReLU6, sigmoid, tanh, erf, ...) and resizing count as 0. Not known is what runs inside loops and branches
    (recurrent layers), because how often a graph does not tell, FFT and linear algebra, and what reads a tensor whose
    size is open.
    """
    flops: dict[int, int | None] = {}
    with deprecation.silence():  # the registry itself asks by a function that TensorFlow calls deprecated
        for operation in graph.get_operations():
            if operation.name in owner:
                number = owner[operation.name]
                flops[number] = add_flops((flops.get(number, 0), _flops_of(graph, operation)))
    return flops


def einsum_flops(equation: str, shapes: Sequence[Sequence[int]], made: Sequence[int]) -> int:
    """Return the operations of an einsum: its products, and an addition where it sums, for each combination of indices.

    Args:
        equation: ``bij,bjk->bik``; ``...`` stands for axes that every operand and the result may have.
        shapes: of the operands.
        made: shape of the result.
    """
    read, _, result = equation.replace(" ", "").partition("->")
    operands = read.split(",")
    sizes: dict[str, int] = {}
    for labels, shape in zip(operands, shapes, strict=True):
        before, _, after = labels.partition("...")
        sizes |= dict(zip(before, shape, strict=False))
        sizes |= dict(zip(reversed(after), reversed(shape), strict=False))
    summed = [size for label, size in sizes.items() if label not in result]
    return (len(operands) - 1 + bool(summed)) * math.prod(made) * math.prod(summed)


def _flops_of(graph: Any, operation: Any) -> int | None:
    if _UNCOUNTED.fullmatch(operation.type) or _runs_functions(operation.node_def):
        return None
    try:
        if operation.type == "Einsum":
            shapes = [tensor.shape.as_list() for tensor in operation.inputs]
            return einsum_flops(operation.get_attr("equation").decode(), shapes, operation.outputs[0].shape.as_list())
        return int(ops.get_stats_for_node_def(graph, operation.node_def, "flops").value or 0)
    except (TypeError, ValueError):  # a tensor whose size is open
        return None


def _runs_functions(node: Any) -> bool:
    return any(value.HasField("func") or value.list.func for value in node.attr.values())
