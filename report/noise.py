"""How much the same thing differs from one repeat to the next: the spread of the downtime within each scenario."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from report import text
from report.scope import Cell
from report.summaries import models_of, moved, of, strategies_of

if TYPE_CHECKING:
    import pandas as pd

_SCENARIO = ["cpu_pct", "mem_pct", "fps", "from_mbps", "to_mbps"]


@dataclass(frozen=True)
class Spread:
    """Range of the downtime over the repeats of one scenario (ms), and as a share of its median."""

    scenario: str
    n: int
    range_ms: float
    share: float


@dataclass(frozen=True)
class NoiseSummary:
    """The spreads of a strategy over all its scenarios that were repeated; `typical` is their median share."""

    model: str
    strategy: str
    scenarios: int
    typical: float
    worst: Spread


def noise_summaries(downtime: pd.DataFrame) -> list[NoiseSummary]:
    """Summarise the noise of every model and strategy that has a scenario with two ok repeats."""
    runs = moved(downtime)
    found = []
    for model in models_of(runs):
        for strategy in strategies_of(runs[runs["model"] == model]):
            spreads = _spreads(of(runs, model, strategy))
            if spreads:
                typical = statistics.median(spread.share for spread in spreads)
                worst = max(spreads, key=lambda spread: spread.share)
                found.append(NoiseSummary(model, strategy, len(spreads), typical, worst))
    return found


def _spreads(runs: pd.DataFrame) -> list[Spread]:
    found = []
    by_scenario: Any = runs.groupby(_SCENARIO, sort=False)["downtime_ms"]
    for scenario, group in by_scenario:
        values = group.tolist()
        median = statistics.median(values)
        if len(values) > 1 and median > 0:
            range_ms = max(values) - min(values)
            found.append(Spread(_shown(*scenario), len(values), range_ms, range_ms / median))
    return found


def _shown(cpu_pct: float, mem_pct: float, fps: float, from_mbps: float, to_mbps: float) -> str:
    return f"{Cell(cpu_pct, mem_pct).text}, {fps:g} FPS, {text.direction(from_mbps, to_mbps)}"
