"""Where a result comes from: the code's commit, and whether the tree held other changes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent


class Commit(NamedTuple):
    """A commit's hash and whether the work tree differed from it; ``unknown`` outside a git checkout."""

    commit: str
    dirty: bool


def current_commit(folder: Path = REPOSITORY) -> Commit:
    """Ask git about `folder`."""
    head = _git(folder, "rev-parse", "HEAD")
    if head is None:
        return Commit("unknown", dirty=True)
    return Commit(head, dirty=bool(_git(folder, "status", "--porcelain")))


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
