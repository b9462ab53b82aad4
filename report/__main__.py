"""Everything from the raw logs: tables, figures and the page. ``python -m report --results DIR --out FILE``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from report.asked import AskedGrid
from report.errors import ReportError
from report.figures.__main__ import write_figures
from report.load import load_results
from report.page import write_page
from report.tables import build_tables, write_tables

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Make the report of a results folder; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m report", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder that holds runs/")
    parser.add_argument("--out", type=Path, default=Path("results/report/index.html"), help="file to write")
    arguments = parser.parse_args(argv)
    root: Path = arguments.results
    try:
        results = load_results(root)
        tables = build_tables(results)
        write_tables(tables, root / "tables")
        write_figures(tables, root / "figures", AskedGrid.from_config(results.config))
        write_page(results, tables, arguments.out)
    except ReportError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    print(f"The report is {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
