"""Tells of progress: a line a run on a terminal, a line a block everywhere, each with the time that is left."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from hosts.forecast import forecast
from hosts.grid import blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hosts.config import Config
    from hosts.past import Past
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
    if seconds < 100:  # noqa: PLR2004 - one and a half minutes
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return names in a row, counting those beyond `most`."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


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


def grid_progress(config: Config, past: Sequence[Past], edge_mb: float | None) -> str:
    """Return how much of the grid is measured and how long the rest should take."""
    total, left = len(blocks(config)), forecast(config, past, edge_mb)
    left_s = sum(expected.split.total_s for expected in left)
    return f"block {total - len(left)}/{total}, {in_words(left_s)} left"
