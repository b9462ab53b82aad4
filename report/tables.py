"""Tidy tables from the raw logs, each as CSV and Parquet: ``python -m report.tables --results DIR``.

Every run stays as a row, whatever became of it. The columns of the data contract come first, those that say
where a row came from after them.
"""

from __future__ import annotations

import argparse
import functools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
from pyarrow import csv

from report.blocks import block_row
from report.cuts import Ranking, rankings
from report.errors import ReportError, TableError
from report.files import write_whole
from report.load import load_results, read_runs
from report.metrics.conditions import Tolerances
from report.metrics.memory import table_one
from report.noise import MachineSpread, machine_spread
from report.point_rows import rows_of_profile
from report.preparation import Prepared, preparations
from report.rows import rows_of_run
from report.schema import COLUMNS, typed
from report.scope import Cell, at_reference, references
from report.timelines import chosen_runs, timeline_rows
from workers.records import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from report.load import Results

_FROM_TABLES = ("memory", "timelines")  # made from the others


@dataclass(frozen=True)
class Tables:
    """The tables by name; `memory_runs` is what `memory` (Table I) is the median of."""

    downtime: pd.DataFrame
    frames: pd.DataFrame
    memory: pd.DataFrame
    conditions: pd.DataFrame
    parts: pd.DataFrame
    memory_runs: pd.DataFrame
    blocks: pd.DataFrame
    clocks: pd.DataFrame
    timelines: pd.DataFrame
    layers: pd.DataFrame
    partition_points: pd.DataFrame
    break_points: pd.DataFrame
    moves: pd.DataFrame
    ratio_sweep: pd.DataFrame
    profile_parts: pd.DataFrame
    profiles: pd.DataFrame

    @functools.cached_property
    def references(self) -> dict[str, Cell]:
        """The condition at which the strategies of each model are compared."""
        return references(self.downtime)

    @functools.cached_property
    def machine(self) -> MachineSpread | None:
        """How much the machine differed over the blocks at the reference condition; None where too few tell."""
        return machine_spread(self.at_reference(self.blocks))

    @functools.cached_property
    def preparations(self) -> tuple[Prepared, ...]:
        """What each strategy had prepared before its first change, at the reference condition."""
        return preparations(self)

    @functools.cached_property
    def rankings(self) -> tuple[Ranking, ...]:
        """Where to cut, by model, availability and speed."""
        return rankings(self.partition_points)

    def at_reference(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of one of these tables that were measured at the reference condition."""
        if not any(table is getattr(self, name) for name in COLUMNS):
            return at_reference(table, self.references)
        if id(table) not in self._at_reference:
            self._at_reference[id(table)] = at_reference(table, self.references)
        return self._at_reference[id(table)]

    @functools.cached_property
    def _at_reference(self) -> dict[int, pd.DataFrame]:
        """What was picked already, by the table: a dozen sections ask for the same rows."""
        return {}


def build_tables(results: Results) -> Tables:
    """Compute all tables from the raw logs, reading one block or profile at a time."""
    tolerances = Tolerances.from_config(results.config)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in COLUMNS if name not in _FROM_TABLES}
    for block in results.blocks:
        runs = read_runs(block)
        of_runs = [row for logs in runs for row in rows_of_run(block, logs, tolerances)]
        for name, row in of_runs:
            rows[name].append(row)
        statuses = [Status(row["status"]) for name, row in of_runs if name == "downtime"]
        rows["blocks"].append(block_row(block, statuses, runs[0].setup_events if runs else ()))
    for profile in results.profiles:
        for name, row in rows_of_profile(profile, results.config):
            rows[name].append(row)
    frames = {name: typed(pd.DataFrame(members), COLUMNS[name]) for name, members in rows.items()}
    of_models = references(frames["downtime"])
    frames["memory"] = typed(_table_one(frames["memory_runs"], of_models), COLUMNS["memory"])
    shown = timeline_rows(results, chosen_runs(at_reference(frames["downtime"], of_models)))
    frames["timelines"] = typed(pd.DataFrame(shown), COLUMNS["timelines"])
    return Tables(**frames)


def write_tables(tables: Tables, folder: Path) -> None:
    """Write every table as ``<name>.csv`` and ``<name>.parquet``."""
    for name in COLUMNS:
        table: pd.DataFrame = getattr(tables, name)
        write_whole(folder / f"{name}.csv", csv_of(table))
        write_whole(folder / f"{name}.parquet", table.to_parquet(index=False))


def csv_of(table: pd.DataFrame) -> bytes:
    """Return a table as CSV, by Arrow: pandas takes ten times as long, a minute for 100,000 runs."""
    sink = pa.BufferOutputStream()
    csv.write_csv(pa.Table.from_pandas(table, preserve_index=False), sink)
    return bytes(sink.getvalue())


def read_tables(folder: Path) -> Tables:
    """Read the tables back.

    Raises:
        TableError: one is missing or lacks columns of the data contract.
    """
    return Tables(**{name: _read_table(folder / f"{name}.parquet", name) for name in COLUMNS})


def _read_table(path: Path, name: str) -> pd.DataFrame:
    remedy = f"Make the tables again: python -m report.tables --results {path.parent.parent}"
    if not path.exists():
        raise TableError(f"{path} is missing. {remedy}")
    table = pd.read_parquet(path)
    missing = [column for column in COLUMNS[name] if column not in table.columns]
    if missing:
        raise TableError(f"{path} lacks the columns {', '.join(missing)}: other code wrote it. {remedy}")
    return table


def _table_one(runs: pd.DataFrame, of_models: dict[str, Cell]) -> pd.DataFrame:
    """Return Table I at the reference conditions, with the folders, commits and config hashes behind each row."""
    runs = at_reference(runs, of_models)
    table = table_one(runs)
    if table.empty:
        return table
    of_row = ["model", "strategy", "tier"]
    origins = (
        runs[runs["status"] == "ok"]
        .groupby(of_row)
        .agg(
            cpu_pct=("cpu_pct", "first"),
            mem_pct=("mem_pct", "first"),
            sources=("source", _joined),
            commit=("commit", _joined),
            config_hash=("config_hash", _joined),
        )
    )
    return table.merge(origins.reset_index(), on=of_row, how="left")


def _joined(values: pd.Series) -> str:
    return " ".join(sorted(set(values.dropna())))


def main(argv: Sequence[str] | None = None) -> int:
    """Make the tables of a results folder; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m report.tables", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder that holds runs/")
    arguments = parser.parse_args(argv)
    try:
        tables = build_tables(load_results(arguments.results))
        write_tables(tables, arguments.results / "tables")
    except ReportError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
