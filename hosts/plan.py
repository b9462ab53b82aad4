"""``python -m hosts.plan --config FILE``: what a grid would run, how long it takes, and whether the disk has room.

A block measured before (in the same results folder, by the same config) takes no time; the others are forecast from
blocks like them or, where there are none, by rules of thumb, and the output says which.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hosts import inventory as inventories
from hosts.config import Config, load
from hosts.errors import HostsError
from hosts.forecast import Expected, ExpectedProfile, Split, edge_memory_mb, forecast, forecast_profiles
from hosts.grid import blocks, grid_size, profiled_levels
from hosts.models import refuse_unmakeable, stored_points
from hosts.named_points import refuse_unknown
from hosts.partition_problems import listing
from hosts.past import past_blocks
from hosts.past_profiles import past_profiles
from hosts.progress import in_words, listed
from hosts.room import Room, rooms

if TYPE_CHECKING:
    from collections.abc import Sequence, Sized

# Rules of thumb: seconds and megabytes beside the blocks, and what a run logs.
MODEL_S = 12.0
REPORT_S = 15.0
MODEL_MB = {"vgg19": 550.0}
OTHER_MODEL_MB = 100.0
REPORT_MB = 10.0
PROFILE_MB = 1.0
RUN_KB = 6.0
FRAME_KB = 0.6


class Plan(NamedTuple):
    """Size of a grid: of `total` blocks, `left` are to be measured; `excluded` are no part of it.

    Of `profiles`, `profiles_left` are to be made. `beside_s` is for models and the report; `rooms` are results and
    model store. `unchecked` are the models whose points are known once they are stored.
    """

    total: int
    excluded: int
    runs_a_block: int
    left: list[Expected]
    profiles: int
    profiles_left: list[ExpectedProfile]
    beside_s: float
    rooms: tuple[Room, ...]
    unchecked: tuple[str, ...]

    @property
    def left_s(self) -> float:
        """How long it should take from now on; nothing where nothing is left."""
        return self.beside_s + self.profiles_s + sum(expected.split.total_s for expected in self.left)

    @property
    def profiles_s(self) -> float:
        """How long the profiles should take that are left."""
        return sum(expected.total_s for expected in self.profiles_left)


def make_plan(config: Config) -> Plan:
    """Count what `config` would run, given what the results folder and the disks hold.

    Raises:
        ConfigError: the inventory cannot be used, a model that is to be made has no file that can be read, or one that
            is stored has no such point as the config names.
    """
    results = Path(config.results)
    edge_mb = edge_memory_mb(inventories.load(Path(config.inventory)))
    left = forecast(config, past_blocks(results, config.models), edge_mb)
    profiles_left = forecast_profiles(config, past_profiles(results, config.models))
    models = {expected.block.model for expected in left} | {expected.level.model for expected in profiles_left}
    unmade = tuple(
        model for model in config.models if model in models and not (results / "models" / f"{model}.json").exists()
    )
    refuse_unmakeable(config, unmade)
    points = stored_points(config, [model for model in config.models if model in models])
    refuse_unknown(config, points)
    runs = len(config.fps) * 2 * config.repeats
    total = len(blocks(config))
    return Plan(
        total=total,
        excluded=grid_size(config) - total,
        runs_a_block=runs,
        left=left,
        profiles=len(profiled_levels(config)),
        profiles_left=profiles_left,
        beside_s=REPORT_S + MODEL_S * len(unmade) if models else 0.0,
        rooms=rooms(
            results,
            _results_mb(config, left, runs) + PROFILE_MB * len(profiles_left),
            sum(MODEL_MB.get(name, OTHER_MODEL_MB) for name in unmade),
        ),
        unchecked=tuple(model for model in unmade if model not in points),
    )


def _results_mb(config: Config, left: Sequence[Expected], runs: int) -> float:
    """Return what the blocks left will log, and the report on it: a part for each run, one for each of its frames."""
    if not left:
        return 0.0
    frames_s = sum(expected.split.runs_s for expected in left) * sum(config.fps) / len(config.fps)
    return REPORT_MB + (runs * len(left) * RUN_KB + frames_s * FRAME_KB) / 1e3


def describe(config: Config, plan: Plan) -> list[str]:
    """Return the plan as lines of text."""
    axes = " × ".join(
        [
            _counted(config.models, "model"),
            _counted(config.strategies, "strategy"),
            _counted(config.cpu_pct, "CPU level"),
            _counted(config.mem_pct, "memory level"),
        ]
    )
    left_out = f", {plan.excluded} left out by `exclude`" if plan.excluded else ""
    rates, repeats = _counted(config.fps, "frame rate"), _counted(range(config.repeats), "repeat")
    measured = _counted(range(plan.total - len(plan.left)), "block")
    if plan.profiles:
        measured += f" and {_counted(range(plan.profiles - len(plan.profiles_left)), 'profile')}"
    lines = [
        f"{_counted(range(plan.total), 'block')}, {plan.total * plan.runs_a_block} runs: {axes}{left_out}",
        f"each block: {rates} × 2 directions × {repeats} = {plan.runs_a_block} runs",
        f"measured already: {measured}; the others take about {in_words(plan.left_s)}",
    ]
    if plan.profiles:
        lines.insert(2, f"before them {_counted(range(plan.profiles), 'profile')}: {_profiled(config)}")
    if plan.left or plan.profiles_left:
        lines += _expectations(plan)
    lines += _unchecked_points(config, plan.unchecked)
    lines += [
        f"{room.folder}: about {room.needed_mb:.0f} MB needed, {room.free_mb / 1e3:.0f} GB free" for room in plan.rooms
    ]
    return lines


def _unchecked_points(config: Config, unchecked: Sequence[str]) -> list[str]:
    """Return for which models it is not known yet whether they have the points that the config names."""
    models = {name: config.models[name] for name in unchecked}
    return [
        f"points of {name} are checked once the model is stored: {listing(model.source or name)} lists them"
        for name, model in models.items()
        if not isinstance(model.partition, str) or isinstance(model.hot, tuple)
    ]


def _profiled(config: Config) -> str:
    return listed([level.folder for level in profiled_levels(config)])


def _expectations(plan: Plan) -> list[str]:
    """Return how the time splits, how much of it is a guess, and which blocks should not fit into memory."""
    nothing = Split(0.0, 0.0, 0.0, 0.0)
    splits = zip(nothing, *(expected.split for expected in plan.left), strict=True)
    split = Split(*(sum(parts) for parts in splits))
    likes = [block.likes for block in plan.left] + [profile.likes for profile in plan.profiles_left]
    guessed = sum(not count for count in likes)
    parts = {
        "profiles": plan.profiles_s,
        "set-up": split.setup_s,
        "warm-up": split.warmup_s,
        "runs": split.runs_s,
        "tear-down": split.teardown_s,
        "models and report": plan.beside_s,
    }
    lines = [
        "of that " + ", ".join(f"{name} {in_words(seconds)}" for name, seconds in parts.items() if seconds),
        f"known from others like them: {len(likes) - guessed}; guessed by rules of thumb: {guessed}",
    ]
    tight = [expected.block.folder for expected in plan.left if not expected.fits]
    if tight:
        lines.append(f"expected not to fit into memory, and to end at once (a guess): {listed(tight)}")
    return lines


def _counted(things: Sized, word: str) -> str:
    count = len(things)
    if count == 1:
        return f"1 {word}"
    return f"{count} {word.removesuffix('y')}ies" if word.endswith("y") else f"{count} {word}s"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the plan of a config."""
    parser = argparse.ArgumentParser(prog="python -m hosts.plan", description=__doc__)
    parser.add_argument(
        "--config", type=Path, default=Path("config/default.yaml"), help="the grid's config (config/default.yaml)"
    )
    parser.add_argument("--blocks", action="store_true", help="list the blocks that are left, in their order")
    arguments = parser.parse_args(argv)
    try:
        config = load(arguments.config)
        plan = make_plan(config)
    except HostsError as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(describe(config, plan)))
    if arguments.blocks:
        for profile in plan.profiles_left:
            print(f"profile {profile.level.folder}  {in_words(profile.total_s)}")
        for expected in plan.left:
            print(f"{expected.block.folder}  {in_words(expected.split.total_s)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
