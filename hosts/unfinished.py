"""What remains to be said and done when the workflow ends before its grid is measured."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hosts.grid import blocks
from hosts.past import measured, past_blocks
from hosts.progress import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hosts.config import Config


def leave_in_order(config: Config, page: Path, render: Sequence[str]) -> None:
    """Say which blocks are missing and render the page from those there are; nothing where none is missing.

    Args:
        config: the grid.
        page: what `render` writes.
        render: the command that renders the page from whatever lies in the results folder.
    """
    results = Path(config.results)
    done = measured(config, past_blocks(results, config.models))
    missing = [block for block in blocks(config) if block not in done]
    if not missing:
        return
    names = listed([block.folder for block in missing])
    say(f"{len(missing)} of {len(missing) + len(done)} blocks are not measured: {names}")
    if done:
        say(f"rendering {page} from the {len(done)} that are; Ctrl-C leaves that out")
        _render(page, render, [results / "runs" / block.folder / "run.json" for block in done])
    say("run the same command again to measure what is missing; blocks that are measured stay")


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
