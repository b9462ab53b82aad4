"""The paper's best points beside ours, with the reason from the profile where they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from report import text
from report.answers import of_cell, ranges_where, whole_sweep
from report.cuts import at_references

if TYPE_CHECKING:
    from report.cuts import CutPoint, Ranking
    from report.tables import Tables


def against_paper(tables: Tables) -> list[str]:
    """Set the paper's best points beside ours, with the reason from the profile where they differ."""
    return [
        f"{ranking.model} at {text.speed(ranking.mbps)}: {_against(tables, ranking, ranking.paper)}"
        for ranking in at_references(tables)
        if ranking.paper is not None
    ]


def _against(tables: Tables, ranking: Ranking, paper: CutPoint) -> str:
    best = ranking.best
    named = f"the paper's best point, its layer {paper.paper_layer} ({paper.text} here),"
    if best.index == paper.index:
        return f"{named} is ours, too."
    loss_ms = paper.total_ms - best.total_ms
    return (
        f"{named} takes {text.duration(paper.total_ms)}, {text.duration(loss_ms)} "
        f"({text.points(100 * loss_ms / best.total_ms)}) more than ours, {best.text}: {_decomposed(best, paper)}. "
        f"{_where_best(tables, ranking, paper)}"
    )


def _decomposed(best: CutPoint, paper: CutPoint) -> str:
    """Say what the paper's point costs more and less, and how edge and cloud compare for the layers between."""
    edge_ms, cloud_ms = paper.edge_ms - best.edge_ms, paper.cloud_ms - best.cloud_ms
    transfer_ms = paper.transfer_ms - best.transfer_ms
    parts = ((edge_ms, "on the edge"), (transfer_ms, "of transfer"), (cloud_ms, "in the cloud"))
    said = text.listing([f"{_signed(ms)} {where}" for ms, where in parts])
    if not cloud_ms:
        return said
    first, last = min(best.index, paper.index) + 1, max(best.index, paper.index)
    between = f"layers {first} to {last}" if first < last else f"layer {last}"
    ratio = text.digits(abs(edge_ms / cloud_ms), 2)
    why = _why(edge_ms + cloud_ms, transfer_ms)
    return f"{said}. The edge takes {ratio} times as long as the cloud for {between}, so {why}"


def _why(computing_ms: float, transfer_ms: float) -> str:
    """Say what makes a point worse than the best, by what it computes and transfers longer."""
    if transfer_ms > 0 and computing_ms > 0:
        return "it both computes and sends for longer"
    if transfer_ms > 0:
        return (
            f"what it saves in computing ({text.duration(-computing_ms)}) is less than what its larger output "
            f"takes longer to send ({text.duration(transfer_ms)})"
        )
    return (
        f"what its smaller output saves ({text.duration(-transfer_ms)}) is less than what it computes longer "
        f"({text.duration(computing_ms)})"
    )


def _where_best(tables: Tables, ranking: Ranking, paper: CutPoint) -> str:
    """Say at which ratios of edge to cloud the paper's point would be the best."""
    sweep = of_cell(tables.ratio_sweep, ranking.model, ranking.cell)
    for speed in ("fast", "slow"):
        of_speed = sweep[sweep[f"{speed}_mbps"] == ranking.mbps]
        if of_speed.empty:
            continue
        others = of_speed["slow_mbps" if speed == "fast" else "fast_mbps"]
        of_pair = of_speed[others == others.iloc[0]]
        ranges = ranges_where(of_pair, of_pair[f"{speed}_index"] == paper.index)
        ends = float(of_pair["from_ratio"].min()), float(of_pair["to_ratio"].max())
        if not ranges:
            low, high = map(text.digits, ends)
            return f"At no ratio of edge to cloud between {low} and {high} would it be the best."
        said = text.listing([_range(found, ends) for found in ranges])
        return f"It would be the best where the edge took {said} times as long as the cloud."
    return ""


def _range(found: tuple[float, float], ends: tuple[float, float]) -> str:
    """Name a range of ratios; where it reaches an end of the sweep, it may go on beyond."""
    low, high = map(text.digits, found)
    if found == ends:
        return whole_sweep(low, high)
    if found[0] == ends[0]:
        return f"at most {high}"
    return f"at least {low}" if found[1] == ends[1] else f"between {low} and {high}"


def _signed(ms: float) -> str:
    return f"{'+' if ms > 0 else '−' if ms < 0 else ''}{text.duration(abs(ms))}"
