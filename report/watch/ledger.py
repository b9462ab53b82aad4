"""The history as series: what each has been, on which level, and which nights are a baseline."""

from __future__ import annotations

import enum
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from report.watch.likeness import Likeness
from report.watch.records import Acceptance, Night, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from report.watch.records import Finding, Record, Series, Value


class Mark(enum.Enum):
    """What the verdict said of a series in a night."""

    PLAIN = "as expected"
    ALARM = "alarm"
    REFUTED = "refuted"
    WAITING = "waiting"
    BETTER = "better"


@dataclass
class Seen:
    """A series in a night. Nights on one `level` belong together; only `PLAIN` ones are a baseline."""

    night: Night
    value: Value
    level: int
    mark: Mark = Mark.PLAIN


class Ledger:
    """Folds the records of a history, in their order, into one list of nights a series and class."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.nights: list[Night] = []
        self._seen: defaultdict[tuple[Series, str], list[Seen]] = defaultdict(list)
        self._latest: dict[Series, list[Seen]] = {}  # of the class that the last night had
        self._open: Verdict | None = None  # the last verdict, where it was open
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Take the next record in; a night that is too short is known, but no baseline."""
        if isinstance(record, Night):
            self._add_night(record)
        elif isinstance(record, Verdict):
            self._add_verdict(record)
        else:
            self._accept(record)

    def before(self, series: Series, likeness: str) -> list[Seen]:
        """Return all nights of a series in a class, oldest first."""
        return self._seen.get((series, likeness), [])

    @property
    def series(self) -> dict[Series, list[Seen]]:
        """Every series with its nights in the class that it was last seen in."""
        return self._latest

    def _add_night(self, night: Night) -> None:
        self.nights.append(night)
        if night.short is not None:
            return
        likeness = Likeness(night)
        for value in night.values:
            seen = self._seen[value.series, likeness.of(value.series)]
            seen.append(Seen(night, value, seen[-1].level if seen else 0))
            self._latest[value.series] = seen
        if night.verdict is not None:
            self._add_verdict(night.verdict)

    def _add_verdict(self, verdict: Verdict) -> None:
        marked: tuple[tuple[Mark, tuple[Finding, ...]], ...] = (
            (Mark.ALARM, verdict.alarms + verdict.standing),
            (Mark.REFUTED, verdict.refuted),
            (Mark.WAITING, verdict.waiting),
            (Mark.BETTER, verdict.better),
        )
        settled = self._settled_before(verdict)
        self._open = verdict if verdict.open else None
        for mark, findings in marked:
            for finding in findings:
                seen = self._latest.get(finding.series, [])
                if seen and seen[-1].night.id == verdict.night and finding.series not in settled:
                    seen[-1].mark = mark
                    _settle_if_held(seen)

    def _settled_before(self, verdict: Verdict) -> frozenset[Series]:
        """Return what the open verdict on the same night has marked for good; it may have been accepted since."""
        if self._open is None or self._open.night != verdict.night:
            return frozenset()
        marked = (self._open.alarms, self._open.standing, self._open.refuted, self._open.better)
        return frozenset(one.series for findings in marked for one in findings)

    def _accept(self, acceptance: Acceptance) -> None:
        for series, seen in self._latest.items():
            if not acceptance.series or series in acceptance.series:
                _raise_level(seen, _trailing(seen, Mark.ALARM))


def _settle_if_held(seen: list[Seen]) -> None:
    """Make a level of its own of two better nights in a row: what got better must not hide what gets worse again."""
    held = _trailing(seen, Mark.BETTER)
    if len(held) > 1:
        _raise_level(seen, held)


def _trailing(seen: list[Seen], mark: Mark) -> list[Seen]:
    """Return the nights at the end that all have this mark."""
    first = len(seen)
    while first and seen[first - 1].mark is mark:
        first -= 1
    return seen[first:]


def _raise_level(seen: list[Seen], nights: list[Seen]) -> None:
    level = max((one.level for one in seen), default=0) + 1
    for one in nights:
        one.level, one.mark = level, Mark.PLAIN
