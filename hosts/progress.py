"""Tells of progress: a line a run on a terminal, a line a block everywhere, each with the time that is left."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import msgspec

from hosts.grid import blocks

if TYPE_CHECKING:
    from pathlib import Path

    from hosts.config import Config
    from workers.records import RunRecord


def eta_s(done: int, total: int, elapsed_s: float) -> float | None:
    """Return how long the rest takes at the pace so far; None before anything is done."""
    if done <= 0:
        return None
    return elapsed_s / done * (total - done)


def in_words(seconds: float | None) -> str:
    """Return a duration as a person says it."""
    if seconds is None:
        return "an unknown time"
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"  # noqa: PLR2004 - one and a half minutes


class Progress:
    """Progress of one block."""

    def __init__(self, block: str, total: int) -> None:
        self._block = block
        self._total = total
        self._done = 0
        self._began = time.monotonic()

    def run_ended(self, run: RunRecord) -> None:
        """Say how a run ended; off a terminal only what went wrong."""
        self._done += 1
        trouble = f": {run.reason}" if run.reason else ""
        if not sys.stderr.isatty() and not trouble:
            return
        left_s = eta_s(self._done, self._total, time.monotonic() - self._began)
        print(
            f"{self._block}: run {self._done}/{self._total}, {run.from_mbps:g} → {run.to_mbps:g} Mbit/s, "
            f"{run.status.value}{trouble}; {in_words(left_s)} left in this block",
            file=sys.stderr,
            flush=True,
        )


class Timed(msgspec.Struct):
    """The part of run.json that tells how long a block took."""

    duration_s: float


def block_duration_s(record: Path) -> float | None:
    """Return how long a block took; None where its record is missing or damaged, so that it would be measured."""
    try:
        return msgspec.json.decode(record.read_bytes(), type=Timed).duration_s
    except (OSError, msgspec.DecodeError):
        return None


def grid_progress(config: Config, runs: Path) -> str:
    """Return how much of the grid is measured and how long the rest takes, from the blocks' own records."""
    wanted = blocks(config)
    records = [runs / block.folder / "run.json" for block in wanted]
    took = [took_s for path in records if (took_s := block_duration_s(path)) is not None]
    return f"block {len(took)}/{len(wanted)}, {in_words(eta_s(len(took), len(wanted), sum(took)))} left"
