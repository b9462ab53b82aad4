"""The numbers of the figures on where to cut: which bars and curves, nothing of how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from report.cuts import at_references, references
from workers.latency import HIGH_MBPS, LOW_MBPS, Link, PointCost, total_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from report.cuts import CutPoint, Ranking
    from report.scope import Cell
    from report.tables import Tables

STEPS = 60  # points that a curve over all speeds is drawn by
HEADROOM = 1.25
_DROWNED = 0.1  # of an axis: what is shorter cannot be read from it
_ALL_NAMED = 30  # so many points can have their names side by side

Curve = tuple[tuple[float, float], ...]  # speed (Mbit/s), total (ms)


@dataclass(frozen=True)
class Segment:
    """Speeds at which one point is the best, and its total over them."""

    from_mbps: float
    to_mbps: float
    label: str
    curve: Curve


@dataclass(frozen=True)
class BestCurve:
    """The best point of a model against speed, beside cuts that stay; `asked` are the speeds of the experiments."""

    model: str
    segments: tuple[Segment, ...]
    kept: tuple[tuple[str, str, Curve], ...]  # kind (cloud, edge, paper), label, total over all speeds
    asked: Curve


def ceiling_ms(ranking: Ranking) -> float:
    """Return up to where the axis of totals goes: all that matters fits, what is hopeless is cut off.

    That is the first and the last point, the best, the paper's, and what was measured.
    """
    named = [ranking.points[0], ranking.points[-1], ranking.best, *([ranking.paper] if ranking.paper else [])]
    shown = [point.total_ms for point in named]
    shown += [point.measured.high for point in ranking.points if point.measured.n > 1]
    return HEADROOM * max(shown)


def computing_is_drowned(rankings: Sequence[Ranking]) -> bool:
    """Say whether computing is so short on one of the axes of totals that it needs an axis of its own."""
    return any(
        max(point.edge_ms + point.cloud_ms for point in ranking.points) < _DROWNED * ceiling_ms(ranking)
        for ranking in rankings
    )


def labelled(rankings: Sequence[Ranking]) -> dict[int, str]:
    """Return the names to write below the bars, by place; where there are many points, of those that matter.

    These are the best, the paper's, the first, the last, those measured, and those that send fewer bytes than every
    earlier one; of two that would overlap the one that comes first in this list.
    """
    points = rankings[0].points
    if len(points) <= _ALL_NAMED:
        return {place: point.text for place, point in enumerate(points)}
    chosen: dict[int, str] = {}
    for place in _by_weight(rankings):
        if all(abs(place - other) > 1 for other in chosen):
            chosen[place] = points[place].text
    return dict(sorted(chosen.items()))


def best_curves(tables: Tables) -> list[BestCurve]:
    """Return the best point against speed at each model's highest availability."""
    found = []
    for model, cell in references(tables).items():
        ranked = [ranking for ranking in at_references(tables) if ranking.model == model]
        delay_ms = _delay_ms(tables, model, cell)
        costs = {point.index: _cost(point) for point in ranked[0].points}
        breaks = tables.break_points
        rows = breaks[
            (breaks["model"] == model) & (breaks["cpu_pct"] == cell.cpu_pct) & (breaks["mem_pct"] == cell.mem_pct)
        ]
        segments = tuple(
            Segment(low, high, f"{index} {name}", _curve(costs[index], delay_ms, low, high))
            for low, high, index, name in zip(
                *(rows[column].tolist() for column in ("from_mbps", "to_mbps", "index", "name")), strict=True
            )
        )
        asked = tuple((ranking.mbps, ranking.best.total_ms) for ranking in ranked)
        found.append(BestCurve(model, segments, _kept(ranked, costs, delay_ms), asked))
    return found


def _by_weight(rankings: Sequence[Ranking]) -> list[int]:
    """Return the places of points that matter, those that matter most first."""
    points = rankings[0].points
    places = {point.index: place for place, point in enumerate(points)}
    smallest = [
        place
        for place, point in enumerate(points)
        if all(point.output_bytes < earlier.output_bytes for earlier in points[:place])
    ]
    measured = [place for ranking in rankings for place, point in enumerate(ranking.points) if point.measured.n]
    papers = [places[ranking.paper.index] for ranking in rankings if ranking.paper]
    return [
        *(places[ranking.best.index] for ranking in rankings),
        *papers,
        *(0, len(points) - 1),
        *measured,
        *smallest,
    ]


def _kept(
    ranked: Sequence[Ranking], costs: dict[int, PointCost], delay_ms: float
) -> tuple[tuple[str, str, Curve], ...]:
    first, last = ranked[0].points[0], ranked[0].points[-1]
    ends = [("cloud", "all in the cloud", first), ("edge", "all on the edge", last)]
    papers = {ranking.paper.index: ranking.paper for ranking in ranked if ranking.paper}
    others = [
        ("paper", f"the paper's {point.paper_layer}", point)
        for index, point in papers.items()
        if index not in {first.index, last.index}
    ]
    return tuple(
        (kind, label, _curve(costs[point.index], delay_ms, LOW_MBPS, HIGH_MBPS))
        for kind, label, point in (*ends, *others)
    )


def _curve(cost: PointCost, delay_ms: float, low: float, high: float) -> Curve:
    """Return the total over a range of speeds, spaced evenly on a logarithmic axis."""
    speeds = [low * (high / low) ** (step / STEPS) for step in range(STEPS + 1)]
    return tuple((mbps, total_ms(cost, Link(mbps, delay_ms))) for mbps in speeds)


def _cost(point: CutPoint) -> PointCost:
    return PointCost(point.index, point.name, point.edge_ms, point.cloud_ms, point.output_bytes)


def _delay_ms(tables: Tables, model: str, cell: Cell) -> float:
    rows = tables.profiles[(tables.profiles["model"] == model) & (tables.profiles["status"] == "ok")]
    of_cell = rows[(rows["cpu_pct"] == cell.cpu_pct) & (rows["mem_pct"] == cell.mem_pct)]
    return float(of_cell["delay_ms"].iloc[0])
