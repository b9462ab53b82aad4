"""The door for JSON from outside: whatever cannot be shown or computed with is refused or made harmless here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

Wanted = TypeVar("Wanted")

DEEPEST = 32  # levels of nesting; our own records have six
LARGEST = 1e15  # of a float, in any unit: beyond it sums and squares of measurements stop making sense
_TOO_DEEP = f"nested more than {DEEPEST} levels deep"
_INT64 = 2**63  # what tables can hold
# Control characters but tab and newline, overrides of the writing direction, lone surrogates, noncharacters.
_UNSHOWABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


class UndecodableError(Exception):
    """Input that cannot be read as what it should be; the text is the cause alone."""


def clean(text: str) -> str:
    """Replace characters that HTML and SVG forbid, or that reorder the text around them, by U+FFFD."""
    return _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def read(path: Path) -> bytes:
    """Return what a file holds.

    Raises:
        UndecodableError: it is a folder, may not be read, or is not there.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UndecodableError(error.strerror or str(error)) from error


def decode(data: bytes, wanted: type[Wanted]) -> Wanted:
    """Decode JSON, its texts cleaned and its numbers within what the report can compute with.

    Raises:
        UndecodableError: it is no JSON, of another shape, nested too deeply, or holds a number out of range.
    """
    try:
        return msgspec.convert(_sound(msgspec.json.decode(data), DEEPEST), wanted, str_keys=True)
    except RecursionError as error:
        raise UndecodableError(_TOO_DEEP) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UndecodableError(clean(str(error))) from error


def _sound(value: Any, levels: int) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        raise UndecodableError("a whole number does not fit into 64 bits")
    if isinstance(value, float) and abs(value) > LARGEST:
        raise UndecodableError(f"the number {value:g} is out of range (±{LARGEST:g})")
    if not isinstance(value, dict | list):
        return value
    if not levels:
        raise UndecodableError(_TOO_DEEP)
    if isinstance(value, list):
        return [_sound(item, levels - 1) for item in value]
    return {clean(key): _sound(item, levels - 1) for key, item in value.items()}
