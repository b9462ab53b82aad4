"""Which numbers of a night are suspects, and what their second measurement makes of them. Pure."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from report.watch.compared import compare
from report.watch.ledger import Mark
from report.watch.records import Finding, Kind, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from report.watch.compared import Compared
    from report.watch.ledger import Ledger
    from report.watch.records import Night, Series, Value
    from report.watch.thresholds import Thresholds


@dataclass(frozen=True)
class Judgement:
    """A night before anything is measured again. `compared` counts series, `learning` those with too few like nights.

    `borne_out` are suspects that cannot be measured again and were waiting since the night before.
    """

    suspects: tuple[Finding, ...]
    standing: tuple[Finding, ...]
    borne_out: tuple[Finding, ...]
    waiting: tuple[Finding, ...]
    better: tuple[Finding, ...]
    compared: int
    learning: int


def judge(ledger: Ledger, night: Night, thresholds: Thresholds) -> Judgement:
    """Compare a night with those in the ledger, which does not hold it yet."""
    rows = compare(ledger, night, night.values, thresholds)
    standing = [row for row in rows if row.stands]
    others = [row for row in rows if not row.stands]
    level = thresholds.suspects_per_night / len(Kind)
    worse: list[Compared] = []
    better: list[Compared] = []
    for _, of_kind in itertools.groupby(sorted(others, key=_kind), key=_kind):
        members = list(of_kind)
        worse += _relevant(_clear(members, [row.p_worse for row in members], level))
        better += _relevant(_clear(members, [row.p_better for row in members], level))
    alone = [row for row in worse if not row.value.series.blocks(night.blocks)]
    waited = [row for row in alone if row.seen[-1].mark is Mark.WAITING]
    return Judgement(
        suspects=_findings(night, (row for row in worse if row not in alone)),
        standing=_findings(night, standing),
        borne_out=_findings(night, waited),
        waiting=_findings(night, (row for row in alone if row not in waited)),
        better=_findings(night, better),
        compared=len(rows),
        learning=len(night.values) - len(rows),
    )


def undecided(night: Night, judgement: Judgement) -> Verdict:
    """Return the verdict as it stands until the suspects, where there are any, are measured again."""
    return Verdict(
        night.id,
        alarms=judgement.borne_out,
        standing=judgement.standing,
        waiting=judgement.suspects + judgement.waiting,
        better=judgement.better,
        open=bool(judgement.suspects),
    )


def fails(night: Night, verdict: Verdict) -> bool:
    """Say whether a night has an alarm, or a suspect that could have been measured again and was not."""
    return bool(verdict.alarms or verdict.standing or owed(night, verdict))


def owed(night: Night, verdict: Verdict) -> tuple[Finding, ...]:
    """Return the suspects that wait and can be measured again."""
    return tuple(finding for finding in verdict.waiting if finding.series.blocks(night.blocks))


def decide(
    ledger: Ledger, night: Night, verdict: Verdict, again: Mapping[Series, Value], thresholds: Thresholds
) -> Verdict:
    """Return what becomes of an open verdict by its suspects' second measurement.

    The suspects are those that the verdict names, whatever the thresholds are by now. Those that the measurement lacks
    go on waiting, and while there are any the verdict stays open.
    """
    suspects = {finding.series: finding for finding in owed(night, verdict)}
    seconds = compare(ledger, night, [again[series] for series in suspects if series in again], thresholds)
    p_values = [row.p_of_night if row.is_same_way(suspects[row.value.series]) else 1.0 for row in seconds]
    borne_out = _relevant(_clear(seconds, p_values, thresholds.alarms_per_recheck))
    measured = {
        row.value.series: msgspec.structs.replace(suspects[row.value.series], again=row.value.median) for row in seconds
    }
    alarms = tuple(measured[row.value.series] for row in borne_out)
    refuted = tuple(finding for finding in measured.values() if finding not in alarms)
    return Verdict(
        night.id,
        alarms=alarms + verdict.alarms,
        standing=verdict.standing,
        refuted=refuted + verdict.refuted,
        waiting=tuple(finding for finding in verdict.waiting if finding.series not in measured),
        better=verdict.better,
        open=not suspects.keys() <= measured.keys(),
    )


def clear_ones(p_values: Sequence[float], level: float) -> list[bool]:
    """Say which of many p-values are clear, by Benjamini and Hochberg's (1995) step-up procedure.

    If nothing changed, any of them is with a probability of at most `level`, however many there are. Where much
    changed, a change need not be as clear as if it were the only one.
    """
    ordered = sorted(p_values)
    passing = [p for rank, p in enumerate(ordered, start=1) if p <= level * rank / len(ordered)]
    return [p <= passing[-1] for p in p_values] if passing else [False] * len(p_values)


def _clear(rows: Sequence[Compared], p_values: Sequence[float], level: float) -> list[Compared]:
    return list(itertools.compress(rows, clear_ones(p_values, level)))


def _relevant(rows: Iterable[Compared]) -> list[Compared]:
    return [row for row in rows if row.matters]


def _kind(row: Compared) -> str:
    return row.value.series.kind.value


def _findings(night: Night, rows: Iterable[Compared]) -> tuple[Finding, ...]:
    return tuple(_finding(night, row) for row in rows)


def _finding(night: Night, row: Compared) -> Finding:
    changed = row.changed_before
    before = row.seen[: len(row.seen) - len(changed)]
    return Finding(
        series=row.value.series,
        value=row.value.median,
        expected=row.expected,
        p=min(row.p_worse, row.p_better),
        nights=row.baseline.nights,
        since=(changed[0].night if changed else night).commit,
        last_good=before[-1].night.commit if before else "",
    )
