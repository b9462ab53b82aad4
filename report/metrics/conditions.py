"""Conditions requested against those achieved, and which of them are out of tolerance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from workers.records import Conditions

QUANTITIES = ("link_mbps_before", "link_mbps_after", "link_delay_ms", "cpu_pct", "mem_pct", "fps")
DELAY_MS = 0.5  # what hosts and bridges add of their own: a delay of 0 ms is never quite that
POINTS = frozenset({"cpu_pct", "mem_pct"})  # given in per cent: their tolerances are in points


@dataclass(frozen=True)
class Tolerances:
    """How far achieved may be from requested: shares of the request, or points of a percentage."""

    link_share: float = 0.10
    delay_share: float = 0.10
    fps_share: float = 0.05
    cpu_points: float = 5.0
    mem_points: float = 5.0

    @classmethod
    def from_config(cls, config: dict[str, Any] | None) -> Self:
        """Take the tolerances of a resolved config; what it does not name keeps its default."""
        asked = (config or {}).get("tolerances", {})
        default = cls()
        return cls(
            link_share=asked.get("link_mbps_pct", 100 * default.link_share) / 100,
            delay_share=asked.get("link_delay_pct", 100 * default.delay_share) / 100,
            fps_share=asked.get("fps_pct", 100 * default.fps_share) / 100,
            cpu_points=asked.get("cpu_points", default.cpu_points),
            mem_points=asked.get("mem_points", default.mem_points),
        )


@dataclass(frozen=True)
class Comparison:
    """Which quantities are out of tolerance and which were asked for but not measured."""

    out_of_tolerance: tuple[str, ...]
    not_measured: tuple[str, ...]

    @property
    def within_tolerance(self) -> bool | None:
        """None where nothing is known to be out but something was not measured."""
        if self.out_of_tolerance:
            return False
        return None if self.not_measured else True


def compare(requested: Conditions, achieved: Conditions, tolerances: Tolerances) -> Comparison:
    """Compare quantity by quantity; what was not asked for is not compared."""
    outside: list[str] = []
    unknown: list[str] = []
    for quantity in QUANTITIES:
        wanted: float | None = getattr(requested, quantity)
        found: float | None = getattr(achieved, quantity)
        if wanted is None:
            continue
        if found is None:
            unknown.append(quantity)
        elif abs(found - wanted) > _allowed(quantity, wanted, tolerances) * (1 + 1e-9):
            outside.append(quantity)
    return Comparison(tuple(outside), tuple(unknown))


def _allowed(quantity: str, wanted: float, tolerances: Tolerances) -> float:
    if quantity == "cpu_pct":
        return tolerances.cpu_points
    if quantity == "mem_pct":
        return tolerances.mem_points
    if quantity == "link_delay_ms":
        return max(DELAY_MS, tolerances.delay_share * abs(wanted))
    return (tolerances.fps_share if quantity == "fps" else tolerances.link_share) * abs(wanted)
