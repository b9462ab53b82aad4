"""Writing results so that a reader sees the old file or the new one, never half of it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from report.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place, then move it there; its folder is made where it is missing.

    Raises:
        OutputError: it cannot be written there. Nothing of it is left.
    """
    if path.is_dir():
        raise OutputError(f"Cannot write {path}: it is a folder. Name a file, or move the folder away.")
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise OutputError(
            f"Cannot write {path}: {error.strerror} ({error.filename}). Make room there or name another place."
        ) from error
