"""How a bench starts in its folder: anew, where it was interrupted, or not at all. Nothing measured is removed.

What an earlier bench left goes to ``earlier/<when it was started>/`` in the same folder, where `report.bench` reads it
as it did before.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from hosts.errors import HostsError
from workers.bench_records import BenchedBlock, BenchRun
from workers.records import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

RUN, BLOCKS, PLANE = "bench.json", "blocks.jsonl", "plane"
EARLIER = "earlier"


class Start(NamedTuple):
    """The bench to measure, those of its blocks that are measured, and where what lies there goes first."""

    run: BenchRun
    done: list[BenchedBlock]
    kept_in: Path | None = None
    words: str | None = None


def start(folder: Path, asked: BenchRun, *, anew: bool) -> Start:
    """Decide by what lies in the folder; nothing is moved yet.

    Args:
        folder: the bench's results.
        asked: the bench that is asked for, as it would start now.
        anew: whether it is to start anew whatever lies there.

    Raises:
        HostsError: another bench lies there; says which, what differs and what to do.
    """
    if not _left_there(folder):
        return Start(asked, [])
    there = _read(folder)
    kept_in = _free_place(folder, there)
    what = _described(there)
    differences = None if there is None else list(_differences(there, asked))
    if not anew and differences != []:
        why = f"; this one differs in {', '.join(differences)}" if differences else ""
        raise HostsError(
            f"{folder}: {what} lies there{why}. Set another `results` in the config, move that bench away, or give "
            f"--anew (make bench ANEW=1): it is then kept in {kept_in}, and this one starts"
        )
    if there is not None and not there.complete and not anew:
        return Start(there, _read_blocks(folder), words=f"{folder}: goes on with {what}")
    return Start(asked, [], kept_in, f"{folder}: {what} goes to {kept_in}, and this one starts anew")


def keep(folder: Path, kept_in: Path) -> None:
    """Move what a bench left in its folder, and nothing else."""
    kept_in.mkdir(parents=True)
    for path in _left_there(folder):
        path.rename(kept_in / path.name)


def _left_there(folder: Path) -> list[Path]:
    """Return what a bench wrote."""
    rounds = sorted(folder.glob("round-[0-9][0-9]"))
    return [*rounds, *(path for name in (PLANE, BLOCKS, RUN) if (path := folder / name).exists())]


def _read(folder: Path) -> BenchRun | None:
    try:
        return msgspec.json.decode((folder / RUN).read_bytes(), type=BenchRun)
    except (OSError, msgspec.DecodeError):
        return None


def _read_blocks(folder: Path) -> list[BenchedBlock]:
    path = folder / BLOCKS
    return list(read_lines(path, BenchedBlock)) if path.exists() else []


def _free_place(folder: Path, there: BenchRun | None) -> Path:
    if there is None:
        newest_s = max(path.stat().st_mtime for path in _left_there(folder))
        name = f"{datetime.fromtimestamp(newest_s, UTC):%Y%m%dT%H%M%SZ}"
    else:
        name = "".join(filter(str.isalnum, there.started_utc[:19])) + "Z"
    place, number = folder / EARLIER / name, 1
    while place.exists():
        number += 1
        place = place.with_name(f"{name}-{number}")
    return place


def _described(there: BenchRun | None) -> str:
    if there is None:
        return f"a bench whose {RUN} is missing or of another version"
    end = "complete" if there.complete else "not complete"
    return f"a bench of {there.started_utc} (commit {_commit(there)}, {end})"


def _commit(run: BenchRun) -> str:
    return f"{run.commit[:10]}{' with changes' if run.dirty else ''}"


def _differences(there: BenchRun, asked: BenchRun) -> Iterator[str]:
    """Yield what tells two benches apart, each in a few words."""
    if there.schema_version != asked.schema_version:
        yield f"its format ({asked.schema_version}, not {there.schema_version})"
    if there.digest != asked.digest:
        yield from (f"`{key}`" for key in _changed_keys(there.config, asked.config))
    if (there.commit, there.dirty) != (asked.commit, asked.dirty):
        hint = "" if there.dirty == asked.dirty else "; git status lists changes, and files that git does not know"
        yield f"the code's commit ({_commit(asked)} now{hint})"


def _changed_keys(there: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted({*there, *asked}):
        one, other = there.get(key), asked.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from (f"{key}.{inner}" for inner in _changed_keys(one, other))
        elif one != other:
            yield key
