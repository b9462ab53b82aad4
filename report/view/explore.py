"""The section *Explore*: every run as a row to sort, filter, search and open, as data for ``templates/explore.js``."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from report import text
from report.decode import clean
from report.explore.columns import as_json, numbers, packed, rounded
from report.explore.fit import SEED, fitting
from report.explore.runs import (
    OUTSIDE,
    WINDOWS,
    details_of_runs,
    parts_of_runs,
    rows_of_runs,
)
from report.metrics.conditions import QUANTITIES
from report.view.conditions import NAMES

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from report.load import Results
    from report.tables import Tables

MOST_OF_ROWS, MOST_OF_DETAILS = 3_200_000, 1_800_000  # characters of JSON; with all the rest the page stays below 10 MB
_REST = "The page stays small so; the tables have everything of every run."
_MOST_FILES = 40  # names of raw files of one block
_WINDOW_NAMES = dict(zip(WINDOWS, ("Before the change", "During the downtime", "Whole run"), strict=True))


@dataclass(frozen=True)
class ExploreView:
    """The runs that the page carries.

    `data` is JSON for a script; `scope` says which runs are in the table and which of them have details.
    """

    runs: int
    data: str
    scope: str


def explore_view(results: Results, tables: Tables, to_results: str) -> ExploreView:
    """Gather the runs for the page.

    Args:
        results: where the raw files lie.
        tables: what was measured.
        to_results: the way from the page's folder to the results folder, as a link goes.
    """
    rows = rows_of_runs(tables)
    marked = ((rows["status"] != "ok") | (rows["flag"] == OUTSIDE)).to_numpy(dtype=bool)
    shown, rows_text = fitting(marked, lambda at: _columns(rows.iloc[at]), MOST_OF_ROWS)
    details = functools.partial(_details, details_of_runs(tables), parts_of_runs(tables))
    opened, details_text = fitting(marked[shown], lambda at: details(shown, at), MOST_OF_DETAILS)
    rest = {
        "runs": len(rows),
        "to_results": to_results,
        "files": _files(results),
        "quantities": [[quantity, *NAMES[quantity]] for quantity in QUANTITIES],
        "windows": list(_WINDOW_NAMES.items()),
    }
    data = f'{{"rows":{rows_text},"details":{details_text},"rest":{as_json(rest)}}}'
    return ExploreView(len(rows), data, scope_of(marked, shown, opened))


def _columns(table: pd.DataFrame) -> str:
    return "{" + ",".join(f'"{name}":{packed(column)}' for name, column in table.items()) + "}"


def _details(
    details: pd.DataFrame,
    parts: tuple[list[list[list[str]]], pd.Series[Any], pd.Series[Any]],
    shown: NDArray[np.int64],
    at: NDArray[np.int64],
) -> str:
    """Return the details of the rows at some places among those shown."""
    of = shown[at]
    shapes, places, durations = parts
    flat = np.array([ms for of_run in durations.iloc[of] for ms in of_run], dtype=float)
    has = as_json(at.tolist()) if len(at) < len(shown) else "null"
    return (
        f'{{"of":{has},"columns":{_columns(details.iloc[of])},"shapes":{as_json(shapes)},'
        f'"shape":{packed(places.iloc[of])},"ms":{numbers(rounded(flat))}}}'
    )


def _files(results: Results) -> dict[str, list[str]]:
    """Return the names of every block's raw files, ``run.json`` first."""
    return {block.source: _names(block.folder) for block in results.blocks}


def _names(folder: Path) -> list[str]:
    names = sorted(
        (path.name for path in folder.iterdir() if path.is_file()), key=lambda name: (name != "run.json", name)
    )
    return [clean(name) for name in names[:_MOST_FILES]]


def scope_of(marked: NDArray[np.bool_], shown: NDArray[np.int64], opened: NDArray[np.int64]) -> str:
    """Say which of all runs are in the table, and which of these have their details.

    Args:
        marked: for each run, whether it goes first.
        shown: places of those in the table.
        opened: places, among those in the table, of those with details.
    """
    count = f"{len(marked):,}"
    if len(opened) == len(marked):
        return f"All {text.plural(len(marked), 'run')} are in the table, each with its details."
    if len(shown) == len(marked):
        have = _drawn(marked, opened)
        return f"All {count} runs are in the table. {len(opened):,} of them open with all details: {have}. {_REST}"
    of_shown = f"{len(opened):,} of these open with all details: {_drawn(marked[shown], opened)}"
    return f"{len(shown):,} of {count} runs are in the table: {_drawn(marked, shown)}. {of_shown}. {_REST}"


def _drawn(marked: NDArray[np.bool_], at: NDArray[np.int64]) -> str:
    first, all_first = int(marked[at].sum()), int(marked.sum())
    if first < all_first:
        return f"a sample of the {all_first:,} that are not ok or out of tolerance, drawn with the seed {SEED}"
    return f"all that are not ok or out of tolerance ({first:,}) and a sample of the others, drawn with the seed {SEED}"
