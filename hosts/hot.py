"""Which points a strategy that keeps points ready is to keep ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.errors import ConfigError
from workers.errors import PartitionError
from workers.partition import resolve

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from hosts.config import Config
    from workers.partition import PartitionPoint


def hot_points(config: Config, model: str, points: Sequence[PartitionPoint], cut_at: Iterable[int]) -> dict[int, str]:
    """Return the names, by index, of the points that `models.<model>.hot` asks for and of those it is cut at.

    Raises:
        ConfigError: a point that the model does not have; names the nearest.
    """
    return _names(points, {*cut_at, *_wanted(model, points, config.models[model].hot_in_a_grid)})


def hot_in_a_soak(
    config: Config, model: str, points: Sequence[PartitionPoint], ordered: Collection[int]
) -> dict[int, str]:
    """Return the names, by index, of the points that `models.<model>.hot` asks for; without it all that are ordered.

    Raises:
        ConfigError: a point that the model does not have; names the nearest.
    """
    wanted = config.models[model].hot
    return _names(points, ordered if wanted is None else _wanted(model, points, wanted))


def _wanted(model: str, points: Sequence[PartitionPoint], wanted: str | Sequence[str | int]) -> tuple[int, ...]:
    try:
        return points_named(points, wanted)
    except PartitionError as error:
        raise ConfigError(f"models.{model}.hot: {error}") from error


def _names(points: Sequence[PartitionPoint], indices: Collection[int]) -> dict[int, str]:
    return {point.index: point.name for point in points if point.index in indices}


def points_named(points: Sequence[PartitionPoint], wanted: str | Sequence[str | int]) -> tuple[int, ...]:
    """Return the indices of the points that are asked for, in order: ``pareto``, ``all``, or names and indices.

    Raises:
        PartitionError: a point that the model does not have; names the nearest.
    """
    if wanted == "pareto":
        return pareto(points)
    if wanted == "all":
        return tuple(point.index for point in points)
    return tuple(sorted({resolve(points, point).index for point in wanted}))


def pareto(points: Sequence[PartitionPoint]) -> tuple[int, ...]:
    """Return the points that send fewer bytes than every earlier one: the only ones that can ever be the best.

    While the edge is no faster than the cloud, a point that sends no less than an earlier one is worse at any speed.
    """
    found: list[int] = []
    least: float = float("inf")
    for point in points:
        if point.output_bytes < least:
            found.append(point.index)
            least = point.output_bytes
    return tuple(found)
