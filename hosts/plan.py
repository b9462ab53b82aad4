"""``python -m hosts.plan --config FILE``: what a grid would run, how long it takes, and whether the disk has room.

A block measured before (in the same results folder) counts with the time it took; for the others the observation
windows are known and the rest is a rule of thumb, which the output says.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hosts.config import Config, load
from hosts.errors import HostsError
from hosts.grid import Block, blocks
from hosts.progress import block_duration_s, in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

# Rules of thumb (s), seen on two cores; used only for blocks that were never measured.
BLOCK_OVERHEAD_S = 12.0
RUN_OVERHEAD_S = 1.0
REPARTITION_S = {"pause-resume": 6.0, "pause-resume-inprocess": 2.0, "switch-b1": 6.0, "switch-b2": 1.0}
RUN_KILOBYTES = 60


class Plan(NamedTuple):
    """Size of a grid; `measured` blocks lie in the results folder already."""

    blocks: int
    runs: int
    measured: int
    left_s: float
    megabytes: float


def make_plan(config: Config) -> Plan:
    """Count what `config` would run."""
    runs_a_block = len(config.fps) * 2 * config.repeats
    grid = blocks(config)
    missing = [block for block in grid if measured_s(config, block) is None]
    left_s = sum(expected_s(config, block, runs_a_block) for block in missing)
    runs = runs_a_block * len(grid)
    return Plan(len(grid), runs, len(grid) - len(missing), left_s, runs * RUN_KILOBYTES / 1e3)


def measured_s(config: Config, block: Block) -> float | None:
    """Return how long the block took when it was measured, None where it was not."""
    return block_duration_s(Path(config.results) / "runs" / block.folder / "run.json")


def expected_s(config: Config, block: Block, runs: int) -> float:
    """Return how long the block should take."""
    windows = config.windows
    run_s = windows.before_s + windows.after_s + REPARTITION_S.get(block.strategy, 0.0) + RUN_OVERHEAD_S
    return BLOCK_OVERHEAD_S + windows.warmup_frames / min(config.fps) + runs * run_s


def describe(config: Config, plan: Plan, free_bytes: int) -> list[str]:
    """Return the plan as lines of text."""
    axes = (
        f"{len(config.models)} models, {len(config.strategies)} strategies, {len(config.cpu_pct)} CPU and "
        f"{len(config.mem_pct)} memory levels, {len(config.fps)} frame rates, 2 directions, {config.repeats} repeats"
    )
    return [
        f"{plan.blocks} blocks, {plan.runs} runs: {axes}",
        f"{plan.measured} blocks are measured already; the others take about {in_words(plan.left_s)}",
        f"about {plan.megabytes:.0f} MB of logs; {free_bytes / 1e9:.0f} GB free in {config.results}",
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the plan of a config."""
    parser = argparse.ArgumentParser(prog="python -m hosts.plan", description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("config/default.yaml"))
    arguments = parser.parse_args(argv)
    try:
        config = load(arguments.config)
    except HostsError as error:
        print(error, file=sys.stderr)
        return 2
    results = Path(config.results)
    free_bytes = shutil.disk_usage(results if results.exists() else Path()).free
    print("\n".join(describe(config, make_plan(config), free_bytes)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
