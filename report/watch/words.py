"""What a night found, in words: the summary that a person or a CI's page shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from report import text
from report.watch.judge import owed
from report.watch.likeness import class_facts, differences, environment, host_class
from report.watch.records import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from report.watch.judge import Judgement
    from report.watch.ledger import Ledger
    from report.watch.records import Finding, Night, Value, Verdict
    from report.watch.sides import Comparison, Pair
    from workers.records import BlockRecord

MOST_ROWS = 30
_UNITS = {
    Kind.DROPS: "%",
    Kind.FAILURES: "%",
    Kind.CONDITION: "%",
    Kind.MEMORY: "MB",
}
_POINTS = frozenset({Kind.DROPS, Kind.FAILURES, Kind.CONDITION})
_COMMIT_DIGITS = 10


def headline(night: Night, verdict: Verdict | None) -> str:
    """Say in one line which night it was and how it ended."""
    outcome = "fails" if night.short is not None or verdict is None else _outcome(night, verdict)
    dirty = " with uncommitted changes" if night.dirty else ""
    return f"Night of {text.moment(night.started_utc)} UTC, commit {short(night.commit)}{dirty}: {outcome}"


def summary(night: Night, judgement: Judgement, verdict: Verdict, notes: Sequence[str]) -> str:
    """Return the summary of a judged night in Markdown that reads as text, too."""
    lines = [f"## {headline(night, verdict)}", "", _extent(night, judgement)]
    suspects = owed(night, verdict)
    others = tuple(finding for finding in verdict.waiting if finding not in suspects)
    for title, findings in (
        ("Alarms: worse, and a second measurement bears it out", verdict.alarms),
        ("Standing alarms: worse since an earlier night", verdict.standing),
        ("Refuted: a second measurement did not bear it out", verdict.refuted),
        ("Waiting: to be measured again, until when the night fails", suspects),
        ("Waiting: nothing of it can be measured again; an alarm if the next night has it, too", others),
        ("Better than expected", verdict.better),
    ):
        lines += _table(title, findings)
    if night.missing:
        lines += ["", "### Not measured", "", *(f"- {block}" for block in night.missing)]
    if verdict.standing:
        lines += ["", "A level that is to stay is accepted with: python -m report.watch accept --note WHY"]
    return "\n".join([*lines, *(["", *(f"- {note}" for note in notes)] if notes else []), ""])


def notes_on(ledger: Ledger, night: Night, left_out: Sequence[str]) -> list[str]:
    """Say what a reader has to know beside the numbers: new classes, updates, clocks, lines that are left out.

    `ledger` holds the nights before this one.
    """
    notes = list(left_out)
    before = ledger.nights[-1] if ledger.nights else None
    if before is None:
        return [*notes, "The history begins with this night."]
    if night.started_utc < before.started_utc:
        notes.append(
            f"The clock runs backwards: the night before began at {text.moment(before.started_utc)} UTC. "
            "Nights count in the order of the history."
        )
    if host_class(before.hosts) != host_class(night.hosts):
        known = sum(host_class(one.hosts) == host_class(night.hosts) for one in ledger.nights)
        notes.append(
            f"Another class of hosts than the night before ({'; '.join(differences(before.hosts, night.hosts))}): "
            f"compared with the {text.plural(known, 'earlier night')} of its own class."
        )
    elif changes := differences(before.environment, night.environment):
        notes.append(f"Updated since the night before: {'; '.join(changes)}.")
    return notes + _config_notes(before, night)


def comparison(found: Comparison, first: BlockRecord, second: BlockRecord) -> str:
    """Say which series of two results folders differ, and what else does; the records are one of each folder."""
    lines = [
        f"{text.plural(len(found.pairs), 'series', 'series')} compared: {len(found.differing)} differ",
        f"commits {short(first.commit)} and {short(second.commit)}",
    ]
    facts = differences(class_facts(first) | environment(first), class_facts(second) | environment(second))
    lines += [f"hosts: {'; '.join(facts)}"] if facts else []
    if found.alone:
        lines.append(f"only in one of them: {_few([series.text for series in found.alone])}")
    lines += _pairs_table("Differ", found.differing)
    downtimes = [pair for pair in found.pairs if pair.series.kind is Kind.DOWNTIME]
    return "\n".join([*lines, *_pairs_table("All downtimes", downtimes)])


def _pairs_table(title: str, pairs: Sequence[Pair]) -> list[str]:
    if not pairs:
        return []
    lines = ["", f"### {title}", "", "| what | first | second | change | p |", "| --- | --- | --- | --- | --- |"]
    for pair in pairs:
        kind = pair.series.kind
        sides = [_side(kind, side) for side in (pair.first, pair.second)]
        changed = change(kind, pair.first.median, pair.second.median)
        lines.append(f"| {' | '.join([pair.series.text, *sides, changed, f'{pair.p:.1g}'])} |")
    return lines


def _side(kind: Kind, value: Value) -> str:
    ends = (
        "" if value.low is None or value.high is None else f" [{amount(kind, value.low)}, {amount(kind, value.high)}]"
    )
    return f"{amount(kind, value.median)}{ends} (n = {value.n})"


def amount(kind: Kind, value: float) -> str:
    """Return a value with its unit."""
    if kind in (Kind.DOWNTIME, Kind.PART):
        return text.duration(value)
    if kind is Kind.WALL_TIME:
        return text.wall_time(value)
    return f"{text.digits(value)}{text.SPACE}{_UNITS[kind]}"


def change(kind: Kind, before: float, after: float) -> str:
    """Say how much a number changed: in points where it is a percentage, else in per cent."""
    if kind in _POINTS:
        return f"{after - before:+.1f} points"
    return f"{100 * (after / before - 1):+.0f}{text.SPACE}%" if before else "from 0"


def short(commit: str) -> str:
    """Return the commit as one writes it."""
    return commit[:_COMMIT_DIGITS]


def _extent(night: Night, judgement: Judgement) -> str:
    learning = f", {judgement.learning} have too few like nights yet" if judgement.learning else ""
    return (
        f"{text.plural(judgement.compared, 'series', 'series')} compared with like nights{learning}. "
        f"{night.runs_measured} of {text.plural(night.runs_asked, 'run')} gave a result. "
        f"Class of hosts: {host_class(night.hosts)}."
    )


def _outcome(night: Night, verdict: Verdict) -> str:
    counts = [
        (len(verdict.alarms), "alarm", "alarms"),
        (len(verdict.standing), "standing alarm", "standing alarms"),
        (len(verdict.waiting), "waiting suspect", "waiting suspects"),
        (len(night.missing), "block not measured", "blocks not measured"),
    ]
    found = [text.plural(count, one, many) for count, one, many in counts if count]
    return text.listing(found) if found else "nothing got worse"


def _table(title: str, findings: Sequence[Finding]) -> list[str]:
    if not findings:
        return []
    rows = sorted(findings, key=lambda finding: (list(Kind).index(finding.series.kind), finding.p))
    lines = ["", f"### {title}", "", "| what | expected | tonight | change | again | since | last as expected |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    lines += [_row(finding) for finding in rows[:MOST_ROWS]]
    more = len(rows) - MOST_ROWS
    return [*lines, "", f"and {more} more: see the trend page"] if more > 0 else lines


def _row(finding: Finding) -> str:
    kind = finding.series.kind
    again = text.NONE if finding.again is None else amount(kind, finding.again)
    cells = [
        finding.series.text,
        f"{amount(kind, finding.expected)} (n = {finding.nights})",
        amount(kind, finding.value),
        change(kind, finding.expected, finding.value),
        again,
        short(finding.since),
        short(finding.last_good),
    ]
    return f"| {' | '.join(cells)} |"


def _config_notes(before: Night, night: Night) -> list[str]:
    notes = []
    if before.protocol != night.protocol:
        notes.append(f"Protocol version {before.protocol} → {night.protocol}: all series begin anew.")
    changed = [block for block, config in night.blocks.items() if before.blocks.get(block, config) != config]
    if changed:
        notes.append(
            f"Other config than the night before: the series of {text.plural(len(changed), 'block')} are compared "
            f"with nights of that config alone ({_few(changed)})."
        )
    new = sorted(night.blocks.keys() - before.blocks.keys())
    gone = sorted(before.blocks.keys() - night.blocks.keys())
    notes += [f"Blocks that the night before did not have: {_few(new)}."] if new else []
    return notes + ([f"Blocks of the night before that are missing: {_few(gone)}."] if gone else [])


def _few(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
