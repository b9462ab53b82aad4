"""Writes raw logs of made-up runs with chosen timings, through the structs that the agents write.

All times of a `RunSpec` are milliseconds after t0 by the edge's clock. The clocks of the hosts are put apart
on purpose, so that a reader that mixes them up gets numbers that are wrong by hours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from workers.records import (
    SCHEMA_VERSION,
    BlockRecord,
    ClockOffset,
    Conditions,
    DeviceFrame,
    EdgeFrame,
    Event,
    EventKind,
    JsonLines,
    MemorySample,
    Outcome,
    Phases,
    RunRecord,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

MS = 1_000_000
CLOCKS = {"device": 7_200_000 * MS, "edge": 3_600_000 * MS, "cloud": 18_000_000 * MS}
RUN_LENGTH_NS = 60_000 * MS  # from one run's t0 to the next one's
POINTS = {("vgg19", 20.0): 16, ("vgg19", 5.0): 21}


@dataclass(frozen=True)
class Work:
    """A work_done event: its kind, when it was done, and what its parts took."""

    kind: str
    done_ms: float
    parts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Order:
    """A piece of work before the first run: what, for which pair and point, from when to when (ms), and its parts."""

    kind: str
    from_ms: float
    to_ms: float
    container: str = "p1"
    point: int = 16
    parts: dict[str, float] = field(default_factory=dict)


FIRST_PIPELINE = Order("launch", 0, 900)


def setup_events(orders: Sequence[Order], began_ns: int = CLOCKS["edge"], *, armed: bool = True) -> list[Event]:
    """Return the edge's events of run 0, in the order of the log: an end is logged after what it led to."""
    events = [Event(0, began_ns, EventKind.LINK_SET, {"mbps": 20.0, "delay_ms": 20.0, "took_ms": 3.0})]
    for order in orders:
        detail = {"work": order.kind, "container": order.container, "point": order.point}
        events.append(Event(0, began_ns + round(order.from_ms * MS), EventKind.WORK_STARTED, dict(detail)))
        if order is orders[-1] and armed:
            events.append(Event(0, began_ns + round((order.to_ms + 1) * MS), EventKind.REARMED))
        done_ns = began_ns + round(order.to_ms * MS)
        events.append(Event(0, done_ns, EventKind.WORK_DONE, {**detail, **order.parts}))
    return events


@dataclass(frozen=True)
class RunSpec:
    """One run. `stopped_ms` with `resumed_ms` is a stopped intake; without them the run only routes."""

    fps: float = 10.0
    from_mbps: float = 20.0
    to_mbps: float = 5.0
    repeat: int = 1
    works: tuple[Work, ...] = ()
    stopped_ms: float | None = None
    resumed_ms: float | None = None
    routed_ms: float | None = 0.5
    rearmed_ms: float | None = None
    moved: bool = True
    status: Status = Status.OK
    reason: str | None = None
    measured: bool = False  # a run that failed has its logs all the same: service went on
    before_ms: float = 2000.0
    after_ms: float = 3000.0
    latency_ms: float = 60.0
    deadline_ms: float = 1000.0
    busy_every: int = 0  # within the downtime every n-th frame is dropped as busy
    lost_after_ms: float | None = None  # from then on nothing comes back any more
    exit_code: int | None = None
    oom_kills: int = 0
    rest_mb: dict[str, float] = field(default_factory=lambda: {"edge": 700.0, "cloud": 900.0})
    peak_mb: dict[str, float] = field(default_factory=lambda: {"edge": 700.0, "cloud": 900.0})
    achieved: Conditions | None = None
    noticed_ms: float | None = None  # set: the edge was not told, and noticed so long after the link had changed
    wrong_ms: float | None = None  # then of its own accord it moved the cut, too

    @property
    def end_ms(self) -> float:
        """End of the downtime."""
        end = self.resumed_ms if self.resumed_ms is not None else self.routed_ms
        return 0.0 if end is None else end


def edge_events(spec: RunSpec, run: int, t0_ns: int) -> list[Event]:
    """Return the edge's events of a run, in the order of time."""

    def at(ms: float) -> int:
        return t0_ns + round(ms * MS)

    points = {"from_point": 16, "to_point": 21 if spec.moved else 16}
    to_mbps = spec.to_mbps if spec.noticed_ms is None else 0.97 * spec.to_mbps
    events = [
        Event(run, at(-1500), EventKind.LINK_SET, {"mbps": spec.from_mbps, "delay_ms": 20.0, "took_ms": 3.0}),
        Event(run, at(-1400), EventKind.CHANGE_LEARNED, {"mbps": spec.from_mbps, **points}),
        Event(run, t0_ns, EventKind.CHANGE_LEARNED, {"mbps": to_mbps, **points}),
    ]
    if spec.noticed_ms is not None:
        link = {"mbps": spec.to_mbps, "delay_ms": 20.0, "took_ms": 3.0}
        events.append(Event(run, at(-spec.noticed_ms), EventKind.LINK_SET, link))
        events.append(Event(run, t0_ns, EventKind.SPEED_NOTICED, {"mbps": to_mbps, "point": points["to_point"]}))
    if spec.wrong_ms is not None:
        events.append(Event(run, at(spec.wrong_ms), EventKind.SPEED_NOTICED, {"mbps": 19.0, "point": 16}))
    for work in spec.works:
        detail = {"work": work.kind, "container": "c2", "point": 21}
        events.append(Event(run, at(0.01), EventKind.WORK_STARTED, dict(detail)))
        events.append(Event(run, at(work.done_ms), EventKind.WORK_DONE, {**detail, **work.parts}))
    if spec.stopped_ms is not None:
        events.append(Event(run, at(spec.stopped_ms), EventKind.INTAKE_STOPPED))
    if spec.resumed_ms is not None:
        events.append(Event(run, at(spec.resumed_ms), EventKind.INTAKE_RESUMED))
    if spec.routed_ms is not None and spec.moved:
        events.append(Event(run, at(spec.routed_ms), EventKind.ROUTED, {"container": "c2", "point": 21}))
    done = {"point": points["to_point"], "moved": spec.moved, "ok": True, "reason": None}
    events.append(Event(run, at(spec.end_ms + 1), EventKind.REPARTITIONED, done))
    if spec.rearmed_ms is not None:
        events.append(Event(run, at(spec.rearmed_ms), EventKind.REARMED))
    return sorted(events, key=lambda event: event.at_ns)


def frames(spec: RunSpec, run: int, t0_ns: int) -> tuple[list[DeviceFrame], list[EdgeFrame]]:
    """Return both sides' frame records. Frames that meet a stopped intake are dropped as paused."""
    device: list[DeviceFrame] = []
    edge: list[EdgeFrame] = []
    period_ns = round(1e9 / spec.fps)
    count = int((spec.before_ms + spec.after_ms + spec.end_ms) * MS / period_ns)
    to_device = CLOCKS["device"] - CLOCKS["edge"]
    in_downtime = 0
    for number in range(count):
        offered_ns = t0_ns - round(spec.before_ms * MS) + number * period_ns
        after_ms = (offered_ns - t0_ns) / MS
        outcome = Outcome.ANSWERED
        if spec.stopped_ms is not None and spec.resumed_ms is not None:
            if spec.stopped_ms <= after_ms < spec.resumed_ms:
                outcome = Outcome.PAUSED
        elif 0 <= after_ms <= spec.end_ms:
            in_downtime += 1
            if spec.busy_every and in_downtime % spec.busy_every == 0:
                outcome = Outcome.BUSY
        if outcome is Outcome.ANSWERED and spec.lost_after_ms is not None and after_ms >= spec.lost_after_ms:
            device.append(DeviceFrame(run, number, offered_ns + to_device, Outcome.LOST))
            edge.append(EdgeFrame(run, number, offered_ns + MS, Outcome.LOST, 16, "c1"))
            continue
        answered = outcome is Outcome.ANSWERED
        settled_ns = offered_ns + round((spec.latency_ms if answered else 1) * MS)
        device.append(DeviceFrame(run, number, offered_ns + to_device, outcome, settled_ns + to_device, 16, 3))
        at_cloud_ns = offered_ns + CLOCKS["cloud"] - CLOCKS["edge"] + 30 * MS
        stamps = {"cloud_received_ns": at_cloud_ns, "tail_done_ns": at_cloud_ns + 20 * MS} if answered else {}
        edge.append(EdgeFrame(run, number, offered_ns + MS, outcome, 16, "c1", settled_ns - MS // 2, **stamps))
    return device, edge


def memory(spec: RunSpec, run: int, t0_ns: int, tier: str) -> list[MemorySample]:
    """Return samples every 100 ms: at rest before t0, at the peak while the strategy works, at rest after."""
    shift_ns = CLOCKS[tier] - CLOCKS["edge"]
    until_ms = max(spec.end_ms, spec.rearmed_ms or 0.0)
    samples = []
    for ms in range(-1000, int(until_ms) + 1000, 100):
        busy = 0 <= ms <= max(until_ms, 100)
        size = round((spec.peak_mb if busy else spec.rest_mb)[tier] * 1e6)
        stamp_ns = t0_ns + shift_ns + ms * MS + 50 * MS
        samples.append(
            MemorySample(
                run if tier == "edge" and ms >= 0 else run - 1,
                stamp_ns,
                2 if busy else 1,
                size,
                round(size * 0.9),
            )
        )
    return samples


def run_record(spec: RunSpec, run: int, cpu_pct: float, mem_pct: float) -> RunRecord:
    """Return a run's entry in run.json."""
    requested = Conditions(spec.from_mbps, spec.to_mbps, 20.0, cpu_pct, mem_pct, spec.fps)
    close = Conditions(spec.from_mbps * 0.955, spec.to_mbps * 0.96, 20.2, cpu_pct - 1, mem_pct - 0.5, spec.fps * 0.999)
    return RunRecord(
        run=run,
        repeat=spec.repeat,
        fps=spec.fps,
        from_mbps=spec.from_mbps,
        to_mbps=spec.to_mbps,
        from_point=16,
        to_point=21 if spec.moved else 16,
        status=spec.status,
        reason=spec.reason,
        requested=requested,
        achieved=spec.achieved or close,
        deadline_ms=spec.deadline_ms,
        started_utc=f"2026-11-23T20:{run // 60 % 60:02d}:{run % 60:02d}Z",
        exit_code=spec.exit_code,
        oom_kills=spec.oom_kills,
    )


def write_block(
    root: Path,
    specs: Sequence[RunSpec],
    *,
    model: str = "vgg19",
    strategy: str = "switch-b2",
    cpu_pct: float = 100.0,
    mem_pct: float = 100.0,
    setup: Sequence[Order] = (FIRST_PIPELINE,),
    **overrides: Any,
) -> Path:
    """Write a block under ``root/runs`` and return its folder; `overrides` are fields of BlockRecord."""
    folder = root / "runs" / model / strategy / f"cpu{cpu_pct:g}-mem{mem_pct:g}"
    folder.mkdir(parents=True)
    logs: dict[str, list[msgspec.Struct]] = {
        name: []
        for name in (
            "device-frames",
            "edge-frames",
            "edge-events",
            "cloud-events",
            "edge-memory",
            "cloud-memory",
        )
    }
    logs["edge-events"] += setup_events(setup)
    for run, spec in enumerate(specs, start=1):
        if spec.status is Status.INFEASIBLE or (spec.status is Status.FAILED and not spec.measured):
            continue
        t0_ns = CLOCKS["edge"] + run * RUN_LENGTH_NS
        device, edge = frames(spec, run, t0_ns)
        logs["device-frames"] += device
        logs["edge-frames"] += edge
        logs["edge-events"] += edge_events(spec, run, t0_ns)
        logs["edge-memory"] += memory(spec, run, t0_ns, "edge")
        logs["cloud-memory"] += memory(spec, run, t0_ns, "cloud")
    for name, rows in logs.items():
        write_log(folder / f"{name}.jsonl", rows)
    (folder / "measure.log").write_text("measured\n")
    records = tuple(run_record(spec, run, cpu_pct, mem_pct) for run, spec in enumerate(specs, start=1))
    record = block_record(records, model, strategy, cpu_pct, mem_pct)
    (folder / "run.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(record, **overrides)))
    return folder


def write_log(path: Path, rows: Iterable[msgspec.Struct]) -> None:
    """Write a log as the agents do."""
    log = JsonLines(path)
    for row in rows:
        log.write(row)
    log.close()


def block_record(
    records: tuple[RunRecord, ...], model: str, strategy: str, cpu_pct: float, mem_pct: float
) -> BlockRecord:
    """Return run.json's contents."""
    offsets = {role: ClockOffset(ns, 40_000) for role, ns in CLOCKS.items()}
    host = {
        "cpu_model": "Synthetic CPU 3000",
        "cpus": 2,
        "memory_mb": 8000,
        "kernel": "6.1.0-synthetic",
        "governor": None,
        "netem": False,
        "engines": {"podman": "4.3.1"},
        "packages": {"numpy": "2.4.6", "tensorflow": "2.21.0"},
        "tools": ["tc", "ip"],
        "busy_ports": [],
    }
    return BlockRecord(
        schema_version=SCHEMA_VERSION,
        protocol_version=1,
        model=model,
        strategy=strategy,
        cpu_pct=cpu_pct,
        mem_pct=mem_pct,
        status=Status.OK,
        reason=None,
        runs=records,
        model_facts={
            "digest": "0f3a" * 16,
            "weights": "random",
            "seed": 7,
            "input_shape": [224, 224, 3],
            "points": [{"index": 16, "name": "block4_pool"}, {"index": 21, "name": "block5_pool"}],
        },
        config_hash="c0ffee" * 8,
        commit="0123456789abcdef0123456789abcdef01234567",
        dirty=False,
        hosts={role: dict(host) for role in ("device", "edge", "cloud")},
        choices={"edge_runtime": "podman 4.3.1", "cloud_runtime": "podman 4.3.1", "delay": "delay line"},
        clock_before=offsets,
        clock_after=offsets,
        phases=Phases(4.0, 6.0, 120.0, 2.0, 1.0),
        started_utc="2026-11-23T20:00:00Z",
        duration_s=133.0,
    )
