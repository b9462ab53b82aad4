"""Keeps TensorFlow's informational notes off stderr, which no setting of its own does."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NOTE = re.compile(rb"I\d{4} |WARNING: All log messages before absl::InitializeLog\(\)")


@contextlib.contextmanager
def without_notes() -> Iterator[None]:
    """Hold back what this process writes to stderr, C++ too; at the end all but the notes comes out."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            held.seek(0)
            with os.fdopen(stderr, "wb") as out:
                out.writelines(other_than_notes(held))


def other_than_notes(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines that are no notes of TensorFlow's."""
    return (line for line in lines if not _NOTE.match(line))
