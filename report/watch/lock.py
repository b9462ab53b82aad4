"""One night at a time: a lock that the kernel takes back, however its holder ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from report.watch.errors import Busy, HistoryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def one_night(history: Path) -> Iterator[None]:
    """Hold the lock beside a history.

    Raises:
        Busy: another night holds it; says who and since when.
        HistoryError: there can be no lock there.
    """
    path = history.with_name(f"{history.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise HistoryError(f"The lock {path} cannot be made: {error.strerror}. Name another --history.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "somebody"
            raise Busy(f"Another night is under way with {history}: {holder}. Wait for it, or end it.") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
        file.flush()
        yield
