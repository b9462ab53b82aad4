"""How big each host of a testbed is on the machine at hand: which CPUs, how much memory. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_RESERVED_MB = 1024  # for the controller and the machine itself
_LEAST_MB = 128


class Pinning(NamedTuple):
    """CPUs for each role; `reason` says why they are fewer than wanted, None where nothing was taken away."""

    cpus: dict[str, tuple[int, ...]]
    reason: str | None


class MemorySizes(NamedTuple):
    """Memory limit for each role in MiB; `reason` as in `Pinning`."""

    memory_mb: dict[str, int]
    reason: str | None


def pin(wanted: Mapping[str, int], available: Sequence[int]) -> Pinning:
    """Give each role CPUs of its own; with too few, in proportion to what it wants.

    On two CPUs the edge has one to itself and the other roles share the second: the edge is what the
    experiments measure, and the device is light. On one CPU all share it.
    """
    if not available:
        raise ValueError("a machine has at least one CPU")
    if len(available) < len(wanted):
        first: tuple[int, ...] = (available[0],)
        last: tuple[int, ...] = (available[-1],)
        cpus = {role: first if role == "edge" else last for role in wanted}
        how = "edge alone on one, the others share the second" if first != last else "all hosts share it"
    else:
        counts = _shares(wanted, len(available))
        free = iter(available)
        cpus = {role: tuple(next(free) for _ in range(count)) for role, count in counts.items()}
        how = ", ".join(f"{role} {counts[role]}" for role in wanted)
    if all(len(cpus[role]) == count for role, count in wanted.items()) and _disjoint(cpus):
        return Pinning(cpus, None)
    asked = ", ".join(f"{role} {count}" for role, count in wanted.items())
    return Pinning(cpus, f"{len(available)} CPUs here, {sum(wanted.values())} wanted ({asked}): {how}")


def size_memory(wanted_mb: Mapping[str, int], machine_mb: int) -> MemorySizes:
    """Scale the memory limits down in proportion where the machine has less than they add up to (MiB)."""
    usable, total = max(machine_mb - _RESERVED_MB, machine_mb // 2), sum(wanted_mb.values())
    if total <= usable:
        return MemorySizes(dict(wanted_mb), None)
    scaled = {role: max(_LEAST_MB, size * usable // total) for role, size in wanted_mb.items()}
    shares = ", ".join(f"{role} {size}" for role, size in scaled.items())
    return MemorySizes(scaled, f"{machine_mb} MB of memory here, {total} MB wanted: scaled to {shares} (MB)")


def _shares(wanted: Mapping[str, int], available: int) -> dict[str, int]:
    """Start every role with one CPU, then feed whoever has the smallest part of what it wants."""
    counts = dict.fromkeys(wanted, 1)
    for _ in range(available - len(wanted)):
        hungry = [role for role in wanted if counts[role] < wanted[role]]
        if not hungry:
            break
        counts[min(hungry, key=lambda role: counts[role] / wanted[role])] += 1
    return counts


def _disjoint(cpus: Mapping[str, tuple[int, ...]]) -> bool:
    given = [cpu for group in cpus.values() for cpu in group]
    return len(given) == len(set(given))
