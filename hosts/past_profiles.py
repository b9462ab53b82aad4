"""What the results folder tells of models that were profiled before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hosts.errors import ConfigError
from hosts.grid import Level, profiled_levels
from workers.messages import PROTOCOL_VERSION
from workers.records import ProfileRecord, Status

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hosts.config import Config


class PastProfile(msgspec.Struct, frozen=True):
    """The part of a ``profile.json`` that tells how long it took, and by which config and code."""

    model: str
    cpu_pct: float
    mem_pct: float
    status: Status
    duration_s: float
    config_hash: str
    protocol_version: int
    choices: dict[str, Any]

    @property
    def level(self) -> Level:
        """What it is a profile of."""
        return Level(self.model, self.cpu_pct, self.mem_pct)


def profile_choices(config: Config) -> dict[str, str]:
    """Return what a config asks of a profile beyond what it asks of blocks, as a profile's record says it."""
    return {
        "profile_repetitions": str(config.profile.repetitions),
        "profile_frames": str(config.profile.frames),
    }


def past_profiles(results: Path, models: Iterable[str]) -> list[PastProfile]:
    """Read the records of these models' profiles; a record that is damaged or of older code is passed over."""
    found = []
    for model in models:
        for path in sorted((results / "profiles" / model).glob("*/profile.json")):
            try:
                found.append(msgspec.json.decode(path.read_bytes(), type=PastProfile))
            except (OSError, msgspec.DecodeError):
                continue
    return found


def profiled(config: Config, past: Iterable[PastProfile]) -> dict[Level, PastProfile]:
    """Return which wanted profiles are there; one that another config asked for is made anew."""
    digests = {model: config.digest(model) for model in config.models}
    wanted, choices = set(profiled_levels(config)), profile_choices(config)
    return {
        record.level: record
        for record in past
        if record.level in wanted
        and record.config_hash == digests[record.model]
        and record.protocol_version == PROTOCOL_VERSION
        and choices.items() <= record.choices.items()
    }


def read_profile(path: Path) -> ProfileRecord:
    """Return a profile.

    Raises:
        ConfigError: the file is not there, or of another kind.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=ProfileRecord)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}. Make it with: python -m hosts.profile") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: is not what hosts.profile writes ({error}). Remove it and profile anew") from error
