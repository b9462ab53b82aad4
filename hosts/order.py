"""The order of runs within a block."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hosts.config import Config


class Step(NamedTuple):
    """One run: which repeat it is, the frames offered per second, and the change of speed (Mbit/s)."""

    repeat: int
    fps: float
    from_mbps: float
    to_mbps: float


def run_order(config: Config) -> list[Step]:
    """Return the runs of a block in their order; each starts at the speed where the last one ended.

    Repeats are the outer loop: what changes slowly (heat, other load) falls on all frame rates alike. Within a
    repeat the frame rates are shuffled by the config's seed, and each is measured there and back. All blocks have
    the same order, so that strategies are compared under the same sequence.
    """
    shuffle = Random(f"order of runs {config.seed}")  # noqa: S311 - no secret
    first, second = config.network.speeds_mbps
    steps: list[Step] = []
    for repeat in range(1, config.repeats + 1):
        rates = sorted(config.fps)
        shuffle.shuffle(rates)
        for fps in rates:
            steps += [Step(repeat, fps, first, second), Step(repeat, fps, second, first)]
    return steps
