"""The figures on where to cut, in the list of figures: Fig. 2 and 3, the same for other models, and the best point."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from report import text
from report.cuts import at_references, references
from report.figures import points
from report.figures.plot import Plot
from report.figures.point_numbers import best_curves, ceiling_ms, computing_is_drowned
from report.metrics.cutting import summarised

if TYPE_CHECKING:
    from report.asked import AskedGrid
    from report.cuts import Ranking
    from report.figures.point_numbers import BestCurve
    from report.tables import Tables

_OF_THE_PAPER = {"vgg19": "fig02", "mobilenetv2": "fig03"}


def point_plots(tables: Tables, asked: AskedGrid | None = None) -> list[Plot]:
    """Return Fig. 2 and 3 whatever there is, the same for every other model, and the best point against speed."""
    ranked = at_references(tables)
    known = {*references(tables), *tables.profiles["model"], *(asked.models if asked else ())}
    models = [*_OF_THE_PAPER, *sorted(known - set(_OF_THE_PAPER))]
    return [
        *(_points(model, [ranking for ranking in ranked if ranking.model == model], tables) for model in models),
        _best_point(best_curves(tables)),
    ]


def name_of(model: str) -> str:
    """Return the name of the figure with a model's points; it is the name of a file, whatever the model is called."""
    return _OF_THE_PAPER.get(model, f"fig_points_{re.sub(r'[^A-Za-z0-9_.-]', '_', model)}")


def _points(model: str, ranked: list[Ranking], tables: Tables) -> Plot:
    name = name_of(model)
    where = f" (Fig. {int(name[3:])} of the paper)" if model in _OF_THE_PAPER else ""
    return Plot(
        name,
        f"{model}: latency and output size by partition point{where}",
        _finding(ranked) if ranked else "",
        lambda: points.stacked(ranked),
        None if ranked else f"{_without(model, tables)}.",
        of_cuts=True,
    )


def _finding(ranked: list[Ranking]) -> str:
    said = [f"{_shares(ranking)}." for ranking in ranked]
    beyond = any(point.total_ms > ceiling_ms(ranking) for ranking in ranked for point in ranking.points)
    found = summarised(point.error_pct for ranking in ranked for point in ranking.points if point.measured.n)
    said.append(f"Predicted from the profile at {ranked[0].cell.text}; each speed has a scale of its own.")
    if beyond:
        said.append("Bars with a triangle go beyond it.")
    if computing_is_drowned(ranked):
        said.append("The last panel has computing alone, which is too short beside the transfer.")
    if found:
        said.append(
            f"Circles are measured end to end: the prediction is off by {text.points(found.median_pct)} in the "
            f"median, {text.points(found.worst_pct)} at worst."
        )
    return " ".join(said)


def _shares(ranking: Ranking) -> str:
    best = ranking.best
    parts = [f"{stage} {text.duration(getattr(best, f'{stage}_ms'))}" for stage in ("edge", "transfer", "cloud")]
    return f"At {text.speed(ranking.mbps)} {best.text} is the best: {text.listing(parts)}"


def _best_point(curves: list[BestCurve]) -> Plot:
    said = []
    for curve in curves:
        ranges = [
            f"{s.label} from {text.digits(s.from_mbps)} to {text.digits(s.to_mbps)} Mbit/s" for s in curve.segments
        ]
        said.append(f"{curve.model}: {text.listing(ranges)}.")
    return Plot(
        "best_point",
        "The best point and its latency against the network speed",
        " ".join(said),
        lambda: points.best_by_speed(curves),
        None if curves else "Best point against speed: no profile.",
        of_cuts=True,
    )


def _without(model: str, tables: Tables) -> str:
    """Say why a model has no figure."""
    profiles = tables.profiles[tables.profiles["model"] == model]
    if profiles.empty:
        return f"{model}: no profile"
    said = [
        f"{status} at {cpu:g} % CPU, {mem:g} % memory"
        for status, cpu, mem in zip(profiles["status"], profiles["cpu_pct"], profiles["mem_pct"], strict=True)
    ]
    return f"{model}: no good profile ({text.listing(said)})"
