"""Mapping a stamp of one host's clock to another's, with the error bound that goes with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workers.records import BlockRecord


@dataclass(frozen=True)
class Shift:
    """What to add to a stamp of the one clock to get the other's (ns), true within ± `bound_ns`."""

    ns: int
    bound_ns: int


def shift_between(record: BlockRecord, source: str, target: str) -> Shift | None:
    """Return the shift from the clock of role `source` to that of role `target`; None where not recorded.

    The offsets were probed before and after the block; their middle is used and half of what they drifted
    apart is added to the bound.
    """
    source_offset = _offset(record, source)
    target_offset = _offset(record, target)
    if source_offset is None or target_offset is None:
        return None
    return Shift(
        target_offset.ns - source_offset.ns,
        target_offset.bound_ns + source_offset.bound_ns,
    )


def _offset(record: BlockRecord, role: str) -> Shift | None:
    """Return a role's clock minus the controller's."""
    probes = [side[role] for side in (record.clock_before, record.clock_after) if role in side]
    if not probes:
        return None
    low = min(probe.offset_ns for probe in probes)
    high = max(probe.offset_ns for probe in probes)
    drift_ns = (high - low + 1) // 2
    return Shift((low + high) // 2, max(probe.bound_ns for probe in probes) + drift_ns)
