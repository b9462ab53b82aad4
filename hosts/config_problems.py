"""What is wrong with a config whose types are right: names, ranges, repetitions, exclusions."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from hosts.grid import blocks, grid_size
from hosts.partition_problems import model_problems
from hosts.provenance import REPOSITORY
from hosts.suggest import did_you_mean
from workers.strategies import STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hosts.config import Config, Exclusion

MOST = 100_000  # of anything that is counted
MOST_BLOCKS = 10_000  # Snakemake needs a minute and a gigabyte for 50,000
MOST_RUNS = 1_000_000  # at two seconds each, three weeks

AXES = {"model": "models", "strategy": "strategies", "cpu_pct": "cpu_pct", "mem_pct": "mem_pct"}
PLAIN_PERCENT = re.compile(r"\d+(\.\d+)?")
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def problems(config: Config) -> Iterator[str]:
    """Yield what is wrong with a config, each ``path.of.key: problem``. Pure, but for where this is run."""
    if not config.models:
        yield "models: name at least one, for example `vgg19: {}`"
    if not config.strategies:
        yield f"strategies: name at least one of {', '.join(STRATEGIES)}"
    for strategy in config.strategies:
        if strategy not in STRATEGIES:
            yield f"strategies: no strategy is called {strategy!r}{did_you_mean(strategy, STRATEGIES)}"
    yield from _path_problems(config)
    yield from _range_problems(config)
    yield from _repetition_problems(config)
    too_large = list(_size_problems(config))
    yield from too_large or _exclusion_problems(config)
    yield from _model_problems(config)


def _model_problems(config: Config) -> Iterator[str]:
    speeds = config.network.speeds_mbps
    sound = speeds[0] != speeds[1] and all(POSITIVE.holds(speed) for speed in speeds)
    for name in config.models:
        if MODEL_NAME.fullmatch(name):
            yield from model_problems(config, name, speeds_are_sound=sound)
        else:
            yield (
                f"models: {name!r} cannot name a folder of results; use letters, digits, `.`, `_` and `-`, "
                "and say with `source` where the model comes from"
            )


def _path_problems(config: Config) -> Iterator[str]:
    for key in ("results", "inventory", "source"):
        value: str = getattr(config, key)
        if not value or not value.isprintable() or value.startswith("~") or set(value) & set("{}"):
            yield f"{key}: {value!r} cannot be used; give a path written out, without `~` and braces"
    results = Path(os.path.normpath(Path.cwd() / config.results))
    for place, what in ((Path.cwd(), "the working directory"), (REPOSITORY, "this code"), (Path.home(), "your home")):
        if config.results and results in (place, *place.parents):
            yield (
                f"results: {config.results!r} is {results}, which holds {what}; logs, tables and models would lie "
                "among other things. Give a folder of their own, for example `results`"
            )
            break


def _repetition_problems(config: Config) -> Iterator[str]:
    for key in ("strategies", "fps", "cpu_pct", "mem_pct"):
        values: tuple[object, ...] = getattr(config, key)
        if len(set(values)) < len(values):
            yield f"{key}: names something twice: {list(values)}; for more runs raise `repeats`"


def _size_problems(config: Config) -> Iterator[str]:
    size = grid_size(config)
    runs = size * len(config.fps) * 2 * config.repeats
    if size > MOST_BLOCKS:
        axes = [len(config.models), len(config.strategies), len(config.cpu_pct), len(config.mem_pct)]
        yield (
            f"models × strategies × cpu_pct × mem_pct: {' × '.join(map(str, axes))} = {size} blocks; a grid may have "
            f"{MOST_BLOCKS} at most, before `exclude`. Take fewer values, or several configs with a `results` each"
        )
    elif runs > MOST_RUNS:
        yield (
            f"fps × repeats: {size} blocks × {len(config.fps)} frame rates × 2 directions × {config.repeats} repeats = "
            f"{runs} runs; a grid may have {MOST_RUNS} at most, which takes weeks. Take fewer values or repeats"
        )


class Range(NamedTuple):
    """What a number may be: from `least`, or only above it, up to `most`; never infinite."""

    least: float
    most: float = math.inf
    above: bool = False

    def holds(self, value: float) -> bool:
        """Say whether a value is one of them."""
        return self.least <= value <= self.most and value != math.inf and not (self.above and value == self.least)

    @property
    def words(self) -> str:
        """What must be so, after *must*."""
        if self.above:
            upper = "be finite" if self.most == math.inf else f"up to {self.most:.0f}"
            return f"lie above {self.least:g} and {upper}"
        if self.most == math.inf:
            return "be finite and not negative"
        return f"lie between {self.least:g} and {self.most:.0f}"


COUNT, POSITIVE, PERCENT = Range(1, MOST), Range(0, above=True), Range(0, 100, above=True)


def out_of_range(key: str, values: Iterable[float], allowed: Range) -> Iterator[str]:
    """Yield a line on the values that are none of those allowed; `key` is what the user wrote them behind."""
    bad = [f"{value:.12g}" for value in values if not allowed.holds(value)]
    if bad:
        yield f"{key}: must {allowed.words}, found {', '.join(bad)}"


def too_many_digits(key: str, percents: Iterable[float]) -> Iterator[str]:
    """Yield a line for each percentage in range that a folder's name would not tell from its neighbours."""
    for value in percents:
        plain = PLAIN_PERCENT.fullmatch(f"{value:g}") and float(f"{value:g}") == value
        if PERCENT.holds(value) and not plain:
            yield f"{key}: {value!r} has more digits than a folder's name keeps; round it"


def _range_problems(config: Config) -> Iterator[str]:
    for key, (values, allowed) in _ranges(config).items():
        if not values:
            yield f"{key}: must hold at least one value"
        yield from out_of_range(key, values, allowed)
    if config.network.speeds_mbps[0] == config.network.speeds_mbps[1]:
        yield "network.speeds_mbps: the two speeds must differ"
    for key in ("cpu_pct", "mem_pct"):
        yield from too_many_digits(key, getattr(config, key))


def _ranges(config: Config) -> dict[str, tuple[Sequence[float], Range]]:
    tolerances: dict[str, float] = msgspec.structs.asdict(config.tolerances)
    return {
        "repeats": ([config.repeats], COUNT),
        "fps": (config.fps, POSITIVE),
        "network.speeds_mbps": (config.network.speeds_mbps, POSITIVE),
        "network.delay_ms": ([config.network.delay_ms], Range(0)),
        "deadline_ms": ([config.deadline_ms], POSITIVE),
        "queue_limit": ([config.queue_limit], COUNT),
        "repartition_timeout_s": ([config.repartition_timeout_s], POSITIVE),
        "windows.before_s": ([config.windows.before_s], Range(0)),
        "windows.after_s": ([config.windows.after_s], Range(0)),
        "windows.warmup_frames": ([config.windows.warmup_frames], Range(0, MOST)),
        "seed": ([config.seed], Range(0, 2**32 - 1)),
        "profile.repetitions": ([config.profile.repetitions], COUNT),
        "profile.frames": ([config.profile.frames], COUNT),
        "bench.rounds": ([config.bench.rounds], COUNT),
        "bench.burst_s": ([config.bench.burst_s], Range(0, MOST)),
        "bench.burst_changes": ([config.bench.burst_changes], Range(0, MOST)),
        **{f"tolerances.{key}": ([value], Range(0)) for key, value in tolerances.items()},
        "cpu_pct": (config.cpu_pct, PERCENT),
        "mem_pct": (config.mem_pct, PERCENT),
    }


def _exclusion_problems(config: Config) -> Iterator[str]:
    for index, entry in enumerate(config.exclude):
        unknown = list(_unknown_values(config, entry, f"exclude[{index}]"))
        yield from unknown
        if not entry.given():
            yield f"exclude[{index}]: would leave out everything; give at least one of {', '.join(AXES)}"
        elif not all(entry.given().values()):
            yield f"exclude[{index}]: matches no block; give each key a value, or leave the key out"
    size = grid_size(config)
    if config.exclude and size and not blocks(config):
        yield f"exclude: leaves out all {size} blocks; nothing would be measured. Remove an entry"


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
