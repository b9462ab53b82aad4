"""The section on runs: how many ended how, why some do not count, and what of the asked grid is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from report import text
from report.summaries import models_of, of, strategies_of
from report.theme import ordered
from report.view.grid import Cell, Column, Grid, Group, group_by_first, numeric

if TYPE_CHECKING:
    import pandas as pd

    from report.load import Results
    from report.tables import Tables

STATUSES = ("ok", "infeasible", "failed", "invalid")
_REASONS_FIRST = {"failed": 0, "invalid": 1, "infeasible": 2}
_SHOWN = 8


@dataclass(frozen=True)
class AskedGrid:
    """The grid that the resolved config asks for; runs of a block are FPS x two directions x repeats."""

    models: tuple[str, ...]
    strategies: tuple[str, ...]
    cpu_pct: tuple[float, ...]
    mem_pct: tuple[float, ...]
    runs_per_block: int

    @classmethod
    def from_config(cls, config: dict[str, Any] | None) -> AskedGrid | None:
        """Read the grid from a resolved config; None where there is none that can be read."""
        try:
            if config is None:
                return None
            return cls(
                models=tuple(sorted(config["models"])),
                strategies=tuple(ordered(config["strategies"])),
                cpu_pct=tuple(map(float, config.get("cpu_pct", (100.0,)))),
                mem_pct=tuple(map(float, config.get("mem_pct", (100.0,)))),
                runs_per_block=len(config.get("fps", (0,))) * 2 * int(config.get("repeats", 1)),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def folders(self) -> list[str]:
        """Return the block folders that there should be, relative to the results folder."""
        return [
            f"runs/{model}/{strategy}/cpu{cpu_pct:g}-mem{mem_pct:g}"
            for model in self.models
            for strategy in self.strategies
            for cpu_pct in self.cpu_pct
            for mem_pct in self.mem_pct
        ]


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
    """Return why runs are not ok, those of one block with one reason together."""
    bad = tables.downtime[tables.downtime["status"] != "ok"]
    bad = bad.sort_values("status", key=lambda found: found.map(_REASONS_FIRST), kind="stable")
    gathered: dict[tuple[str, str, str, str], list[int]] = {}
    for row in bad.to_dict("records"):
        reason = "no reason recorded" if not isinstance(row["reason"], str) else row["reason"]
        key = (str(row["model"]), str(row["source"]), str(row["status"]), reason)
        gathered.setdefault(key, []).append(int(row["run"]))
    return Grid(
        "table-reasons",
        "Runs that do not count, and why",
        [Column("Raw logs"), Column("Status"), numeric("Runs"), Column("Which"), Column("Reason")],
        group_by_first(
            [
                (
                    model,
                    [
                        Cell(source),
                        Cell(status, tone="quiet" if status == "infeasible" else "bad"),
                        Cell(f"{len(numbers)}"),
                        Cell(_numbers(numbers)),
                        Cell(text.cut(reason)),
                    ],
                )
                for (model, source, status, reason), numbers in gathered.items()
            ]
        ),
    )


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
