"""The experiment's config: what is measured, typed and checked before anything is deployed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Literal

import msgspec

from hosts.config_problems import problems
from hosts.errors import ConfigError
from hosts.provenance import REPOSITORY
from hosts.strict import decode, read_yaml
from workers import messages as m

if TYPE_CHECKING:
    from pathlib import Path

Percent = float
DEFAULT = REPOSITORY / "config" / "default.yaml"


class ModelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model: where it comes from, its weights and its cuts.

    `source` is a name of keras.applications, a ``.keras`` file or ``package.module:factory``; by default the
    model's own key. `weights` is ``random`` (seeded), ``imagenet`` or the path of a file. `partition` is
    ``paper``, ``optimal`` (the best points by the model's profile) or maps each speed to a layer's name or 1-based
    index. `hot` are the points that strategy ``switch-hot`` keeps ready beside those of `partition`: ``pareto`` (those
    that send fewer bytes than every earlier one), ``all``, or layers by name or index; None: ``pareto``, but in a soak
    all that it orders.
    """

    source: str | None = None
    weights: str = "random"
    partition: Literal["paper", "optimal"] | dict[float, str | int] = "paper"
    hot: Literal["pareto", "all"] | tuple[str | int, ...] | None = None

    @property
    def hot_in_a_grid(self) -> str | tuple[str | int, ...]:
        """What `hot` stands for where runs are measured."""
        return "pareto" if self.hot is None else self.hot


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


class ProfileConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How models are profiled.

    `levels` is ``none``, ``full`` (each model's highest availability) or ``all`` (every level of its blocks);
    `repetitions` are the calls timed of each layer, head and tail, `frames` those sent for a point and speed.
    """

    levels: Literal["none", "full", "all"] = "full"
    repetitions: int = 15
    frames: int = 6


class BenchConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How ``make bench`` compares the strategies.

    Every block is measured once a round, and then its session goes on with a burst: changes one after another, as many
    as fit into `burst_s`, at most `burst_changes`. Ratios are to `baseline`. `plane`: whether the data plane is
    measured, with models that do nothing.
    """

    rounds: int = 2
    baseline: str = "pause-resume"
    burst_s: float = 4.0
    burst_changes: int = 500
    plane: bool = True


class Exclusion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Blocks to leave out: those that match every key given, each a value or a list of values."""

    model: str | tuple[str, ...] | None = None
    strategy: str | tuple[str, ...] | None = None
    cpu_pct: Percent | tuple[Percent, ...] | None = None
    mem_pct: Percent | tuple[Percent, ...] | None = None

    def given(self) -> dict[str, tuple[str | float, ...]]:
        """Return the values of each key that is given."""
        values = {key: getattr(self, key) for key in self.__struct_fields__}
        return {
            key: value if isinstance(value, tuple) else (value,) for key, value in values.items() if value is not None
        }


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
    exclude: tuple[Exclusion, ...] = ()
    network: NetworkConfig = NetworkConfig()
    detection: Literal["notified", "estimated"] = "notified"
    weights_memory: m.WeightsMemory = "mapped"
    windows: WindowConfig = WindowConfig()
    profile: ProfileConfig = ProfileConfig()
    tolerances: ToleranceConfig = ToleranceConfig()
    bench: BenchConfig = BenchConfig()
    source: str = "synthetic"
    deadline_ms: float = 2000.0
    queue_limit: int = 3
    repartition_timeout_s: float = 180.0

    def digest(self, model: str) -> str:
        """Return a hash of what shapes the measurement of a model's blocks; if it changes, they are measured anew.

        The other models, the strategies, the stress levels, the exclusions and the tolerances are no part of it:
        adding blocks to the grid leaves those that were measured as they are. Neither is how models are profiled, nor
        what belongs to the bench alone.
        """
        measured = self.models[model]
        same = msgspec.structs.replace(
            self,
            models={model: msgspec.structs.replace(measured, hot=measured.hot_in_a_grid)},
            strategies=(),
            cpu_pct=(),
            mem_pct=(),
            exclude=(),
            tolerances=ToleranceConfig(),
            profile=ProfileConfig(),
            results="",
        )
        shaping = msgspec.to_builtins(same, str_keys=True)
        del shaping["bench"]
        text = json.dumps(shaping, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def parse(data: object, where: str) -> Config:
    """Check a config that has been read; `where` names it in messages.

    Raises:
        ConfigError: every problem found, a line each, with the path of its key.
    """
    config: Config = decode(_with_numeric_speeds(data), Config, where)
    found = [f"{where}: {problem}" for problem in problems(config)]
    if found:
        raise ConfigError("\n".join(found))
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


def completed(data: object, where: str) -> tuple[object, str]:
    """Return a config that has been read, whole, and what names it in messages.

    One without `models` is laid over ``config/default.yaml``: what it holds comes instead of what stands there, in
    mappings key by key. One with `models` stands alone; laid over it would measure the models of both.

    Raises:
        ConfigError: the default cannot be read.
    """
    if not isinstance(data, dict) or "models" in data:
        return data, where
    return _laid_over(read_yaml(DEFAULT, "config"), data), f"{where} (laid over config/{DEFAULT.name})"


def _laid_over(below: object, above: object) -> object:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return below | {key: _laid_over(below.get(key), value) for key, value in above.items()}


def load(path: Path) -> Config:
    """Read and check a config file, laid over the default one where it names no models.

    Raises:
        ConfigError: the file is missing or no YAML, or see `parse`.
    """
    return parse(*completed(read_yaml(path, "config"), str(path)))
