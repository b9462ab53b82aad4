"""A whole night: plan, grid, append, judge, suspects again, verdict, trend page, summary."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import yaml

from report import text
from report.errors import NothingToReport
from report.files import write_whole
from report.load import load_results
from report.tables import build_tables
from report.watch.errors import NightError, StepFailed
from report.watch.grids import only, read_grid, whole
from report.watch.history import append_record, read_history
from report.watch.judge import decide, judge, owed, undecided
from report.watch.ledger import Ledger
from report.watch.likeness import host_class
from report.watch.lock import one_night
from report.watch.summary import summarise
from report.watch.thresholds import load_thresholds
from report.watch.trend import write_trend
from report.watch.words import notes_on, summary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from report.watch.judge import Judgement
    from report.watch.records import Finding, Night, Series, Value, Verdict
    from report.watch.thresholds import Thresholds


@dataclass(frozen=True)
class Places:
    """Where a night finds and leaves its files; `folder` gets a folder a night."""

    config: Path
    thresholds: Path
    history: Path
    folder: Path
    summary: Path | None = None


def measure(config: Path) -> None:
    """Plan a grid and run it; blocks that fail are missing then, and the night is judged by what is there.

    Raises:
        StepFailed: the config cannot be used, or Snakemake is not there.
    """
    plan = (sys.executable, "-m", "hosts.plan", "--config", str(config))
    if _run(plan):
        raise StepFailed(f"{' '.join(plan[1:])} refused the config, see above: nothing was measured.")
    grid = ("snakemake", "--cores", "all", "--configfile", str(config))
    status = _run(grid)
    if status:
        print(f"night: {' '.join(grid)} ended with status {status}; going on with what is measured", file=sys.stderr)


def run_night(places: Places, measured: Callable[[Path], None]) -> tuple[Night, Verdict]:
    """Measure and judge a night; its verdict is in the history then, and said in its summary.

    The night enters the history with the verdict that its suspects wait: whatever happens to their second
    measurement, what they were found to be never becomes the baseline of later nights.

    Args:
        places: where everything is.
        measured: measures the grid of a config file into the folder that the file names.

    Raises:
        Busy: another night is under way.
        NightError: it measured nothing or too little, also where suspects were to be measured again.
        WatchError: config, thresholds or history cannot be used.
    """
    with one_night(places.history):
        thresholds, grid = load_thresholds(places.thresholds), read_grid(places.config)
        history = read_history(places.history)
        folder = _new_folder(places.folder)
        night = _measured(folder, "grid", whole(grid, folder / "grid"), measured, thresholds)
        ledger = Ledger(history.records)
        judgement, verdict = enter(places.history, ledger, night, thresholds)
        try:
            if verdict.open:
                again = _again(folder, grid, night, owed(night, verdict), measured, thresholds)
                verdict = decide(ledger, night, verdict, again, thresholds)
                append_record(places.history, verdict)
        finally:
            notes = notes_on(ledger, night, history.left_out)
            _tell(places, folder, summary(night, judgement, verdict, notes))
            write_trend(read_history(places.history), thresholds, folder / "trend.html")
        return night, verdict


def enter(history: Path, ledger: Ledger, night: Night, thresholds: Thresholds) -> tuple[Judgement, Verdict]:
    """Append a night with its verdict as it stands before anything is measured again.

    Args:
        history: the file.
        ledger: what it holds, without this night.
        night: the night.
        thresholds: what is clear and what is relevant.

    Raises:
        NightError: the night measured too little to be judged; it is in the history all the same.
    """
    if night.short is not None:
        append_record(history, night)
        raise NightError(night.short)
    judgement = judge(ledger, night, thresholds)
    verdict = undecided(night, judgement)
    append_record(history, msgspec.structs.replace(night, verdict=verdict))
    return judgement, verdict


def summary_of(results: Path, thresholds: Thresholds) -> Night:
    """Summarise a results folder.

    Raises:
        NightError: it holds no measured block, or blocks of more than one night.
    """
    try:
        loaded = load_results(results)
        return summarise(loaded, build_tables(loaded), thresholds.ok_share)
    except NothingToReport as error:
        raise NightError(f"The night measured nothing. {error}") from error


def second_values(night: Night, again: Night, findings: Sequence[Finding]) -> dict[Series, Value]:
    """Return what the suspects of a night were measured to be the second time.

    Raises:
        NightError: it is the night itself, other code, other hosts or another config measured them, or nothing did.
    """
    if again.id == night.id:
        raise NightError("That is the night itself, not a second measurement: name the folder that was measured since.")
    if again.commit != night.commit:
        raise NightError(
            f"Suspects were measured again by commit {again.commit}, the night by {night.commit}: that says nothing. "
            "Let nobody change the checkout during a night."
        )
    blocks = blocks_again(night, findings)
    there = [block for block in blocks if block in again.blocks]
    unlike = [block for block in there if again.blocks[block] != night.blocks[block]]
    if unlike or (again.protocol, host_class(again.hosts)) != (night.protocol, host_class(night.hosts)):
        what = f"another config ({', '.join(unlike)})" if unlike else "another protocol, or on another class of hosts,"
        raise NightError(
            f"Suspects were measured again by {what} than the night: that says nothing. Use the night's own."
        )
    series = {finding.series for finding in findings}
    found = {value.series: value for value in again.values if value.series in series}
    if not found:
        raise NightError(
            f"The second measurement has no number of any suspect; it has to measure {', '.join(blocks)}. "
            "Measure these again; the suspects go on waiting."
        )
    return found


def blocks_again(night: Night, findings: Sequence[Finding]) -> list[str]:
    """Return the blocks to be measured again for these findings, in the order of the night's."""
    wanted = {block for finding in findings for block in finding.series.blocks(night.blocks)}
    return [block for block in night.blocks if block in wanted]


def _again(
    folder: Path,
    grid: dict[str, Any],
    night: Night,
    suspects: Sequence[Finding],
    measured: Callable[[Path], None],
    thresholds: Thresholds,
) -> dict[Series, Value]:
    blocks = blocks_again(night, suspects)
    found = f"{text.plural(len(suspects), 'suspect')}, measuring again: {', '.join(blocks)}"
    print(f"night: {found}", file=sys.stderr, flush=True)
    again = _measured(folder, "again", only(grid, blocks, folder / "again"), measured, thresholds)
    return second_values(night, again, suspects)


def _measured(
    folder: Path, name: str, grid: Mapping[str, Any], measured: Callable[[Path], None], thresholds: Thresholds
) -> Night:
    config = folder / f"{name}.yaml"
    write_whole(config, yaml.safe_dump(dict(grid), sort_keys=False).encode())
    measured(config)
    return summary_of(folder / name, thresholds)


def _new_folder(parent: Path) -> Path:
    """Make the night's folder, named by its moment; a clock that was set back gets a number behind it."""
    name = f"{datetime.now(UTC):%Y-%m-%dT%H%MZ}"
    for attempt in range(1, 1000):
        folder = parent / (name if attempt == 1 else f"{name}-{attempt}")
        if not folder.exists():
            folder.mkdir(parents=True)
            _point_to(folder, parent / "latest")
            return folder
    raise NightError(f"{parent} holds a thousand nights of {name}: set the clock, or name another folder.")


def _point_to(folder: Path, link: Path) -> None:
    """Make a link lead to the night, without a moment in which it leads nowhere."""
    part = link.with_name(f"{link.name}.part")
    part.unlink(missing_ok=True)
    part.symlink_to(folder.name)
    part.replace(link)


def _tell(places: Places, folder: Path, said: str) -> None:
    print(said)
    write_whole(folder / "summary.md", said.encode())
    if places.summary is not None:
        with places.summary.open("a", encoding="utf-8") as file:
            file.write(said)


def _run(command: Sequence[str]) -> int:
    try:
        process = subprocess.Popen(command)
    except FileNotFoundError as error:
        raise StepFailed(
            f"`{command[0]}` is not on the PATH: nothing was measured. Use make nightly, or put .venv/bin on it."
        ) from error
    with process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()  # a night that is called off takes its grid with it
            raise
