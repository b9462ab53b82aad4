"""``config/watch/thresholds.yaml``: what counts as clear and what as relevant."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import msgspec
import yaml

from report.watch.errors import ThresholdsError
from report.watch.records import Kind

if TYPE_CHECKING:
    from pathlib import Path

Positive = Annotated[float, msgspec.Meta(gt=0, le=1e9)]  # not infinite
Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]
_FLOOR_SHARE = 0.2  # of what is relevant: no spread of nights is taken for smaller


class Relevance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From which change on a number matters: `percent` of it and `at_least` so much, or so many `points`."""

    percent: Positive | None = None
    at_least: Positive | None = None
    points: Positive | None = None

    def __post_init__(self) -> None:
        """Check that it is one of the two ways.

        Raises:
            ValueError: it is neither, or both.
        """
        relative = self.percent is not None and self.at_least is not None
        if relative == (self.points is not None) or (self.percent is None) != (self.at_least is None):
            raise ValueError("give either `percent` and `at_least`, or `points`")

    def scaled(self, value: float) -> float:
        """Return a value on the scale on which nights are compared: relative ones by their logarithm.

        `at_least` is added first, so that numbers far below it do not look as if they changed much.
        """
        return value if self.at_least is None else math.log(max(value, 0.0) + self.at_least)

    def unscaled(self, scaled: float) -> float:
        """Return the value that `scaled` gives this for."""
        return scaled if self.at_least is None else max(math.exp(scaled) - self.at_least, 0.0)

    def is_met(self, value: float, expected: float) -> bool:
        """Say whether the difference of two values matters."""
        if self.points is not None:
            return abs(value - expected) >= self.points
        return abs(value - expected) >= max(self._share * abs(expected), self.at_least or 0.0)

    @property
    def floor(self) -> float:
        """The smallest spread of nights that is believed, on the scale of `scaled`."""
        return _FLOOR_SHARE * (self.points if self.points is not None else math.log1p(self._share))

    @property
    def _share(self) -> float:
        return (self.percent or 0.0) / 100


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `docs/night-watch.md` calls clear and relevant."""

    kinds: dict[Kind, Relevance]
    window_nights: Annotated[int, msgspec.Meta(ge=3)] = 20
    fewest_nights: Annotated[int, msgspec.Meta(ge=3)] = 5
    ok_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.9
    suspects_per_night: Share = 0.05
    alarms_per_recheck: Share = 0.001

    def __post_init__(self) -> None:
        """Check what holds across keys.

        Raises:
            ValueError: a kind is missing, or the window is smaller than the fewest nights.
        """
        missing = [kind.value for kind in Kind if kind not in self.kinds]
        if missing:
            raise ValueError(f"`kinds` lacks {', '.join(missing)}")
        if self.window_nights < self.fewest_nights:
            raise ValueError("`window_nights` is smaller than `fewest_nights`")


def load_thresholds(path: Path) -> Thresholds:
    """Read the thresholds.

    Raises:
        ThresholdsError: the file is not there, no YAML, or holds what cannot be used.
    """
    try:
        return msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), Thresholds)
    except OSError as error:
        raise ThresholdsError(f"{path} cannot be read: {error.strerror}. Name a file of thresholds.") from error
    except msgspec.ValidationError as error:
        raise ThresholdsError(f"{path}: {error}. docs/night-watch.md explains every key.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ThresholdsError(f"{path} is no YAML: {' '.join(str(error).split())}. Mend that line.") from error
