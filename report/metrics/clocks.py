"""Mapping a stamp of one host's clock to another's, with the error bound that goes with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workers.records import BlockRecord, ClockOffset, RunRecord


@dataclass(frozen=True)
class Shift:
    """What to add to a stamp of the one clock to get the other's (ns), true within ± `bound_ns`."""

    ns: int
    bound_ns: int


@dataclass(frozen=True)
class Probes:
    """Clocks of the hosts minus the controller's, by role, probed before and after what they are used for."""

    before: Mapping[str, ClockOffset]
    after: Mapping[str, ClockOffset]
    of_run: bool  # else of the whole block


def probes_of(block: BlockRecord, run: RunRecord) -> Probes:
    """Return the probes around a run; those around its block where the run has none of its own."""
    if run.clock_before or run.clock_after:
        return Probes(run.clock_before, run.clock_after, of_run=True)
    return Probes(block.clock_before, block.clock_after, of_run=False)


def shift_between(probes: Probes, source: str, target: str) -> Shift | None:
    """Return the shift from the clock of role `source` to that of role `target`; None where not recorded.

    The middle of the offsets before and after is used and half of what they drifted apart is added to the bound.
    """
    source_offset = _offset(probes, source)
    target_offset = _offset(probes, target)
    if source_offset is None or target_offset is None:
        return None
    return Shift(
        target_offset.ns - source_offset.ns,
        target_offset.bound_ns + source_offset.bound_ns,
    )


def _offset(probes: Probes, role: str) -> Shift | None:
    """Return a role's clock minus the controller's."""
    found = [side[role] for side in (probes.before, probes.after) if role in side]
    if not found:
        return None
    low = min(probe.offset_ns for probe in found)
    high = max(probe.offset_ns for probe in found)
    drift_ns = (high - low + 1) // 2
    return Shift((low + high) // 2, max(probe.bound_ns for probe in found) + drift_ns)
