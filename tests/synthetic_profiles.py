"""Writes made-up profiles of models through the structs that the hosts write: a hand-made one, VGG-19, MobileNetV2.

Clocks are put apart as in `tests.synthetic`. Heads, tails and frames take what the layers add up to, times factors that
a test chooses, so that every error that the report states is known beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from tests.synthetic import CLOCKS, MS, write_log
from workers.latency import Link, profile_costs, transfer_ms
from workers.records import (
    SCHEMA_VERSION,
    ClockOffset,
    Conditions,
    EdgeFrame,
    Outcome,
    PointRun,
    ProfileRecord,
    Status,
    TierTimings,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from workers.latency import PointCost

BOUND_NS = 40_000
FRAMES_APART_NS = 5_000 * MS
SPREAD = (0.0, 0.01, -0.01, 0.02, -0.02, 0.03, -0.03)  # what repetitions differ by from the first


@dataclass(frozen=True)
class LayerSpec:
    """A layer: what stands in the model's facts, and its median time on either tier (ms)."""

    name: str
    output_bytes: int
    edge_ms: float
    cloud_ms: float
    kind: str = "Conv2D"
    block: str = ""
    params: int = 0
    flops: int = 0
    is_point: bool = True


@dataclass(frozen=True)
class MeasuredSpec:
    """Frames sent through one point at one speed."""

    mbps: float
    point: int
    why: tuple[str, ...] = ("config",)
    frames: int = 6
    stretch: float = 1.0  # what is measured over what is predicted, of head, transfer and tail alike
    jitter: float = 0.0  # by how much of that the frames differ, evenly to both sides
    waited_ms: float = 0.4
    clocks: bool = True


@dataclass(frozen=True)
class ProfileSpec:
    """A profile. `spread` is what repetitions differ by (share of each layer's time)."""

    layers: tuple[LayerSpec, ...]
    measured: tuple[MeasuredSpec, ...] = ()
    delay_ms: float = 20.0
    spread: tuple[float, ...] = SPREAD
    parts_at: tuple[int, ...] = ()
    parts_stretch: float = 1.0
    overrides: dict[str, Any] = field(default_factory=dict)


HAND_MADE = (
    # Sums: edge 0, 10, 30, 60; cloud after each 30, 25, 5, 0.
    LayerSpec("input", 100_000, 0.0, 0.0, kind="InputLayer"),
    LayerSpec("conv", 50_000, 10.0, 5.0),
    LayerSpec("pool", 5_000, 20.0, 20.0),
    LayerSpec("dense", 40, 30.0, 5.0, kind="Dense"),
)


def slower(factor: float, layers: tuple[LayerSpec, ...] = HAND_MADE) -> tuple[LayerSpec, ...]:
    """Return the layers with an edge that takes so many times as long."""
    return tuple(replace(layer, edge_ms=factor * layer.edge_ms) for layer in layers)


def write_profile(
    root: Path, spec: ProfileSpec, *, model: str = "vgg19", cpu_pct: float = 100.0, mem_pct: float = 100.0
) -> Path:
    """Write a profile under ``root/profiles`` and return its folder."""
    folder = root / "profiles" / model / f"cpu{cpu_pct:g}-mem{mem_pct:g}"
    folder.mkdir(parents=True)
    record = profile_record(spec, model, cpu_pct, mem_pct)
    costs = {cost.index: cost for cost in profile_costs(record)} if spec.measured else {}
    frames = [
        frame
        for run, measured in enumerate(spec.measured, start=1)
        for frame in frames_of(measured, run, costs[measured.point], spec.delay_ms)
    ]
    write_log(folder / "edge-frames.jsonl", frames)
    record = msgspec.structs.replace(record, **spec.overrides)
    (folder / "profile.json").write_bytes(msgspec.json.encode(record))
    return folder


def frames_of(spec: MeasuredSpec, run: int, cost: PointCost, delay_ms: float) -> list[EdgeFrame]:
    """Return the edge's records; a frame of run 0 warms the cut up and takes ten times as long."""
    link = Link(spec.mbps, delay_ms)
    found = []
    for number in range(spec.frames + 1):
        slow = spec.stretch * (1 + spec.jitter * (2 * (number % 6) / 5 - 1) if number else 10.0)
        received_ns = CLOCKS["edge"] + run * 60_000 * MS + number * FRAMES_APART_NS
        head_ms, tail_ms = cost.edge_ms * slow, cost.cloud_ms * slow
        head_done_ns = received_ns + round((spec.waited_ms + head_ms) * MS)
        sent_ns = round(transfer_ms(cost.output_bytes, link) * slow * MS)
        at_cloud_ns = head_done_ns + sent_ns + CLOCKS["cloud"] - CLOCKS["edge"]
        done_ns = at_cloud_ns + round(tail_ms * MS)
        settled_ns = done_ns - CLOCKS["cloud"] + CLOCKS["edge"] + MS
        found.append(
            EdgeFrame(
                *(run if number else 0, number, received_ns, Outcome.ANSWERED, spec.point, "p1", settled_ns),
                *(head_ms, head_done_ns, cost.output_bytes, at_cloud_ns, tail_ms, done_ns),
            )
        )
    return found


def profile_record(spec: ProfileSpec, model: str, cpu_pct: float, mem_pct: float) -> ProfileRecord:
    """Return profile.json's contents."""
    facts = [
        {
            "index": index,
            "name": layer.name,
            "kind": layer.kind,
            "block": layer.block or str(index),
            "output_shape": [layer.output_bytes // 4],
            "output_bytes": layer.output_bytes,
            "params": layer.params,
            "flops": layer.flops,
        }
        for index, layer in enumerate(spec.layers, start=1)
    ]
    points = [fact for fact, layer in zip(facts, spec.layers, strict=True) if layer.is_point]
    stress: dict[str, float | str] = {}
    if min(cpu_pct, mem_pct) < 100:
        stress = {"tool": "stress-ng 0.15.06", "cpu_pct": cpu_pct - 0.7, "mem_pct": mem_pct + 0.4}
    return ProfileRecord(
        schema_version=SCHEMA_VERSION,
        protocol_version=3,
        model=model,
        cpu_pct=cpu_pct,
        mem_pct=mem_pct,
        delay_ms=spec.delay_ms,
        status=Status.OK,
        reason=None,
        tiers={role: timings(spec, role, points) for role in ("edge", "cloud")},
        measured=tuple(_point_run(measured, run) for run, measured in enumerate(spec.measured, start=1)),
        model_facts={"digest": "0f3a" * 16, "weights": "random", "seed": 7, "points": points, "layers": facts},
        config_hash="c0ffee" * 8,
        commit="0123456789abcdef0123456789abcdef01234567",
        dirty=False,
        hosts={role: {"cpu_model": "Synthetic CPU 3000", "cpus": 2} for role in ("device", "edge", "cloud")},
        choices={"edge_runtime": "podman 4.3.1", "cloud_runtime": "podman 4.3.1", "delay": "delay line"},
        started_utc="2026-11-23T19:58:00Z",
        duration_s=71.0,
        stress=stress,
    )


def timings(spec: ProfileSpec, role: str, points: Sequence[dict[str, Any]]) -> TierTimings:
    """Return what a tier timed: each layer's samples spread about its time, parts as their layers add up."""
    layers = [layer.edge_ms if role == "edge" else layer.cloud_ms for layer in spec.layers]
    parts = {}
    for point in points:
        if point["index"] in spec.parts_at:
            ms = sum(layers[: point["index"]] if role == "edge" else layers[point["index"] :])
            parts[point["index"]] = tuple(ms * spec.parts_stretch * (1 + share) for share in spec.spread)
    return TierTimings(
        threads=(1, 1),
        whole_ms=tuple(sum(layers) * (1 + share) for share in spec.spread),
        layers_ms=tuple(tuple(ms * (1 + share) for share in spec.spread) for ms in layers),
        parts_ms=parts,
    )


def _point_run(spec: MeasuredSpec, run: int) -> PointRun:
    clocks = {role: ClockOffset(ns, BOUND_NS) for role, ns in CLOCKS.items()} if spec.clocks else {}
    asked = Conditions(spec.mbps, spec.mbps, 20.0, 100.0, 100.0, 0.2)
    found = Conditions(spec.mbps * 0.97, spec.mbps * 0.99, 20.2, 99.0, 99.5, 0.2)
    return PointRun(run, spec.mbps, spec.point, spec.why, 0.2, asked, found, clocks, clocks)


# --- the paper's models -------------------------------------------------------------------------------------


def vgg19(edge_gflops: float = 200.0, cloud_gflops: float = 420.0) -> tuple[LayerSpec, ...]:
    """Return VGG-19's 26 layers with times in proportion to their FLOPs and bytes."""
    layers = [_timed("input", "InputLayer", 224 * 224 * 3, 0, 0, (edge_gflops, cloud_gflops))]
    size, channels = 224, 3
    for block, (convolutions, filters) in enumerate(((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)), start=1):
        for number in range(1, convolutions + 1):
            weights = 9 * channels * filters
            cost = (size * size * filters, weights + filters, 2 * weights * size * size)
            layers.append(_timed(f"block{block}_conv{number}", "Conv2D", *cost, (edge_gflops, cloud_gflops)))
            channels = filters
        size //= 2
        cost = (size * size * filters, 0, 4 * size * size * filters)
        layers.append(_timed(f"block{block}_pool", "MaxPooling2D", *cost, (edge_gflops, cloud_gflops)))
    layers.append(_timed("flatten", "Flatten", 25088, 0, 0, (edge_gflops, cloud_gflops)))
    for name, before, units in (("fc1", 25088, 4096), ("fc2", 4096, 4096), ("predictions", 4096, 1000)):
        cost = (units, before * units + units, 2 * before * units)
        layers.append(_timed(name, "Dense", *cost, (edge_gflops, cloud_gflops)))
    return tuple(layers)


_STAGES = ((96, 24, 2, 2), (144, 32, 3, 2), (192, 64, 4, 2), (384, 96, 3, 1), (576, 160, 3, 2), (960, 320, 1, 1))


def mobilenetv2(edge_gflops: float = 22.0, cloud_gflops: float = 48.0) -> tuple[LayerSpec, ...]:
    """Return MobileNetV2's 154 layers, 76 of which are points: those within a residual block are none."""
    speeds = (edge_gflops, cloud_gflops)
    layers = [_timed("input", "InputLayer", 224 * 224 * 3, 0, 0, speeds)]
    layers += _convolution("Conv1", 112, 3, 32, 9, speeds, ("bn_Conv1", "Conv1_relu"))
    layers += _convolution("expanded_conv_depthwise", 112, 1, 32, 9, speeds, _after("expanded_conv_depthwise"))
    layers += _convolution("expanded_conv_project", 112, 32, 16, 1, speeds, ("expanded_conv_project_BN",))
    size, channels, number = 112, 16, 0
    for first_expanded, filters, count, stride in _STAGES:
        for repeat in range(count):
            number += 1
            expanded = first_expanded if repeat == 0 else 6 * filters
            step = stride if repeat == 0 else 1
            block = _bottleneck(f"block_{number}", (size, channels, expanded, filters, step), speeds)
            size, residual = size // step, repeat > 0
            if residual:
                inside = f"{len(layers) + 1}-{len(layers) + len(block) + 1}"
                added = _timed(f"block_{number}_add", "Add", size * size * filters, 0, size * size * filters, speeds)
                block = [replace(layer, is_point=False, block=inside) for layer in block]
                block.append(replace(added, block=inside))
            layers += block
            channels = filters
    layers += _convolution("Conv_1", 7, 320, 1280, 1, speeds, ("Conv_1_bn", "out_relu"))
    layers.append(_timed("global_average_pooling2d", "GlobalAveragePooling2D", 1280, 0, 7 * 7 * 1280, speeds))
    layers.append(_timed("predictions", "Dense", 1000, 1_281_000, 2 * 1280 * 1000, speeds))
    return tuple(layers)


def _bottleneck(name: str, shape: tuple[int, int, int, int, int], speeds: tuple[float, float]) -> list[LayerSpec]:
    size, channels, expanded, filters, stride = shape
    layers = _convolution(f"{name}_expand", size, channels, expanded, 1, speeds, _after(f"{name}_expand"))
    if stride > 1:
        layers.append(_timed(f"{name}_pad", "ZeroPadding2D", (size + 1) ** 2 * expanded, 0, 0, speeds))
    size //= stride
    layers += _convolution(f"{name}_depthwise", size, 1, expanded, 9, speeds, _after(f"{name}_depthwise"))
    return layers + _convolution(f"{name}_project", size, expanded, filters, 1, speeds, (f"{name}_project_BN",))


def _after(name: str) -> tuple[str, str]:
    return f"{name}_BN", f"{name}_relu"


def _convolution(
    name: str, size: int, channels: int, filters: int, area: int, speeds: tuple[float, float], followed: tuple[str, ...]
) -> list[LayerSpec]:
    elements, weights = size * size * filters, area * channels * filters
    first = _timed(name, "Conv2D", elements, weights, 2 * weights * size * size, speeds)
    return [
        first,
        *(_timed(other, "BatchNormalization", elements, 4 * filters, elements, speeds) for other in followed),
    ]


def _timed(name: str, kind: str, elements: int, params: int, flops: int, speeds: tuple[float, float]) -> LayerSpec:
    """Return a layer whose time is that of its FLOPs, and a little for its output."""
    edge_ms, cloud_ms = (flops / (gflops * 1e6) + elements / (gflops * 2e5) for gflops in speeds)
    if kind == "InputLayer":
        edge_ms = cloud_ms = 0.0
    return LayerSpec(name, 4 * elements, edge_ms, cloud_ms, kind=kind, params=params, flops=flops)
