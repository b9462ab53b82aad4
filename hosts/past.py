"""What the results folder tells of blocks that were measured before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hosts.grid import Block, blocks
from workers.messages import PROTOCOL_VERSION
from workers.records import Status

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hosts.config import Config


class Past(msgspec.Struct, frozen=True):
    """The part of a block's ``run.json`` that tells how long it took, and by which config and code."""

    model: str
    strategy: str
    cpu_pct: float
    mem_pct: float
    status: Status
    duration_s: float
    config_hash: str
    protocol_version: int
    runs: tuple[dict[str, Any], ...]

    @property
    def block(self) -> Block:
        """Which block it was."""
        return Block(self.model, self.strategy, self.cpu_pct, self.mem_pct)

    @property
    def fitted(self) -> bool:
        """Whether its pipelines fitted into the memory there was."""
        return self.status is not Status.INFEASIBLE

    @property
    def came_to_its_end(self) -> bool:
        """Whether its time tells of others: where something broke, it tells of timeouts."""
        return self.status is not Status.FAILED


def past_blocks(results: Path, models: Iterable[str]) -> list[Past]:
    """Read the records of these models' blocks; a record that is damaged or of older code is passed over."""
    found = []
    for model in models:
        for path in sorted((results / "runs" / model).glob("*/*/run.json")):
            try:
                found.append(msgspec.json.decode(path.read_bytes(), type=Past))
            except (OSError, msgspec.DecodeError):
                continue
    return found


def measured(config: Config, past: Iterable[Past]) -> dict[Block, Past]:
    """Return which blocks of the grid are measured; one that another config measured is measured anew."""
    digests = {model: config.digest(model) for model in config.models}
    wanted = set(blocks(config))
    return {
        record.block: record
        for record in past
        if record.block in wanted
        and record.config_hash == digests[record.model]
        and record.protocol_version == PROTOCOL_VERSION
    }
