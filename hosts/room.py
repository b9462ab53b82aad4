"""Whether the disks have room for what a grid writes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hosts.errors import HostsError

if TYPE_CHECKING:
    from collections.abc import Sequence

MODEL_STORE = Path("~/.cache/neukonfig/models").expanduser()


class Room(NamedTuple):
    """What a folder is to take (MB), and what its disk has free."""

    folder: Path
    needed_mb: float
    free_mb: float

    @property
    def lacking_mb(self) -> float:
        """How much too small the disk is; 0 where it is not."""
        return max(0.0, self.needed_mb - self.free_mb)


def rooms(results: Path, results_mb: float, models_mb: float) -> tuple[Room, ...]:
    """Return both folders, or one with the need of both where they share a disk."""
    needs = {results: results_mb, MODEL_STORE: models_mb}
    found = {folder: _existing(folder) for folder in needs}
    if found[results].stat().st_dev == found[MODEL_STORE].stat().st_dev:
        needs = {results: sum(needs.values())}
    return tuple(
        Room(folder, needed_mb, shutil.disk_usage(found[folder]).free / 1e6) for folder, needed_mb in needs.items()
    )


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest above it that is there."""
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())


def refuse_without(found: Sequence[Room]) -> None:
    """Refuse to start where a disk cannot hold what is to come.

    Raises:
        HostsError: where, and how much is lacking.
    """
    for room in found:
        if room.lacking_mb:
            raise HostsError(
                f"{room.folder}: the grid needs about {room.needed_mb:.0f} MB there, and its disk has "
                f"{room.free_mb:.0f} MB free. Free {room.lacking_mb:.0f} MB, or set `results` in the config to a "
                "folder on a larger disk; blocks that are measured stay"
            )
