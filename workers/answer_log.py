"""The logits of every answer of a session, in a file of their own: kept on request, where answers are to be compared.

A record is a head of 16 bytes (run, frame, point, count; little-endian) and `count` float32 values. A last record cut
short by a kill is left out.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

NAME = "edge-answers.bin"
_HEAD = struct.Struct("<IIII")
_ITEM_BYTES = 4


class Answer(NamedTuple):
    """One answer: which frame it is for, the cut that the frame went through, and the logits."""

    run: int
    frame: int
    point: int
    logits: NDArray[np.float32]


class AnswerLog:
    """Appends answers to a file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")

    def write(self, answer: Answer) -> None:
        """Append one answer."""
        logits = np.ascontiguousarray(answer.logits, dtype="<f4").reshape(-1)
        self._file.write(_HEAD.pack(answer.run, answer.frame, answer.point, logits.size))
        self._file.write(logits.data)

    def close(self) -> None:
        """Write out what is buffered and close the file."""
        self._file.close()


def read_answers(path: Path) -> Iterator[Answer]:
    """Yield the answers of a file in their order."""
    data = memoryview(path.read_bytes())
    at = 0
    while at + _HEAD.size <= len(data):
        run, frame, point, count = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + count * _ITEM_BYTES
        if end > len(data):
            return
        yield Answer(run, frame, point, np.frombuffer(data[at + _HEAD.size : end], dtype="<f4"))
        at = end
