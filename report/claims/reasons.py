"""Why a claim does not hold, as far as the measurements say: which part of whose time makes the difference."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from report import text
from report.reference import paper
from report.summaries import good, memory_rows, of, part_summaries

if TYPE_CHECKING:
    import pandas as pd

    from report.tables import Tables

_WORTH_NAMING = 0.2  # of the whole difference
_MOST_NAMED = 3


def longest_parts(tables: Tables, model: str, strategy: str) -> str:
    """Name the largest parts of a strategy's work, on the tier that keeps it longest."""
    tier, whole_ms = _longest(tables, model, strategy)
    if not whole_ms:
        return ""
    work = _by_tier(tables, model, strategy)[tier]
    largest = sorted(work.items(), key=lambda part: part[1], reverse=True)[:_MOST_NAMED]
    named = [f"{part.replace('_', ' ')} {text.duration(ms)} ({text.percent(ms / whole_ms)})" for part, ms in largest]
    return f"The {tier} works longest, {text.duration(whole_ms)}: mostly {text.listing(named)}."


def longer(tables: Tables, model: str, one: str, other: str) -> str:
    """Say by which parts of its work `one` takes longer than `other`, on the tier that keeps it longest."""
    ours, theirs = _by_tier(tables, model, one), _by_tier(tables, model, other)
    tier, _ = _longest(tables, model, one)
    if tier not in theirs:
        return ""
    more = {part: ms - theirs[tier].get(part, 0.0) for part, ms in ours[tier].items()}
    whole_ms = sum(ms for ms in more.values() if ms > 0)
    named = sorted((part for part in more if more[part] > _WORTH_NAMING * whole_ms), key=lambda part: -more[part])
    if not named:
        return ""
    said = [
        f"{part.replace('_', ' ')} {text.duration(ours[tier][part])} against {text.duration(its_ms)}"
        for part in named
        for its_ms in (theirs[tier].get(part, 0.0),)
    ]
    where = "on the edge" if tier == "edge" else "in the cloud"
    return f"{one} takes longest {where}, there more than {other} for {text.listing(said)}."


def against_paper(medians: dict[str, float]) -> str:
    """Set strategies' downtimes (ms) beside the paper's, to see which of them makes a ratio another one."""
    said = [
        f"{strategy} takes {text.digits(ms / paper().downtime[strategy].ms, 2)} times as long as in the paper "
        f"({paper().downtime[strategy].shown})"
        for strategy, ms in medians.items()
    ]
    return f"{text.listing(said)}."


def dropped(tables: Tables, model: str, frames: pd.DataFrame) -> str:
    """Say what became of frames that were not answered and, where the link is what holds them up, how long it does."""
    reasons = {name: int(frames[f"dropped_{name}"].sum()) for name in ("paused", "busy", "late", "lost", "failed")}
    said = text.listing([f"{count} {name}" for name, count in reasons.items() if count])
    first = frames.iloc[0]
    points = tables.partition_points
    of_cut = points[
        (points["model"] == model)
        & (points["index"] == first["from_point"])
        & (points["network_mbps"] == first["to_mbps"])
    ]
    transfer_ms = float(of_cut["transfer_ms"].max())
    period_ms = 1000 / float(frames["fps"].max())
    held_up = (
        f" The old cut's output takes {text.duration(transfer_ms)} on the new link, a frame comes every "
        f"{text.duration(period_ms)}."
        if transfer_ms > period_ms
        else ""
    )
    return f"Dropped: {said}.{held_up}"


def room(tables: Tables, model: str, strategy: str, runs: pd.DataFrame) -> str:
    """Say how much memory the stressor left on the edge, against what the strategy's pipelines are charged with."""
    blocks = tables.blocks[tables.blocks["source"].isin(runs["source"])]
    left = [mb for stress in blocks["stress"].dropna() if not math.isnan(mb := _left_mb(stress))]
    rows = [
        row for row in memory_rows(tables.memory) if (row.model, row.strategy, row.tier) == (model, strategy, "edge")
    ]
    if not left or not rows or math.isnan(rows[0].cgroup_total_mb):
        return ""
    return (
        f"The stressor left {text.megabytes(max(left))} MB of the edge's memory; with all of it "
        f"the strategy is charged with {text.megabytes(rows[0].cgroup_total_mb)} MB."
    )


def _left_mb(stress: str) -> float:
    found = json.loads(stress)
    try:
        return float(found["memory_bytes"]) * float(found["mem_pct"]) / 100 / 1e6
    except (KeyError, TypeError, ValueError):
        return math.nan


def _longest(tables: Tables, model: str, strategy: str) -> tuple[str, float]:
    """Return the tier that works longest, and for how long in the median of its runs (ms)."""
    runs = of(good(tables.at_reference(tables.parts)), model, strategy)
    took = runs.groupby(["tier", "source", "run"])["ms"].sum().groupby("tier").median()
    return ("", 0.0) if took.empty else (str(took.idxmax()), float(took.max()))


def _by_tier(tables: Tables, model: str, strategy: str) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for part in part_summaries(tables.at_reference(tables.parts)):
        if (part.model, part.strategy) == (model, strategy):
            found.setdefault(part.tier, {})[part.part] = part.took.median
    return found
