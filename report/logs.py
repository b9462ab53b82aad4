"""What the logs of blocks and of profiles have in common: records with a version, rows sorted by run, duplicates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from report.decode import UndecodableError, decode, read
from report.errors import SchemaError
from workers.records import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Record = TypeVar("Record", bound=msgspec.Struct)
Row = TypeVar("Row", bound=msgspec.Struct)
Grouped = dict[int, tuple[Row, ...]]


class Logged(Protocol):
    """A block or a profile: the folder that its logs lie in, and how to name it."""

    @property
    def folder(self) -> Path:
        """Where the logs are."""

    @property
    def source(self) -> str:
        """The same, relative to the results folder."""


class _Versioned(msgspec.Struct):
    schema_version: int
    commit: str = "unknown"


class _DamagedLogError(Exception):
    """A log that cannot be read; the text names file, line and cause."""


def read_record(path: Path, wanted: type[Record]) -> Record:
    """Read a ``run.json`` or ``profile.json``.

    Raises:
        UndecodableError: it cannot be read.
        SchemaError: it is of another schema version, so that its numbers could mean something else.
    """
    data = read(path)
    version = decode(data, _Versioned)
    if version.schema_version != SCHEMA_VERSION:
        raise SchemaError(
            f"{path} was written with schema version {version.schema_version}, this report reads version "
            f"{SCHEMA_VERSION}. Report it with the code that measured it (git checkout {version.commit}), "
            f"or delete {path.parent} and measure it again."
        )
    return decode(data, wanted)


def duplicates_of(found: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return which folder counts instead, by folder, for what was measured once but is found twice.

    Args:
        found: (folder that the workflow gives it, folder that it lies in) of each; the one at home counts.
    """
    pairs = sorted(found, key=lambda pair: pair[0] != pair[1])
    counting: dict[str, str] = {}
    for home, source in pairs:
        counting.setdefault(home, source)
    return {source: counting[home] for home, source in pairs if counting[home] != source}


def read_grouped(
    place: Logged, name: str, row_type: type[Row], damages: list[str], *, required: bool = False
) -> Grouped[Row]:
    """Return a log's rows by run; what is wrong with it is added to `damages`, and there are no rows then."""
    path = place.folder / name
    if not path.exists():
        if required:
            damages.append(f"{place.source}/{name} is missing")
        return {}
    try:
        rows = _read_log(path, f"{place.source}/{name}", row_type)
    except _DamagedLogError as error:
        damages.append(str(error))
        return {}
    grouped: dict[int, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.run, []).append(row)  # type: ignore[attr-defined] # every log's row has it
    return {run: tuple(members) for run, members in grouped.items()}


def _read_log(path: Path, shown: str, row_type: type[Row]) -> list[Row]:
    """Read one log; a last line without its newline was cut by a kill and is left out."""
    try:
        whole, _, _ = read(path).rpartition(b"\n")
    except UndecodableError as error:
        raise _DamagedLogError(f"{shown} cannot be read: {error}") from error
    rows: list[Row] = []
    for number, line in enumerate(whole.split(b"\n") if whole else (), start=1):
        try:
            rows.append(decode(line, row_type))
        except UndecodableError as error:
            raise _DamagedLogError(f"{shown}, line {number} is damaged: {error}") from error
    return rows
