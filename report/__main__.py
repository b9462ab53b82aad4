"""Everything from the raw logs: tables, figures and the page. ``python -m report --results DIR --out FILE``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from report.asked import AskedGrid
from report.errors import ReportError
from report.figures import plots
from report.figures.__main__ import write_figures
from report.load import load_results
from report.page import write_page
from report.tables import build_tables, write_tables

if TYPE_CHECKING:
    from collections.abc import Sequence


def place_for(root: Path, out: Path) -> Path:
    """Return the folder for ``tables/`` and ``figures/``: the results folder, or the page's where that is read-only."""
    return root if os.access(root, os.W_OK) else out.parent


def main(argv: Sequence[str] | None = None) -> int:
    """Make the report of a results folder; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m report", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder that holds runs/")
    parser.add_argument("--out", type=Path, default=Path("results/report/index.html"), help="file to write")
    arguments = parser.parse_args(argv)
    root: Path = arguments.results
    try:
        results = load_results(root)
        made_in = place_for(root, arguments.out)
        tables = build_tables(results)
        write_tables(tables, made_in / "tables")
        shown = plots(tables, AskedGrid.from_config(results.config))
        write_figures(shown, made_in / "figures")
        write_page(results, tables, shown, arguments.out, made_in)
    except ReportError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    beside = "" if made_in == root else f"; {root} cannot be written, so tables and figures are in {made_in}"
    print(f"The report is {arguments.out}{beside}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
