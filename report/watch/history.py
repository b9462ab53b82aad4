"""The history on disk: one record a line, appended under a lock; a line that a kill cut short harms no other."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from report.watch.errors import HistoryError
from report.watch.records import HISTORY_SCHEMA, Night, Record, Verdict

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class History:
    """The records in the order in which they were appended, and a sentence for each line that is left out."""

    records: tuple[Record, ...]
    left_out: tuple[str, ...] = ()

    @property
    def nights(self) -> list[Night]:
        """The nights among the records."""
        return [record for record in self.records if isinstance(record, Night)]

    def verdict_on(self, night: Night) -> Verdict | None:
        """Return the last verdict on a night, which is the one that counts; None where there is none."""
        verdicts = (record for record in reversed(self.records) if isinstance(record, Verdict))
        return next((verdict for verdict in verdicts if verdict.night == night.id), night.verdict)


_DECODER: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


class _Versioned(msgspec.Struct):
    schema: int


def read_history(path: Path) -> History:
    """Read a history; one that does not exist yet is empty.

    Lines of an older schema are left out, as their numbers could mean something else, and so are torn ones.

    Raises:
        HistoryError: it cannot be read, or newer code wrote to it.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return History(())
    except OSError as error:
        raise HistoryError(
            f"The history {path} cannot be read: {error.strerror}. Name another with --history."
        ) from error
    records: list[Record] = []
    left_out: list[str] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            records.append(_decoded(line, f"{path}, line {number}"))
        except _LeftOutError as error:
            left_out.append(f"{path.name}, line {number} {error}")
    return History(tuple(records), tuple(left_out))


def append_record(path: Path, record: Record) -> None:
    """Append a record as a line and wait until the disk has it.

    A torn last line is ended first, so that this one stands on its own. What cannot be written whole leaves nothing.

    Raises:
        HistoryError: it cannot be written.
    """
    line = msgspec.json.encode(record) + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_torn(file.fileno()):
                line = b"\n" + line
            _write_whole(file.fileno(), line)
    except OSError as error:
        raise HistoryError(
            f"The history {path} cannot be written: {error.strerror}. Make room there or name another with --history."
        ) from error


def _write_whole(descriptor: int, data: bytes) -> None:
    size = os.fstat(descriptor).st_size
    try:
        while data:
            data = data[os.write(descriptor, data) :]  # a disk that fills up takes a part first, and refuses the rest
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


class _LeftOutError(Exception):
    """A line that is no record of ours; the text ends the sentence "line 3 …"."""


def _decoded(line: bytes, shown: str) -> Record:
    try:
        version = msgspec.json.decode(line, type=_Versioned).schema
        if version == HISTORY_SCHEMA:
            return _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _LeftOutError(
            "is damaged, as when its writer was killed, and is left out. Append that night again from its results, or "
            "confirm it again if it was a verdict."
        ) from error
    if version > HISTORY_SCHEMA:
        raise HistoryError(
            f"{shown} was written by newer code (history schema {version}, this is {HISTORY_SCHEMA}). "
            "Use that code, or name another history with --history."
        )
    raise _LeftOutError(
        f"was written by older code (history schema {version}) and is left out: its numbers may differ."
    )


def _is_torn(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
