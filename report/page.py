"""The page: tables, figures and provenance rendered into one HTML file that needs nothing else.

``python -m report.page --results DIR --out FILE`` renders it from tables and figures that are there;
``python -m report`` makes those first.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from report.asked import AskedGrid
from report.claims import verdicts
from report.errors import ReportError, TableError
from report.figures import plots
from report.files import write_whole
from report.load import load_results
from report.reference import paper
from report.scope import cells_of, described
from report.svg import inline, width_of
from report.tables import read_tables
from report.theme import SPARE, STRATEGIES
from report.view import conditions, downtime, efficiency, frames, memory, overview, provenance, runs, trust

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def render(results: Results, tables: Tables, figures: dict[str, FigureView]) -> str:
    """Return the page."""
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
        palette=_palette(),
        figures=figures,
        **_overview(results, tables),
        **_sections(tables, AskedGrid.from_config(results.config)),
        **_trust(tables),
        **_runs(results, tables),
        **_provenance(results),
    )


def figure_views(tables: Tables, folder: Path, asked: AskedGrid | None = None) -> dict[str, FigureView]:
    """Read the figures' files for the page; those over cells are said to lack what of `asked` is not there.

    Raises:
        TableError: a figure is missing.
    """
    return {plot.name: _figure_view(plot, folder / f"{plot.name}.svg") for plot in plots(tables, asked)}


def _figure_view(plot: Any, path: Path) -> FigureView:
    if plot.empty:
        return FigureView(plot.name, plot.title, "", None, 0, plot.empty)
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
    )


def _palette() -> dict[str, tuple[str, str]]:
    named = {name: (style.light, style.dark) for name, style in STRATEGIES.items()}
    spare = {f"spare-{number}": (light, dark) for number, (light, dark, _) in enumerate(SPARE)}
    return named | spare


def _overview(results: Results, tables: Tables) -> dict[str, Any]:
    decided = verdicts(tables)
    return {
        "lead": overview.lead(results, tables),
        "facts": overview.facts(results, tables),
        "warnings": overview.warnings(results, tables),
        "verdicts": overview.verdict_views(decided),
        "tally": overview.tally(decided),
    }


def _sections(tables: Tables, asked: AskedGrid | None) -> dict[str, Any]:
    return {
        "reference": described(tables.references),
        "several_cells": len(cells_of(tables.downtime)) > 1,
        "downtime_grid": downtime.downtime_grid(tables),
        "cells_grid": downtime.cells_grid(tables, asked),
        "parts_grid": downtime.parts_grid(tables),
        "differences": downtime.differences(tables),
        "memory_grid": memory.memory_grid(tables),
        "memory_notes": memory.memory_notes(tables),
        "frames_downtime": frames.frames_grid(tables, "downtime"),
        "frames_before": frames.frames_grid(tables, "before"),
        "frames_whole": frames.frames_grid(tables, "whole"),
    }


def _trust(tables: Tables) -> dict[str, Any]:
    return {
        "accounts": trust.accounts(tables),
        "conditions_grid": conditions.conditions_grid(tables),
        "flagged_grid": conditions.flagged_grid(tables),
        "stress_grid": trust.stress_grid(tables),
        "noise_grid": trust.noise_grid(tables),
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
        "config": json.dumps(results.config, indent=2) if results.config is not None else None,
    }


def write_page(results: Results, tables: Tables, out: Path) -> None:
    """Render the page from tables and the figures' files, and write it."""
    figures = figure_views(tables, results.root / "figures", AskedGrid.from_config(results.config))
    page = render(results, tables, figures)
    write_whole(out, page.encode())


def main(argv: Sequence[str] | None = None) -> int:
    """Render the page of a results folder; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m report.page", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder that holds runs/ and tables/")
    parser.add_argument("--out", type=Path, default=Path("results/report/index.html"), help="file to write")
    arguments = parser.parse_args(argv)
    try:
        results = load_results(arguments.results)
        write_page(results, read_tables(arguments.results / "tables"), arguments.out)
    except ReportError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
