"""The trend page: every series over the nights, with what was expected and where it changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from report import text
from report.files import write_whole
from report.watch.errors import HistoryError
from report.watch.ledger import Ledger
from report.watch.likeness import host_class
from report.watch.records import GRID, Kind
from report.watch.spark import HEIGHT, WIDTH, Spark, spark
from report.watch.words import amount, change, headline, short

if TYPE_CHECKING:
    from report.watch.history import History
    from report.watch.ledger import Seen
    from report.watch.records import Finding, Night, Series
    from report.watch.thresholds import Thresholds

_TEMPLATES = (Path(__file__).with_name("templates"), Path(__file__).parents[1] / "templates")
_TITLES = {
    Kind.DOWNTIME: "Downtime",
    Kind.PART: "Parts of the downtime",
    Kind.DROPS: "Frames dropped",
    Kind.FAILURES: "Runs that are not ok",
    Kind.MEMORY: "Memory",
    Kind.CONDITION: "Conditions achieved",
    Kind.WALL_TIME: "Wall time of the grid",
}
_WHOLE = "Over all blocks"
_FOLDED = frozenset({Kind.PART, Kind.FAILURES, Kind.CONDITION})


@dataclass(frozen=True)
class Group:
    """Drawings under one heading: of a block, of a strategy, or of the grid."""

    title: str
    sparks: list[Spark]


@dataclass(frozen=True)
class Section:
    """All drawings of a kind; those that are `folded` are opened by whoever wants to see them."""

    name: str
    title: str
    folded: bool
    groups: list[Group]


def write_trend(history: History, thresholds: Thresholds, out: Path) -> None:
    """Render the page and write it.

    Raises:
        HistoryError: there is no night in the history.
        OutputError: it cannot be written there.
    """
    write_whole(out, render(history, thresholds).encode())


def render(history: History, thresholds: Thresholds) -> str:
    """Return the page.

    Raises:
        HistoryError: there is no night in the history.
    """
    nights = history.nights
    if not nights:
        raise HistoryError("The history holds no night yet: there is no trend. Append one first: make nightly")
    ledger = Ledger(history.records)
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("trend.html.j2").render(
        headline=headline(nights[-1], history.verdict_on(nights[-1])),
        facts=_facts(nights),
        left_out=history.left_out,
        alarms=_rows(history),
        sections=_sections(ledger, thresholds),
        width=WIDTH,
        height=HEIGHT,
    )


def _facts(nights: list[Night]) -> list[tuple[str, str]]:
    last = nights[-1]
    classes = {host_class(night.hosts) for night in nights}
    return [
        ("Nights", f"{len(nights)}"),
        ("From", text.moment(nights[0].started_utc)),
        ("To", text.moment(last.started_utc)),
        ("Last commit", short(last.commit)),
        ("Classes of hosts", f"{len(classes)}, the last {host_class(last.hosts)}"),
        ("Runs of the last night", f"{last.runs_measured} of {last.runs_asked}"),
    ]


def _rows(history: History) -> list[dict[str, Any]]:
    """Return a row for each alarm there has been, the newest first."""
    return [
        {
            "night": text.moment(night.started_utc),
            "what": finding.series.text,
            "expected": amount(finding.series.kind, finding.expected),
            "value": amount(finding.series.kind, finding.value),
            "change": change(finding.series.kind, finding.expected, finding.value),
            "again": _again(finding),
            "since": short(finding.since),
            "last_good": short(finding.last_good),
        }
        for night in reversed(history.nights)
        for verdict in (history.verdict_on(night),)
        if verdict is not None
        for finding in verdict.alarms
    ]


def _again(finding: Finding) -> str:
    return text.NONE if finding.again is None else amount(finding.series.kind, finding.again)


def _sections(ledger: Ledger, thresholds: Thresholds) -> list[Section]:
    by_kind: dict[Kind, dict[str, list[Spark]]] = {kind: {} for kind in Kind}
    for series, seen in sorted(ledger.series.items(), key=_order):
        title = series.of if "/" in series.of else _WHOLE
        by_kind[series.kind].setdefault(title, []).append(spark(series, seen, thresholds))
    return [
        Section(
            kind.value.replace(" ", "-"),
            _TITLES[kind],
            kind in _FOLDED,
            [Group(title, sparks) for title, sparks in groups.items()],
        )
        for kind, groups in by_kind.items()
        if groups
    ]


def _order(item: tuple[Series, list[Seen]]) -> tuple[bool, bool, str]:
    """Sort the grid and the strategies as a whole before their blocks."""
    series = item[0]
    return series.of != GRID, "/" in series.of, series.text
