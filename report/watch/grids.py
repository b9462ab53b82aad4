"""The configs that a night is measured by, made from `config/nightly.yaml`: the whole grid, and suspects alone."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import yaml

from report.watch.errors import GridError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_LEVELS = {"cpu_pct": [100], "mem_pct": [100]}


def read_grid(path: Path) -> dict[str, Any]:
    """Read the config of a night.

    Raises:
        GridError: it is not there, no YAML, or lacks what makes a grid.
    """
    try:
        grid = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise GridError(f"The config {path} cannot be read: {error.strerror}. Name one with --config.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise GridError(f"The config {path} is no YAML: {' '.join(str(error).split())}. Mend that line.") from error
    if not isinstance(grid, dict) or not isinstance(grid.get("models"), dict) or "strategies" not in grid:
        raise GridError(
            f"The config {path} has no `models` and `strategies` of its own, as a night's needs. "
            "config/README.md explains them."
        )
    return grid


def whole(grid: dict[str, Any], results: Path) -> dict[str, Any]:
    """Return the config of a night that is measured into `results`."""
    return {**grid, "results": str(results)}


def only(grid: dict[str, Any], blocks: Collection[str], results: Path) -> dict[str, Any]:
    """Return the config that measures just these blocks again, into `results`.

    What shapes a measurement stays, so that the blocks are like those of the night. Models are not profiled again,
    unless the profile is what decides where they are cut.

    Raises:
        GridError: the grid does not have them all: it is of another config.
    """
    levels = _LEVELS | {axis: grid[axis] for axis in _LEVELS if axis in grid}
    axes = itertools.product(grid["models"], grid["strategies"], levels["cpu_pct"], levels["mem_pct"])
    wanted = [axis for axis in axes if _name(*axis) in blocks]
    if strangers := sorted(set(blocks) - {_name(*axis) for axis in wanted}):
        raise GridError(
            f"The config has no block {', '.join(strangers)}: it is not the one that the night was measured by. "
            "Name that with --config."
        )
    models, strategies, cpu_pct, mem_pct = (list(dict.fromkeys(column)) for column in zip(*wanted, strict=True))
    others = (axis for axis in itertools.product(models, strategies, cpu_pct, mem_pct) if axis not in wanted)
    reduced = {
        **grid,
        "models": {name: grid["models"][name] for name in models},
        "strategies": strategies,
        "cpu_pct": cpu_pct,
        "mem_pct": mem_pct,
        "exclude": [dict(zip(("model", "strategy", *_LEVELS), axis, strict=True)) for axis in others],
        "results": str(results),
    }
    if not any((model or {}).get("partition") == "optimal" for model in reduced["models"].values()):
        reduced["profile"] = {"levels": "none"}
    return reduced


def _name(model: str, strategy: str, cpu_pct: float, mem_pct: float) -> str:
    return f"{model}/{strategy}/cpu{cpu_pct:g}-mem{mem_pct:g}"
