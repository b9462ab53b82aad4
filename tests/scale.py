"""Measures the report of many runs, its processor time and its size: ``python -m tests.scale 100 10000 100000``.

The raw logs of a few hundred made-up runs are read as always. Their rows are then repeated over more cells and
repeats, each run a few per cent longer or shorter than its model; so many logs need not be written, or read.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pandas as pd

from report.asked import AskedGrid
from report.figures import plots
from report.figures.__main__ import write_figures
from report.load import load_results
from report.page import write_page
from report.schema import COLUMNS, typed
from report.tables import build_tables, write_tables
from tests.grids import FULL, STRATEGIES, Levels, write_grid
from workers.records import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from report.load import Block
    from report.tables import Tables

PATTERN = Levels(cpu_pct=(100.0,), mem_pct=(100.0,), fps=FULL.fps)
PATTERN_REPEATS = 6
PER_PATTERN = len(PATTERN.fps) * 2 * PATTERN_REPEATS  # runs of a block
ALIKE = len(PATTERN.models) * len(STRATEGIES)  # blocks of a cell
BY_RUN = ("downtime", "frames", "conditions", "parts", "memory_runs", "clocks")


@dataclass(frozen=True)
class Copied:
    """A block of the pattern at another cell, with so many runs."""

    block: Block
    cpu_pct: float
    mem_pct: float
    runs: int

    @property
    def source(self) -> str:
        """Its folder."""
        of = self.block.record
        return f"runs/{of.model}/{of.strategy}/cpu{self.cpu_pct:g}-mem{self.mem_pct:g}"


def write_pattern(root: Path) -> Tables:
    """Write raw logs of a few hundred runs of every kind, and return their tables."""
    write_grid(root, repeats=PATTERN_REPEATS, levels=PATTERN)
    return build_tables(load_results(root))


def write_many(root: Path, pattern: Path, tables: Tables, runs: int) -> Tables:
    """Write the records of so many runs and return their tables; there are no raw logs of them."""
    copies = _copies(load_results(pattern).blocks, runs)
    for copied in copies:
        _write_record(root, copied)
    levels = [sorted({getattr(copied, axis) for copied in copies}) for axis in ("cpu_pct", "mem_pct")]
    config = json.loads((pattern / "config.json").read_text())
    config |= {"cpu_pct": levels[0], "mem_pct": levels[1], "repeats": -(-copies[0].runs // (2 * len(PATTERN.fps)))}
    (root / "config.json").write_text(json.dumps(config))
    many = {name: _repeated(getattr(tables, name), copies, name) for name in BY_RUN}
    statuses = many["downtime"].groupby(["source", "status"]).size()
    blocks = [_block_row(tables.blocks, copied) for copied in copies]
    for row in blocks:
        row.update({f"runs_{status.value}": statuses.get((row["source"], status.value), 0) for status in Status})
    many["blocks"] = typed(pd.DataFrame(blocks), COLUMNS["blocks"])
    return replace(tables, **many)


def _copies(blocks: Sequence[Block], runs: int) -> list[Copied]:
    cells = list(itertools.product(FULL.cpu_pct, FULL.mem_pct))
    cells = cells[: -(-runs // (ALIKE * PER_PATTERN))]
    places = [(block, *cell) for cell in cells for block in blocks]
    share, more = divmod(runs, len(places))
    return [Copied(*place, share + (number < more)) for number, place in enumerate(places)]


def _write_record(root: Path, copied: Copied) -> None:
    folder = root / copied.source
    folder.mkdir(parents=True)
    records = copied.block.record.runs
    runs = tuple(
        msgspec.structs.replace(records[n % PER_PATTERN], run=n + 1, repeat=_repeat(records[n % PER_PATTERN].repeat, n))
        for n in range(copied.runs)
    )
    axes = {"cpu_pct": copied.cpu_pct, "mem_pct": copied.mem_pct}
    record = msgspec.structs.replace(copied.block.record, runs=runs, **axes)
    (folder / "run.json").write_bytes(msgspec.json.encode(record))


def _repeat(first: int, number: int) -> int:
    return first + PATTERN_REPEATS * (number // PER_PATTERN)


def _repeated(table: pd.DataFrame, copies: Sequence[Copied], name: str) -> pd.DataFrame:
    by_block = dict(iter(table.groupby("source", sort=False)))
    pieces = []
    for copied in copies:
        rows = by_block.get(copied.block.source)
        if rows is None:
            continue
        for first in range(0, copied.runs, PER_PATTERN):
            piece = rows[rows["run"] <= copied.runs - first]
            renumbered = {"run": piece["run"] + first, "repeat": piece["repeat"] + _repeat(0, first)}
            at = {"cpu_pct": copied.cpu_pct, "mem_pct": copied.mem_pct, "source": copied.source}
            pieces.append(piece.assign(**renumbered, **at))
    return typed(_varied(pd.concat(pieces, ignore_index=True)), COLUMNS[name])


def _varied(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with every run's durations a few per cent longer or shorter."""
    runs, _ = pd.factorize(table["source"] + table["run"].astype("string"))
    factors = np.random.default_rng(7).lognormal(0, 0.05, runs.max() + 1)[runs]
    durations = [column for column in table.columns if column in {"ms", "service_gap_ms"} or column.endswith("time_ms")]
    durations += [f"{part}_ms" for part in ("outage", "degraded", "t_update", "t_exec", "t_switch", "t_initialisation")]
    achieved = [column for column in table.columns if column.endswith("_achieved") or column.startswith("achieved_")]
    durations = [column for column in durations if column in table.columns]
    near = 1 + (factors - 1) / 100
    return table.assign(
        **{column: table[column] * factors for column in durations},
        **{column: table[column] * near for column in achieved},
    )


def _block_row(blocks: pd.DataFrame, copied: Copied) -> dict[str, object]:
    row = blocks[blocks["source"] == copied.block.source].iloc[0].to_dict()
    return row | {"cpu_pct": copied.cpu_pct, "mem_pct": copied.mem_pct, "source": copied.source}


def timed_report(root: Path, tables: Tables) -> dict[str, float]:
    """Write tables, figures and page; return the processor time of each (s) and the size of the page (MB)."""
    results = load_results(root)
    asked = AskedGrid.from_config(results.config)
    stamps = [time.process_time()]
    write_tables(tables, root / "tables")
    stamps.append(time.process_time())
    shown = plots(tables, asked)
    write_figures(shown, root / "figures")
    stamps.append(time.process_time())
    page = root / "report" / "index.html"
    write_page(results, tables, shown, page)
    stamps.append(time.process_time())
    took = dict(zip(("tables", "figures", "page"), np.diff(stamps).tolist(), strict=True))
    return took | {"page_mb": page.stat().st_size / 1e6}


def main(argv: Sequence[str] | None = None) -> None:
    """Print a row of a table for each number of runs."""
    parser = argparse.ArgumentParser(prog="python -m tests.scale", description=__doc__)
    parser.add_argument("runs", type=int, nargs="+", help="how many")
    parser.add_argument("--keep", type=Path, help="folder to leave the results in")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        pattern = Path(scratch, "pattern")
        pattern.mkdir()
        write_grid(pattern, repeats=PATTERN_REPEATS, levels=PATTERN)
        began = time.process_time()
        tables = build_tables(load_results(pattern))
        took = 1000 * (time.process_time() - began) / len(tables.downtime)
        print(f"Raw logs to rows: {took:.1f} ms a run")
        print("| runs | tables s | figures s | page s | page MB |\n| ---: | ---: | ---: | ---: | ---: |", flush=True)
        for runs in arguments.runs:
            root = Path(arguments.keep or scratch, str(runs))
            root.mkdir(parents=True)
            found = timed_report(root, write_many(root, pattern, tables, runs))
            times = " | ".join(f"{found[stage]:.1f}" for stage in ("tables", "figures", "page"))
            print(f"| {runs:,} | {times} | {found['page_mb']:.2f} |", flush=True)


if __name__ == "__main__":
    main()
