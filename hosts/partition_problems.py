"""What is wrong with where models come from and where they are cut, as far as it shows before a model is built."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hosts.points import PAPER_POINTS
from workers.detection import Rule
from workers.errors import PartitionError
from workers.partition_models import parse_source
from workers.speed_map import SpeedMap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hosts.config import Config

MARGIN = Rule().margin


def model_problems(config: Config, name: str, *, speeds_are_sound: bool) -> Iterator[str]:
    """Yield what is wrong with a model of the config, each ``path.of.key: problem``. Pure: no file is looked at.

    Args:
        config: what the model belongs to.
        name: the model's key.
        speeds_are_sound: whether the two speeds can be gone by; otherwise what rests on them is not checked.
    """
    model = config.models[name]
    source, path = model.source or name, f"models.{name}"
    if not source.endswith(".keras"):
        try:
            parse_source(source)
        except PartitionError as error:
            yield f"{path}.source: {error}"
            return
    yield from _partition_problems(config, name, speeds_are_sound=speeds_are_sound)
    if isinstance(model.hot, tuple):
        yield from _index_problems({f"{path}.hot[{place}]": point for place, point in enumerate(model.hot)}, source)


def listing(source: str) -> str:
    """Return the command that lists a model's points."""
    return f"`python -m workers.partition {source}`"


def _partition_problems(config: Config, name: str, *, speeds_are_sound: bool) -> Iterator[str]:
    path, model = f"models.{name}.partition", config.models[name]
    source = model.source or name
    speeds = config.network.speeds_mbps if speeds_are_sound else ()
    if model.partition == "optimal":
        if config.profile.levels == "none":
            yield (
                f"{path}: `optimal` takes the points from a profile: set `profile.levels` to `full` or `all`; or, for "
                f"a bench, which makes no profile, map each speed to a layer: {listing(source)} lists them"
            )
    elif model.partition == "paper":
        if name not in PAPER_POINTS:
            yield (
                f"{path}: the paper names no points for this model (only for {', '.join(PAPER_POINTS)}); write "
                "`optimal`, or map each speed to a layer, for example {20: input, 5: output}"
            )
        elif speeds and set(speeds) != set(PAPER_POINTS[name]):
            yield (
                f"{path}: the paper names points for 20 and 5 Mbit/s only; write `optimal`, or "
                "map each of your speeds to a layer"
            )
    else:
        found = list(_mapping_problems(path, model.partition, speeds, source))
        yield from found
        if speeds and not found and config.detection == "estimated":
            yield from _indistinct_speeds(path, model.partition, speeds)


def _mapping_problems(
    path: str, points: Mapping[float, str | int], speeds: tuple[float, ...], source: str
) -> Iterator[str]:
    for speed in points:
        if not 0 < speed < math.inf:
            yield f"{path}: a speed must lie above 0 Mbit/s and be finite, found {speed:g}"
    for speed in speeds:
        if speed not in points:
            yield f"{path}: no point for {speed:g} Mbit/s; add `{speed:g}: LAYER`: {listing(source)} lists the layers"
    yield from _index_problems({f"{path}.{speed:g}": point for speed, point in points.items()}, source)
    named = {_same_point(points[speed]) for speed in speeds if speed in points}
    if len(speeds) > 1 and len(named) == 1 and all(speed in points for speed in speeds):
        fast, slow = speeds
        yield (
            f"{path}: {points[fast]!r} at {fast:g} Mbit/s is {points[slow]!r} at {slow:g}, so there is nothing to "
            f"repartition; give the two speeds different points: {listing(source)} lists them"
        )


def _index_problems(points: Mapping[str, str | int], source: str) -> Iterator[str]:
    for path, point in points.items():
        index = _same_point(point)
        if isinstance(index, int) and index < 1:
            yield f"{path}: points are counted from 1, found {point}; {listing(source)} lists them"


def _same_point(point: str | int) -> str | int:
    """Return a point by its index where that is known without the model: the input is 1, ``"7"`` is 7."""
    if point == "input":
        return 1
    return int(point) if isinstance(point, str) and point.isdecimal() else point


def _indistinct_speeds(path: str, points: Mapping[float, str | int], speeds: tuple[float, ...]) -> Iterator[str]:
    """Yield the speeds that lie too near a bound for an edge to tell on which side of it they are."""
    numbers: dict[str | int, int] = {}
    places = {speed: numbers.setdefault(_same_point(point), len(numbers)) for speed, point in points.items()}
    for bound in SpeedMap.from_points(places).bounds_mbps:
        near = [speed for speed in speeds if abs(math.log(speed / bound)) <= MARGIN]
        if near:
            yield (
                f"{path}: with `detection: estimated`, {' and '.join(f'{speed:g}' for speed in near)} Mbit/s cannot be "
                f"told from {bound:.4g}, the bound between two points, because an edge takes no notice of what lies "
                f"within {math.expm1(MARGIN):.1%} of a bound; let neighbouring speeds differ by a factor above "
                f"{math.exp(2 * MARGIN):.2f}, or write `detection: notified`"
            )
