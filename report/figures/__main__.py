"""Figures from the tables, each as SVG and PDF: ``python -m report.figures --results DIR``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from report.asked import AskedGrid
from report.errors import ReportError
from report.figures import plots
from report.files import write_whole
from report.load import read_config
from report.tables import read_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from report.figures import Plot


def write_figures(shown: Iterable[Plot], folder: Path) -> None:
    """Write every figure as ``<name>.svg`` and ``<name>.pdf``."""
    for plot in shown:
        for kind, data in plot.render().items():
            write_whole(folder / f"{plot.name}.{kind}", data)


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the figures of a results folder; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m report.figures", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder that holds tables/")
    arguments = parser.parse_args(argv)
    try:
        config, _ = read_config(arguments.results / "config.json")
        tables = read_tables(arguments.results / "tables")
        write_figures(plots(tables, AskedGrid.from_config(config)), arguments.results / "figures")
    except ReportError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
