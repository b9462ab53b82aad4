"""Tells of progress: a line a run on a terminal, a line a block elsewhere (the caller's summary)."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workers.records import RunRecord


def eta_s(done: int, total: int, elapsed_s: float) -> float | None:
    """Return how long the rest takes at the pace so far; None before anything is done."""
    if done <= 0:
        return None
    return elapsed_s / done * (total - done)


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
        left_s = eta_s(self._done, self._total, time.monotonic() - self._began)
        trouble = f": {run.reason}" if run.reason else ""
        if not sys.stderr.isatty() and not trouble:
            return
        print(
            f"{self._block}: run {self._done}/{self._total}, {run.from_mbps:g} → {run.to_mbps:g} Mbit/s, "
            f"{run.status.value}{trouble}; about {left_s or 0:.0f} s left in this block",
            file=sys.stderr,
            flush=True,
        )
