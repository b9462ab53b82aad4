"""The experiment's config: what is measured, typed and checked before anything is deployed."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from typing import TYPE_CHECKING, Literal

import msgspec

from hosts.errors import ConfigError
from hosts.strict import decode, read_yaml
from hosts.suggest import did_you_mean
from workers.strategies import STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Percent = float

MOST = 100_000  # of anything that is counted

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class ModelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model: where it comes from, its weights and its cuts.

    `source` is a name of keras.applications, a ``.keras`` file or ``package.module:factory``; by default the
    model's own key. `weights` is ``random`` (seeded), ``imagenet`` or the path of a file. `partition` is
    ``paper`` or maps each speed to a layer's name or 1-based index.
    """

    source: str | None = None
    weights: str = "random"
    partition: Literal["paper"] | dict[float, str | int] = "paper"


class NetworkConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The edge→cloud link: the two speeds it changes between and its one-way delay."""

    speeds_mbps: tuple[float, float] = (20.0, 5.0)
    delay_ms: float = 20.0


class WindowConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long frames are offered before a change and after the repartition (s); frames of the warm-up."""

    before_s: float = 0.8
    after_s: float = 0.8
    warmup_frames: int = 5


class ToleranceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a condition may be from what was requested (percent of it) before the report flags it."""

    link_mbps_pct: float = 10.0
    link_delay_pct: float = 10.0
    fps_pct: float = 5.0
    cpu_points: float = 5.0
    mem_points: float = 5.0


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole experiment. `config/README.md` explains every key."""

    models: dict[str, ModelConfig]
    strategies: tuple[str, ...]
    inventory: str = "hosts/local.yaml"
    results: str = "results"
    seed: int = 1
    repeats: int = 5
    fps: tuple[float, ...] = (5.0,)
    cpu_pct: tuple[Percent, ...] = (100.0,)
    mem_pct: tuple[Percent, ...] = (100.0,)
    network: NetworkConfig = NetworkConfig()
    windows: WindowConfig = WindowConfig()
    tolerances: ToleranceConfig = ToleranceConfig()
    source: str = "synthetic"
    deadline_ms: float = 2000.0
    queue_limit: int = 3
    repartition_timeout_s: float = 60.0

    def digest(self, model: str) -> str:
        """Return a hash of what shapes the measurement of a model's blocks; if it changes, they are measured anew.

        The other models, the strategies, the stress levels and the tolerances are no part of it: adding one to the
        grid leaves the blocks that were measured as they are.
        """
        same = msgspec.structs.replace(
            self,
            models={model: self.models[model]},
            strategies=(),
            cpu_pct=(),
            mem_pct=(),
            tolerances=ToleranceConfig(),
            results="",
        )
        text = json.dumps(msgspec.to_builtins(same, str_keys=True), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


class Block(msgspec.Struct, frozen=True):
    """One job: all FPS, directions and repeats of a model, strategy and stress level."""

    model: str
    strategy: str
    cpu_pct: Percent
    mem_pct: Percent

    @property
    def folder(self) -> str:
        """Where its raw logs go, below ``results/runs``."""
        return f"{self.model}/{self.strategy}/cpu{self.cpu_pct:g}-mem{self.mem_pct:g}"


def parse(data: object, where: str) -> Config:
    """Check a config that has been read; `where` names it in messages.

    Raises:
        ConfigError: every problem found, a line each, with the path of its key.
    """
    config: Config = decode(_with_numeric_speeds(data), Config, where)
    problems = list(_problems(config, where))
    if problems:
        raise ConfigError("\n".join(problems))
    return config


def _with_numeric_speeds(data: object) -> object:
    """Return the data with the speeds of partitions as numbers; JSON and the command line know only text as keys."""
    models = data.get("models") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(models, dict):
        return data
    return {**data, "models": {name: _with_numeric_keys(model) for name, model in models.items()}}


def _with_numeric_keys(model: object) -> object:
    if model is None:
        return {}  # `vgg19:` with nothing behind it: all defaults
    partition = model.get("partition") if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(partition, dict):
        return model
    return {**model, "partition": {_number(speed): point for speed, point in partition.items()}}


def _number(text: object) -> object:
    try:
        return float(text) if isinstance(text, str) else text
    except ValueError:
        return text


def load(path: Path) -> Config:
    """Read and check a config file.

    Raises:
        ConfigError: the file is missing or no YAML, or see `parse`.
    """
    return parse(read_yaml(path, "config"), str(path))


def _problems(config: Config, where: str) -> Iterator[str]:
    if not config.models:
        yield f"{where}: models: name at least one, for example `vgg19: {{}}`"
    if not config.strategies:
        yield f"{where}: strategies: name at least one of {', '.join(STRATEGIES)}"
    for strategy in config.strategies:
        if strategy not in STRATEGIES:
            yield f"{where}: strategies: no strategy is called {strategy!r}{did_you_mean(strategy, STRATEGIES)}"
    yield from _path_problems(config, where)
    yield from _range_problems(config, where)
    yield from _repetition_problems(config, where)
    for name, model in config.models.items():
        if not MODEL_NAME.fullmatch(name):
            yield (
                f"{where}: models: {name!r} cannot name a folder of results; use letters, digits, `.`, `_` and `-`, "
                "and say with `source` where the model comes from"
            )
        yield from _partition_problems(config, name, model, where)


def _path_problems(config: Config, where: str) -> Iterator[str]:
    for key in ("results", "inventory", "source"):
        value: str = getattr(config, key)
        if not value or not value.isprintable() or value.startswith("~") or set(value) & set("{}"):
            yield f"{where}: {key}: {value!r} cannot be used; give a path written out, without `~` and braces"


def _repetition_problems(config: Config, where: str) -> Iterator[str]:
    for key in ("strategies", "fps", "cpu_pct", "mem_pct"):
        values: tuple[object, ...] = getattr(config, key)
        if len(set(values)) < len(values):
            yield f"{where}: {key}: names something twice: {list(values)}; for more runs raise `repeats`"


def _range_problems(config: Config, where: str) -> Iterator[str]:
    for key, values in _above_zero(config).items():
        if not values or not all(0 < value < math.inf for value in values):
            yield f"{where}: {key}: must hold finite values above 0, found {list(values)}"
    if config.network.speeds_mbps[0] == config.network.speeds_mbps[1]:
        yield f"{where}: network.speeds_mbps: the two speeds must differ"
    for key, (value, limit) in _from_zero(config).items():
        if not 0 <= value <= limit or value == math.inf:
            range_ = "be finite and not negative" if limit == math.inf else f"lie between 0 and {limit:.0f}"
            yield f"{where}: {key}: must {range_}, found {value:g}"
    for key in ("cpu_pct", "mem_pct"):
        if not getattr(config, key):
            yield f"{where}: {key}: must hold at least one value"
        for value in getattr(config, key):
            if value != 100:  # noqa: PLR2004 - the stressors are not part of the grid yet
                yield f"{where}: {key}: only 100 can be measured so far, found {value:g}"


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


def _partition_problems(config: Config, name: str, model: ModelConfig, where: str) -> Iterator[str]:
    if model.partition == "paper":
        if name not in PAPER_POINTS:
            known = ", ".join(PAPER_POINTS)
            yield (
                f"{where}: models.{name}.partition: the paper names no points for this model (only for {known}); "
                "map each speed to a layer, for example {20: input, 5: output}"
            )
        elif set(config.network.speeds_mbps) != set(PAPER_POINTS[name]):
            yield (
                f"{where}: models.{name}.partition: the paper names points for 20 and 5 Mbit/s only; "
                "map each of your speeds to a layer"
            )
        return
    for speed in config.network.speeds_mbps:
        if speed not in model.partition:
            yield f"{where}: models.{name}.partition: no point for {speed:g} Mbit/s"


# The paper's Fig. 2 and 3, read by layer name: block4_pool and block5_pool are its layers 17 and 22.
# MobileNetV2's layer 2 was Conv1_pad, which today's Keras no longer has; the input is its neighbour of that size.
PAPER_POINTS: dict[str, dict[float, str | int]] = {
    "vgg19": {20.0: "block4_pool", 5.0: "block5_pool"},
    "mobilenetv2": {20.0: "input", 5.0: "block_3_project"},
}


def points_by_speed(config: Config, model: str) -> dict[float, str | int]:
    """Return the cut asked for at each speed."""
    partition = config.models[model].partition
    named = PAPER_POINTS[model] if isinstance(partition, str) else partition
    return {speed: named[speed] for speed in config.network.speeds_mbps}


def blocks(config: Config) -> list[Block]:
    """Return the blocks of the grid."""
    axes = itertools.product(config.models, config.strategies, config.cpu_pct, config.mem_pct)
    return [Block(*axis) for axis in axes]
