"""How much the same thing differs: from one repeat to the next within each scenario, and from block to block."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from report import text
from report.scope import Cell
from report.summaries import models_of, moved, of, strategies_of

if TYPE_CHECKING:
    import pandas as pd

    from report.metrics.statistics import Interval

FEWEST_BLOCKS = 3
_Z_95 = 1.96
_AVAILABILITY = ["cpu_pct", "mem_pct"]
_LAUNCHES = ["first_launch_edge_ms", "first_launch_cloud_ms"]
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


@dataclass(frozen=True)
class MachineSpread:
    """How much the machine differed from block to block, by what every block begins with (`report.blocks`).

    The first launch on the edge took `shortest_ms` to `longest_ms` over so many blocks. `deviation` is the standard
    deviation of the logarithms of what both tiers' launches took, each block's two together.
    """

    blocks: int
    shortest_ms: float
    longest_ms: float
    deviation: float

    @property
    def between_sessions(self) -> float:
        """By which share two sessions of the same code can be apart (95 %)."""
        return math.expm1(_Z_95 * math.sqrt(2) * self.deviation)

    def another_session(self, interval: Interval) -> tuple[float, float]:
        """Return between which values the median of another session of the same code is to be expected.

        The interval is that of a downtime in this session; both ends are moved by what sessions can be apart.
        """
        factor = 1 + self.between_sessions
        return interval.low / factor, interval.high * factor


def machine_spread(blocks: pd.DataFrame) -> MachineSpread | None:
    """Return the spread over the blocks of one availability, that which most have; None where fewer than three tell."""
    known = blocks[[*_AVAILABILITY, *_LAUNCHES]].dropna()
    known = known[(known[_LAUNCHES] > 0).all(axis=1)].drop_duplicates()  # the same nanoseconds: a copy of a block
    known = max((rows for _, rows in known.groupby(_AVAILABILITY)), key=len, default=known)
    if len(known) < FEWEST_BLOCKS:
        return None
    edge, cloud = (known[column].tolist() for column in _LAUNCHES)
    factors = [(math.log(one) + math.log(other)) / 2 for one, other in zip(edge, cloud, strict=True)]
    return MachineSpread(len(known), min(edge), max(edge), statistics.stdev(factors))


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
