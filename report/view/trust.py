"""What the numbers can be trusted for: accounts of frames, clocks, noise, and what the stressor did."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from report import text
from report.noise import noise_summaries
from report.view.grid import Cell, Column, Grid, Group, group_by_first, numeric

if TYPE_CHECKING:
    import pandas as pd

    from report.noise import NoiseSummary
    from report.tables import Tables

_CLOCK_COLUMNS = (
    numeric("Bound before", "widest, µs"),
    numeric("Bound after", "widest, µs"),
    numeric("Drift in between", "largest, µs"),
    numeric("n", "runs"),
)
_MEASURED = ("cpu_pct", "mem_pct")
_TIMES = ("set_s", "release_s")


def accounts(tables: Tables) -> str:
    """Say for how many runs the frames add up at device, edge and cloud."""
    runs = tables.downtime
    ok, invalid = int((runs["status"] == "ok").sum()), int((runs["status"] == "invalid").sum())
    whole = tables.frames[(tables.frames["window"] == "whole") & (tables.frames["status"] == "ok")]
    offered, answered, dropped = (int(whole[column].sum()) for column in ("offered", "answered", "dropped"))
    said = (
        f"In the runs that are ok ({ok:,}) the device offered {text.plural(offered, 'frame')}: {answered:,} "
        f"were answered and {dropped:,} dropped, each once; the records of device, edge and cloud agree on each."
    )
    if not invalid:
        return f"{said} No run had to be left out because its logs do not add up."
    return f"{said} {text.plural(invalid, 'run')} did not add up or cannot be read, and count nowhere: see Runs."


def clocks_grid(tables: Tables) -> Grid:
    """Return the clock offsets against the controller: widest bounds and largest drift over all runs."""
    return Grid(
        "table-clocks",
        "Clocks of the hosts against the controller's, by probes with the shortest round trip, before and after "
        "every run",
        [Column("Host"), *_CLOCK_COLUMNS],
        [Group("", [[Cell(str(host)), *_clocks(rows)] for host, rows in tables.clocks.groupby("host", sort=False)])],
    )


def clock_blocks_grid(tables: Tables) -> Grid:
    """Return the clock offsets of every block; those of single runs are in the table `clocks`."""
    hosts = tables.clocks.groupby(["model", "source", "host"], sort=False)
    return Grid(
        "table-clock-blocks",
        "Clocks of every block; tables/clocks.csv has the offsets of every run",
        [Column("Raw logs"), Column("Host"), *_CLOCK_COLUMNS],
        group_by_first(
            [
                (str(model), [Cell(str(source)), Cell(str(host)), *_clocks(rows)])
                for (model, source, host), rows in hosts
            ]
        ),
    )


def noise_grid(tables: Tables) -> Grid:
    """Return how far repeats of the same scenario lie apart."""
    return Grid(
        "table-noise",
        "Noise: range of the downtime over the repeats of one scenario (cell, frame rate, direction), as a share of "
        "its median",
        [
            Column("Strategy"),
            numeric("Typical", "median"),
            numeric("Worst"),
            numeric("Worst, absolute"),
            numeric("n", "repeats there"),
            numeric("Scenarios", "with repeats"),
            Column("Where it is worst"),
        ],
        group_by_first([(row.model, _noise_row(row)) for row in noise_summaries(tables.downtime)]),
    )


def machine(tables: Tables) -> str:
    """Say how much the machine itself differed from block to block; nothing where too few blocks tell."""
    spread = tables.machine
    if spread is None:
        return ""
    took = f"{text.duration(spread.shortest_ms)} to {text.duration(spread.longest_ms)}"
    return (
        "The machine itself differs from block to block: Python's start and TensorFlow's import, with which every "
        f"block begins, took {took} on the edge over {spread.blocks} blocks, a standard deviation of "
        f"{text.percent(spread.deviation)} on both tiers together. No interval of a median has that in it, as each is "
        "made of the repeats of one block. If sessions differ as these blocks do, medians of two sessions of the same "
        f"code can be {text.percent(spread.between_sessions)} apart: the tables of downtimes say where another "
        "session's are to be expected by that. What takes microseconds, or waits for memory, can differ by more."
    )


def stress_grid(tables: Tables) -> Grid:
    """Return what the stressor did in every block that had one."""
    found = [(row, json.loads(str(row["stress"]))) for row in _records(tables.blocks)]
    return Grid(
        "table-stress",
        "What the stressor did, and what a probe process had left before the first run",
        [
            Column("Raw logs"),
            numeric("CPU left", "measured"),
            numeric("Memory left", "measured"),
            numeric("To set", "s"),
            numeric("To release", "s"),
            Column("Stressor"),
        ],
        group_by_first([(str(row["model"]), _stress_row(row, stress)) for row, stress in found if stress]),
    )


def _clocks(rows: pd.DataFrame) -> list[Cell]:
    return [
        Cell(_bound(rows["before_bound_us"].max())),
        Cell(_bound(rows["after_bound_us"].max())),
        Cell(text.digits(float(rows["drift_us"].abs().max()))),
        Cell(f"{len(rows)}"),
    ]


def _bound(us: float) -> str:
    shown = text.digits(float(us))
    return shown if shown == text.NONE else f"± {shown}"


def _noise_row(row: NoiseSummary) -> list[Cell]:
    return [
        Cell(row.strategy, swatch=row.strategy),
        Cell(text.percent(row.typical)),
        Cell(text.percent(row.worst.share)),
        Cell(text.duration(row.worst.range_ms)),
        Cell(f"{row.worst.n}"),
        Cell(f"{row.scenarios}"),
        Cell(row.worst.scenario),
    ]


def _stress_row(row: dict[str, Any], stress: dict[str, Any]) -> list[Cell]:
    asked = {"cpu_pct": row["cpu_pct"], "mem_pct": row["mem_pct"]}
    others = [f"{key.replace('_', ' ')} {value}" for key, value in stress.items() if key not in _MEASURED + _TIMES]
    return [
        Cell(str(row["source"])),
        *(Cell(_number(stress.get(key), " %"), note=f"asked: {asked[key]:g} %") for key in _MEASURED),
        *(Cell(_number(stress.get(key))) for key in _TIMES),
        Cell(", ".join(others) or text.NONE),
    ]


def _number(value: Any, unit: str = "") -> str:
    if isinstance(value, int | float):
        return f"{text.digits(float(value))}{unit}"
    return text.NONE if value is None else str(value)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
