"""``python -m report.bench``: numbers of what ``make bench`` measured, as JSON, Markdown and CSV."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from report.bench.collect import collect
from report.bench.plane import plane
from report.bench.records import Bench
from report.bench.rows import rows
from report.bench.spread import read_bench, spread
from report.bench.table import comma_separated, markdown
from report.errors import ReportError
from report.files import write_whole
from workers.records import Status

if TYPE_CHECKING:
    from collections.abc import Sequence


def make_bench(root: Path) -> Bench:
    """Compute everything from a bench's folder.

    Raises:
        ReportError: it holds no bench, or one of another version.
    """
    collected = collect(root)
    run = collected.run
    return Bench(
        schema_version=run.schema_version,
        started_utc=run.started_utc,
        complete=run.complete,
        commit=run.commit,
        dirty=run.dirty,
        digest=run.digest,
        baseline=run.config["bench"]["baseline"],
        rounds=run.config["bench"]["rounds"],
        config=run.config,
        hosts=collected.hosts,
        choices=collected.choices,
        rows=rows(collected),
        plane=plane(root),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Write the numbers and print the table; 1 where a strategy has none and was not found infeasible, too."""
    parser = argparse.ArgumentParser(prog="python -m report.bench", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results/bench"), help="folder that hosts.bench wrote to")
    parser.add_argument("--out", type=Path, help="the JSON file; .md and .csv go beside it. RESULTS.json by default")
    parser.add_argument("--spread", type=Path, nargs="+", metavar="JSON", help="compare benches made before, instead")
    arguments = parser.parse_args(argv)
    try:
        if arguments.spread:
            print(spread([read_bench(path) for path in arguments.spread]))
            return 0
        bench = make_bench(arguments.results)
        out = arguments.out or arguments.results.with_name(f"{arguments.results.name}.json")
        write_whole(out, msgspec.json.format(msgspec.json.encode(bench), indent=1))
        write_whole(out.with_suffix(".md"), markdown(bench).encode())
        write_whole(out.with_suffix(".csv"), comma_separated(bench).encode())
    except ReportError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    print(markdown(bench))
    print(f"Written to {out}, {out.with_suffix('.md').name} and {out.with_suffix('.csv').name}")
    return 0 if all(row.changes or set(row.blocks) == {Status.INFEASIBLE.value} for row in bench.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
