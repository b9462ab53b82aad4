"""Raw logs -> typed records: finds the measured blocks and reads their logs, one block at a time.

A damaged log never stops the report: the runs of its block become invalid and name the file and the line.
A block of another schema version is refused by name, because its numbers could mean something else.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from report.decode import UndecodableError, clean, decode, read
from report.errors import NothingToReport, SchemaError
from workers.records import (
    SCHEMA_VERSION,
    BlockRecord,
    DeviceFrame,
    EdgeFrame,
    Event,
    MemorySample,
    RunRecord,
    Status,
)

if TYPE_CHECKING:
    from pathlib import Path

Row = TypeVar("Row", bound=msgspec.Struct)
Grouped = dict[int, tuple[Row, ...]]

WARM_UP_RUN = 0
TIERS = ("edge", "cloud")


@dataclass(frozen=True)
class Block:
    """One measured block: its record and where its logs lie. `source` is relative to the results folder.

    `duplicate_of` names the folder that holds the same block; the runs of a duplicate do not count.
    """

    record: BlockRecord
    folder: Path
    source: str
    duplicate_of: str | None = None


@dataclass(frozen=True)
class UnreadableBlock:
    """A block whose ``run.json`` cannot be read, so that not even its runs are known.

    `other_version` says that it is whole, but of a schema version that this code does not read.
    """

    source: str
    reason: str
    other_version: bool = False


@dataclass(frozen=True)
class Results:
    """Everything that a results folder holds, logs not yet read.

    `config` is None where there is none that can be used; `config_trouble` then says why, if there is a file.
    """

    root: Path
    blocks: tuple[Block, ...]
    unreadable: tuple[UnreadableBlock, ...] = ()
    config: dict[str, Any] | None = None
    config_trouble: str | None = None

    @property
    def distinct(self) -> tuple[Block, ...]:
        """The blocks without those that another folder holds as well."""
        return tuple(block for block in self.blocks if block.duplicate_of is None)


@dataclass(frozen=True)
class RunLogs:
    """One run with its rows of all logs; `status` and `reason` already account for damaged logs."""

    record: RunRecord
    status: Status
    reason: str | None
    device_frames: tuple[DeviceFrame, ...] = ()
    edge_frames: tuple[EdgeFrame, ...] = ()
    edge_events: tuple[Event, ...] = ()
    cloud_events: tuple[Event, ...] = ()
    # By tier, by that tier's clock, in order of time. All samples of the block: the agents sample across
    # runs, so a sample belongs to a run by its time, not by its label.
    memory: dict[str, tuple[MemorySample, ...]] = field(default_factory=dict)


class _Versioned(msgspec.Struct):
    schema_version: int
    commit: str = "unknown"


class _Tolerant(msgspec.Struct):
    """The part of a config that the tables compute with."""

    tolerances: dict[str, float] = {}


class _DamagedLogError(Exception):
    """A log that cannot be read; the text names file, line and cause."""


def load_results(root: Path) -> Results:
    """Find all measured blocks under ``root/runs`` and read their records.

    Raises:
        NothingToReport: the folder is not there, or holds no ``run.json``.
        SchemaError: no block can be read, and at least one is of another schema version.
    """
    if not root.is_dir():
        raise NothingToReport(
            f"No results folder at {root}. Name the folder that the workflow wrote to (--results DIR), "
            f"or measure first: snakemake --cores all"
        )
    paths = sorted((root / "runs").glob("*/*/*/run.json"))
    if not paths:
        raise NothingToReport(
            f"{root} holds no measured block: no file matches {root}/runs/*/*/*/run.json. "
            f"Measure first (snakemake --cores all), or name another folder with --results DIR."
        )
    found = [_read_block(path, root) for path in paths]
    blocks = [block for block in found if isinstance(block, Block)]
    unreadable = tuple(block for block in found if isinstance(block, UnreadableBlock))
    refused = [block for block in unreadable if block.other_version]
    if refused and not blocks:
        raise SchemaError(f"No block can be read ({len(unreadable)} found). {refused[0].reason}")
    return Results(root, _duplicates_marked(blocks), unreadable, *read_config(root / "config.json"))


def read_runs(block: Block) -> tuple[RunLogs, ...]:
    """Read all logs of a block and sort their rows by run; the warm-up is left out."""
    damages = [] if block.duplicate_of is None else [f"{block.duplicate_of} holds the same block, which counts instead"]
    device = _read_grouped(block, "device-frames.jsonl", DeviceFrame, damages, required=True)
    edge = _read_grouped(block, "edge-frames.jsonl", EdgeFrame, damages, required=True)
    events = _read_grouped(block, "edge-events.jsonl", Event, damages, required=True)
    cloud_events = _read_grouped(block, "cloud-events.jsonl", Event, damages)
    memory = {tier: _read_memory(block, tier, damages) for tier in TIERS}
    times = Counter(record.run for record in block.record.runs)

    def logs_of(record: RunRecord) -> RunLogs:
        repeated = [f"run {record.run} stands {times[record.run]} times in run.json"] if times[record.run] > 1 else []
        damage = "; ".join(damages + repeated)
        damaged = bool(damage) and record.status is Status.OK
        return RunLogs(
            record=record,
            status=Status.INVALID if damaged else record.status,
            reason=damage if damaged else record.reason,
            device_frames=device.get(record.run, ()),
            edge_frames=edge.get(record.run, ()),
            edge_events=events.get(record.run, ()),
            cloud_events=cloud_events.get(record.run, ()),
            memory=memory,
        )

    return tuple(logs_of(record) for record in block.record.runs if record.run != WARM_UP_RUN)


def _read_block(path: Path, root: Path) -> Block | UnreadableBlock:
    source = clean(path.parent.relative_to(root).as_posix())
    try:
        return Block(_read_record(path), path.parent, source)
    except UndecodableError as error:
        return UnreadableBlock(source, f"{source}/run.json cannot be read: {error}")
    except SchemaError as error:
        return UnreadableBlock(source, str(error), other_version=True)


def _read_record(path: Path) -> BlockRecord:
    data = read(path)
    version = decode(data, _Versioned)
    if version.schema_version != SCHEMA_VERSION:
        raise SchemaError(
            f"{path} was written with schema version {version.schema_version}, this report reads version "
            f"{SCHEMA_VERSION}. Report it with the code that measured it (git checkout {version.commit}), "
            f"or delete {path.parent} and measure the block again."
        )
    return decode(data, BlockRecord)


def _duplicates_marked(blocks: list[Block]) -> tuple[Block, ...]:
    """Mark blocks measured once but found twice; the one in the folder that the workflow gives it counts."""
    counting: dict[tuple[str, str, float, float], str] = {}
    for block in sorted(blocks, key=lambda block: block.source != _home(block.record)):
        counting.setdefault(_cell(block.record), block.source)
    return tuple(
        block
        if counting[_cell(block.record)] == block.source
        else replace(block, duplicate_of=counting[_cell(block.record)])
        for block in blocks
    )


def _cell(record: BlockRecord) -> tuple[str, str, float, float]:
    return record.model, record.strategy, record.cpu_pct, record.mem_pct


def _home(record: BlockRecord) -> str:
    return f"runs/{record.model}/{record.strategy}/cpu{record.cpu_pct:g}-mem{record.mem_pct:g}"


def read_config(path: Path) -> tuple[dict[str, Any] | None, str | None]:
    """Return the resolved config, or None and why a file that is there cannot be used."""
    if not path.exists():
        return None, None
    try:
        data = read(path)
        decode(data, _Tolerant)
        return decode(data, dict[str, Any]), None
    except UndecodableError as error:
        return None, f"config.json cannot be used: {error}"


def _read_grouped(
    block: Block, name: str, row_type: type[Row], damages: list[str], *, required: bool = False
) -> Grouped[Row]:
    path = block.folder / name
    if not path.exists():
        if required:
            damages.append(f"{block.source}/{name} is missing")
        return {}
    try:
        rows = _read_log(path, f"{block.source}/{name}", row_type)
    except _DamagedLogError as error:
        damages.append(str(error))
        return {}
    grouped: dict[int, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.run, []).append(row)  # type: ignore[attr-defined] # every log's row has it
    return {run: tuple(members) for run, members in grouped.items()}


def _read_memory(block: Block, tier: str, damages: list[str]) -> tuple[MemorySample, ...]:
    grouped = _read_grouped(block, f"{tier}-memory.jsonl", MemorySample, damages)
    return tuple(sorted(itertools.chain(*grouped.values()), key=lambda sample: sample.at_ns))


def _read_log(path: Path, shown: str, row_type: type[Row]) -> list[Row]:
    """Read one log; a last line without its newline was cut by a kill and is left out."""
    try:
        whole, _, _ = read(path).rpartition(b"\n")
    except UndecodableError as error:
        raise _DamagedLogError(f"{shown} cannot be read: {error}") from error
    rows: list[Row] = []
    for number, line in enumerate(whole.split(b"\n") if whole else (), start=1):
        try:
            rows.append(decode(line, row_type))
        except UndecodableError as error:
            raise _DamagedLogError(f"{shown}, line {number} is damaged: {error}") from error
    return rows
