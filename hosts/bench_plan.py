"""What a bench runs, in which order, and how long it takes. Pure."""

from __future__ import annotations

from random import Random
from statistics import median
from typing import TYPE_CHECKING

from hosts.errors import ConfigError
from hosts.forecast import rule_of_thumb
from hosts.grid import Block, blocks
from hosts.progress import in_words
from hosts.suggest import did_you_mean
from workers.records import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hosts.config import Config
    from workers.bench_records import BenchedBlock

PLANE_S = 75.0  # a model that does nothing, with its session
MODEL_S = 12.0


def refuse_unfit(config: Config, where: str) -> None:
    """Refuse a config that a bench cannot be made of.

    Raises:
        ConfigError: the baseline is not measured, a burst cannot be told of its changes, or points are to be found.
    """
    if config.bench.baseline not in config.strategies:
        raise ConfigError(
            f"{where}: bench.baseline: {config.bench.baseline!r} is not among `strategies`"
            f"{did_you_mean(config.bench.baseline, config.strategies)}; ratios are to a strategy of the same bench"
        )
    if config.detection != "notified" and config.bench.burst_s:
        raise ConfigError(
            f"{where}: bench.burst_s: with `detection: {config.detection}` the edge waits for frames before it changes "
            "its cut, so that a burst would measure that; set it to 0, or `detection: notified`"
        )
    for name, model in config.models.items():
        if model.partition == "optimal":
            raise ConfigError(
                f"{where}: models.{name}.partition: a bench makes no profile; map each speed to a layer (the table "
                "partition_points of a grid's report names the best ones), or write `paper`"
            )


def round_order(config: Config, number: int) -> list[Block]:
    """Return the blocks of a round, shuffled by seed and round: no strategy always comes after the same other one."""
    found = sorted(blocks(config), key=lambda block: block.folder)
    Random(f"round {number} of a bench {config.seed}").shuffle(found)  # noqa: S311 - no secret
    return found


def expected_s(config: Config, block: Block, past: Iterable[BenchedBlock]) -> float:
    """Return how long a block should take: as it did in earlier rounds, else by a rule of thumb."""
    like = [
        done.duration_s
        for done in past
        if (done.model, done.strategy, done.cpu_pct, done.mem_pct)
        == (block.model, block.strategy, block.cpu_pct, block.mem_pct)
    ]
    if like:
        return median(like)
    runs = len(config.fps) * 2 * config.repeats
    return rule_of_thumb(config, block, runs, fits=True).total_s + config.bench.burst_s


def without_result(done: Sequence[BenchedBlock]) -> list[str]:
    """Return a line for each block that came to no result in any round, with its last reason."""
    last = {row.folder: row for row in done}
    for row in done:
        if row.status in {Status.OK, Status.INFEASIBLE}:
            last.pop(row.folder, None)
    return [f"{row.folder}: no result in any round ({row.reason})" for row in last.values()]


def describe(
    config: Config, left: Mapping[int, list[Block]], past: Iterable[BenchedBlock], models_unmade: int, planes: int
) -> list[str]:
    """Return what is to be done as lines; `left` holds the blocks of each round that are not measured yet.

    `planes`: how many models that do nothing are not measured yet.
    """
    done, bench = list(past), config.bench
    todo = [block for of_round in left.values() for block in of_round]
    seconds = sum(expected_s(config, block, done) for block in todo) + PLANE_S * planes + MODEL_S * models_unmade
    total = len(blocks(config)) * bench.rounds
    runs = len(config.fps) * 2 * config.repeats
    burst = (
        f", then changes one after another for {bench.burst_s:g} s (at most {bench.burst_changes})"
        if bench.burst_s
        else ""
    )
    return [
        (
            f"bench: {len(config.strategies)} strategies × {len(config.models)} models, {bench.rounds} rounds in an "
            f"order of their own: {total} blocks, {len(todo)} left, about {in_words(seconds)}"
        ),
        f"each block: {runs} runs there and back{burst}; ratios to {bench.baseline} of this bench",
        *([f"before them the data plane, with models that do nothing: {planes}"] if planes else []),
    ]
