"""The blocks of a grid: which there are, which are left out, and in which order they are measured."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from random import Random
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hosts.config import Config, Exclusion


class Block(msgspec.Struct, frozen=True):
    """One job: all FPS, directions and repeats of a model, strategy and stress level."""

    model: str
    strategy: str
    cpu_pct: float
    mem_pct: float

    @property
    def folder(self) -> str:
        """Where its raw logs go, below ``results/runs``."""
        return f"{self.model}/{self.strategy}/cpu{self.cpu_pct:g}-mem{self.mem_pct:g}"


class Level(msgspec.Struct, frozen=True):
    """A model and what is left of the edge's CPU time and memory for it (%): what one profile is of."""

    model: str
    cpu_pct: float
    mem_pct: float

    @property
    def folder(self) -> str:
        """Where its profile goes, below ``results/profiles``."""
        return f"{self.model}/cpu{self.cpu_pct:g}-mem{self.mem_pct:g}"


def grid_size(config: Config) -> int:
    """Return how many blocks the product of the axes has, before anything is left out."""
    return math.prod(map(len, (config.models, config.strategies, config.cpu_pct, config.mem_pct)))


def every_block(config: Config) -> list[Block]:
    """Return the product of the axes, before anything is left out."""
    axes = itertools.product(config.models, config.strategies, config.cpu_pct, config.mem_pct)
    return [Block(*axis) for axis in axes]


def blocks(config: Config) -> list[Block]:
    """Return the blocks of the grid in the order in which they are measured."""
    return interleaved(_kept(config), config.seed)


def _kept(config: Config) -> list[Block]:
    return [block for block in every_block(config) if not any(is_excluded(block, entry) for entry in config.exclude)]


def levels(config: Config) -> list[Level]:
    """Return the distinct levels of the grid's blocks: models in the config's order, the highest level first."""
    found = {Level(block.model, block.cpu_pct, block.mem_pct) for block in _kept(config)}
    places = {model: place for place, model in enumerate(config.models)}
    return sorted(found, key=lambda level: (places[level.model], *_height(level)))


def profiled_levels(config: Config) -> list[Level]:
    """Return the levels that the config wants profiled, in the order in which they are."""
    found = levels(config)
    if config.profile.levels == "none":
        return []
    if config.profile.levels == "all":
        return found
    return [next(of_model) for _, of_model in itertools.groupby(found, key=lambda level: level.model)]


def highest_level(config: Config, model: str) -> Level | None:
    """Return where most is left over for a model; None where the grid has no block of it."""
    return next((level for level in levels(config) if level.model == model), None)


def _height(level: Level) -> tuple[float, ...]:
    """Return what sorts levels from most left over to least."""
    return (-level.cpu_pct * level.mem_pct, -level.cpu_pct)


def is_excluded(block: Block, entry: Exclusion) -> bool:
    """Say whether a block matches every key that an entry of `exclude` gives."""
    return all(getattr(block, key) in values for key, values in entry.given().items())


def interleaved(grid: Iterable[Block], seed: int) -> list[Block]:
    """Shuffle blocks so that no strategy is measured earlier than another: a machine gets slower as it gets warm.

    Each strategy's blocks are spread evenly over the whole time, each at a random place of its share. Strategies go
    through models and stress levels in the same shuffled circle from starts that lie evenly round it, so that levels
    are spread as well. The same blocks and seed give the same order.
    """
    shuffle = Random(f"order of blocks {seed}")  # noqa: S311 - no secret
    by_strategy: defaultdict[str, dict[tuple[str, float, float], Block]] = defaultdict(dict)
    for block in sorted(grid, key=lambda block: block.folder):
        by_strategy[block.strategy][block.model, block.cpu_pct, block.mem_pct] = block
    circle = sorted({cell for of_strategy in by_strategy.values() for cell in of_strategy})
    shuffle.shuffle(circle)
    placed: list[tuple[float, Block]] = []
    for number, of_strategy in enumerate(by_strategy.values()):
        start = number * len(circle) // len(by_strategy)
        own = [of_strategy[cell] for cell in circle[start:] + circle[:start] if cell in of_strategy]
        placed += [((place + shuffle.random()) / len(own), block) for place, block in enumerate(own)]
    return [block for _, block in sorted(placed, key=lambda entry: entry[0])]
