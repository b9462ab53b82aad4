"""The section on runs: how many ended how, why some do not count, and what of the asked grid is missing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pandas as pd

from report import text
from report.asked import AskedGrid, coverage
from report.summaries import models_of, of, strategies_of
from report.view.grid import Cell, Column, Grid, Group, group_by_first, numeric

if TYPE_CHECKING:
    from report.load import Results
    from report.tables import Tables

STATUSES = ("ok", "infeasible", "failed", "invalid")
_REASONS_FIRST = {"failed": 0, "invalid": 1, "infeasible": 2}
_SHOWN = 8
_TONES = {"ok": "good", "partly ok": "", "infeasible": "quiet"}


def status_grid(tables: Tables) -> Grid:
    """Return how many runs ended how, by model and strategy."""
    runs = tables.downtime
    return Grid(
        "table-status",
        "Runs by how they ended; only those that are ok enter a statistic",
        [Column("Strategy"), *(numeric(status) for status in STATUSES), numeric("all")],
        [
            Group(
                model,
                [
                    _status_row(strategy, of(runs, model, strategy))
                    for strategy in strategies_of(runs[runs["model"] == model])
                ],
            )
            for model in models_of(runs)
        ],
    )


def reasons_grid(tables: Tables) -> Grid:
    """Return why runs are not ok, those of one strategy with one reason and one kind of evidence together.

    A run that failed although service went on keeps the downtime that was measured; it stands here alone.
    """
    bad = tables.downtime[tables.downtime["status"] != "ok"]
    bad = bad.sort_values("status", key=lambda found: found.map(_REASONS_FIRST), kind="stable")
    gathered: dict[tuple[str, str, str, str, str], list[dict[str, Any]]] = {}
    for values in bad.to_dict("records"):
        row = {str(name): value for name, value in values.items()}
        reason = row["reason"] if isinstance(row["reason"], str) else "no reason recorded"
        key = (str(row["model"]), str(row["strategy"]), str(row["status"]), reason, _evidence(row))
        gathered.setdefault(key, []).append(row)
    return Grid(
        "table-reasons",
        "Runs that do not count, and why; the raw logs of a run are in runs/MODEL/STRATEGY/cpuPCT-memPCT",
        [
            Column("Strategy"),
            Column("Status"),
            numeric("Runs"),
            Column("Where", "CPU/memory %: runs"),
            Column("Reason"),
            Column("Evidence"),
            numeric("Downtime", "measured, in no statistic"),
        ],
        group_by_first([(key[0], _reason_row(key, rows)) for key, rows in gathered.items()]),
    )


def coverage_grid(results: Results, tables: Tables) -> Grid:
    """Return what became of the blocks that the config asks for, by model, strategy and state."""
    asked = AskedGrid.from_config(results.config)
    gathered: dict[tuple[str, str, str], list[str]] = {}
    for state, folders in _coverage(results, tables, asked).items():
        for folder in folders:
            _, model, strategy, cell = folder.split("/")
            gathered.setdefault((model, strategy, state), []).append(cell)
    return Grid(
        "table-coverage",
        "Blocks that the config asks for, and what became of them",
        [Column("Strategy"), Column("State"), numeric("Blocks"), Column("CPU and memory availability (%)")],
        group_by_first(
            [
                (
                    model,
                    [
                        Cell(strategy, swatch=strategy),
                        Cell(state, tone=_TONES.get(state, "bad")),
                        Cell(f"{len(cells)}"),
                        Cell(", ".join(cell.removeprefix("cpu").replace("-mem", "/") for cell in cells)),
                    ],
                )
                for (model, strategy, state), cells in sorted(gathered.items())
            ]
        ),
    )


def coverage_counts(results: Results, tables: Tables) -> dict[str, int]:
    """Count the blocks that the config asks for by what became of them; empty where it is unknown."""
    found = _coverage(results, tables, AskedGrid.from_config(results.config))
    return {state: len(folders) for state, folders in found.items()}


def _coverage(results: Results, tables: Tables, asked: AskedGrid | None) -> dict[str, list[str]]:
    if asked is None:
        return {}
    statuses = {str(source): Counter(found) for source, found in tables.downtime.groupby("source")["status"]}
    return coverage(asked, results, statuses)


def _evidence(row: dict[str, Any]) -> str:
    """Return what says that the kernel or the engine ended a run."""
    code, kills = row["exit_code"], row["oom_kills"]
    said = [] if pd.isna(code) else [f"exit code {int(code)}"]
    if not pd.isna(kills) and kills > 0:
        said.append(text.plural(int(kills), "OOM kill"))
    return ", ".join(said)


def _reason_row(key: tuple[str, str, str, str, str], rows: list[dict[str, Any]]) -> list[Cell]:
    _, strategy, status, reason, evidence = key
    measured = [float(row["downtime_ms"]) for row in rows if not pd.isna(row["downtime_ms"])]
    low, high = (text.duration(end(measured)) if measured else text.NONE for end in (min, max))
    return [
        Cell(strategy, swatch=strategy),
        Cell(status, tone="quiet" if status == "infeasible" else "bad"),
        Cell(f"{len(rows)}"),
        Cell(_places(rows)),
        Cell(text.cut(reason)),
        Cell(evidence or text.NONE),
        Cell(low if low == high else f"{low} – {high}"),
    ]


def _places(rows: list[dict[str, Any]]) -> str:
    """Name the cells and the runs in each; of many only the first."""
    cells: dict[str, list[int]] = {}
    for row in rows:
        cells.setdefault(f"{row['cpu_pct']:g}/{row['mem_pct']:g}", []).append(int(row["run"]))
    shown = [f"{cell}: {_numbers(runs)}" for cell, runs in list(cells.items())[:_SHOWN]]
    more = [f"{len(cells) - _SHOWN} more cells"] if len(cells) > _SHOWN else []
    return "; ".join([*shown, *more])


def missing(results: Results) -> list[str]:
    """Return what the config asked for and the results do not hold, one sentence each."""
    problems = [text.cut(block.reason) for block in results.unreadable]
    asked = AskedGrid.from_config(results.config)
    if asked is None:
        return problems
    measured = {block.source: block for block in results.blocks}
    unreadable = {block.source for block in results.unreadable}
    absent = [folder for folder in asked.folders() if folder not in measured and folder not in unreadable]
    problems += [f"{folder}: not measured" for folder in absent]
    for source, block in measured.items():
        runs = len({record.run for record in block.record.runs if record.run > 0})
        if source in asked.folders() and runs < asked.runs_per_block:
            problems.append(f"{source}: {runs} of {asked.runs_per_block} runs")
    return problems


def unmoved(tables: Tables) -> int:
    """Return how many ok runs have no downtime because the partition point did not move."""
    runs = tables.downtime
    return int(((runs["status"] == "ok") & runs["downtime_ms"].isna()).sum())


def _status_row(strategy: str, runs: pd.DataFrame) -> list[Cell]:
    counts = [int((runs["status"] == status).sum()) for status in STATUSES]
    tones = ("", "quiet", "bad", "bad")
    return [
        Cell(strategy, swatch=strategy),
        *(Cell(f"{count:,}", tone=tone if count else "quiet") for count, tone in zip(counts, tones, strict=True)),
        Cell(f"{len(runs):,}"),
    ]


def _numbers(runs: list[int]) -> str:
    shown = ", ".join(str(run) for run in sorted(runs)[:_SHOWN])
    return f"{shown}, …" if len(runs) > _SHOWN else shown
