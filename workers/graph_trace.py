"""Times every operation of a stored graph while the whole of it runs.

Imported only to profile: beside what `workers.graph_runtime` takes of TensorFlow it takes sessions, which alone can
say how long each operation took.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from workers import graph_runtime  # first: it puts the stand-in for TensorFlow's package in its place
from workers.errors import PartitionError

# isort: split
from google.protobuf.message import DecodeError
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.client import session
from tensorflow.python.framework import importer, ops

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray


class TracedGraph:
    """A graph in a session with as many threads as serve, to be closed.

    Args:
        path: the file of the GraphDef.
        weights: arrays by the name of the node that stands for them. They are fed in each run; TensorFlow uses the
            memory of those at multiples of 64 as it stands.
        feed: node that takes the frame, with its batch dimension.
        fetch: node to be computed.

    Raises:
        PartitionError: the file holds no graph.
    """

    def __init__(self, path: Path, weights: Mapping[str, NDArray[Any]], feed: str, fetch: str) -> None:
        intra, inter = graph_runtime.threads()
        config = config_pb2.ConfigProto(intra_op_parallelism_threads=intra, inter_op_parallelism_threads=inter)
        config.graph_options.rewrite_options.disable_meta_optimizer = True  # as where it serves
        self._session = session.Session(graph=_read(path), config=config)
        self._run = self._session.make_callable(
            f"{fetch}:0", [f"{node}:0" for node in (feed, *weights)], accept_options=True
        )
        self._weights = list(weights.values())
        self._options = config_pb2.RunOptions(trace_level=config_pb2.RunOptions.SOFTWARE_TRACE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def run(self, frame: NDArray[Any]) -> dict[str, float]:
        """Run it on a frame (batch of 1) and return how long each operation took (ms), by its node's name.

        Operations that TensorFlow has fused stand under the name of the last of them.
        """
        found = config_pb2.RunMetadata()
        self._run(frame, *self._weights, options=self._options, run_metadata=found)
        took_ms: dict[str, float] = {}
        for device in found.step_stats.dev_stats:
            for node in device.node_stats:
                lasted_ms = (node.op_end_rel_nanos - node.op_start_rel_nanos) / 1e6
                took_ms[node.node_name] = took_ms.get(node.node_name, 0.0) + lasted_ms
        return took_ms


def _read(path: Path) -> Any:
    definition = graph_pb2.GraphDef()
    try:
        definition.ParseFromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise PartitionError(
            f"{path} holds no graph ({error}). Remove its folder and make or copy it again."
        ) from error
    graph = ops.Graph()
    with graph.as_default():
        importer.import_graph_def(definition, name="")
    return graph
