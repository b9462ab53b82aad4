"""A results folder -> the night's summary: who measured what, and the numbers of every series."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from report import text
from report.asked import AskedGrid
from report.errors import NothingToReport
from report.watch.errors import NightError
from report.watch.likeness import class_facts, environment
from report.watch.measures import block_name, measures
from report.watch.records import Night
from workers.records import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from report.load import Block, Results
    from report.tables import Tables

_MEASURED = (Status.OK, Status.INFEASIBLE)  # that something does not fit into memory is a result


class Extent(NamedTuple):
    """How many runs were asked for, and how many gave a result."""

    asked: int
    measured: int


def summarise(results: Results, tables: Tables, ok_share: float) -> Night:
    """Summarise a night.

    Raises:
        NothingToReport: no block can be read.
        NightError: its blocks are of several commits, protocols or classes of hosts, or nobody knows what was asked.
    """
    blocks = results.distinct
    if not blocks:
        why = results.unreadable[0].reason if results.unreadable else "there is none"
        raise NothingToReport(f"No block of {results.root} can be read: {why}")
    _check_single(results)
    first = min(blocks, key=lambda block: block.record.started_utc).record
    asked = AskedGrid.from_config(results.config)
    if asked is None:
        raise NightError(
            f"{results.root}/config.json is missing or says of no grid: what was asked for, and so what was not "
            "measured, is unknown. Copy it from where the night was measured."
        )
    extent = _extent(asked, tables)
    measured = {block_name(block.source): block.record.config_hash for block in blocks}
    return Night(
        id=_identity(blocks),
        started_utc=first.started_utc,
        commit=first.commit,
        dirty=any(block.record.dirty for block in blocks),
        protocol=first.protocol_version,
        hosts=class_facts(first),
        environment=environment(first),
        blocks=measured,
        runs_asked=extent.asked,
        runs_measured=extent.measured,
        values=measures(results, tables, asked.runs_per_block),
        short=_too_little(extent, ok_share),
        missing=tuple(name for name in map(block_name, asked.folders()) if name not in measured),
    )


def _check_single(results: Results) -> None:
    blocks = results.distinct
    for what, found in (
        ("commits", {block.record.commit for block in blocks}),
        ("protocol versions", {str(block.record.protocol_version) for block in blocks}),
        ("classes of hosts", {str(sorted(class_facts(block.record).items())) for block in blocks}),
    ):
        if len(found) > 1:
            raise NightError(
                f"{results.root} is no single night: its blocks are of {len(found)} {what}. "
                "Measure a night into a folder of its own, as make nightly does."
            )


def _extent(asked: AskedGrid, tables: Tables) -> Extent:
    statuses = tables.downtime["status"].tolist()
    measured = sum(Status(status) in _MEASURED for status in statuses)
    return Extent(len(asked.folders()) * asked.runs_per_block, measured)


def _too_little(extent: Extent, ok_share: float) -> str | None:
    if extent.measured >= ok_share * extent.asked and extent.measured:
        return None
    return (
        f"{extent.measured} of {text.plural(extent.asked, 'run')} gave a result, fewer than {text.percent(ok_share)}: "
        "the night says nothing. Its report tells why."
    )


def _identity(blocks: Sequence[Block]) -> str:
    """Return a short name that the same results always get, and others never."""
    parts = sorted(f"{block.source} {block.record.commit} {block.record.started_utc}" for block in blocks)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
