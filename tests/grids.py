"""A whole made-up grid of results: every strategy, several cells, and runs of every status."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.synthetic import RunSpec, Work, write_block
from workers.records import Conditions, Status

if TYPE_CHECKING:
    from pathlib import Path

ONE = {"edge": 760.0, "cloud": 905.0}
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
            return replace(base, routed_ms=0.31 * vary**3, rearmed_ms=2, rest_mb=memory, peak_mb=memory)
        case "switch-b1":
            work = Work("launch", 3500 * vary, {"edge_container_ms": 240.0, **RESTART_PARTS})
            return replace(base, works=(work,), routed_ms=3500 * vary + 0.4, busy_every=4, peak_mb=TWO)
        case _:
            work = Work("build", 395 * vary, BUILD_PARTS)
            return replace(base, works=(work,), routed_ms=395 * vary + 0.3, busy_every=3)


def write_grid(root: Path, *, repeats: int = 6) -> None:
    """Write a grid of two models, six strategies, three frame rates and three cells."""
    rng = random.Random(7)
    strategies = ["pause-resume", "pause-resume-inprocess", "switch-a1", "switch-a2", "switch-b1", "switch-b2"]
    for model in ("mobilenetv2", "vgg19"):
        for strategy in strategies:
            for cpu_pct, mem_pct in ((100.0, 100.0), (50.0, 100.0), (100.0, 10.0)):
                write_block(
                    root,
                    _specs(strategy, rng, repeats, infeasible=mem_pct == 10),
                    model=model,
                    strategy=strategy,
                    cpu_pct=cpu_pct,
                    mem_pct=mem_pct,
                )
    config = {
        "models": {"mobilenetv2": {}, "vgg19": {}},
        "strategies": strategies,
        "cpu_pct": [100.0, 50.0, 25.0],
        "mem_pct": [100.0, 10.0],
        "fps": [5.0, 10.0, 20.0],
        "repeats": repeats,
        "network": {"speeds_mbps": [20.0, 5.0], "delay_ms": 20.0},
    }
    (root / "config.json").write_text(json.dumps(config))


def _specs(strategy: str, rng: random.Random, repeats: int, *, infeasible: bool) -> list[RunSpec]:
    specs = []
    for repeat in range(1, repeats + 1):
        for fps in (5.0, 10.0, 20.0):
            for from_mbps, to_mbps in ((20.0, 5.0), (5.0, 20.0)):
                base = RunSpec(fps=fps, from_mbps=from_mbps, to_mbps=to_mbps, repeat=repeat, rest_mb=ONE, peak_mb=ONE)
                specs.append(spec_of(strategy, rng, base))
    if infeasible:
        reason = "the edge's container was killed: out of memory (exit code 137, oom_kill 1)"
        return [replace(spec, status=Status.INFEASIBLE, reason=reason) for spec in specs]
    specs[3] = replace(specs[3], status=Status.FAILED, reason="agent on edge (198.18.0.12) went silent for 5 s")
    specs[4] = replace(specs[4], routed_ms=None, resumed_ms=None)
    specs[5] = replace(specs[5], achieved=Conditions(5.0, 14.1, 20.2, 99, 99, specs[5].fps))
    return specs
