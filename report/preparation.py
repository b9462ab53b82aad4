"""What was prepared in advance, by model and strategy: it stands beside every downtime below a millisecond.

The one place that computes it; the table, the figures' captions and the claims say it by `Prepared.in_short`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from report import text
from report.load import TIERS
from report.metrics.memory import noise_mb
from report.metrics.statistics import Interval, median_interval
from report.summaries import memory_rows, models_of, moved, of, strategies_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from report.summaries import MemoryRow
    from report.tables import Tables

ANCHOR = "prepared"  # of the table's heading on the page
BELOW_MS = 1.0  # a downtime that leaves so little to do is bought by what was done before
_S_MS = 1000.0


@dataclass(frozen=True)
class Resident:
    """Memory of a tier at rest beyond one pipeline (MB): by set size, and by the cgroups' charge (NaN if not measured).

    `noise_mb` is how much the set size may differ without meaning anything.
    """

    tier: str
    more_mb: float
    more_charged_mb: float
    noise_mb: float

    @property
    def said(self) -> str:
        """The difference of the set size with its sign."""
        noise = " (noise)" if round(self.more_mb) and abs(self.more_mb) <= self.noise_mb else ""
        return f"{signed(self.more_mb)}{text.SPACE}MB{noise}"

    @property
    def charged(self) -> str:
        """The difference of the charge with its sign; nothing where it was not measured."""
        return "" if math.isnan(self.more_charged_mb) else f"charged {signed(self.more_charged_mb)}"


@dataclass(frozen=True)
class Prepared:
    """What a strategy had made before its first change (s; medians over blocks), as `metrics.preparation` counts it.

    `conversion` is of the model, over its blocks (n is 0 where it was not noted); `rearming` is from the end of the
    downtime until the strategy was ready again (ms), over runs, and `rearming_work` what most of them worked on.
    `downtime_ms` is the median.
    """

    model: str
    strategy: str
    conversion: Interval
    pairs: Interval
    launch: Interval
    first_pair: Interval
    points: Interval
    build: Interval
    build_edge: Interval
    build_cloud: Interval
    armed: Interval
    rearming: Interval
    rearming_work: str
    downtime_ms: float
    resident: tuple[Resident, ...]  # edge, cloud; none where memory was not measured

    @property
    def is_short(self) -> bool:
        """Whether its downtime has to be read together with this."""
        return self.downtime_ms < BELOW_MS

    @property
    def more_pairs(self) -> float:
        """Pairs beyond the first pipeline's."""
        return self.pairs.median - 1

    @property
    def advance(self) -> str:
        """What was made beyond the first pipeline, and what stays resident on the edge."""
        if not self.pairs.n:
            return "not known"
        more_s = self.launch.median - self.first_pair.median
        ready = made(self.more_pairs, more_s, self.points.median, self.build.median)
        on_edge = [f"edge at rest {', '.join(filter(None, (r.said, r.charged)))}" for r in self.resident[:1]]
        return "; ".join([ready, *on_edge])

    @property
    def in_short(self) -> str:
        """The same as a remark on a downtime."""
        return f"prepared in advance: {self.advance}"


def preparations(tables: Tables) -> tuple[Prepared, ...]:
    """Return what each strategy of each model had prepared at the reference condition, of blocks with an ok run."""
    blocks = tables.at_reference(tables.blocks)
    blocks = blocks[blocks["runs_ok"] > 0]
    runs = moved(tables.at_reference(tables.downtime))
    memory = {(row.model, row.strategy, row.tier): row for row in memory_rows(tables.memory)}
    return tuple(
        _prepared(blocks, runs, memory, model, strategy)
        for model in models_of(blocks)
        for strategy in strategies_of(blocks[blocks["model"] == model])
    )


def made(more_pairs: float, launch_s: float, points: float, build_s: float) -> str:
    """Say what was made beyond the first pipeline, and how long the orders took together."""
    pairs = f"{more_pairs:g} more {'pair' if more_pairs == 1 else 'pairs'} in {text.duration(launch_s * _S_MS)}"
    built = f"{points:g} {'point' if points == 1 else 'points'} in {text.duration(build_s * _S_MS)}"
    said = [words for words, count in ((pairs, more_pairs), (built, points)) if count > 0]
    return ", ".join(said) or "nothing"


def beside(prepared: Iterable[Prepared], strategies: Iterable[str] | None = None) -> str:
    """Say, for a caption, what was prepared for the downtimes below a millisecond; nothing where there are none.

    Args:
        prepared: of all models and strategies.
        strategies: those that the figure shows; all where it is None.
    """
    shown = None if strategies is None else set(strategies)
    short = [one for one in prepared if one.is_short and (shown is None or one.strategy in shown)]
    said = []
    for model in dict.fromkeys(one.model for one in short):
        of_model = [one for one in short if one.model == model]
        each = "; ".join(f"{one.strategy} ({one.advance})" for one in of_model)
        said.append(f"{model}: {each}; conversion of the model {converted(of_model[0])}.")
    return f"Prepared in advance for downtimes below 1{text.SPACE}ms: {' '.join(said)}" if said else ""


def converted(prepared: Prepared) -> str:
    """Say what the conversion of the model took."""
    if not prepared.conversion.n:
        return "not known"
    return f"{text.duration(prepared.conversion.median * _S_MS)}, once"


def signed(mb: float) -> str:
    """Return MB with a sign, none for zero."""
    return f"{'+' if round(mb) > 0 else ''}{text.megabytes(mb)}"


def _prepared(
    blocks: pd.DataFrame, runs: pd.DataFrame, memory: dict[tuple[str, str, str], MemoryRow], model: str, strategy: str
) -> Prepared:
    own, of_both = of(blocks, model, strategy), of(runs, model, strategy)
    medians = {
        name: median_interval(own[column].dropna().astype(float))
        for name, column in (
            ("pairs", "pairs_launched"),
            ("launch", "launch_s"),
            ("first_pair", "first_pair_s"),
            ("points", "points_built"),
            ("build", "build_s"),
            ("build_edge", "build_edge_s"),
            ("build_cloud", "build_cloud_s"),
            ("armed", "armed_s"),
        )
    }
    works = of_both["rearming_work"].dropna().mode()
    found = [memory[key] for tier in TIERS if (key := (model, strategy, tier)) in memory]
    return Prepared(
        model,
        strategy,
        conversion=median_interval(blocks.loc[blocks["model"] == model, "conversion_s"].dropna()),
        **medians,
        rearming=median_interval(of_both["rearming_ms"].dropna()),
        rearming_work=str(works.iloc[0]) if len(works) else "",
        downtime_ms=median_interval(of_both["downtime_ms"]).median,
        resident=tuple(_resident(row) for row in found),
    )


def _resident(row: MemoryRow) -> Resident:
    more_charged_mb = row.cgroup_rest_mb - row.cgroup_initial_mb
    return Resident(row.tier, row.rest_mb - row.initial_mb, more_charged_mb, noise_mb(row.initial_mb))
