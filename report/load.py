"""Raw logs -> typed records: finds the measured blocks and reads their logs, one block at a time.

A damaged log never stops the report: the runs of its block become invalid and name the file and the line.
A block of another schema version is refused by name, because its numbers could mean something else.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from report.decode import UndecodableError, clean, decode, read
from report.errors import NothingToReport, SchemaError
from report.logs import duplicates_of, read_grouped, read_record
from report.profiles import Profile, UnreadableProfile, load_profiles
from workers.records import (
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
    profiles: tuple[Profile, ...] = ()
    unreadable_profiles: tuple[UnreadableProfile, ...] = ()

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
    setup_events: tuple[Event, ...] = ()  # the edge's, before the block's first run
    # By tier, by that tier's clock, in order of time. All samples of the block: the agents sample across
    # runs, so a sample belongs to a run by its time, not by its label.
    memory: dict[str, tuple[MemorySample, ...]] = field(default_factory=dict)


class _Tolerant(msgspec.Struct):
    """The part of a config that the tables compute with."""

    tolerances: dict[str, float] = {}


def load_results(root: Path) -> Results:
    """Find all measured blocks under ``root/runs`` and profiles under ``root/profiles``, and read their records.

    Raises:
        NothingToReport: the folder is not there, or holds neither a ``run.json`` nor a ``profile.json``.
        SchemaError: no block can be read, and at least one is of another schema version.
    """
    if not root.is_dir():
        raise NothingToReport(
            f"No results folder at {root}. Name the folder that the workflow wrote to, the config's `results`, "
            f"or measure first: snakemake --cores all"
        )
    paths = sorted((root / "runs").glob("*/*/*/run.json"))
    profiles, unreadable_profiles = load_profiles(root)
    if not (paths or profiles or unreadable_profiles):
        raise NothingToReport(
            f"{root} holds no measured block: no file matches {root}/runs/*/*/*/run.json. "
            f"Measure first (snakemake --cores all), or name another folder of results."
        )
    found = [_read_block(path, root) for path in paths]
    blocks = [block for block in found if isinstance(block, Block)]
    unreadable = tuple(block for block in found if isinstance(block, UnreadableBlock))
    refused = [block for block in unreadable if block.other_version]
    if refused and not blocks:
        raise SchemaError(f"No block can be read ({len(unreadable)} found). {refused[0].reason}")
    config, trouble = read_config(root / "config.json")
    return Results(root, _duplicates_marked(blocks), unreadable, config, trouble, profiles, unreadable_profiles)


def read_runs(block: Block) -> tuple[RunLogs, ...]:
    """Read all logs of a block and sort their rows by run; the warm-up is left out."""
    damages = [] if block.duplicate_of is None else [f"{block.duplicate_of} holds the same block, which counts instead"]
    device = read_grouped(block, "device-frames.jsonl", DeviceFrame, damages, required=True)
    edge = read_grouped(block, "edge-frames.jsonl", EdgeFrame, damages, required=True)
    events = read_grouped(block, "edge-events.jsonl", Event, damages, required=True)
    cloud_events = read_grouped(block, "cloud-events.jsonl", Event, damages)
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
            setup_events=events.get(WARM_UP_RUN, ()),
            memory=memory,
        )

    return tuple(logs_of(record) for record in block.record.runs if record.run != WARM_UP_RUN)


def _read_block(path: Path, root: Path) -> Block | UnreadableBlock:
    source = clean(path.parent.relative_to(root).as_posix())
    try:
        return Block(read_record(path, BlockRecord), path.parent, source)
    except UndecodableError as error:
        return UnreadableBlock(source, f"{source}/run.json cannot be read: {error}")
    except SchemaError as error:
        return UnreadableBlock(source, str(error), other_version=True)


def _duplicates_marked(blocks: list[Block]) -> tuple[Block, ...]:
    """Mark blocks measured once but found twice; the one in the folder that the workflow gives it counts."""
    counting = duplicates_of((_home(block.record), block.source) for block in blocks)
    return tuple(replace(block, duplicate_of=counting.get(block.source)) for block in blocks)


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


def _read_memory(block: Block, tier: str, damages: list[str]) -> tuple[MemorySample, ...]:
    grouped = read_grouped(block, f"{tier}-memory.jsonl", MemorySample, damages)
    return tuple(sorted(itertools.chain(*grouped.values()), key=lambda sample: sample.at_ns))
