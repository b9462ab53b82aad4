"""What remains to be said and done when the workflow ends before its grid is measured."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hosts.grid import blocks, profiled_levels
from hosts.past import measured, past_blocks
from hosts.past_profiles import past_profiles, profiled
from hosts.progress import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hosts.config import Config


def leave_in_order(config: Config, page: Path, render: Sequence[str]) -> None:
    """Say which blocks and profiles are missing and render the page from those there are; nothing where none is.

    Args:
        config: the grid.
        page: what `render` writes.
        render: the command that renders the page from whatever lies in the results folder.
    """
    results = Path(config.results)
    done = measured(config, past_blocks(results, config.models))
    made = profiled(config, past_profiles(results, config.models))
    blocks_missing = [block.folder for block in blocks(config) if block not in done]
    profiles_missing = [level.folder for level in profiled_levels(config) if level not in made]
    if not blocks_missing and not profiles_missing:
        return
    _say_missing("blocks are not measured", blocks_missing, len(done))
    _say_missing("models are not profiled", profiles_missing, len(made))
    records = [results / "runs" / block.folder / "run.json" for block in done]
    records += [results / "profiles" / level.folder / "profile.json" for level in made]
    if records:
        say(f"rendering {page} from the {len(records)} that are; Ctrl-C leaves that out")
        _render(page, render, records)
    say("run the same command again to measure what is missing; blocks that are measured stay")


def _say_missing(what: str, missing: Sequence[str], done: int) -> None:
    if missing:
        say(f"{len(missing)} of {len(missing) + done} {what}: {listed(missing)}")


def say(line: str) -> None:
    """Print a line where the workflow's messages go."""
    print(line, file=sys.stderr, flush=True)


def _render(page: Path, command: Sequence[str], records: Sequence[Path]) -> None:
    try:
        ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    except KeyboardInterrupt:
        say(f"{page} is not rendered; by hand: {' '.join(command)}")
        return
    if ended.returncode:
        words = ended.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        say(f"{page} could not be rendered: {words[0]}")
        return
    # Dated before its newest block, so that the next run, which may find nothing else to do, renders it anew.
    newest_ns = max(record.stat().st_mtime_ns for record in records)
    os.utime(page, ns=(newest_ns, newest_ns - 10**9))
