"""The paper's own figures, read from ``paper.yaml`` beside this file."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

import msgspec
import yaml


class PaperDowntime(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A strategy's downtime in the paper: about or below `ms`; `shown` is how to print it."""

    ms: float
    relation: Literal["about", "below"]
    shown: str
    equation: str
    where: str


class PaperMemory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A strategy's row in Table I (MB)."""

    initial_mb: float
    additional_mb: float
    total_mb: float
    additional_when: str


class PaperClaim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A claim, the figure that the paper gives for it, and where."""

    text: str
    paper: str
    where: str


class PaperPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A best point in the paper: its number there, and the layer that we read it as."""

    layer: int
    name: str


class Paper(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that the report compares with; strategies and claims by their ids."""

    source: str
    speeds_mbps: tuple[float, ...]
    partition_points: dict[str, dict[float, PaperPoint]]  # by model, by speed (Mbit/s)
    downtime: dict[str, PaperDowntime]
    memory: dict[str, PaperMemory]
    claims: dict[str, PaperClaim]


@functools.cache
def paper() -> Paper:
    """Return the paper's figures."""
    data = yaml.safe_load(Path(__file__).with_name("paper.yaml").read_text())
    return msgspec.convert(data, Paper)
