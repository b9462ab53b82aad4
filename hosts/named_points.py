"""The points that a config names, and what is said of those that its models do not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.errors import ConfigError
from hosts.points import named_cuts
from workers.errors import PartitionError
from workers.partition import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hosts.config import Config
    from workers.partition import PartitionPoint


def named_points(config: Config, model: str) -> list[tuple[str, str | int]]:
    """Return every point that is named for a model with the path of its key: where it is cut, then what is kept hot."""
    path, hot = f"models.{model}", config.models[model].hot
    cuts = named_cuts(config, model).items()
    return [
        *((f"{path}.partition.{speed:g}", point) for speed, point in cuts),
        *((f"{path}.hot[{place}]", point) for place, point in enumerate(hot if isinstance(hot, tuple) else ())),
    ]


def refuse_unknown(config: Config, points: Mapping[str, Sequence[PartitionPoint]]) -> None:
    """Refuse a config that names points which its models do not have; `points` are those of each model.

    Raises:
        ConfigError: a line for each of them, with the path of the key and the nearest points.
    """
    found = [line for model, of_model in points.items() for line in _unknown(named_points(config, model), of_model)]
    if found:
        raise ConfigError("\n".join(found))


def _unknown(named: Sequence[tuple[str, str | int]], points: Sequence[PartitionPoint]) -> Iterator[str]:
    for path, point in named:
        try:
            resolve(points, point)
        except PartitionError as error:
            yield f"{path}: {error}"
