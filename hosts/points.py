"""Where each model is cut at each network speed: the paper's points, the config's own or the best by the profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.errors import ConfigError
from workers.latency import HIGH_MBPS, LOW_MBPS, Link, best, best_by_speed, profile_costs
from workers.speed_map import SpeedMap

if TYPE_CHECKING:
    from collections.abc import Callable

    from hosts.config import Config
    from workers.latency import PointCost
    from workers.records import ProfileRecord

# The paper's Fig. 2 and 3, read by layer name: block4_pool and block5_pool are its layers 17 and 22.
# MobileNetV2's layer 2 was Conv1_pad, which today's Keras no longer has; the input is its neighbour of that size.
PAPER_POINTS: dict[str, dict[float, str | int]] = {
    "vgg19": {20.0: "block4_pool", 5.0: "block5_pool"},
    "mobilenetv2": {20.0: "input", 5.0: "block_3_project"},
}


def needs_profile(config: Config, model: str) -> bool:
    """Return whether a model's cuts are known only once it is profiled at its highest availability."""
    return config.models[model].partition == "optimal"


def points_by_speed(config: Config, model: str, profile: ProfileRecord | None = None) -> dict[float, str | int]:
    """Return the cut asked for at each speed; `profile` is that of the model's highest availability.

    Raises:
        ConfigError: the cuts are to be the best ones, and there is no profile.
        PartitionError: the profile holds no times, or not those of this model.
    """
    if needs_profile(config, model):
        costs = _costs(model, profile)
        return {speed: best(costs, Link(speed, config.network.delay_ms)).index for speed in config.network.speeds_mbps}
    named = named_cuts(config, model)
    return {speed: named[speed] for speed in config.network.speeds_mbps}


def speed_map(
    config: Config, model: str, profile: ProfileRecord | None, resolve: Callable[[str | int], int]
) -> SpeedMap:
    """Return the point for any speed: exact bounds for the best points, else that of the nearest speed that has one.

    `resolve` turns a layer's name or index into the index of the model's point. Every speed of a mapping counts,
    also one that the grid does not change to.

    Raises:
        ConfigError, PartitionError: as `points_by_speed`; whatever `resolve` raises.
    """
    if needs_profile(config, model):
        slow, fast = sorted(config.network.speeds_mbps)
        costs = _costs(model, profile)
        return SpeedMap.from_intervals(
            best_by_speed(costs, config.network.delay_ms, min(slow, LOW_MBPS), max(fast, HIGH_MBPS))
        )
    return SpeedMap.from_points({speed: resolve(point) for speed, point in named_cuts(config, model).items()})


def named_cuts(config: Config, model: str) -> dict[float, str | int]:
    """Return the cut that the config names for each speed, those of the grid first; none for the best points."""
    if needs_profile(config, model):
        return {}
    partition = config.models[model].partition
    named = PAPER_POINTS[model] if isinstance(partition, str) else partition
    return {speed: named[speed] for speed in dict.fromkeys((*config.network.speeds_mbps, *named))}


def _costs(model: str, profile: ProfileRecord | None) -> tuple[PointCost, ...]:
    if profile is None:
        raise ConfigError(
            f"models.{model}.partition: `optimal` takes the points from the model's profile, and there is none. "
            "Profile the model first, as rule `profile` of the workflow does, or map each speed to a layer."
        )
    return profile_costs(profile)
