"""The section on where to cut: our best points beside the paper's, break points, errors of prediction, and holes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from report import text
from report.answers import of_cell
from report.cuts import at_references, references
from report.scope import Cell as Availability
from report.view.grid import Cell, Column, Grid, group_by_first, numeric
from workers.profiling import BUDGET_S, LEAST_ROUNDS

if TYPE_CHECKING:
    from report.asked import AskedGrid
    from report.cuts import CutPoint, Ranking
    from report.load import Results
    from report.tables import Tables

_TIERS = ("edge", "cloud")


def points_grid(tables: Tables) -> Grid:
    """Return the best point of every model, availability and speed, and what staying at the highest's would cost."""
    kept = {(ranking.model, ranking.mbps): ranking.best.index for ranking in at_references(tables)}
    return Grid(
        "table-best-points",
        "Best points by availability and speed, as predicted from the profiles",
        [
            Column("Availability"),
            numeric("Speed"),
            Column("Best point"),
            numeric("Latency"),
            numeric("Edge"),
            numeric("Transfer"),
            numeric("Cloud"),
            numeric("Staying costs", "at the best point of full availability"),
        ],
        group_by_first(
            [(ranking.model, _best_row(ranking, kept[ranking.model, ranking.mbps])) for ranking in tables.rankings]
        ),
    )


def measured_grid(tables: Tables) -> Grid:
    """Return predicted beside measured latency of every point that was measured end to end."""
    return Grid(
        "table-measured-points",
        "Predicted against measured latency through the real pipeline and the shaped link, frames one at a time",
        [
            Column("Point"),
            numeric("Speed"),
            Column("Why"),
            numeric("Predicted"),
            numeric("Measured", "median [95 %]"),
            numeric("n", "frames"),
            numeric("Error", "predicted − measured"),
            numeric("Edge", "predicted / measured"),
            numeric("Transfer", "predicted / measured"),
            numeric("Cloud", "predicted / measured"),
            numeric("Waited", "in no total"),
        ],
        group_by_first(
            [
                (f"{ranking.model}, {ranking.cell.text}", _measured_row(ranking, point))
                for ranking in tables.rankings
                for point in ranking.points
                if point.why
            ]
        ),
    )


def breaks_grid(tables: Tables) -> Grid:
    """Return which point is the best at which speeds, at every availability."""
    columns = ("model", "cpu_pct", "mem_pct", "from_mbps", "to_mbps", "index", "name")
    rows = zip(*(tables.break_points[column].tolist() for column in columns), strict=True)
    return Grid(
        "table-break-points",
        "The best point by speed, exact over 0.5 to 200 Mbit/s: every change, also one that gains less than 1 %",
        [Column("Availability"), numeric("From"), numeric("To"), Column("Best point")],
        group_by_first(
            [
                (
                    model,
                    [
                        Cell(Availability(cpu, mem).text),
                        Cell(f"{text.digits(low)}{text.SPACE}Mbit/s"),
                        Cell(f"{text.digits(high)}{text.SPACE}Mbit/s"),
                        Cell(f"{index} {name}"),
                    ],
                )
                for model, cpu, mem, low, high, index, name in rows
            ]
        ),
    )


def sweep_grid(tables: Tables) -> Grid:
    """Return the best points at two speeds by the ratio of edge to cloud, at the highest availability."""
    found = []
    for model, cell in references(tables).items():
        for values in of_cell(tables.ratio_sweep, model, cell).to_dict("records"):
            row = {str(name): value for name, value in values.items()}
            found.append((f"{model}, {row['fast_mbps']:g} and {row['slow_mbps']:g} Mbit/s", _sweep_row(row)))
    return Grid(
        "table-ratio-sweep",
        "The best points at both speeds where the edge takes so many times as long as the cloud: all edge times of the "
        "profile multiplied by one factor",
        [
            Column("Ratio", "edge / cloud"),
            Column("Best at the faster speed"),
            Column("Best at the slower speed"),
            Column("Moves"),
            numeric("Staying costs", "link gets slower, at most"),
            numeric("Staying costs", "link gets faster, at most"),
        ],
        group_by_first(found),
    )


def errors_grid(tables: Tables) -> Grid:
    """Return how long the whole model takes on either tier and how far sums and predictions are off."""
    rows = tables.profiles[tables.profiles["status"] == "ok"].to_dict("records")
    return Grid(
        "table-profile-errors",
        "Profiles: the whole model on either tier, the sums of layers against heads and tails timed as a whole, and "
        "predictions against measurements",
        [
            Column("Availability"),
            numeric("Edge", "whole model"),
            numeric("Cloud", "whole model"),
            numeric("Ratio", "edge / cloud"),
            numeric(
                "Repetitions", f"the fewer of both tiers; one stops after {BUDGET_S:g} s, but not before {LEAST_ROUNDS}"
            ),
            numeric("Sum of layers", "error, median / worst"),
            numeric("n", "heads, tails ≥ 1 ms"),
            numeric("Prediction", "error, median / worst"),
            numeric("n", "points × speeds"),
        ],
        group_by_first([(str(row["model"]), _error_row({str(name): row[name] for name in row})) for row in rows]),
    )


def measured_best(tables: Tables) -> list[str]:
    """Say of every ranking with two points measured whether the shortest is the predicted one."""
    return [said for ranking in tables.rankings if (said := _shortest(ranking))]


def holes(results: Results, tables: Tables, asked: AskedGrid | None) -> list[str]:
    """Return which models and availabilities have no profile that can be used, and why.

    Which availabilities were to be profiled is known where the config asks for all; else only which models.
    """
    profiles = tables.profiles
    bad = profiles[profiles["status"] != "ok"].to_dict("records")
    said = [f"{row['source']}: {row['status']} ({text.cut(str(row['reason']))})" for row in bad]
    said += [text.cut(profile.reason) for profile in results.unreadable_profiles]
    known = {*profiles["model"], *(profile.source.split("/")[1] for profile in results.unreadable_profiles)}
    models = asked.models if asked else sorted(set(tables.downtime["model"].dropna()))
    said += [f"{model}: not profiled" for model in models if model not in known]
    return said + [f"{folder}: not measured" for folder in _missing(results, asked) if folder.split("/")[1] in known]


def _missing(results: Results, asked: AskedGrid | None) -> list[str]:
    """Return the folders of profiles that are not there although the config asks for one at every availability."""
    wanted = (results.config or {}).get("profile")
    if asked is None or not isinstance(wanted, dict) or wanted.get("levels") != "all":
        return []
    found = {profile.source for profile in results.profiles} | {lost.source for lost in results.unreadable_profiles}
    blocks = (folder.split("/") for folder in asked.folders())
    folders = dict.fromkeys(f"profiles/{model}/{cell}" for _, model, _, cell in blocks)
    return [folder for folder in folders if folder not in found]


def _shortest(ranking: Ranking) -> str:
    measured = [point for point in ranking.points if point.measured.n]
    if len(measured) < 2:  # noqa: PLR2004 - two make a comparison
        return ""
    shortest = min(measured, key=lambda point: point.measured.median)
    said = (
        f"{ranking.model} at {ranking.cell.text}, {text.speed(ranking.mbps)}: of {len(measured)} points measured "
        f"{shortest.text} is the shortest ({text.durations(shortest.measured)})"
    )
    best = ranking.best
    if shortest is best:
        return f"{said}, as predicted."
    if not best.measured.n:
        return f"{said}; {best.text}, the best by prediction, is not among them."
    more_ms = best.measured.median - shortest.measured.median
    return (
        f"{said}, not {best.text}, which was predicted and takes {text.duration(more_ms)} "
        f"({text.points(100 * more_ms / shortest.measured.median)}) more."
    )


def _best_row(ranking: Ranking, kept: int) -> list[Cell]:
    best = ranking.best
    stayed = ranking.at(kept)
    loss_ms = stayed.total_ms - best.total_ms
    return [
        Cell(ranking.cell.text),
        Cell(text.speed(ranking.mbps)),
        Cell(best.text),
        Cell(text.duration(best.total_ms)),
        *(Cell(text.duration(ms)) for ms in (best.edge_ms, best.transfer_ms, best.cloud_ms)),
        Cell(text.duration(loss_ms), note=text.points(100 * loss_ms / best.total_ms) if loss_ms > 0 else ""),
    ]


def _measured_row(ranking: Ranking, point: CutPoint) -> list[Cell]:
    predicted = (point.edge_ms, point.transfer_ms, point.cloud_ms)
    bounds = ("", "" if pd.isna(point.clock_bound_ms) else f"± {text.digits(point.clock_bound_ms, 1)} ms (clocks)", "")
    stages = [
        Cell(f"{text.duration(ours)} / {text.duration(real)}", note=bound)
        for ours, real, bound in zip(predicted, point.measured_stages_ms, bounds, strict=True)
    ]
    return [
        Cell(point.text),
        Cell(text.speed(ranking.mbps), note=f"found {text.digits(point.achieved_mbps)}"),
        Cell(point.why),
        Cell(text.duration(point.total_ms)),
        Cell(text.durations(point.measured), note=_reservation(point)),
        Cell(f"{point.measured.n}"),
        Cell(text.points(point.error_pct)),
        *stages,
        Cell(text.duration(point.queue_ms)),
    ]


def _reservation(point: CutPoint) -> str:
    if not point.measured.n:
        return "no frame, or clocks not compared"
    return "range of too few frames" if point.measured.is_short else ""


def _sweep_row(row: dict[str, Any]) -> list[Cell]:
    moves = bool(row["moves"])
    losses = [
        Cell(f"{text.duration(row[f'{change}_loss_ms'])}", note=text.points(row[f"{change}_loss_pct"]))
        if moves
        else Cell(text.NONE)
        for change in ("slowdown", "speedup")
    ]
    return [
        Cell(f"{text.digits(row['from_ratio'])} to {text.digits(row['to_ratio'])}"),
        Cell(f"{row['fast_index']} {row['fast_name']}"),
        Cell(f"{row['slow_index']} {row['slow_name']}"),
        Cell("yes" if moves else "no"),
        *losses,
    ]


def _error_row(row: dict[str, Any]) -> list[Cell]:
    return [
        Cell(Availability(row["cpu_pct"], row["mem_pct"]).text),
        *(Cell(text.duration(row[f"{role}_whole_ms"]), note=f"threads {row[f'{role}_threads']}") for role in _TIERS),
        Cell(f"{text.digits(row['edge_to_cloud'], 2)}{text.TIMES}"),
        Cell(f"{row['repetitions']}"),
        *_errors(row, "parts"),
        *_errors(row, "prediction"),
    ]


def _errors(row: dict[str, Any], name: str) -> list[Cell]:
    if not row[f"{name}_n"]:
        return [Cell(text.NONE), Cell("0")]
    median, worst = (text.points(row[f"{name}_error_{which}"]) for which in ("pct", "worst_pct"))
    return [Cell(f"{median} / {worst}"), Cell(f"{row[f'{name}_n']}")]
