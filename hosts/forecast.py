"""How long blocks that were never measured should take: by blocks like them that were, else by rules of thumb."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import psutil

from hosts.grid import Block, blocks, profiled_levels
from hosts.past import Past, measured
from hosts.past_profiles import PastProfile, profiled
from hosts.testbed.sizes import size_memory
from workers.records import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hosts.config import Config
    from hosts.grid import Level
    from hosts.inventory import Inventory

# Rules of thumb (s) at full CPU availability, seen on two cores with MobileNetV2. What a strategy does to move the
# cut is work for the CPU and takes longer with less of it; of the rest about half is.
SETUP_S = 6.0
MEMORY_STRESS_S = 14.0  # to take all of an edge's memory; a part of it takes as much less
TEARDOWN_S = 0.6
BETWEEN_S = 0.6  # Snakemake ends one job and starts the next
RUN_OVERHEAD_S = 0.7  # frames that are on their way, shaping, probing the link
REPARTITION_S = {
    "pause-resume": 1.4,
    "pause-resume-inprocess": 1.0,
    "switch-a1": 0.0,
    "switch-a2": 0.0,
    "switch-b1": 2.2,  # more than the baseline: on one CPU the old pipeline serves meanwhile
    "switch-b2": 0.6,
    "switch-hot": 0.0,
    "switch-warm": 0.2,
}
OTHER_STRATEGY_S = 2.0
INFEASIBLE_S = 7.0
HEAVIER = {"vgg19": 1.1}  # the same of another model, as a multiple; and where it differs by strategy
HEAVIER_FOR = {("vgg19", "switch-b1"): 2.2, ("vgg19", "switch-b2"): 1.25}

# Of a profile: two parts that are work for the CPU, timing layers and parts and sending frames, and the link's share.
PROFILE_WORK_S = {"vgg19": 70.0}
OTHER_PROFILE_WORK_S = 12.0
PROFILE_FRAMES_S = 15.0

# What the pipelines of a model take on the edge (MB), for those that keep one, and how many others have at once.
NEEDED_MB = {"vgg19": 720.0, "mobilenetv2": 130.0}
PIPELINES = {"switch-a1": 2, "switch-b1": 2, "switch-warm": 2}


class Split(NamedTuple):
    """Seconds by what they are spent on."""

    setup_s: float
    warmup_s: float
    runs_s: float
    teardown_s: float

    @property
    def total_s(self) -> float:
        """All of it."""
        return sum(self)

    def times(self, factor: float) -> Split:
        """Return each part multiplied."""
        return Split(*(factor * part for part in self))


class Expected(NamedTuple):
    """A block to be measured: how long it should take, by how many blocks like it (0: a guess), and if it fits."""

    block: Block
    split: Split
    likes: int
    fits: bool


class ExpectedProfile(NamedTuple):
    """A profile to be made: how long it should take, by how many like it (0: a guess)."""

    level: Level
    total_s: float
    likes: int


def forecast_profiles(config: Config, past: Sequence[PastProfile]) -> list[ExpectedProfile]:
    """Return what to expect of every profile that the config wants and that is not there yet, in their order. Pure."""
    done = profiled(config, past)
    return [_expected_profile(level, past) for level in profiled_levels(config) if level not in done]


def _expected_profile(level: Level, past: Sequence[PastProfile]) -> ExpectedProfile:
    likes = [record for record in past if record.model == level.model and record.status is Status.OK]
    ratios = [like.duration_s / profile_rule_of_thumb(like.level) for like in likes]
    return ExpectedProfile(level, profile_rule_of_thumb(level) * (median(ratios) if ratios else 1.0), len(likes))


def profile_rule_of_thumb(level: Level) -> float:
    """Return the time of a profile (s), as nobody knows better."""
    slower = (1.0 + 100.0 / level.cpu_pct) / 2  # the cloud's half is as fast as ever
    work_s = PROFILE_WORK_S.get(level.model, OTHER_PROFILE_WORK_S)
    stress_s = MEMORY_STRESS_S * (1.0 - level.mem_pct / 100.0)
    return SETUP_S + stress_s + work_s * slower + PROFILE_FRAMES_S + TEARDOWN_S + BETWEEN_S


def forecast(config: Config, past: Sequence[Past], edge_mb: float | None) -> list[Expected]:
    """Return what to expect of every block of the grid that is not measured yet, in their order. Pure.

    Args:
        config: the grid.
        past: what was measured before, also by other configs.
        edge_mb: the memory of the edge, None where it is not known.
    """
    done = measured(config, past)
    return [_expected(config, block, past, edge_mb) for block in blocks(config) if block not in done]


def _expected(config: Config, block: Block, past: Sequence[Past], edge_mb: float | None) -> Expected:
    runs = len(config.fps) * 2 * config.repeats
    fits = _fits(block, past, edge_mb)
    likes = most_alike(block, [record for record in past if record.fitted == fits and record.came_to_its_end])
    ratios = [like.duration_s / rule_of_thumb(config, like.block, len(like.runs), fits=fits).total_s for like in likes]
    split = rule_of_thumb(config, block, runs, fits=fits)
    return Expected(block, split.times(median(ratios)) if ratios else split, len(likes), fits)


def rule_of_thumb(config: Config, block: Block, runs: int, *, fits: bool) -> Split:
    """Return the time of a block of so many runs, as nobody knows better."""
    slower = 100.0 / block.cpu_pct
    heavier = HEAVIER_FOR.get((block.model, block.strategy), HEAVIER.get(block.model, 1.0))
    stress_s = MEMORY_STRESS_S * (1.0 - block.mem_pct / 100.0)
    partly = (1.0 + slower) / 2
    if not fits:
        return Split(INFEASIBLE_S * partly + stress_s, 0.0, 0.0, TEARDOWN_S + BETWEEN_S)
    windows = config.windows
    work_s = REPARTITION_S.get(block.strategy, OTHER_STRATEGY_S) * slower + RUN_OVERHEAD_S * partly
    return Split(
        setup_s=SETUP_S * partly * min(heavier, 1.25) + stress_s,
        warmup_s=windows.warmup_frames / min(config.fps) + 0.3 * slower,
        runs_s=runs * (windows.before_s + windows.after_s + work_s * heavier),
        teardown_s=TEARDOWN_S + BETWEEN_S,
    )


def most_alike(block: Block, past: Sequence[Past]) -> list[Past]:
    """Return the blocks that are most like this one: of its strategy, model and CPU level, else of less of these."""
    for keys in (("strategy", "model", "cpu_pct"), ("strategy", "model"), ("strategy",)):
        likes = [record for record in past if all(getattr(record, key) == getattr(block, key) for key in keys)]
        if likes:
            return likes
    return []


def _fits(block: Block, past: Sequence[Past], edge_mb: float | None) -> bool:
    """Say whether the pipelines should fit into memory: as they did before, else as their size tells."""
    before = [
        record.fitted
        for record in past
        if (record.model, record.strategy, record.mem_pct) == (block.model, block.strategy, block.mem_pct)
    ]
    if before:
        return all(before)
    needed_mb = NEEDED_MB.get(block.model, 0.0) * PIPELINES.get(block.strategy, 1)
    return edge_mb is None or needed_mb <= edge_mb * block.mem_pct / 100


def edge_memory_mb(inventory: Inventory) -> float | None:
    """Return the memory that the edge has, or will have where the workflow makes it; None where nobody says."""
    wanted: dict[str, int] = {host.role: host.memory_mb for host in inventory.hosts if host.memory_mb is not None}
    if inventory.testbed is None or "edge" not in wanted:
        return wanted.get("edge")
    return size_memory(wanted, psutil.virtual_memory().total >> 20).memory_mb["edge"]
