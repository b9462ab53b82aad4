"""Profiles of models: finds them, reads their records, and the frames that were sent through the real pipeline.

As with blocks, nothing damaged stops the report: a profile with a damaged log, or whose times do not fit its model,
is invalid and says why; one of another schema version is refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from report.decode import UndecodableError, clean
from report.errors import SchemaError
from report.logs import duplicates_of, read_grouped, read_record
from workers.errors import PartitionError
from workers.latency import profile_costs
from workers.records import EdgeFrame, ProfileRecord, Status

if TYPE_CHECKING:
    from pathlib import Path

    from report.logs import Grouped


class ModelLayer(msgspec.Struct, frozen=True):
    """What a profile says of a layer, one call of it: see `workers.partition.Layer`."""

    index: int
    name: str
    kind: str
    block: str
    output_bytes: int
    params: int
    flops: int | None


@dataclass(frozen=True)
class Profile:
    """One profile: its record and where its logs lie. `source` is relative to the results folder.

    `duplicate_of` names the folder that holds the same profile, which counts instead.
    """

    record: ProfileRecord
    folder: Path
    source: str
    duplicate_of: str | None = None


@dataclass(frozen=True)
class UnreadableProfile:
    """A profile whose ``profile.json`` cannot be read; `other_version` says that it is of another schema version."""

    source: str
    reason: str
    other_version: bool = False


@dataclass(frozen=True)
class ProfileLogs:
    """A profile with its model's layers and its frames; `status` and `reason` already account for what is damaged."""

    record: ProfileRecord
    status: Status
    reason: str | None
    layers: tuple[ModelLayer, ...] = ()
    edge_frames: Grouped[EdgeFrame] = field(default_factory=dict)


def load_profiles(root: Path) -> tuple[tuple[Profile, ...], tuple[UnreadableProfile, ...]]:
    """Find all profiles under ``root/profiles`` and read their records."""
    found = [_read(path, root) for path in sorted((root / "profiles").glob("*/*/profile.json"))]
    profiles = [profile for profile in found if isinstance(profile, Profile)]
    counting = duplicates_of((_home(profile.record), profile.source) for profile in profiles)
    return (
        tuple(replace(profile, duplicate_of=counting.get(profile.source)) for profile in profiles),
        tuple(profile for profile in found if isinstance(profile, UnreadableProfile)),
    )


def read_profile(profile: Profile) -> ProfileLogs:
    """Read the frames of a profile and check that its times belong to its model."""
    record = profile.record
    if record.status is not Status.OK:
        return ProfileLogs(record, record.status, record.reason)
    damages = (
        [] if profile.duplicate_of is None else [f"{profile.duplicate_of} holds the same profile, which counts instead"]
    )
    frames = read_grouped(profile, "edge-frames.jsonl", EdgeFrame, damages, required=bool(record.measured))
    try:
        layers = _layers(record)
    except UndecodableError as error:
        damages.append(f"{profile.source}/profile.json: {error}")
    if damages:
        return ProfileLogs(record, Status.INVALID, "; ".join(damages))
    return ProfileLogs(record, Status.OK, record.reason, layers, frames)


def _read(path: Path, root: Path) -> Profile | UnreadableProfile:
    source = clean(path.parent.relative_to(root).as_posix())
    try:
        return Profile(read_record(path, ProfileRecord), path.parent, source)
    except UndecodableError as error:
        return UnreadableProfile(source, f"{source}/profile.json cannot be read: {error}")
    except SchemaError as error:
        return UnreadableProfile(source, str(error), other_version=True)


def _home(record: ProfileRecord) -> str:
    return f"profiles/{record.model}/cpu{record.cpu_pct:g}-mem{record.mem_pct:g}"


def _layers(record: ProfileRecord) -> tuple[ModelLayer, ...]:
    """Return the model's layers, for which both tiers have times of every point.

    Raises:
        UndecodableError: the times are missing or those of another model.
    """
    try:
        costs = profile_costs(record)
        layers = msgspec.convert(record.model_facts.get("layers", ()), tuple[ModelLayer, ...])
    except (PartitionError, msgspec.ValidationError, KeyError, ValueError) as error:
        raise UndecodableError(str(error)) from error
    if not costs or len(layers) != costs[-1].index:
        raise UndecodableError(
            f"it lists {len(layers)} layers and {len(costs)} partition points, which do not belong to one model"
        )
    known = {cost.index for cost in costs}
    strange = sorted({run.point for run in record.measured} - known)
    if strange:
        raise UndecodableError(f"it measured cuts at {strange}, which are no points of its model")
    return layers
