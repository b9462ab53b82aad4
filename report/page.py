"""The page: tables, figures and provenance rendered into one HTML file that needs nothing else.

``python -m report.page --results DIR --out FILE`` renders it from tables and figures that are there;
``python -m report`` makes those first.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from report.answers import answer
from report.asked import AskedGrid
from report.claims import verdicts
from report.downloads import address, downloads
from report.errors import ReportError, TableError
from report.figures import plots
from report.files import write_whole
from report.load import load_results
from report.reference import paper
from report.scope import cells_of, described
from report.summaries import models_of, strategies_of
from report.svg import inline, width_of
from report.tables import read_tables
from report.theme import SPARE, STAGES, STRATEGIES, names_a_colour, ordered, style
from report.view import (
    conditions,
    detection,
    downtime,
    efficiency,
    explore,
    frames,
    memory,
    overview,
    paper_points,
    points,
    preparation,
    provenance,
    runs,
    strategies,
    trust,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from report.downloads import Downloads
    from report.figures import Plot
    from report.load import Results
    from report.tables import Tables

_TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class FigureView:
    """A figure as the page shows it; `svg` is None where there is nothing to see."""

    name: str
    title: str
    finding: str
    svg: Markup | None
    width: int
    empty: str | None
    of_cuts: bool


def render(
    results: Results, tables: Tables, figures: dict[str, FigureView], offered: Downloads, to_results: str
) -> str:
    """Return the page; `to_results` leads from its folder to the results folder."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.html.j2")
    return template.render(
        paper=paper(),
        palette=_palette(tables),
        figures=figures,
        downloads=offered,
        **_explore(results, tables, to_results),
        **_overview(results, tables),
        cut_figures=[name for name, figure in figures.items() if figure.of_cuts],
        **_cut(results, tables),
        **_sections(tables, AskedGrid.from_config(results.config)),
        **_trust(tables),
        **_runs(results, tables),
        **_provenance(results),
    )


def figure_views(shown: Iterable[Plot], folder: Path) -> dict[str, FigureView]:
    """Read the figures' files for the page.

    Raises:
        TableError: a figure is missing.
    """
    return {plot.name: _figure_view(plot, folder / f"{plot.name}.svg") for plot in shown}


def _figure_view(plot: Plot, path: Path) -> FigureView:
    if plot.empty:
        return FigureView(plot.name, plot.title, "", None, 0, plot.empty, plot.of_cuts)
    if not path.exists():
        raise TableError(
            f"{path} is missing. Draw the figures: python -m report.figures --results {path.parent.parent}"
        )
    svg = path.read_text()
    label = escape(f"{plot.title}. {plot.finding}")
    return FigureView(
        plot.name,
        plot.title,
        plot.finding,
        Markup(inline(svg, f"figure-{plot.name}", str(label))),  # noqa: S704 - our own drawing, label escaped
        round(width_of(svg)),
        None,
        plot.of_cuts,
    )


def _palette(tables: Tables) -> dict[str, tuple[str, str]]:
    """Return the colours that the page names, on light and on dark; strategies of ours have spare ones."""
    shown = [name for name in strategies_of(tables.downtime) if names_a_colour(name)]
    named = {name: (style(name).light, style(name).dark) for name in ordered([*STRATEGIES, *shown])}
    spare = {f"spare-{number}": (light, dark) for number, (light, dark, _) in enumerate(SPARE)}
    stages = {f"stage-{name}": (of_stage.light, of_stage.dark) for name, of_stage in STAGES.items()}
    return named | spare | stages


def _explore(results: Results, tables: Tables, to_results: str) -> dict[str, Any]:
    """Return the runs and the script that shows them. No other script may run: the page's policy names its hash."""
    view = explore.explore_view(results, tables, to_results)
    script = (_TEMPLATES / "explore.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {
        "explore": view,
        "explore_data": Markup(view.data),  # noqa: S704 - JSON without <, > and &
        "script": Markup(script),  # noqa: S704 - our own
        "script_digest": digest,
    }


def _overview(results: Results, tables: Tables) -> dict[str, Any]:
    asked = AskedGrid.from_config(results.config)
    models = sorted({*models_of(tables.downtime), *(asked.models if asked else ())})
    decided = verdicts(tables, models)
    return {
        "lead": overview.lead(results, tables),
        "facts": overview.facts(results, tables),
        "warnings": overview.warnings(results, tables),
        "verdicts": overview.verdict_views(decided, models),
        "tally": overview.tally(decided),
    }


def _sections(tables: Tables, asked: AskedGrid | None) -> dict[str, Any]:
    return {
        "reference": described(tables.references),
        "several_cells": len(cells_of(tables.downtime)) > 1,
        "strategies_grid": strategies.strategies_grid(tables),
        "prepared_grid": preparation.prepared_grid(tables),
        "downtime_grid": downtime.downtime_grid(tables),
        "cells_grid": downtime.cells_grid(tables, asked),
        "parts_grid": downtime.parts_grid(tables),
        "differences": downtime.differences(tables),
        "detection_grid": detection.detection_grid(tables),
        "memory_grid": memory.memory_grid(tables),
        "memory_notes": memory.memory_notes(tables),
        "frames_downtime": frames.frames_grid(tables, "downtime"),
        "frames_before": frames.frames_grid(tables, "before"),
        "frames_whole": frames.frames_grid(tables, "whole"),
    }


def _cut(results: Results, tables: Tables) -> dict[str, Any]:
    asked = AskedGrid.from_config(results.config)
    return {
        "answer": answer(tables),
        "against_paper": paper_points.against_paper(tables),
        "points_grid": points.points_grid(tables),
        "breaks_grid": points.breaks_grid(tables),
        "sweep_grid": points.sweep_grid(tables),
        "errors_grid": points.errors_grid(tables),
        "measured_best": points.measured_best(tables),
        "measured_grid": points.measured_grid(tables),
        "cut_holes": points.holes(results, tables, asked),
    }


def _trust(tables: Tables) -> dict[str, Any]:
    return {
        "accounts": trust.accounts(tables),
        "conditions_grid": conditions.conditions_grid(tables),
        "flagged_grid": conditions.flagged_grid(tables),
        "stress_grid": trust.stress_grid(tables),
        "noise_grid": trust.noise_grid(tables),
        "machine": trust.machine(tables),
        "clocks_grid": trust.clocks_grid(tables),
        "clock_blocks_grid": trust.clock_blocks_grid(tables),
        "efficiency": efficiency.efficiency(tables),
        "efficiency_grid": efficiency.efficiency_grid(tables),
        "efficiency_blocks_grid": efficiency.efficiency_blocks_grid(tables),
    }


def _runs(results: Results, tables: Tables) -> dict[str, Any]:
    return {
        "status_grid": runs.status_grid(tables),
        "reasons_grid": runs.reasons_grid(tables),
        "unmoved": runs.unmoved(tables),
        "coverage_grid": runs.coverage_grid(results, tables),
        "missing": runs.missing(results),
        "asked": AskedGrid.from_config(results.config) is not None,
    }


def _provenance(results: Results) -> dict[str, Any]:
    return {
        "hosts_grid": provenance.hosts_grid(results.blocks, brief=True),
        "facts_grid": provenance.hosts_grid(results.blocks, brief=False),
        "choices_grid": provenance.choices_grid(results.blocks),
        "models_grid": provenance.models_grid(results.blocks),
        "blocks_grid": provenance.blocks_grid(results),
        "config": yaml.safe_dump(results.config, sort_keys=False) if results.config is not None else None,
        "results_folder": str((results.config or {}).get("results", "results")),
    }


def write_page(results: Results, tables: Tables, shown: Iterable[Plot], out: Path, made_in: Path | None = None) -> None:
    """Render the page from tables and the figures' files, and write it.

    Args:
        results: where the raw logs lie.
        tables: what was measured.
        shown: the figures.
        out: the page.
        made_in: the folder that holds ``tables/`` and ``figures/``, where it is not the results folder.
    """
    home = made_in or results.root
    figures = figure_views(shown, home / "figures")
    drawn = {name: figure.title for name, figure in figures.items() if figure.svg is not None}
    offered = downloads(out, home / "tables", home / "figures", drawn)
    page = render(results, tables, figures, offered, address(results.root, out.parent))
    write_whole(out, page.encode())


def main(argv: Sequence[str] | None = None) -> int:
    """Render the page of a results folder; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m report.page", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder that holds runs/ and tables/")
    parser.add_argument("--out", type=Path, default=Path("results/report/index.html"), help="file to write")
    arguments = parser.parse_args(argv)
    try:
        results = load_results(arguments.results)
        tables = read_tables(arguments.results / "tables")
        write_page(results, tables, plots(tables, AskedGrid.from_config(results.config)), arguments.out)
    except ReportError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
