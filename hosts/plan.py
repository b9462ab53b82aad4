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
from hosts.forecast import Expected, Split, edge_memory_mb, forecast
from hosts.grid import blocks, every_block
from hosts.past import past_blocks
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
RUN_KB = 6.0
FRAME_KB = 0.6


class Plan(NamedTuple):
    """Size of a grid: of `total` blocks, `left` are to be measured; `excluded` are no part of it.

    `beside_s` is for models and the report; `rooms` are results and model store.
    """

    total: int
    excluded: int
    runs_a_block: int
    left: list[Expected]
    beside_s: float
    rooms: tuple[Room, ...]

    @property
    def left_s(self) -> float:
        """How long it should take from now on; nothing where nothing is left."""
        return self.beside_s + sum(expected.split.total_s for expected in self.left)


def make_plan(config: Config) -> Plan:
    """Count what `config` would run, given what the results folder and the disks hold.

    Raises:
        ConfigError: the inventory cannot be used.
    """
    results = Path(config.results)
    edge_mb = edge_memory_mb(inventories.load(Path(config.inventory)))
    left = forecast(config, past_blocks(results, config.models), edge_mb)
    unmade = {
        expected.block.model for expected in left if not (results / "models" / f"{expected.block.model}.json").exists()
    }
    runs = len(config.fps) * 2 * config.repeats
    total = len(blocks(config))
    return Plan(
        total=total,
        excluded=len(every_block(config)) - total,
        runs_a_block=runs,
        left=left,
        beside_s=REPORT_S + MODEL_S * len(unmade) if left else 0.0,
        rooms=rooms(
            results, _results_mb(config, left, runs), sum(MODEL_MB.get(name, OTHER_MODEL_MB) for name in unmade)
        ),
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
    lines = [
        f"{_counted(range(plan.total), 'block')}, {plan.total * plan.runs_a_block} runs: {axes}{left_out}",
        f"each block: {rates} × 2 directions × {repeats} = {plan.runs_a_block} runs",
        f"measured already: {measured}; the others take about {in_words(plan.left_s)}",
    ]
    if plan.left:
        lines += _expectations(plan)
    lines += [
        f"{room.folder}: about {room.needed_mb:.0f} MB needed, {room.free_mb / 1e3:.0f} GB free" for room in plan.rooms
    ]
    return lines


def _expectations(plan: Plan) -> list[str]:
    """Return how the time splits, how much of it is a guess, and which blocks should not fit into memory."""
    split = Split(*(sum(parts) for parts in zip(*(expected.split for expected in plan.left), strict=True)))
    guessed = sum(not expected.likes for expected in plan.left)
    parts = {
        "set-up": split.setup_s,
        "warm-up": split.warmup_s,
        "runs": split.runs_s,
        "tear-down": split.teardown_s,
        "models and report": plan.beside_s,
    }
    lines = [
        "of that " + ", ".join(f"{name} {in_words(seconds)}" for name, seconds in parts.items()),
        f"known from blocks like them: {len(plan.left) - guessed}; guessed by rules of thumb: {guessed}",
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
    parser.add_argument("--config", type=Path, default=Path("config/default.yaml"))
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
        for expected in plan.left:
            print(f"{expected.block.folder}  {in_words(expected.split.total_s)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
