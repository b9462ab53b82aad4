"""The logs of the models that do nothing -> overhead of the harness, the device's schedule, and the ceiling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from report.bench.records import Ceiling, Figure, Goal, PlaneFigures, StepFigures, of_interval, of_quantile
from report.errors import SchemaError
from report.logs import read_grouped
from report.metrics.harness import off_schedule_ms, overheads
from report.metrics.statistics import median_interval, quantile
from workers.bench_records import BENCH_VERSION, PlaneRecord
from workers.latency import Link, transfer_ms
from workers.records import DeviceFrame, EdgeFrame, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from workers.bench_records import PlaneStep

P99 = 0.99
OVERHEAD, CEILING = "overhead", "ceiling"
OVERHEAD_FPS, SCHEDULE_FPS = 20.0, 30.0
GOAL_P50_MS, GOAL_P99_MS, GOAL_SCHEDULE_MS = 1.0, 5.0, 2.0
EXACT_WIRE_MS = 0.05  # up to this, what TCP makes of the wire is no part of an overhead worth speaking of
_MB = 1e6


@dataclass(frozen=True)
class _Place:
    folder: Path
    source: str


def plane(root: Path) -> PlaneFigures | None:
    """Return what the data plane was found to do; None where it was not measured.

    Raises:
        SchemaError: it was measured by code of another version.
    """
    paths = sorted((root / "plane").glob("*/plane.json"))
    if not paths:
        return None
    records = [(path.parent, _read(path)) for path in paths]
    steps = [figures for folder, record in records for figures in _steps(folder, record)]
    reasons = [f"{record.model}: {record.reason}" for _, record in records if record.status is not Status.OK]
    return PlaneFigures(tuple(reasons), tuple(_goals(steps)), tuple(steps), tuple(_ceilings(steps)))


def _read(path: Path) -> PlaneRecord:
    try:
        record = msgspec.json.decode(path.read_bytes(), type=PlaneRecord)
    except (OSError, msgspec.DecodeError) as error:
        raise SchemaError(f"{path} cannot be read ({error}). Remove its folder and make the bench anew") from error
    if record.schema_version != BENCH_VERSION:
        raise SchemaError(f"{path} has version {record.schema_version}, this code reads {BENCH_VERSION}")
    return record


def _steps(folder: Path, record: PlaneRecord) -> Iterable[StepFigures]:
    place = _Place(folder, f"plane/{record.model}")
    damages: list[str] = []
    edge = read_grouped(place, "edge-frames.jsonl", EdgeFrame, damages)
    device = read_grouped(place, "device-frames.jsonl", DeviceFrame, damages)
    if damages:
        raise SchemaError(f"{'; '.join(damages)}. Remove {folder} and make the bench anew")
    link = Link(record.mbps, record.delay_ms)
    for step in record.steps:
        yield step_figures(record, step, edge.get(step.run, ()), device.get(step.run, ()), link)


def step_figures(
    record: PlaneRecord, step: PlaneStep, edge: Sequence[EdgeFrame], device: Sequence[DeviceFrame], link: Link
) -> StepFigures:
    """Return the figures of one step."""
    found = overheads(edge, link)
    totals, before = [one.total_ms for one in found], [one.before_ms for one in found]
    off = [abs(ms) for ms in off_schedule_ms(device, step.fps)]
    return StepFigures(
        model=record.model,
        purpose=step.purpose,
        point=step.point,
        frame_bytes=record.frame_bytes,
        cut_bytes=step.point_bytes,
        wire_ms=transfer_ms(step.point_bytes, link),
        fps=step.fps,
        achieved_fps=step.achieved_fps,
        held=step.held,
        offered=step.offered,
        answered=step.answered,
        overhead_p50_ms=of_interval(median_interval(totals)),
        overhead_p99_ms=of_quantile(quantile(totals, P99)),
        before_p50_ms=of_interval(median_interval(before)),
        before_p99_ms=of_quantile(quantile(before, P99)),
        off_schedule_p99_ms=of_quantile(quantile(off, P99)),
    )


def _goals(steps: Sequence[StepFigures]) -> Iterable[Goal]:
    for step in steps:
        if step.purpose != OVERHEAD:
            continue
        where = f"{step.model} cut at {step.cut_bytes} bytes, {step.fps:g} FPS"
        if step.fps == OVERHEAD_FPS and step.wire_ms <= EXACT_WIRE_MS:
            yield _goal(f"overhead p50, {where}", GOAL_P50_MS, step.overhead_p50_ms)
            yield _goal(f"overhead p99, {where}", GOAL_P99_MS, step.overhead_p99_ms)
        if step.fps == SCHEDULE_FPS:
            yield _goal(f"off schedule p99, {where}", GOAL_SCHEDULE_MS, step.off_schedule_p99_ms)


def _goal(name: str, limit_ms: float, found: Figure) -> Goal:
    """Return a goal beside what was found, by the value itself; the interval says how sure that is."""
    return Goal(name, limit_ms, found, None if found.value is None else found.value <= limit_ms)


def _ceilings(steps: Sequence[StepFigures]) -> Iterable[Ceiling]:
    """Return the ceiling of each model and cut, by what held while it was measured."""
    tried = [step for step in steps if step.purpose == CEILING]
    for model, point in dict.fromkeys((step.model, step.point) for step in tried):
        own = [step for step in tried if (step.model, step.point) == (model, point)]
        best = max((step for step in own if step.held), key=lambda step: step.fps, default=None)
        yield Ceiling(
            model=model,
            point=point,
            held_fps=best.fps if best else None,
            first_not_held_fps=min((step.fps for step in own if not step.held), default=None),
            ingress_mb_s=best.fps * best.frame_bytes / _MB if best else None,
            link_mb_s=best.fps * best.cut_bytes / _MB if best else None,
        )
