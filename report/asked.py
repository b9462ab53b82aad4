"""The grid that a resolved config asks for, and what became of each of its blocks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from report.theme import ordered
from workers.records import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from report.load import Results

MISSING, REFUSED = "missing", "unreadable"


@dataclass(frozen=True)
class AskedGrid:
    """What is to be measured; runs of a block are FPS x two directions x repeats.

    `excluded` are the entries that leave blocks out: each maps a key of a block to the values that match.
    """

    models: tuple[str, ...]
    strategies: tuple[str, ...]
    cpu_pct: tuple[float, ...]
    mem_pct: tuple[float, ...]
    runs_per_block: int
    excluded: tuple[dict[str, tuple[Any, ...]], ...] = ()

    @classmethod
    def from_config(cls, config: dict[str, Any] | None) -> AskedGrid | None:
        """Read the grid from a resolved config; None where there is none that can be read."""
        try:
            if config is None:
                return None
            return cls(
                models=_names(sorted(config["models"])),
                strategies=_names(ordered(config["strategies"])),
                cpu_pct=tuple(map(float, config.get("cpu_pct", (100.0,)))),
                mem_pct=tuple(map(float, config.get("mem_pct", (100.0,)))),
                runs_per_block=len(config.get("fps", (0,))) * 2 * int(config.get("repeats", 1)),
                excluded=tuple(_given(entry) for entry in config.get("exclude", ())),
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            return None

    def folders(self) -> list[str]:
        """Return the block folders that there should be, relative to the results folder."""
        return [
            f"runs/{model}/{strategy}/cpu{cpu_pct:g}-mem{mem_pct:g}"
            for model in self.models
            for strategy in self.strategies
            for cpu_pct in self.cpu_pct
            for mem_pct in self.mem_pct
            if not self.leaves_out(model, strategy, cpu_pct, mem_pct)
        ]

    def leaves_out(self, model: str, strategy: str, cpu_pct: float, mem_pct: float) -> bool:
        """Say whether a block of these axes is left out of the grid on purpose."""
        block = {"model": model, "strategy": strategy, "cpu_pct": cpu_pct, "mem_pct": mem_pct}
        return any(all(block[key] in values for key, values in entry.items()) for entry in self.excluded)


def coverage(asked: AskedGrid, results: Results, statuses: Mapping[str, Counter[str]]) -> dict[str, list[str]]:
    """Sort the blocks asked for by what became of them, each folder under one word.

    Args:
        asked: the grid.
        results: what is there.
        statuses: of every block's folder, how many of its runs ended how.
    """
    unreadable = {block.source for block in results.unreadable}
    found: dict[str, list[str]] = {}
    for folder in asked.folders():
        state = REFUSED if folder in unreadable else _state(statuses.get(folder, Counter()), asked.runs_per_block)
        found.setdefault(state, []).append(folder)
    return found


def _names(found: Sequence[str]) -> tuple[str, ...]:
    """Return names that folders can have.

    Raises:
        ValueError: one cannot be a folder's, as a usable config's can.
    """
    if any("/" in name for name in found):
        raise ValueError("a name with a slash")
    return tuple(found)


def _given(entry: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    values = {key: value for key, value in entry.items() if value is not None}
    return {key: tuple(value) if isinstance(value, list) else (value,) for key, value in values.items()}


def _state(statuses: Counter[str], expected: int) -> str:
    if not statuses.total():
        return MISSING
    bad = {status: count for status, count in statuses.items() if status != Status.OK.value and count}
    if not bad:
        return "ok" if statuses.total() >= expected else "incomplete"
    return "partly ok" if statuses[Status.OK.value] else max(bad, key=lambda status: bad[status])
