"""A whole made-up grid of results: every strategy, several cells, and runs of every status."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.synthetic import FIRST_PIPELINE, Order, RunSpec, Work, write_block
from tests.synthetic_profiles import MeasuredSpec, ProfileSpec, mobilenetv2, vgg19, write_profile
from workers.records import Conditions, Status

if TYPE_CHECKING:
    from pathlib import Path

ONE = {"edge": 760.0, "cloud": 905.0}
OOM = "the edge's container was killed: out of memory (exit code 137, oom_kill 1)"
TWO = {"edge": 1490.0, "cloud": 1780.0}
RESTART_PARTS = {
    "edge_pause_ms": 40.0,
    "edge_handover_ms": 3.0,
    "edge_unpause_ms": 35.0,
    "edge_import_ms": 2100.0,
    "edge_load_ms": 700.0,
    "edge_trace_ms": 380.0,
    "cloud_pause_ms": 42.0,
    "cloud_handover_ms": 3.0,
    "cloud_unpause_ms": 33.0,
    "cloud_import_ms": 2300.0,
    "cloud_load_ms": 820.0,
    "cloud_trace_ms": 410.0,
}
BUILD_PARTS = {"edge_build_ms": 6.0, "edge_trace_ms": 380.0, "cloud_build_ms": 5.0, "cloud_trace_ms": 290.0}

SETUPS = {
    "switch-a1": (FIRST_PIPELINE, Order("launch", 901, 1851, "p2", 21)),
    "switch-a2": (FIRST_PIPELINE, Order("build", 901, 961, "p1", 21, BUILD_PARTS)),
}


def spec_of(strategy: str, rng: random.Random, base: RunSpec) -> RunSpec:
    """Return a run as the strategy would make it, its timings varied by a few per cent."""
    vary = rng.lognormvariate(0, 0.06)
    match strategy:
        case "pause-resume":
            done = 3650 * vary
            work = Work("rebuild", done, {k: v * vary for k, v in RESTART_PARTS.items()})
            return replace(base, works=(work,), stopped_ms=0.2, resumed_ms=done + 1, routed_ms=done + 0.8)
        case "pause-resume-inprocess":
            done = 1200 * vary
            work = Work("rebuild", done, {k: v * vary for k, v in BUILD_PARTS.items()})
            return replace(base, works=(work,), stopped_ms=0.2, resumed_ms=done + 1, routed_ms=done + 0.8)
        case "switch-a1" | "switch-a2":
            memory = TWO if strategy == "switch-a1" else {k: v * 1.02 for k, v in ONE.items()}
            between_frames = replace(base, before_ms=2013.0)
            return replace(between_frames, routed_ms=0.31 * vary**3, rearmed_ms=2, rest_mb=memory, peak_mb=memory)
        case "switch-b1":
            work = Work("launch", 3500 * vary, {"edge_container_ms": 240.0, **RESTART_PARTS})
            return replace(base, works=(work,), routed_ms=3500 * vary + 0.4, busy_every=4, peak_mb=TWO)
        case _:
            work = Work("build", 395 * vary, BUILD_PARTS)
            return replace(base, works=(work,), routed_ms=395 * vary + 0.3, busy_every=3)


@dataclass(frozen=True)
class Levels:
    """What a made-up grid is measured at."""

    models: tuple[str, ...] = ("mobilenetv2", "vgg19")
    cpu_pct: tuple[float, ...] = (100.0, 50.0)
    mem_pct: tuple[float, ...] = (100.0, 50.0, 10.0)
    fps: tuple[float, ...] = (5.0, 10.0, 20.0)


FULL = Levels(cpu_pct=(100.0, 75.0, 50.0, 25.0), mem_pct=(100.0, 75.0, 50.0, 25.0, 10.0), fps=(5.0, 10.0, 15.0, 20.0))
STRATEGIES = ("pause-resume", "pause-resume-inprocess", "switch-a1", "switch-a2", "switch-b1", "switch-b2")
NOT_MEASURED = ("switch-b1", 50.0, 50.0)
ALL_FAILED = ("switch-b2", 50.0, 50.0)
OF_ANOTHER_VERSION = ("switch-a2", 50.0, 50.0)


def write_grid(root: Path, *, repeats: int = 6, levels: Levels | None = None) -> None:
    """Write a grid of six strategies with cells and runs of every status.

    With 10 % of the memory nothing can be run; of one strategy each a cell was not measured, failed, or stands
    in the logs of another schema version.
    """
    levels = levels or Levels()
    rng = random.Random(7)
    for model in levels.models:
        for strategy in STRATEGIES:
            for cpu_pct in levels.cpu_pct:
                for mem_pct in levels.mem_pct:
                    _write_cell(root, (model, strategy, cpu_pct, mem_pct), _runs(strategy, rng, repeats, levels))
    write_profiles(root)
    config = {
        "models": {model: {} for model in levels.models},
        "strategies": STRATEGIES,
        "cpu_pct": levels.cpu_pct,
        "mem_pct": levels.mem_pct,
        "fps": levels.fps,
        "repeats": repeats,
        "network": {"speeds_mbps": [20.0, 5.0], "delay_ms": 20.0},
    }
    (root / "config.json").write_text(json.dumps(config))


def write_profiles(root: Path) -> None:
    """Write profiles of both models: the edge much slower than the cloud, with half of the CPU twice as slow.

    With 10 % of the memory VGG-19 does not fit; one profile is of another schema version.
    """
    deep, wide = vgg19(edge_gflops=70.0), mobilenetv2(edge_gflops=4.0, cloud_gflops=40.0)
    of_deep, of_wide = _measured((1, 16, 17, 18, 22, 26)), _measured((1, 17, 35, 62, 63, 156))
    write_profile(root, ProfileSpec(deep, of_deep, parts_at=(1, 12, 17, 22, 26), parts_stretch=0.97))
    write_profile(root, ProfileSpec(vgg19(edge_gflops=35.0), parts_at=(17, 22)), cpu_pct=50)
    write_profile(root, ProfileSpec(deep), mem_pct=50)
    refused = {"status": Status.INFEASIBLE, "reason": OOM, "tiers": {}, "exit_code": 137, "oom_kills": 1}
    write_profile(root, ProfileSpec(deep, overrides=refused), mem_pct=10)
    write_profile(root, ProfileSpec(wide, of_wide, parts_at=(1, 35, 62, 156)), model="mobilenetv2")
    write_profile(root, ProfileSpec(wide, overrides={"schema_version": 99}), model="mobilenetv2", cpu_pct=50)


def _measured(points: tuple[int, ...]) -> tuple[MeasuredSpec, ...]:
    return tuple(
        MeasuredSpec(mbps, point, stretch=1 + 0.02 * place, jitter=0.04)
        for mbps in (20, 5)
        for place, point in enumerate(points)
    )


def _runs(strategy: str, rng: random.Random, repeats: int, levels: Levels) -> list[RunSpec]:
    runs = []
    for fps in levels.fps:
        for repeat in range(1, repeats + 1):
            for from_mbps, to_mbps in ((20.0, 5.0), (5.0, 20.0)):
                base = RunSpec(fps=fps, from_mbps=from_mbps, to_mbps=to_mbps, repeat=repeat, rest_mb=ONE, peak_mb=ONE)
                runs.append(spec_of(strategy, rng, base))
    return runs


def _write_cell(root: Path, block: tuple[str, str, float, float], runs: list[RunSpec]) -> None:
    model, strategy, cpu_pct, mem_pct = block
    cell = (strategy, cpu_pct, mem_pct)
    if cell == NOT_MEASURED:
        return
    others: dict[str, Any] = {"stress": _stress(cpu_pct, mem_pct)} if min(cpu_pct, mem_pct) < 100 else {}
    if cell == OF_ANOTHER_VERSION:
        others["schema_version"] = 99
    if mem_pct <= 10:
        runs = [replace(run, status=Status.INFEASIBLE, reason=OOM, exit_code=137, oom_kills=1) for run in runs]
    elif cell == ALL_FAILED:
        runs = [replace(run, status=Status.FAILED, reason="edge: no agent answered in two sessions") for run in runs]
    else:
        runs = _with_troubles(runs, strategy)
    others["setup"] = SETUPS.get(strategy, (FIRST_PIPELINE,))
    write_block(root, runs, model=model, strategy=strategy, cpu_pct=cpu_pct, mem_pct=mem_pct, **others)


def _with_troubles(runs: list[RunSpec], strategy: str) -> list[RunSpec]:
    """Give a block a run each that failed, is invalid, was out of tolerance, or never served again."""
    runs = list(runs)
    runs[1] = replace(runs[1], lost_after_ms=0.0)
    runs[3] = replace(runs[3], status=Status.FAILED, reason="agent on edge (198.18.0.12) went silent for 5 s")
    runs[4] = replace(runs[4], routed_ms=None, resumed_ms=None)
    runs[5] = replace(runs[5], achieved=Conditions(5.0, 14.1, 20.2, 99, 99, runs[5].fps))
    if strategy == "switch-a1":
        fell_back = "the standby had died; frames were served on with a pipeline built anew"
        runs[2] = replace(runs[2], status=Status.FAILED, reason=fell_back, measured=True, routed_ms=2900.0)
    return runs


def _stress(cpu_pct: float, mem_pct: float) -> dict[str, float | str]:
    return {
        "tool": "stress-ng 0.15.06",
        "set_s": 2.1,
        "cpu_taken_pct": 100 - cpu_pct,
        "mem_taken_bytes": (100 - mem_pct) * 8e7,
        "cpu_pct": cpu_pct - 0.7,
        "mem_pct": mem_pct + 0.4,
    }
