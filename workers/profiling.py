"""Times a loaded model: the whole of it, each of its layers, and its heads or tails, in the process that serves them.

Whole model and parts run as they do to serve. Layers come from further runs in which TensorFlow notes how long each
operation takes, which costs some time itself; they are scaled so that their sum is the whole model's.
"""

from __future__ import annotations

import gc
import re
import time
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from workers.partition import resolve
from workers.records import TierTimings
from workers.store import FRAME, GRAPH, point_node

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from workers.inference import LoadedModel, Part

LEAST_ROUNDS = 6  # the fewest for a 95 % interval of a median
BUDGET_S = 20.0  # for slow hosts: once this is spent, there are no more rounds than the least

_LAYER = re.compile(r"(?:^|/)layer_(\d+)/")  # TensorFlow puts a prefix before nodes that it makes of others

Samples = tuple[float, ...]


class Round(NamedTuple):
    """One call of everything (ms); operations by the names of their nodes, parts by their points."""

    whole_ms: float
    operations_ms: dict[str, float]
    parts_ms: dict[int, float]


def profile_model(loaded: LoadedModel, folder: Path, tier: str, points: Sequence[int], repetitions: int) -> TierTimings:
    """Time a model on the threads that serve it.

    Args:
        loaded: the model.
        folder: where it is stored.
        tier: role of this host: the edge has heads, the cloud tails.
        points: those whose parts are timed.
        repetitions: samples of each item; fewer, but at least 6, where the host is so slow that it takes seconds.

    Raises:
        PartitionError: no such point, or the store is damaged.
    """
    from workers import graph_runtime  # noqa: PLC0415 - imports TensorFlow, which `loaded` has done already

    for point in points:
        resolve(loaded.points, point)
    rounds = _time_all(loaded, folder, tier, points, repetitions)
    gc.collect()  # what was built for it
    whole_ms = tuple(each.whole_ms for each in rounds)
    layers_ms = by_layer([each.operations_ms for each in rounds], len(loaded.meta.layers))
    parts_ms = {point: tuple(each.parts_ms[point] for each in rounds) for point in points}
    return TierTimings(graph_runtime.threads(), whole_ms, scaled(layers_ms, median(whole_ms)), parts_ms)


def _time_all(loaded: LoadedModel, folder: Path, tier: str, points: Sequence[int], repetitions: int) -> list[Round]:
    from workers.graph_trace import TracedGraph  # noqa: PLC0415 - more of TensorFlow than serving takes

    last = loaded.points[-1].index
    whole = _Timed(loaded.build_head(last))  # on either tier: from frame to result
    if tier == "edge":
        parts = {point: _Timed(loaded.build_head(point)) for point in points if point != last}
    else:
        parts = {point: _Timed(loaded.build_tail(point)) for point in points}
    frame = whole.values[np.newaxis]
    with TracedGraph(folder / GRAPH, loaded.weights(), FRAME, point_node(last)) as traced:
        traced.run(frame)  # warms up, as making a part does

        def call_all() -> Round:
            whole_ms = whole()
            operations_ms = traced.run(frame)
            return Round(whole_ms, operations_ms, {last: whole_ms} | {at: part() for at, part in parts.items()})

        return take_rounds(call_all, repetitions)


class _Timed:
    """A part with something to feed it; calling it returns how long that took (ms)."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self.values = make_input(part)

    def __call__(self) -> float:
        began_ns = time.monotonic_ns()
        self._part(self.values)
        return (time.monotonic_ns() - began_ns) / 1e6


def make_input(part: Part) -> NDArray[Any]:
    """Return what a part takes, noise of a fixed seed: no zeros, and none so small that a CPU is slow with it."""
    noise = np.random.default_rng(1)
    if np.issubdtype(part.dtype, np.integer):
        return noise.integers(0, 256, part.shape).astype(part.dtype)
    return noise.uniform(0.1, 1.0, part.shape).astype(part.dtype)


def take_rounds(
    call_all: Callable[[], Round], repetitions: int, clock: Callable[[], float] = time.monotonic
) -> list[Round]:
    """Return `repetitions` rounds, or fewer where they take longer than `BUDGET_S`, but then `LEAST_ROUNDS`.

    Rounds, because a host's speed drifts within seconds: what is to be compared is timed in turn.
    """
    rounds: list[Round] = []
    end = clock() + BUDGET_S
    while len(rounds) < repetitions and (len(rounds) < LEAST_ROUNDS or clock() < end):
        rounds.append(call_all())
    return rounds


def by_layer(runs: Sequence[Mapping[str, float]], layers: int) -> tuple[Samples, ...]:
    """Return for each layer the time of its operations (ms) in each run.

    Args:
        runs: times by the names of nodes. Those of no layer are left out.
        layers: how many the model has.
    """
    times = np.zeros((layers, len(runs)))
    for number, run in enumerate(runs):
        for node, took_ms in run.items():
            if (index := layer_of(node)) is not None:
                times[index - 1, number] += took_ms
    return tuple(tuple(row) for row in times.tolist())


def layer_of(node: str) -> int | None:
    """Return the layer in whose scope a node lies, None where in none."""
    found = _LAYER.search(node)
    return int(found[1]) if found else None


def scaled(layers_ms: Sequence[Samples], whole_ms: float) -> tuple[Samples, ...]:
    """Return the samples of layers multiplied so that their medians add up to `whole_ms`; all 0 where they are."""
    total_ms = sum(median(samples) for samples in layers_ms)
    factor = whole_ms / total_ms if total_ms else 0.0
    return tuple(tuple(factor * sample for sample in samples) for samples in layers_ms)
