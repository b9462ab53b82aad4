"""What is wrong with a config whose types are right: names, ranges, repetitions, exclusions."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import msgspec

from hosts.grid import blocks, every_block, is_excluded
from hosts.points import PAPER_POINTS
from hosts.suggest import did_you_mean
from workers.strategies import STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hosts.config import Config, Exclusion, ModelConfig

MOST = 100_000  # of anything that is counted

AXES = {"model": "models", "strategy": "strategies", "cpu_pct": "cpu_pct", "mem_pct": "mem_pct"}
PLAIN_PERCENT = re.compile(r"\d+(\.\d+)?")
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def problems(config: Config) -> Iterator[str]:
    """Yield what is wrong with a config, each ``path.of.key: problem``. Pure."""
    if not config.models:
        yield "models: name at least one, for example `vgg19: {}`"
    if not config.strategies:
        yield f"strategies: name at least one of {', '.join(STRATEGIES)}"
    for strategy in config.strategies:
        if strategy not in STRATEGIES:
            yield f"strategies: no strategy is called {strategy!r}{did_you_mean(strategy, STRATEGIES)}"
    yield from _path_problems(config)
    yield from _range_problems(config)
    yield from _level_problems(config)
    yield from _repetition_problems(config)
    yield from _exclusion_problems(config)
    for name, model in config.models.items():
        if not MODEL_NAME.fullmatch(name):
            yield (
                f"models: {name!r} cannot name a folder of results; use letters, digits, `.`, `_` and `-`, "
                "and say with `source` where the model comes from"
            )
        yield from _partition_problems(config, name, model)


def _path_problems(config: Config) -> Iterator[str]:
    for key in ("results", "inventory", "source"):
        value: str = getattr(config, key)
        if not value or not value.isprintable() or value.startswith("~") or set(value) & set("{}"):
            yield f"{key}: {value!r} cannot be used; give a path written out, without `~` and braces"


def _repetition_problems(config: Config) -> Iterator[str]:
    for key in ("strategies", "fps", "cpu_pct", "mem_pct"):
        values: tuple[object, ...] = getattr(config, key)
        if len(set(values)) < len(values):
            yield f"{key}: names something twice: {list(values)}; for more runs raise `repeats`"


def _range_problems(config: Config) -> Iterator[str]:
    for key, values in _above_zero(config).items():
        if not values or not all(0 < value < math.inf for value in values):
            yield f"{key}: must hold finite values above 0, found {list(values)}"
    if config.network.speeds_mbps[0] == config.network.speeds_mbps[1]:
        yield "network.speeds_mbps: the two speeds must differ"
    for key, (value, limit) in _from_zero(config).items():
        if not 0 <= value <= limit or value == math.inf:
            range_ = "be finite and not negative" if limit == math.inf else f"lie between 0 and {limit:.0f}"
            yield f"{key}: must {range_}, found {value:g}"


def _level_problems(config: Config) -> Iterator[str]:
    for key in ("cpu_pct", "mem_pct"):
        if not getattr(config, key):
            yield f"{key}: must hold at least one value"
        for value in getattr(config, key):
            if not 0 < value <= 100:  # noqa: PLR2004 - per cent
                yield f"{key}: must lie above 0 and up to 100, found {value:g}"
            elif not PLAIN_PERCENT.fullmatch(f"{value:g}") or float(f"{value:g}") != value:
                yield f"{key}: {value!r} has more digits than a folder's name keeps; round it"


def _above_zero(config: Config) -> dict[str, Sequence[float]]:
    return {
        "repeats": [config.repeats],
        "fps": config.fps,
        "network.speeds_mbps": config.network.speeds_mbps,
        "deadline_ms": [config.deadline_ms],
        "queue_limit": [config.queue_limit],
        "repartition_timeout_s": [config.repartition_timeout_s],
    }


def _from_zero(config: Config) -> dict[str, tuple[float, float]]:
    """Return what may be 0, with the most that it may be."""
    tolerances: dict[str, float] = msgspec.structs.asdict(config.tolerances)
    return {
        "network.delay_ms": (config.network.delay_ms, math.inf),
        "windows.before_s": (config.windows.before_s, math.inf),
        "windows.after_s": (config.windows.after_s, math.inf),
        "windows.warmup_frames": (config.windows.warmup_frames, MOST),
        "repeats": (config.repeats, MOST),
        "seed": (config.seed, 2**32 - 1),
        **{f"tolerances.{key}": (value, math.inf) for key, value in tolerances.items()},
    }


def _partition_problems(config: Config, name: str, model: ModelConfig) -> Iterator[str]:
    if model.partition == "paper":
        if name not in PAPER_POINTS:
            known = ", ".join(PAPER_POINTS)
            yield (
                f"models.{name}.partition: the paper names no points for this model (only for {known}); "
                "map each speed to a layer, for example {20: input, 5: output}"
            )
        elif set(config.network.speeds_mbps) != set(PAPER_POINTS[name]):
            yield (
                f"models.{name}.partition: the paper names points for 20 and 5 Mbit/s only; "
                "map each of your speeds to a layer"
            )
        return
    for speed in config.network.speeds_mbps:
        if speed not in model.partition:
            yield f"models.{name}.partition: no point for {speed:g} Mbit/s"


def _exclusion_problems(config: Config) -> Iterator[str]:
    grid = every_block(config)
    for index, entry in enumerate(config.exclude):
        unknown = list(_unknown_values(config, entry, f"exclude[{index}]"))
        yield from unknown
        if not entry.given():
            yield f"exclude[{index}]: would leave out everything; give at least one of {', '.join(AXES)}"
        elif not unknown and not any(is_excluded(block, entry) for block in grid):
            yield f"exclude[{index}]: matches no block; give each key a value, or leave the key out"
    if config.exclude and grid and not blocks(config):
        yield f"exclude: leaves out all {len(grid)} blocks; nothing would be measured. Remove an entry"


def _unknown_values(config: Config, entry: Exclusion, path: str) -> Iterator[str]:
    """Yield what an entry names that the grid does not have, with the nearest that it has."""
    for key, values in entry.given().items():
        axis = AXES[key]
        known = list(getattr(config, axis))
        for value in values:
            if value not in known and known:
                yield f"{path}.{key}: {_shown(value)} is not among `{axis}`{_nearest(value, known)}"


def _shown(value: str | float) -> str:
    return repr(value) if isinstance(value, str) else f"{value:g}"


def _nearest(value: str | float, known: list[Any]) -> str:
    if isinstance(value, str):
        return did_you_mean(value, known)
    return f"; did you mean {min(known, key=lambda level: abs(level - value)):g}?"
