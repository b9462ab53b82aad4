"""Writes a Keras model as a TensorFlow graph in which every partition point has a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workers.partition_graph import find_cuts
from workers.partition_keras import keras, read_graph, run_calls, tf
from workers.partition_models import preprocess
from workers.store import FRAME, point_node, weight_node

if TYPE_CHECKING:
    from workers.partition_models import Preprocess


def export_graph(model: Any, how: Preprocess) -> bytes:
    """Return a GraphDef from a frame (1, H, W, C), uint8, to the model's output.

    Variables are placeholders, so that the file is small and whoever runs it decides where the weights lie. The
    tensor at each point passes through a node of that name: what lies before it is the head, what after it the tail.

    Raises:
        PartitionError: see `workers.partition_keras.read_graph`.
    """
    graph = read_graph(model)
    points = {cut.tensor: cut.position for cut in find_cuts(graph.operations(), id(graph.target))}

    def named(identity: int, value: Any) -> Any:
        return tf.identity(value, point_node(points[identity])) if identity in points else value

    def whole(frame: Any, *weights: Any) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(model.variables, weights, strict=True))):
            given = keras.ops.cast(preprocess(tf.cast(frame, tf.float32), how), graph.source.dtype)
            return run_calls(graph.calls[1:], {id(graph.source): named(id(graph.source), given)}, named)[
                id(graph.target)
            ]

    signature = [tf.TensorSpec((1, *model.inputs[0].shape[1:]), tf.uint8, FRAME)]
    signature += [
        tf.TensorSpec(variable.shape, variable.dtype, weight_node(number))
        for number, variable in enumerate(model.variables)
    ]
    traced = tf.function(whole, input_signature=signature, autograph=False).get_concrete_function()
    exported: bytes = traced.graph.as_graph_def().SerializeToString(deterministic=True)
    return exported
