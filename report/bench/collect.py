"""A bench's folder -> what was measured of each strategy and model, all rounds together, by the code of the grid."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from report.blocks import conversion_s
from report.errors import NothingToReport, ReportError, SchemaError
from report.load import TIERS, WARM_UP_RUN, load_results, read_runs
from report.logs import read_grouped
from report.metrics import downtime as dt
from report.metrics import frames as fr
from report.metrics.conditions import Tolerances
from report.metrics.preparation import Preparation, preparation
from report.metrics.validity import contradictions
from report.rows import rows_of_run
from workers.bench_records import BENCH_VERSION, BenchedBlock, BenchRun
from workers.records import DeviceFrame, EdgeFrame, Event, EventKind, Outcome, Status, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from report.load import Block, RunLogs
    from workers.records import Burst

import msgspec

Key = tuple[str, str, float, float]  # model, strategy, CPU and memory availability
Samples = defaultdict[tuple[str, int], list[float]]  # values by tier and the cut before the change
_MS = 1e-6


@dataclass(frozen=True)
class SteadyFrame:
    """One answered frame before a change (ms)."""

    round_trip_ms: float
    compute_ms: float
    waiting_ms: float


@dataclass
class Found:
    """All that a bench holds of one strategy and model."""

    statuses: Counter[str] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)
    downtimes: list[dt.Downtime] = field(default_factory=list)
    of_bursts: int = 0
    whole: Counter[str] = field(default_factory=Counter)
    in_downtime: Counter[str] = field(default_factory=Counter)
    steady: defaultdict[tuple[float, int], list[SteadyFrame]] = field(default_factory=lambda: defaultdict(list))
    rest_mb: Samples = field(default_factory=lambda: defaultdict(list))
    peak_mb: Samples = field(default_factory=lambda: defaultdict(list))
    rest_charged_mb: Samples = field(default_factory=lambda: defaultdict(list))
    peak_charged_mb: Samples = field(default_factory=lambda: defaultdict(list))
    parts: defaultdict[tuple[str, str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    prepared: list[Preparation] = field(default_factory=list)
    conversion_s: float | None = None


@dataclass(frozen=True)
class Collected:
    """A bench as it was asked for and what was found of it, in the config's order of models and strategies."""

    run: BenchRun
    found: dict[Key, Found]
    hosts: dict[str, dict[str, Any]]
    choices: dict[str, Any]


def collect(root: Path) -> Collected:
    """Read a bench's folder.

    Raises:
        NothingToReport: it holds no bench.
        SchemaError: it was measured by code of another version.
    """
    run = read_run(root)
    found = {key: Found() for key in _keys(run)}
    hosts: dict[str, dict[str, Any]] = {}
    choices: dict[str, Any] = {}
    blocks = root / "blocks.jsonl"
    for row in read_lines(blocks, BenchedBlock) if blocks.exists() else ():
        of_block = found.setdefault((row.model, row.strategy, row.cpu_pct, row.mem_pct), Found())
        of_block.statuses[row.status.value] += 1
        if row.reason:
            of_block.reasons.append(f"round {row.round}: {row.reason}")
    for folder in sorted(root.glob("round-[0-9][0-9]")):
        for block in _blocks_of(folder):
            record = block.record
            hosts, choices = hosts or record.hosts, choices or record.choices
            key = (record.model, record.strategy, record.cpu_pct, record.mem_pct)
            _add_block(found.setdefault(key, Found()), block)
    return Collected(run, found, hosts, choices)


def read_run(root: Path) -> BenchRun:
    """Read what a bench was started as; see `collect`."""
    path = root / "bench.json"
    try:
        run = msgspec.json.decode(path.read_bytes(), type=BenchRun)
    except OSError as error:
        raise NothingToReport(f"{root} holds no bench ({error.strerror}: {path.name}). Make one: make bench") from error
    except msgspec.DecodeError as error:
        raise SchemaError(
            f"{path} is not what hosts.bench writes ({error}). Make it anew: make bench ANEW=1"
        ) from error
    if run.schema_version != BENCH_VERSION:
        raise SchemaError(
            f"{path} has version {run.schema_version}, this code reads {BENCH_VERSION}. Report it with the code that "
            f"measured it (git checkout {run.commit}), or make it anew"
        )
    return run


def _keys(run: BenchRun) -> Iterable[Key]:
    config = run.config
    axes = (config["models"], config["strategies"], config["cpu_pct"], config["mem_pct"])
    return itertools.product(*axes)


def _blocks_of(folder: Path) -> tuple[Block, ...]:
    try:
        return load_results(folder).blocks
    except ReportError:  # no block of this round came to its end; why stands in blocks.jsonl
        return ()


def _add_block(found: Found, block: Block) -> None:
    for logs in read_runs(block):
        _add_run(found, block, logs)
    damages: list[str] = []
    events = read_grouped(block, "edge-events.jsonl", Event, damages)
    for event in itertools.chain(*events.values()):
        _add_work(found, event)
    if (prepared := preparation(events.get(WARM_UP_RUN, ()))) is not None:
        found.prepared.append(prepared)
    found.conversion_s = found.conversion_s or conversion_s(block)
    if block.record.bursts:
        device = read_grouped(block, "device-frames.jsonl", DeviceFrame, damages)
        edge = read_grouped(block, "edge-frames.jsonl", EdgeFrame, damages)
        for burst in block.record.bursts:
            _add_burst(found, block, burst, events, device.get(burst.run, ()), edge.get(burst.run, ()))
    found.reasons += damages


def _add_run(found: Found, block: Block, logs: RunLogs) -> None:
    """Add one run by the rows that the grid's tables have of it; one that is not ok adds its reason alone."""
    rows = rows_of_run(block, logs, Tolerances.from_config(None))
    of_downtime = next(row for name, row in rows if name == "downtime")
    if of_downtime["status"] != Status.OK.value:
        found.reasons.append(f"{block.source}, run {logs.record.run}: {of_downtime['reason']}")
        return
    steps = dt.timeline(logs.record, logs.edge_events)
    if (taken := dt.downtime(steps)) is not None:
        found.downtimes.append(taken)
    for name, row in rows:
        if name == "frames" and row["window"] in {"whole", "downtime"}:
            counts = found.whole if row["window"] == "whole" else found.in_downtime
            counts.update({key.removeprefix("dropped_"): int(row[key]) for key in _COUNTED})
        if name == "memory_runs":
            for values, column in (
                (found.rest_mb, "rest_mb"),
                (found.peak_mb, "peak_mb"),
                (found.rest_charged_mb, "rest_cgroup_mb"),
                (found.peak_charged_mb, "peak_cgroup_mb"),
            ):
                if row[column] is not None:
                    values[row["tier"], logs.record.from_point].append(float(row[column]))
    record = logs.record
    found.steady[record.from_mbps, record.from_point] += _steady(logs.edge_frames, record.from_point, steps.learned_ns)


_COUNTED = (
    "offered",
    "answered",
    "dropped_paused",
    "dropped_busy",
    "dropped_late",
    "dropped_lost",
    "dropped_failed",
)


def _steady(frames: Iterable[EdgeFrame], point: int, until_ns: int) -> list[SteadyFrame]:
    """Return the frames that went all the way through the old cut before the change."""
    return [
        SteadyFrame(
            (frame.settled_ns - frame.received_ns) * _MS,
            frame.head_ms + frame.tail_ms,
            (frame.head_done_ns - frame.received_ns) * _MS - frame.head_ms,
        )
        for frame in frames
        if frame.outcome is Outcome.ANSWERED
        and frame.point == point
        and frame.settled_ns is not None
        and frame.settled_ns <= until_ns
        and frame.head_done_ns is not None
        and frame.head_ms is not None
        and frame.tail_ms is not None
    ]


def _add_work(found: Found, event: Event) -> None:
    if event.kind is not EventKind.WORK_DONE:
        return
    for key, value in event.detail.items():
        tier, _, part = key.partition("_")
        if tier in TIERS and part.endswith("_ms") and isinstance(value, int | float) and not isinstance(value, bool):
            found.parts[str(event.detail.get("work")), tier, part.removesuffix("_ms")].append(float(value))


def _add_burst(
    found: Found,
    block: Block,
    burst: Burst,
    events: dict[int, tuple[Event, ...]],
    device: tuple[DeviceFrame, ...],
    edge: tuple[EdgeFrame, ...],
) -> None:
    """Add a burst's changes; one whose frames do not add up adds its reason alone."""
    where = f"{block.source}, burst"
    if burst.reason:
        found.reasons.append(f"{where}: {burst.reason}")
    if burst.status is Status.OK and burst.changes:
        wrong = contradictions(device, edge)
        if wrong:
            found.reasons.append(f"{where}: {'; '.join(wrong)}")
            return
        counts = fr.count(fr.settle(device, edge, burst.deadline_ms))
        found.whole.update(
            {key.removeprefix("dropped_"): getattr(counts, key.removeprefix("dropped_")) for key in _COUNTED}
        )
    for change in burst.changes:
        try:
            taken = dt.downtime(dt.timeline(change, events.get(change.run, ())))
        except dt.IncompleteRunError as error:
            found.reasons.append(f"{where}, change {change.run}: {error}")
            continue
        if taken is not None:
            found.downtimes.append(taken)
            found.of_bursts += 1
