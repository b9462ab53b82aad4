"""The night watch: ``python -m report.watch COMMAND``. docs/night-watch.md says how it decides.

Exit status: 0 nothing got worse; 1 an alarm, a suspect that is not measured again yet, or a difference; 2 config,
thresholds or history cannot be used; 3 the night measured nothing or too little; 4 another night is under way.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report.errors import ReportError
from report.watch import commands
from report.watch.errors import Busy, NightError

if TYPE_CHECKING:
    from collections.abc import Sequence

_HISTORY = Path("results/nightly/history.jsonl")
_THRESHOLDS = Path("config/watch/thresholds.yaml")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except ReportError as error:
        print(f"watch: {error}", file=sys.stderr)
        return _status_of(error)
    return status


def _status_of(error: ReportError) -> int:
    if isinstance(error, NightError):
        return commands.TOO_LITTLE
    return commands.BUSY if isinstance(error, Busy) else commands.UNUSABLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m report.watch", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = parser.add_subparsers(required=True, metavar="COMMAND")
    night = _command(known, "night", commands.night, history=None)
    night.add_argument("--config", type=Path, default=Path("config/nightly.yaml"), help="the grid of a night")
    night.add_argument("--summary", type=Path, help="file that the summary is appended to, as a CI's page")
    append = _command(known, "append", commands.append)
    append.add_argument("--results", type=Path, required=True, help="folder of one night, with runs/")
    check = _command(known, "check", commands.check)
    check.add_argument("--config", type=Path, default=Path("config/nightly.yaml"), help="the grid of a night")
    check.add_argument("--again", type=Path, help="config to write that measures the suspects again")
    confirm = _command(known, "confirm", commands.confirm)
    confirm.add_argument("--results", type=Path, help="folder in which the suspects were measured again")
    accept = _command(known, "accept", commands.accept)
    accept.add_argument("--note", required=True, help="why the level is to stay")
    accept.add_argument("--only", default="", metavar="TEXT", help="only series that have this in their names")
    trend = _command(known, "trend", commands.trend)
    trend.add_argument("--out", type=Path, default=Path("results/nightly/trend.html"), help="file to write")
    compare = _command(known, "compare", commands.compare)
    compare.add_argument("first", type=Path, help="folder that holds runs/")
    compare.add_argument("second", type=Path, help="another one")
    rehearse = _command(known, "rehearse", commands.rehearse)
    rehearse.add_argument("--results", type=Path, required=True, help="folder of a real night, with runs/")
    rehearse.add_argument("--nights", type=int, default=200, help="how many unchanged nights")
    rehearse.add_argument("--trials", type=int, default=10, help="how often each change is tried")
    rehearse.add_argument("--patience", type=int, default=5, help="how many nights a change has to be found in")
    rehearse.add_argument("--seed", type=int, default=1, help="of the unchanged nights")
    rehearse.add_argument("--shared", type=float, default=0.02, help="spread that all times of a night share")
    return parser


def _command(known: Any, name: str, run: object, history: Path | None = _HISTORY) -> argparse.ArgumentParser:
    words = str(run.__doc__).splitlines()[0]
    parser: argparse.ArgumentParser = known.add_parser(name, help=words, description=words)
    parser.set_defaults(run=run)
    parser.add_argument("--history", type=Path, default=history, help="the nights' file, one record a line")
    parser.add_argument("--thresholds", type=Path, default=_THRESHOLDS, help="what is clear and what is relevant")
    return parser


if __name__ == "__main__":
    sys.exit(main())
