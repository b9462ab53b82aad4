"""Measures the data plane by itself: frames through models that do nothing, over a link that is not the limit.

What is then left between a frame's arrival at the edge and its answer is the harness, and the pace at which
it no longer keeps up is its ceiling.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from msgspec.structs import replace

from hosts import inventory as inventories
from hosts.config import ModelConfig, NetworkConfig
from hosts.errors import AgentError
from hosts.grid import Block
from hosts.job import make_empty, write_record
from hosts.session import RunSpec, Session
from hosts.stage import fetch_logs, staged
from workers.bench_records import BENCH_VERSION, PlaneRecord, PlaneStep
from workers.records import Change, Status
from workers.store import StoredModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hosts.config import Config
    from workers import messages as m
    from workers.partition import PartitionPoint

RECORD = "plane.json"
NULL_MODELS = {"null-small": "workers.null_models:small", "null-picture": "workers.null_models:picture"}
STRATEGY = "switch-a2"  # both cuts are there: moving between them costs no rebuild
MBPS, OTHER_MBPS, DELAY_MS = 1000.0, 500.0, 0.0
QUEUE_LIMIT = 16  # as many as a socket holds: the limit that is looked for is time, not credit

OVERHEAD_FPS, OVERHEAD_S = 20.0, 20.0  # enough for both ends of a 99th percentile
SCHEDULE_FPS, SCHEDULE_S = 30.0, 14.0
FIRST_FPS, MOST_FPS, CEILING_S = 50.0, 3200.0, 2.0
HELD_SHARE, HELD_PACE = 0.99, 0.95
CLOSE = 1.2  # the ceiling is known once what was held and what was not are this near


class Wanted(NamedTuple):
    """Frames to be offered: why, through which end of the model, and at which pace for how long."""

    purpose: str
    point: int
    fps: float
    seconds: float


class OffersFrames(Protocol):
    """What this needs of `hosts.session.Session`."""

    def start_frames(self, run: int, fps: float) -> None:
        """Offer frames."""

    def stop_frames(self, run: int) -> m.FramesStopped:
        """Stop offering them."""

    def change(self, change: Change) -> m.Repartitioned:
        """Move the cut."""

    def wait(self, seconds: float) -> None:
        """Let frames be offered for so long."""


def held(fps: float, done: m.FramesStopped) -> bool:
    """Say whether a pace was kept: the device kept it, and nearly all frames were answered."""
    if not done.offered or done.fps is None:
        return False
    return done.answered >= HELD_SHARE * done.offered and done.fps >= HELD_PACE * fps


def next_pace(tried: Sequence[tuple[float, bool]]) -> float | None:
    """Return the next pace to try: double until one is not held, then between; None once the ceiling is known."""
    kept = max((fps for fps, was_held in tried if was_held), default=None)
    failed = min((fps for fps, was_held in tried if not was_held), default=None)
    if failed is None:
        wanted = FIRST_FPS if kept is None else 2 * kept
        return wanted if wanted <= MOST_FPS else None
    if kept is None:
        return failed / 2 if failed > 1 else None
    return None if failed / kept <= CLOSE else float(round(math.sqrt(failed * kept)))


class PlaneMeasurement:
    """Works through one null model in one session; `steps` grows as they come to their end.

    Args:
        session: entered and deployed at the output point.
        points: the model's.
    """

    def __init__(self, session: OffersFrames, points: Sequence[PartitionPoint]) -> None:
        self._session = session
        self._bytes = {point.index: point.output_bytes for point in points}
        self._input, self._output = points[0].index, points[-1].index
        self._at = self._output
        self._run = 0
        self.steps: list[PlaneStep] = []

    def measure(self) -> None:
        """Offer all frames.

        Raises:
            AgentError: a worker died or went silent.
        """
        for wanted in self._steady():
            self._offer(wanted)
        for point in (self._output, self._input):
            tried: list[tuple[float, bool]] = []
            while (fps := next_pace(tried)) is not None:
                tried.append((fps, self._offer(Wanted("ceiling", point, fps, CEILING_S)).held))

    def _steady(self) -> Iterator[Wanted]:
        for point in (self._output, self._input):
            yield Wanted("overhead", point, OVERHEAD_FPS, OVERHEAD_S)
        yield Wanted("overhead", self._input, SCHEDULE_FPS, SCHEDULE_S)

    def _offer(self, wanted: Wanted) -> PlaneStep:
        self._move(wanted.point)
        self._run += 1
        self._session.start_frames(self._run, wanted.fps)
        self._session.wait(wanted.seconds)
        done = self._session.stop_frames(self._run)
        step = PlaneStep(
            self._run,
            wanted.purpose,
            wanted.point,
            self._bytes[wanted.point],
            wanted.fps,
            wanted.seconds,
            done.offered,
            done.answered,
            done.fps,
            held(wanted.fps, done),
        )
        self.steps.append(step)
        return step

    def _move(self, point: int) -> None:
        if point == self._at:
            return
        self._run += 1
        moved = self._session.change(Change(self._run, MBPS, MBPS, self._at, point))
        if not moved.ok:
            raise AgentError(f"the cut of the null model could not be moved to point {point}: {moved.reason}")
        self._at = point


def plane_config(config: Config, name: str) -> Config:
    """Return the config that a null model is measured by: the experiment's hosts, source and seed, a free link."""
    model = ModelConfig(source=NULL_MODELS[name], partition={MBPS: "output", OTHER_MBPS: "input"})
    return replace(
        config,
        models={name: model},
        strategies=(STRATEGY,),
        network=NetworkConfig((MBPS, OTHER_MBPS), DELAY_MS),
        queue_limit=QUEUE_LIMIT,
        detection="notified",
        source="synthetic",
    )


def measure_plane(
    config: Config, name: str, stored: Path, out: Path, open_session: Callable[..., Session] = Session
) -> PlaneRecord:
    """Measure one null model and write its folder; `plane.json` comes last and atomically."""
    inventory = inventories.load(Path(config.inventory))
    model = StoredModel.read(stored)
    free = plane_config(config, name)
    first, last = model.points[0].index, model.points[-1].index
    status, reason, choices = Status.OK, None, {}
    with staged(inventory, stored, datetime.now(UTC)) as stage:
        make_empty(out, RECORD)
        shape = (model.input_shape[0], model.input_shape[1])
        session = open_session(free, inventory, stage.sites, Block(name, STRATEGY, 100.0, 100.0), shape)
        steps: list[PlaneStep] = []
        try:
            with session:
                choices = session.choices
                session.deploy(RunSpec(0, 0, OVERHEAD_FPS, MBPS, MBPS, last, first))
                session.warm_up(OVERHEAD_FPS, free.windows.warmup_frames)
                measurement = PlaneMeasurement(session, model.points)
                steps = measurement.steps
                measurement.measure()
        except AgentError as error:
            status, reason = Status.FAILED, str(error)
        fetch_logs(stage.sites, out, reason)
    for role, text in session.last_words.items():
        (out / f"{role}-agent-0.log").write_text(text)
    size = int(np.prod(model.input_shape))
    record = PlaneRecord(BENCH_VERSION, name, status, reason, size, MBPS, DELAY_MS, tuple(steps), choices)
    write_record(record, out / RECORD)
    return record
