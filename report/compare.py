"""Compares the downtimes of two results folders: ``python -m report.compare RESULTS_A RESULTS_B``.

Every model, strategy, direction and cell of CPU and memory availability that both have is a line: both medians
with their 95 % intervals, and whether the intervals overlap. The exit status is 0 if they do, 1 if those of any pair do
not, and 2 if a folder cannot be used or there is nothing to compare. Frame rates are pooled.
"""

from __future__ import annotations

import argparse
import enum
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from report import text
from report.cells import MEASURED, cell_summaries
from report.errors import NothingToReport, ReportError
from report.load import load_results
from report.tables import build_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from report.cells import CellSummary
    from report.metrics.statistics import Interval

AGREEING, DIFFERING, UNUSABLE = range(3)  # exit statuses
Key = tuple[str, str, str, str]  # model, strategy, change of speed, cell


class Agreement(enum.Enum):
    """What two medians say of each other."""

    AGREE = "agree"
    DIFFER = "DIFFER"
    TOO_FEW = "too few runs"  # one of them is a single run: there is no interval


@dataclass(frozen=True)
class Comparison:
    """Two medians of one cell (ms)."""

    key: Key
    first: Interval
    second: Interval

    @property
    def agreement(self) -> Agreement:
        """Whether the two intervals overlap."""
        if math.isnan(self.first.low) or math.isnan(self.second.low):
            return Agreement.TOO_FEW
        overlap = self.first.low <= self.second.high and self.second.low <= self.first.high
        return Agreement.AGREE if overlap else Agreement.DIFFER

    @property
    def text(self) -> str:
        """The comparison as one line."""
        sides = [f"{text.durations(side)} (n = {side.n})" for side in (self.first, self.second)]
        return f"{self.agreement.value:<12}  {'  '.join(self.key)}: {' against '.join(sides)}"


def compare(first: Sequence[CellSummary], second: Sequence[CellSummary]) -> tuple[list[Comparison], list[str]]:
    """Pair the cells of two results; return the pairs, and a sentence for each cell that only one has measured."""
    ours, theirs = _measured(first), _measured(second)
    pairs = [Comparison(key, found, theirs[key]) for key, found in ours.items() if key in theirs]
    lone = [f"only in the first: {'  '.join(key)}" for key in ours if key not in theirs]
    lone += [f"only in the second: {'  '.join(key)}" for key in theirs if key not in ours]
    return pairs, lone


def _measured(cells: Sequence[CellSummary]) -> dict[Key, Interval]:
    return {
        (found.model, found.strategy, text.direction(found.from_mbps, found.to_mbps), found.cell.text): found.downtime
        for found in cells
        if found.state == MEASURED
    }


def _cells(root: Path) -> list[CellSummary]:
    return cell_summaries(build_tables(load_results(root)).downtime)


def main(argv: Sequence[str] | None = None) -> int:
    """Compare two results folders; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m report.compare", description=__doc__)
    parser.add_argument("first", type=Path, help="folder that holds runs/")
    parser.add_argument("second", type=Path, help="another one")
    arguments = parser.parse_args(argv)
    try:
        pairs, lone = compare(_cells(arguments.first), _cells(arguments.second))
        if not pairs:
            raise NothingToReport(
                f"{arguments.first} and {arguments.second} have no cell in common with an ok run in both: "
                "there is nothing to compare. Name two results of the same models, strategies and speeds."
            )
    except ReportError as error:
        print(f"report: {error}", file=sys.stderr)
        return UNUSABLE
    differing = sum(pair.agreement is Agreement.DIFFER for pair in pairs)
    print("\n".join([*(pair.text for pair in pairs), *lone]))
    print(f"{text.plural(len(pairs), 'cell')} compared: the intervals of {differing} do not overlap.")
    return DIFFERING if differing else AGREEING


if __name__ == "__main__":
    sys.exit(main())
