"""What ``make bench`` and the soak keep beside the logs of their blocks: written by `hosts`, read by `report`.

A bench is one folder::

    bench.json                        `BenchRun`: what was asked for, by which code, and whether it came to its end
    blocks.jsonl                      one `BenchedBlock` a block that was tried
    round-NN/runs/...                 each round's blocks, as those of a grid
    plane/<model>/plane.json          `PlaneRecord`, its logs beside it
    earlier/<started>/                all this of each bench that came before

A soak is one folder with ``soak.json`` (`SoakRecord`), ``answers.json`` (`AnswersChecked`) and the logs of a block.
"""

from __future__ import annotations

from typing import Any

import msgspec

from workers.records import ClockOffset, Status

BENCH_VERSION = 3  # of these structs and of what `report` makes of them


class BenchRun(msgspec.Struct, frozen=True):
    """A bench as it was started. `digest` is of the whole config."""

    schema_version: int
    started_utc: str
    commit: str
    dirty: bool
    digest: str
    config: dict[str, Any]
    complete: bool = False


class BenchedBlock(msgspec.Struct, frozen=True):
    """One block of one round. `folder` is below the round's ``runs``; without a record there, `reason` says why."""

    round: int
    model: str
    strategy: str
    cpu_pct: float
    mem_pct: float
    folder: str
    status: Status
    reason: str | None
    duration_s: float


class PlaneStep(msgspec.Struct, frozen=True):
    """Frames offered at one pace through one cut of a model that does nothing; they stand in the logs under `run`.

    `purpose` is ``overhead`` or ``ceiling``; `held` says whether the pace was kept and nearly all frames answered.
    """

    run: int
    purpose: str
    point: int
    point_bytes: int
    fps: float
    seconds: float
    offered: int
    answered: int
    achieved_fps: float | None
    held: bool


class PlaneRecord(msgspec.Struct, frozen=True):
    """Contents of ``plane.json``. `delay_ms` and `mbps` are what the link was set to; `frame_bytes` is a frame's size.

    Where the status is not ok, `reason` says why, and `steps` are those that came to their end.
    """

    schema_version: int
    model: str
    status: Status
    reason: str | None
    frame_bytes: int
    mbps: float
    delay_ms: float
    steps: tuple[PlaneStep, ...]
    choices: dict[str, Any]


class Ordered(msgspec.Struct, frozen=True):
    """A change that a soak asked for; its events stand in the logs under `run`."""

    run: int
    point: int


class SoakRecord(msgspec.Struct, frozen=True):
    """Contents of ``soak.json``. Its frames stand in the logs under `run`; `mbps` is the speed that the link kept.

    `points` are all that it chose among, `late_ms` by how much the latest order missed its time.
    """

    schema_version: int
    model: str
    strategy: str
    cpu_pct: float
    mem_pct: float
    status: Status
    reason: str | None
    seed: int
    minutes: float
    every_ms: float
    fps: float
    mbps: float
    deadline_ms: float
    run: int
    points: tuple[int, ...]
    ordered: tuple[Ordered, ...]
    late_ms: float
    model_facts: dict[str, Any]
    commit: str
    dirty: bool
    config_hash: str
    hosts: dict[str, dict[str, Any]]
    choices: dict[str, Any]
    clock_before: dict[str, ClockOffset]
    clock_after: dict[str, ClockOffset]
    started_utc: str
    duration_s: float


class WrongAnswer(msgspec.Struct, frozen=True):
    """An answer that is not the whole model's: by how much of the largest logit it differs."""

    run: int
    frame: int
    point: int
    error: float


class AnswersChecked(msgspec.Struct, frozen=True):
    """Answers compared with the whole model's logits for the same frame.

    An answer is wrong where a logit differs by more than `tolerance` times the largest of the whole model's. `worst`
    is the largest such difference of all answers that are right. `control` is the smallest between different frames of
    the source: only where it is above the tolerance would an answer for another frame be found. `compared` counts those
    that could be compared, `wrong` holds the first of `wrong_count`.
    """

    compared: int
    wrong_count: int
    wrong: tuple[WrongAnswer, ...]
    tolerance: float
    worst: float
    control: float
    frames: int
