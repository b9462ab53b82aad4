"""What the logs and ``run.json`` hold: the raw half of the data contract, written here and read by `report`.

A block is one folder ``results/runs/<model>/<strategy>/cpu<pct>-mem<pct>/`` with

====================  ==============================================================================
run.json              `BlockRecord`: what was asked, where it ran, and one `RunRecord` a run
device-frames.jsonl   one `DeviceFrame` a frame offered, stamped by the device's clock
edge-frames.jsonl     one `EdgeFrame` a frame that reached the edge
edge-events.jsonl     one `Event` a step of the repartition, stamped by the edge's clock
cloud-events.jsonl    the same for the cloud
edge-memory.jsonl     one `MemorySample` a sampling period
cloud-memory.jsonl    the same for the cloud
*.log                 what the agents and containers printed
====================  ==============================================================================

All ``_ns`` stamps are ``time.monotonic_ns`` of the host named. Run 0 is the warm-up and is never averaged.
"""

from __future__ import annotations

import enum
import os
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Size = Annotated[int, msgspec.Meta(ge=0)]  # bytes

SCHEMA_VERSION = 1

Row = TypeVar("Row", bound=msgspec.Struct)


class Status(enum.Enum):
    """How a run ended; only `ok` runs enter a statistic, all stay as rows."""

    OK = "ok"
    INFEASIBLE = "infeasible"
    FAILED = "failed"
    INVALID = "invalid"


class Outcome(enum.Enum):
    """The one final state of a frame."""

    ANSWERED = "answered"
    PAUSED = "paused"  # the edge's intake was stopped, or its pipeline was paused under the frame
    BUSY = "busy"  # as many frames were in flight as the pipeline may hold
    LATE = "late"  # answered after its deadline
    LOST = "lost"  # nothing came back
    FAILED = "failed"  # the pipeline reported an error


class DeviceFrame(msgspec.Struct, frozen=True):
    """A frame as the device saw it. `settled_ns` is None where nothing came back."""

    run: int
    frame: int
    offered_ns: int
    outcome: Outcome
    settled_ns: int | None = None
    point: int | None = None
    label: int | None = None  # index of the largest logit


class EdgeFrame(msgspec.Struct, frozen=True):
    """A frame as the edge saw it; stages are None where the frame never came that far.

    Edge clock: `received_ns`, `head_done_ns` (handed to the link), `settled_ns`.
    Cloud clock: `cloud_received_ns`, `tail_done_ns`.
    """

    run: int
    frame: int
    received_ns: int
    outcome: Outcome
    point: int | None = None
    container: str | None = None
    settled_ns: int | None = None
    head_ms: float | None = None
    head_done_ns: int | None = None
    cut_bytes: int | None = None
    cloud_received_ns: int | None = None
    tail_ms: float | None = None
    tail_done_ns: int | None = None


class EventKind(enum.Enum):
    """Steps of a repartition and of an agent's life. The details that each carries are listed beside it."""

    CHANGE_LEARNED = "change_learned"  # t0: mbps, from_point, to_point
    INTAKE_STOPPED = "intake_stopped"
    INTAKE_RESUMED = "intake_resumed"
    WORK_STARTED = "work_started"  # work, container, point: an order went to both tiers
    WORK_DONE = "work_done"  # work, container, point, edge_<part>_ms, cloud_<part>_ms
    WORK_FAILED = "work_failed"  # work, container, point, tier, reason
    ROUTED = "routed"  # container, point: the next frame goes there
    REPARTITIONED = "repartitioned"  # point, moved (bool), ok (bool), reason
    REARMED = "rearmed"  # the strategy is ready for the next change
    CONTAINER_DIED = "container_died"  # container, exit_code, oom_kills, reason
    LINK_SET = "link_set"  # mbps, delay_ms, took_ms
    LINK_PROBED = "link_probed"  # mbps, delay_ms (measured)
    STRESS_SET = "stress_set"  # what was taken and what a probe found left: see BlockRecord.stress
    STRESS_RELEASED = "stress_released"  # took_s
    SPEED_NOTICED = "speed_noticed"  # mbps, point (for it), evidence (count), since_ns: the edge found it out by itself
    STRANGERS = "strangers"  # <socket>_<reason>: count of refused peers and frames


class Event(msgspec.Struct, frozen=True):
    """One step, by the clock of the host in whose log it stands."""

    run: int
    at_ns: int
    kind: EventKind
    detail: dict[str, str | int | float | bool | None] = {}


class MemorySample(msgspec.Struct, frozen=True):
    """Memory of all pipelines of a tier at one moment.

    `pss_bytes` sums the proportional set size of the containers' processes, `cgroup_bytes` what their cgroups
    are charged with without the page cache (anonymous memory).
    """

    run: int
    at_ns: int
    containers: int
    pss_bytes: Size
    cgroup_bytes: Size | None = None


class ClockOffset(msgspec.Struct, frozen=True):
    """Clock of a host minus the controller's, from the probe with the shortest round trip; ± `bound_ns`."""

    offset_ns: int
    bound_ns: int


class Conditions(msgspec.Struct, frozen=True):
    """What was asked for or found; None where it was not measured.

    Rates are on the wire, headers included, as the shaper counts them.
    """

    link_mbps_before: float | None = None
    link_mbps_after: float | None = None
    link_delay_ms: float | None = None
    cpu_pct: float | None = None
    mem_pct: float | None = None
    fps: float | None = None


class RunRecord(msgspec.Struct, frozen=True):
    """One repetition of one scenario.

    `clock_before` and `clock_after` are the hosts' clocks, probed between runs, when the link is idle.
    `exit_code` and `oom_kills` are the evidence where a container died: how its program ended, and how many
    processes the kernel killed for want of memory.
    """

    run: int
    repeat: int
    fps: float
    from_mbps: float
    to_mbps: float
    from_point: int
    to_point: int
    status: Status
    reason: str | None
    requested: Conditions
    achieved: Conditions
    deadline_ms: float
    started_utc: str
    session: int = 0  # counts how often the agents were started anew within the block
    clock_before: dict[str, ClockOffset] = {}
    clock_after: dict[str, ClockOffset] = {}
    exit_code: int | None = None
    oom_kills: int = 0


class Change(msgspec.Struct, frozen=True):
    """One change of a burst; its events stand in the logs under `run`, as those of a run do."""

    run: int
    from_mbps: float
    to_mbps: float
    from_point: int
    to_point: int


class Burst(msgspec.Struct, frozen=True):
    """Changes one after another, each made once the strategy was ready for it, while frames were offered at `fps`.

    The frames stand in the logs under `run`, each change's events under its own number. `took_s` is the time from the
    first change to the end of the last; where the status is not ok, `changes` are those that came to their end.
    """

    run: int
    fps: float
    status: Status
    reason: str | None
    deadline_ms: float
    took_s: float
    changes: tuple[Change, ...]


class Phases(msgspec.Struct, frozen=True):
    """How the block's wall time splits (seconds, controller's clock)."""

    setup_s: float
    warmup_s: float
    observation_s: float
    teardown_s: float
    controller_s: float


class BlockRecord(msgspec.Struct, frozen=True):
    """Contents of ``run.json``: a block's provenance and its runs.

    `stress` says what was taken away from the edge and what a probe found left over (percent) before the first
    pipeline started: ``tool``, ``set_s``, ``cpu_taken_pct``, ``mem_taken_bytes``, ``cpu_pct``, ``mem_pct``.
    """

    schema_version: int
    protocol_version: int
    model: str
    strategy: str
    cpu_pct: float
    mem_pct: float
    status: Status
    reason: str | None
    runs: tuple[RunRecord, ...]
    model_facts: dict[str, Any]  # of workers.store: digest, weights, seed, input_shape, points; conversion_s if known
    config_hash: str
    commit: str
    dirty: bool
    hosts: dict[str, dict[str, Any]]  # role -> facts
    choices: dict[str, Any]  # what is in use where there is a choice: delay method, runtime, cgroup version
    clock_before: dict[str, ClockOffset]
    clock_after: dict[str, ClockOffset]
    phases: Phases
    started_utc: str
    duration_s: float
    stress: dict[str, float | str] = {}
    bursts: tuple[Burst, ...] = ()


class TierTimings(msgspec.Struct, frozen=True):
    """What one tier's container timed, warm-up discarded: samples in ms.

    `whole_ms` are calls of the whole model. `layers_ms` holds for each layer, in the order of the model's layers, its
    samples from further calls in which every operation was timed; they are scaled so that their sum is that of
    `whole_ms`'s median. `parts_ms` are calls of this tier's parts (edge: heads, cloud: tails), by point. `threads`:
    within an operation, between operations.
    """

    threads: tuple[int, int]
    whole_ms: tuple[float, ...]
    layers_ms: tuple[tuple[float, ...], ...]
    parts_ms: dict[int, tuple[float, ...]]


class PointRun(msgspec.Struct, frozen=True):
    """Frames sent one at a time through the real pipeline, cut at `point`, over a link of `mbps`.

    `why` says what makes the point matter: ``best``, ``neighbour``, ``edge-only``, ``cloud-only``, ``paper``, or
    ``config`` (where the experiments cut). Its frames are those of `run` in the logs beside.
    """

    run: int
    mbps: float
    point: int
    why: tuple[str, ...]
    fps: float
    requested: Conditions
    achieved: Conditions
    clock_before: dict[str, ClockOffset] = {}
    clock_after: dict[str, ClockOffset] = {}


class ProfileRecord(msgspec.Struct, frozen=True):
    """Contents of ``results/profiles/<model>/cpu<pct>-mem<pct>/profile.json``.

    `tiers` (role -> timings) is empty where the status is not ok. `timing_s` is how much of `duration_s` it took until
    they were there; after that frames were sent. The logs beside it are those of a block.
    """

    schema_version: int
    protocol_version: int
    model: str
    cpu_pct: float
    mem_pct: float
    delay_ms: float
    status: Status
    reason: str | None
    tiers: dict[str, TierTimings]
    measured: tuple[PointRun, ...]
    model_facts: dict[str, Any]  # of workers.store: digest, weights, seed, input_shape, points, layers
    config_hash: str
    commit: str
    dirty: bool
    hosts: dict[str, dict[str, Any]]
    choices: dict[str, Any]
    started_utc: str
    duration_s: float
    stress: dict[str, float | str] = {}
    exit_code: int | None = None
    oom_kills: int = 0
    timing_s: float | None = None


class JsonLines:
    """Appends structs to a file, one JSON object a line, each flushed: what was logged survives a kill."""

    def __init__(self, path: Path) -> None:
        self._encoder = msgspec.json.Encoder()
        path.parent.mkdir(parents=True, exist_ok=True)
        _cut_torn_line(path)
        self._file = path.open("ab", buffering=0)

    def write(self, row: msgspec.Struct) -> None:
        """Append one row."""
        self._file.write(self._encoder.encode(row) + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _cut_torn_line(path: Path) -> None:
    """Remove a last line cut short by a kill, so that it does not damage the next row."""
    if not path.exists():
        return
    data = path.read_bytes()
    if not data.endswith(b"\n"):
        os.truncate(path, data.rfind(b"\n") + 1)


def read_lines(path: Path, row_type: type[Row]) -> Iterator[Row]:
    """Yield the rows of a log. A last line cut short by a kill is left out; any other damage raises.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: a line that is not a `row_type`.
    """
    decoder = msgspec.json.Decoder(row_type)
    data = path.read_bytes()
    whole, _, _ = data.rpartition(b"\n")
    for line in whole.splitlines():
        yield decoder.decode(line)
