"""Where to cut, by condition: the rows of `partition_points` as typed values, with the paper's points among them."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from report.metrics.statistics import CONFIDENCE, FEWEST, Interval
from report.reference import paper
from report.scope import Cell

if TYPE_CHECKING:
    from report.tables import Tables


@dataclass(frozen=True)
class CutPoint:
    """A partition point at one speed (ms): predicted, how far behind the best, and measured where it was."""

    index: int
    name: str
    output_bytes: int
    edge_ms: float
    transfer_ms: float
    cloud_ms: float
    total_ms: float
    behind: Interval
    best: bool
    measured: Interval
    measured_stages_ms: tuple[float, float, float]  # edge, transfer, cloud
    queue_ms: float
    clock_bound_ms: float
    achieved_mbps: float
    error_pct: float
    why: str
    paper_layer: int | None

    @property
    def text(self) -> str:
        """How to name it."""
        return f"{self.index} {self.name}"


@dataclass(frozen=True)
class Ranking:
    """All points of a model at one availability and speed, in order."""

    model: str
    cell: Cell
    mbps: float
    points: tuple[CutPoint, ...]

    @property
    def best(self) -> CutPoint:
        """The point with the smallest predicted total."""
        return next(point for point in self.points if point.best)

    @property
    def paper(self) -> CutPoint | None:
        """The paper's best point at this speed; None where it has none."""
        return next((point for point in self.points if point.paper_layer is not None), None)

    def at(self, index: int) -> CutPoint:
        """Return the point with this index."""
        return next(point for point in self.points if point.index == index)


def references(tables: Tables) -> dict[str, Cell]:
    """Return the highest availability that each model has a good profile at, by model."""
    profiles = tables.profiles[tables.profiles["status"] == "ok"]
    found: dict[str, Cell] = {}
    for model, cpu, mem in zip(profiles["model"], profiles["cpu_pct"], profiles["mem_pct"], strict=True):
        found[model] = max(Cell(cpu, mem), found.get(model, Cell(0, 0)))
    return dict(sorted(found.items()))


def rankings(partition_points: pd.DataFrame) -> tuple[Ranking, ...]:
    """Return all rankings of the table: by model, from the highest availability and speed down."""
    gathered: dict[tuple[str, Cell, float], list[CutPoint]] = {}
    for row in partition_points.to_dict("records"):
        key = (row["model"], Cell(row["cpu_pct"], row["mem_pct"]), row["network_mbps"])
        gathered.setdefault(key, []).append(_point({str(name): value for name, value in row.items()}))
    ordered = sorted(gathered, key=lambda key: (key[0], -key[1].cpu_pct, -key[1].mem_pct, -key[2]))
    return tuple(Ranking(*key, tuple(sorted(gathered[key], key=lambda point: point.index))) for key in ordered)


def at_references(tables: Tables) -> list[Ranking]:
    """Return the rankings at each model's highest availability."""
    found = references(tables)
    return [ranking for ranking in tables.rankings if ranking.cell == found.get(ranking.model)]


def pairs(ranked: list[Ranking]) -> list[tuple[Ranking, Ranking]]:
    """Return each two of one model and availability that differ in speed, the faster first."""
    return [
        (one, other)
        for one, other in itertools.combinations(ranked, 2)
        if (one.model, one.cell) == (other.model, other.cell)
    ]


def _point(row: dict[str, Any]) -> CutPoint:
    wanted = paper().partition_points.get(row["model"], {}).get(row["network_mbps"])
    return CutPoint(
        index=int(row["index"]),
        name=str(row["name"]),
        output_bytes=int(row["output_bytes"]),
        **{f"{stage}_ms": float(row[f"{stage}_ms"]) for stage in ("edge", "transfer", "cloud", "total")},
        behind=_interval(row, "behind"),
        best=bool(row["best"]),
        measured=_interval(row, "measured_total"),
        measured_stages_ms=(
            row["measured_edge_ms"],
            row["measured_transfer_ms"],
            row["measured_cloud_ms"],
        ),
        queue_ms=row["queue_ms"],
        clock_bound_ms=row["clock_bound_ms"],
        achieved_mbps=row["achieved_mbps"],
        error_pct=row["error_pct"],
        why="" if pd.isna(row["why"]) else str(row["why"]),
        paper_layer=wanted.layer if wanted is not None and wanted.name == row["name"] else None,
    )


def _interval(row: dict[str, Any], name: str) -> Interval:
    """Return an interval of a table; its coverage is known to be enough or not by its n alone."""
    n = 0 if pd.isna(row[f"{name}_n"]) else int(row[f"{name}_n"])
    median, low, high = (float(row[f"{name}{end}_ms"]) if n else math.nan for end in ("", "_low", "_high"))
    return Interval(median, low, high, n, CONFIDENCE if n >= FEWEST else 0.0)
