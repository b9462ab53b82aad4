"""Notices, once a host, that a stored model is not what its name says: before anything is measured with it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from workers.errors import PartitionError
from workers.store import GRAPH, META, WEIGHTS, StoredModel, check_stored

if TYPE_CHECKING:
    from pathlib import Path

CHECKED = ".checked"


def check_once(folder: Path) -> StoredModel:
    """Return the description of a stored model whose files are those of its digest.

    A model that was found right is known again by its files' inodes, sizes and times: to read all of VGG-19 takes a
    second, and on a quarter of a CPU four.

    Raises:
        PartitionError: no stored model, one under another's name, or one that is damaged; says what to do.
    """
    meta, marker = StoredModel.read(folder), folder / CHECKED
    if meta.digest != folder.name:
        raise PartitionError(
            f"stored model {folder} is another one: its description is that of {meta.digest[:12]}. "
            "Remove the folder; the next run copies it again."
        )
    state = state_of(folder)
    with suppress(OSError):
        if marker.read_text() == state:
            return meta
    check_stored(folder)
    with suppress(OSError):  # a folder that cannot be written to is read again next time
        marker.write_text(state)
    return meta


def state_of(folder: Path) -> str:
    """Return by what the files of a stored model are known again: inodes, sizes and times.

    Raises:
        OSError: one of them is missing.
    """
    found = (file.stat() for file in (folder / name for name in (GRAPH, META, WEIGHTS)))
    return "\n".join(f"{one.st_ino} {one.st_size} {one.st_mtime_ns} {one.st_ctime_ns}" for one in found)
