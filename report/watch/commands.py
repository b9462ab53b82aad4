"""What each command of ``python -m report.watch`` does; all return an exit status and raise `ReportError`."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from report import text
from report.errors import NothingToReport, ReportError
from report.files import write_whole
from report.load import load_results
from report.noise import FEWEST_BLOCKS
from report.tables import build_tables
from report.watch.errors import HistoryError, NightError
from report.watch.grids import only, read_grid
from report.watch.history import append_record, read_history
from report.watch.judge import decide, fails, judge, owed, undecided
from report.watch.ledger import Ledger, Mark
from report.watch.measures import samples, strategy_of
from report.watch.night import Places, blocks_again, enter, measure, run_night, second_values, summary_of
from report.watch.records import Acceptance, Night
from report.watch.rehearsal import CHANGES, Rehearsal, nights_until_found
from report.watch.sides import compare_sides
from report.watch.thresholds import load_thresholds
from report.watch.trend import write_trend
from report.watch.words import comparison, notes_on, summary

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from report.watch.history import History
    from report.watch.records import Finding, Series, Value, Verdict
    from report.watch.thresholds import Thresholds

FINE, ALARM, UNUSABLE, TOO_LITTLE, BUSY = range(5)


def night(arguments: Namespace) -> int:
    """Measure and judge a night."""
    signal.signal(signal.SIGTERM, _called_off)
    grid = read_grid(arguments.config)
    folder = Path(str(grid.get("results", "results/nightly")))
    history = arguments.history or folder / "history.jsonl"
    places = Places(arguments.config, arguments.thresholds, history, folder, arguments.summary)
    try:
        found, verdict = run_night(places, measure)
    except ReportError as error:
        if arguments.summary is not None:
            with arguments.summary.open("a", encoding="utf-8") as file:
                file.write(f"## The night fails\n\n{error}\n")
        raise
    return _status(found, verdict)


def append(arguments: Namespace) -> int:
    """Append a results folder's summary to the history; its suspects, if any, wait to be measured again."""
    thresholds = load_thresholds(arguments.thresholds)
    found = summary_of(arguments.results, thresholds)
    history = read_history(arguments.history)
    if any(known.id == found.id for known in history.nights):
        print(f"The night in {arguments.results} is in {arguments.history} already: nothing appended.")
        return TOO_LITTLE if _say(found.short) else FINE
    enter(arguments.history, Ledger(history.records), found, thresholds)
    print(f"Appended to {arguments.history}: {text.plural(len(found.values), 'number')}, commit {found.commit}")
    return TOO_LITTLE if found.missing else FINE


def check(arguments: Namespace) -> int:
    """Judge the last night; say what its suspects are, and write the config that measures them again."""
    thresholds, history = load_thresholds(arguments.thresholds), read_history(arguments.history)
    ledger, last = _before_last(history)
    judgement = judge(ledger, last, thresholds)
    verdict = history.verdict_on(last) or undecided(last, judgement)
    print(summary(last, judgement, verdict, notes_on(ledger, last, history.left_out)))
    if verdict.open and arguments.again is not None:
        grid = only(
            read_grid(arguments.config), blocks_again(last, owed(last, verdict)), arguments.again.with_suffix("")
        )
        write_whole(arguments.again, yaml.safe_dump(grid, sort_keys=False).encode())
        print(
            f"Measure the suspects again: make reproduce CONFIG={arguments.again}; "
            f"then: python -m report.watch confirm --results {arguments.again.with_suffix('')}"
        )
    return _status(last, verdict)


def confirm(arguments: Namespace) -> int:
    """Append the verdict on the last night, given the second measurement of its suspects."""
    thresholds, history = load_thresholds(arguments.thresholds), read_history(arguments.history)
    ledger, last = _before_last(history)
    judgement = judge(ledger, last, thresholds)
    known = history.verdict_on(last) or undecided(last, judgement)
    if not known.open:
        raise HistoryError(f"The last night ({last.started_utc}) has its verdict already: there is nothing to confirm.")
    verdict = decide(ledger, last, known, _second(arguments, last, owed(last, known), thresholds), thresholds)
    append_record(arguments.history, verdict)
    print(summary(last, judgement, verdict, notes_on(ledger, last, history.left_out)))
    return _status(last, verdict)


def accept(arguments: Namespace) -> int:
    """Take the level of standing alarms for the new normal one."""
    ledger = Ledger(read_history(arguments.history).records)
    standing = [series for series, seen in ledger.series.items() if seen and seen[-1].mark is Mark.ALARM]
    chosen = [series for series in standing if arguments.only in series.text]
    if not chosen:
        raise HistoryError(
            f"No standing alarm has {arguments.only!r} in its name. There are: {_listed(one.text for one in standing)}"
            if arguments.only
            else "No alarm is standing: there is nothing to accept."
        )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    append_record(arguments.history, Acceptance(now, arguments.note, tuple(chosen)))
    print("\n".join(f"accepted: {series.text}" for series in chosen))
    return FINE


def trend(arguments: Namespace) -> int:
    """Render the trend page."""
    write_trend(read_history(arguments.history), load_thresholds(arguments.thresholds), arguments.out)
    print(f"The trend page is {arguments.out}")
    return FINE


def compare(arguments: Namespace) -> int:
    """Say what differs between two results folders, clearly and relevantly."""
    thresholds = load_thresholds(arguments.thresholds)
    sides = [load_results(folder) for folder in (arguments.first, arguments.second)]
    tables = [build_tables(side) for side in sides]
    first, second = (samples(side, made) for side, made in zip(sides, tables, strict=True))
    machine = [made.machine.deviation if made.machine else None for made in tables]
    found = compare_sides(first, second, thresholds, [deviation or 0.0 for deviation in machine])
    if not found.pairs:
        raise NothingToReport(
            f"{arguments.first} and {arguments.second} have no series in common: there is nothing to compare. "
            "Name two results of the same models and strategies."
        )
    print(comparison(found, *(side.distinct[0].record for side in sides)))
    unknown = f"nobody knows how much (it takes {FEWEST_BLOCKS} blocks to tell)"
    said = [unknown if one is None else text.percent(one) for one in machine]
    print(f"\nFrom block to block the machine differed by {text.listing(said)}.")
    return ALARM if found.differing else FINE


def rehearse(arguments: Namespace) -> int:
    """Simulate nights from the spread of a real one: count false alarms, and nights until a change is found."""
    thresholds = load_thresholds(arguments.thresholds)
    results = load_results(arguments.results)
    found = samples(results, build_tables(results))
    verdicts = Rehearsal(found, thresholds, seed=arguments.seed, shared=arguments.shared).nights(arguments.nights)
    false = sum(bool(verdict.alarms) for verdict in verdicts)
    again = sum(bool(verdict.alarms or verdict.refuted) for verdict in verdicts)
    print(f"{len(verdicts)} unchanged nights: {false} with a false alarm, {again} that measured something again")
    for name, change in CHANGES:
        for strategy in sorted({strategy_of(sample.series.of) for sample in found if "/" in sample.series.of}):
            of_one = change.of_strategy(strategy)
            trials = [
                nights_until_found(
                    Rehearsal(found, thresholds, seed=seed, shared=arguments.shared), of_one, arguments.patience
                )
                for seed in range(arguments.trials if of_one.matters(found, thresholds) else 0)
            ]
            print(f"{name}, {strategy}: {_found(trials, arguments.patience)}")
    return FINE


def _found(nights: Sequence[int | None], patience: int) -> str:
    """Return how many trials found a change, and in which night from the change on; None stands for not at all."""
    if not nights:
        return "not relevant by these thresholds"
    counts = sorted(Counter(night for night in nights if night is not None).items())
    said = [f"{count} in night {night}" for night, count in counts]
    missed = nights.count(None)
    return f"of {len(nights)}: " + ", ".join([*said, *([f"{missed} not within {patience}"] if missed else [])])


def _second(
    arguments: Namespace, last: Night, suspects: Sequence[Finding], thresholds: Thresholds
) -> dict[Series, Value]:
    if arguments.results is None:
        raise NightError(
            f"The last night has {text.plural(len(suspects), 'suspect')} to be measured again first: "
            "python -m report.watch check --again FILE writes the config for it. Then name its folder with --results."
        )
    return second_values(last, summary_of(arguments.results, thresholds), suspects)


def _before_last(history: History) -> tuple[Ledger, Night]:
    """Return what was known before the last night, and that night."""
    places = [place for place, record in enumerate(history.records) if isinstance(record, Night)]
    if not places:
        raise HistoryError("The history holds no night yet. Append one first: make nightly")
    last = history.nights[-1]
    if last.short is not None:
        raise NightError(last.short)
    return Ledger(history.records[: places[-1]]), last


def _status(found: Night, verdict: Verdict) -> int:
    if fails(found, verdict):
        return ALARM
    return TOO_LITTLE if found.missing else FINE


def _say(trouble: str | None) -> bool:
    if trouble is not None:
        print(trouble, file=sys.stderr)
    return trouble is not None


def _listed(names: Any) -> str:
    return "; ".join(names) or "none"


def _called_off(number: int, _frame: Any) -> NoReturn:
    sys.exit(128 + number)
