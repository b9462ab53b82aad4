"""Notices, once a store, that a stored model is not what its name says: before it is sent or measured with."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from workers.errors import PartitionError
from workers.store import GRAPH, META, WEIGHTS, StoredModel, check_stored

CHECKED = ".checked"
COPY_AGAIN = "Remove the folder; the next run copies it again"


def check_once(folder: Path, remedy: str = COPY_AGAIN) -> StoredModel:
    """Return the description of a stored model whose files are those of its digest.

    A model that was found right is known again by its files' inodes, sizes and times: to read all of VGG-19 takes a
    second, and on a quarter of a CPU four.

    Raises:
        PartitionError: no stored model, one under another's name, or one that is damaged; the last two end with
            `remedy`.
    """
    meta = StoredModel.read(folder)
    if meta.digest != folder.name:
        raise PartitionError(
            f"stored model {folder} is another one: its description is that of {meta.digest[:12]}. {remedy}"
        )
    try:
        _check_unless_known(folder, remedy)
    except OSError as error:
        name = Path(error.filename or folder).name
        raise PartitionError(f"stored model {folder} is damaged: {name}: {error.strerror}. {remedy}") from error
    return meta


def _check_unless_known(folder: Path, remedy: str) -> None:
    state, marker = state_of(folder), folder / CHECKED
    with suppress(OSError):
        if marker.read_text() == state:
            return
    check_stored(folder, remedy)
    with suppress(OSError):  # a folder that cannot be written to is read again next time
        marker.write_text(state)


def state_of(folder: Path) -> str:
    """Return by what the files of a stored model are known again: inodes, sizes and times.

    Raises:
        OSError: one of them is missing.
    """
    found = (file.stat() for file in (folder / name for name in (GRAPH, META, WEIGHTS)))
    return "\n".join(f"{one.st_ino} {one.st_size} {one.st_mtime_ns} {one.st_ctime_ns}" for one in found)
