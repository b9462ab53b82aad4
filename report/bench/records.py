"""The contents of ``bench.json``. A number that is not known is null."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from report.metrics.statistics import Interval, Quantile


DROPS = ("paused", "busy", "late", "lost", "failed")  # why a frame was dropped; fields of `FrameFigures`


class Figure(msgspec.Struct, frozen=True):
    """A number with an interval made of measured values, n, and the probability that it holds the true one.

    An end is null where n is too small for one. `extreme`: a quantile that is but the largest (smallest) value.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    coverage: float
    extreme: bool = False


class MemoryFigures(msgspec.Struct, frozen=True):
    """Memory of a tier's pipelines (MB, PSS): at rest, at the peak of a change, and beyond the baseline's at rest.

    Each is at the cut before the change where it is most.

    `additional_share` is additional over the baseline's rest; `charged` is the same by what the cgroups are charged
    with (anonymous memory: without the pages of mapped weights, which the kernel can have again).
    """

    tier: str
    rest_mb: Figure
    peak_mb: Figure
    additional_mb: Figure
    additional_share: float | None
    charged_mb: Figure
    charged_share: float | None


class FrameFigures(msgspec.Struct, frozen=True):
    """Frames of all runs and bursts by outcome, and the share dropped; the same of the runs' downtimes.

    Shares have Wilson's 95 % interval, and are null where no frame was offered.
    """

    offered: int
    answered: int
    paused: int
    busy: int
    late: int
    lost: int
    failed: int
    downtime_offered: int
    downtime_dropped: int
    downtime_drop_rate: float | None
    downtime_drop_low: float | None
    downtime_drop_high: float | None
    downtime_paused: int = 0
    downtime_busy: int = 0
    downtime_late: int = 0
    downtime_lost: int = 0
    downtime_failed: int = 0
    drop_rate: float | None = None
    drop_low: float | None = None
    drop_high: float | None = None


class SteadyFigures(msgspec.Struct, frozen=True):
    """Frames answered before a change, at one cut and speed, and the ratio to the baseline's at the same.

    `round_trip_ms` is from arrival at the edge to the answer, `compute_ms` head and tail.
    """

    mbps: float
    point: int
    round_trip_ms: Figure
    compute_ms: Figure
    waiting_ms: Figure
    round_trip_ratio: Figure
    compute_ratio: Figure


class PreparedFigures(msgspec.Struct, frozen=True):
    """What was made before the first change (s, over blocks), as `report.metrics.preparation` counts it.

    `conversion_s` is what making the stored model took, once; null where that was not noted.
    """

    pairs: Figure
    launch_s: Figure
    first_pair_s: Figure
    points: Figure
    build_s: Figure
    build_edge_s: Figure
    build_cloud_s: Figure
    armed_s: Figure
    conversion_s: float | None


class PartFigures(msgspec.Struct, frozen=True):
    """What a tier spent on one part of a kind of work (ms), whether within a downtime or not."""

    work: str
    tier: str
    part: str
    ms: Figure


class StrategyRow(msgspec.Struct, frozen=True):
    """One strategy and model. `changes` counts values of downtime: those of runs and those of bursts."""

    model: str
    strategy: str
    cpu_pct: float
    mem_pct: float
    blocks: dict[str, int]  # by status
    reasons: tuple[str, ...]
    changes: int
    changes_of_bursts: int
    downtime_p50_ms: Figure
    downtime_p99_ms: Figure
    downtime_max_ms: float | None
    outage_p50_ms: Figure
    t_switch_p50_ms: Figure
    t_switch_p99_ms: Figure
    ratio_to_baseline: Figure
    memory: tuple[MemoryFigures, ...]
    frames: FrameFigures
    steady: tuple[SteadyFigures, ...]
    parts: tuple[PartFigures, ...]
    prepared: PreparedFigures | None = None


class StepFigures(msgspec.Struct, frozen=True):
    """One pace through one cut of a model that does nothing; overheads in ms.

    `wire_ms` is what the rate takes for the bytes at the cut. What TCP takes beyond it is in the overheads.
    """

    model: str
    purpose: str
    point: int
    frame_bytes: int
    cut_bytes: int
    wire_ms: float
    fps: float
    achieved_fps: float | None
    held: bool
    offered: int
    answered: int
    overhead_p50_ms: Figure
    overhead_p99_ms: Figure
    before_p50_ms: Figure
    before_p99_ms: Figure
    off_schedule_p99_ms: Figure


class Ceiling(msgspec.Struct, frozen=True):
    """The most that the data plane kept up with: answers and bytes a second, into the edge and over the link.

    `first_not_held_fps` is the slowest pace tried that it did not keep up with; null where none was.
    """

    model: str
    point: int
    held_fps: float | None
    first_not_held_fps: float | None
    ingress_mb_s: float | None
    link_mb_s: float | None


class Goal(msgspec.Struct, frozen=True):
    """A limit in ms, what was found, and whether it is met; null where n does not tell."""

    name: str
    limit_ms: float
    found: Figure
    met: bool | None


class PlaneFigures(msgspec.Struct, frozen=True):
    """The harness without a model's work."""

    reasons: tuple[str, ...]
    goals: tuple[Goal, ...]
    steps: tuple[StepFigures, ...]
    ceilings: tuple[Ceiling, ...]


class Bench(msgspec.Struct, frozen=True):
    """Contents of ``bench.json``."""

    schema_version: int
    started_utc: str
    complete: bool
    commit: str
    dirty: bool
    digest: str
    baseline: str
    rounds: int
    config: dict[str, Any]
    hosts: dict[str, dict[str, Any]]
    choices: dict[str, Any]
    rows: tuple[StrategyRow, ...]
    plane: PlaneFigures | None


def of_interval(interval: Interval) -> Figure:
    """Return a median, ratio or difference as it stands in the file."""
    value, low, high = map(_known, (interval.median, interval.low, interval.high))
    return Figure(value, low, high, interval.n, interval.coverage)


def of_quantile(found: Quantile) -> Figure:
    """Return a quantile as it stands in the file."""
    value, low, high = map(_known, (found.value, found.low, found.high))
    return Figure(value, low, high, found.n, found.coverage, extreme=found.n > 0 and found.is_extreme)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
