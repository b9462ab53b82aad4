"""One profile -> its rows in the tables on where to cut."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from report import text
from report.metrics import cutting, end_to_end
from report.metrics.cutting import ROLES
from report.metrics.statistics import median_interval
from report.profiles import read_profile
from report.provenance import LONGEST
from report.reference import paper
from workers import latency
from workers.latency import Link
from workers.records import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from report.metrics.end_to_end import Measured
    from report.metrics.statistics import Interval
    from report.profiles import Profile, ProfileLogs
    from workers.latency import PointCost, RatioInterval

Rows = list[tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class _Context:
    """What the rows of one profile are computed from."""

    logs: ProfileLogs
    costs: cutting.Costs
    speeds: tuple[float, ...]

    def link(self, mbps: float) -> Link:
        return Link(mbps, self.logs.record.delay_ms)


def rows_of_profile(profile: Profile, config: Mapping[str, Any] | None) -> Rows:
    """Return the rows of a profile as (table, row); one that is not ok has a row in `profiles` alone."""
    logs = read_profile(profile)
    record = logs.record
    common = {
        "model": record.model,
        "cpu_pct": record.cpu_pct,
        "mem_pct": record.mem_pct,
        "source": profile.source,
        "commit": record.commit,
        "config_hash": record.config_hash,
        "protocol_version": record.protocol_version,
    }
    rows: Rows = []
    summary: dict[str, Any] = {}
    if logs.status is Status.OK:
        context = _Context(logs, cutting.costs_of(record), _speeds(logs, config))
        points = _points(context)
        found_parts = cutting.parts(record, context.costs)
        rows = [
            *(("layers", row) for row in _layers(logs)),
            *(("partition_points", row) for row in points),
            *(("break_points", row) for row in _break_points(context)),
            *(("moves", row) for row in _moves(context)),
            *(("ratio_sweep", row) for row in _sweep(context)),
            *(("profile_parts", _part_row(part)) for part in found_parts),
        ]
        summary = _summary(context) | _errors("parts", [part.error_pct for part in found_parts])
        summary |= _errors("prediction", [row.get("error_pct") for row in points])
    rows.append(("profiles", _profile_row(logs) | summary))
    return [(name, common | row) for name, row in rows]


def _speeds(logs: ProfileLogs, config: Mapping[str, Any] | None) -> tuple[float, ...]:
    """Return the speeds of the config and those measured at, fastest first; the paper's where there are none."""
    network = (config or {}).get("network")
    asked = network.get("speeds_mbps", ()) if isinstance(network, dict) else ()
    found = {float(mbps) for mbps in asked if isinstance(mbps, int | float) and mbps > 0}
    found |= {run.mbps for run in logs.record.measured if run.mbps > 0}
    return tuple(sorted(found or paper().speeds_mbps, reverse=True))


def _profile_row(logs: ProfileLogs) -> dict[str, Any]:
    record = logs.record
    return {
        "status": logs.status.value,
        "reason": None if logs.reason is None else text.cut(logs.reason, LONGEST),
        "delay_ms": record.delay_ms,
        "exit_code": record.exit_code,
        "oom_kills": record.oom_kills,
        "started_utc": record.started_utc,
        "duration_s": record.duration_s,
        "timing_s": record.timing_s,
    }


def _summary(context: _Context) -> dict[str, Any]:
    tiers = context.logs.record.tiers
    return {
        "points": len(context.costs.points),
        "repetitions": len(context.costs.repetitions),
        "edge_to_cloud": latency.edge_to_cloud(context.costs.points),
        **{f"{role}_whole_ms": median(tiers[role].whole_ms) if tiers[role].whole_ms else None for role in ROLES},
        **{f"{role}_threads": "/".join(map(str, tiers[role].threads)) for role in ROLES},
    }


def _errors(name: str, errors_pct: Iterable[float | None]) -> dict[str, Any]:
    found = cutting.summarised(errors_pct)
    if found is None:
        return {f"{name}_n": 0}
    return {
        f"{name}_error_pct": found.median_pct,
        f"{name}_error_worst_pct": found.worst_pct,
        f"{name}_n": found.n,
    }


def _interval(name: str, found: Interval) -> dict[str, Any]:
    return {
        f"{name}_ms": found.median,
        f"{name}_low_ms": found.low,
        f"{name}_high_ms": found.high,
        f"{name}_n": found.n,
    }


def _layers(logs: ProfileLogs) -> list[dict[str, Any]]:
    times = zip(*(logs.record.tiers[role].layers_ms for role in ROLES), strict=True)
    return [
        {
            **{name: getattr(layer, name) for name in layer.__struct_fields__},
            **_interval("edge", median_interval(edge)),
            **_interval("cloud", median_interval(cloud)),
        }
        for layer, (edge, cloud) in zip(logs.layers, times, strict=True)
    ]


def _points(context: _Context) -> list[dict[str, Any]]:
    rows = []
    for mbps in context.speeds:
        link = context.link(mbps)
        behind = cutting.behind(context.costs, link)
        favourite = latency.best(context.costs.points, link)
        for cost in context.costs.points:
            row = {"network_mbps": mbps, **_predicted(cost, link), **_interval("behind", behind[cost.index])}
            rows.append(row | {"best": cost is favourite} | _measured(context, mbps, cost))
    return rows


def _predicted(cost: PointCost, link: Link) -> dict[str, Any]:
    return {
        "index": cost.index,
        "name": cost.name,
        "output_bytes": cost.output_bytes,
        "edge_ms": cost.edge_ms,
        "transfer_ms": latency.transfer_ms(cost.output_bytes, link),
        "cloud_ms": cost.cloud_ms,
        "total_ms": latency.total_ms(cost, link),
        "sustainable_fps": latency.sustainable_fps(cost, link),
    }


def _measured(context: _Context, mbps: float, cost: PointCost) -> dict[str, Any]:
    runs = [run for run in context.logs.record.measured if run.mbps == mbps and run.point == cost.index]
    if not runs:
        return {}
    found: Measured = end_to_end.measured(runs, context.logs.edge_frames)
    total_ms = found.total.median
    row = {f"measured_{stage}_ms": getattr(found, stage).median for stage in ("edge", "transfer", "cloud")}
    row |= _interval("measured_total", found.total)
    row |= {"queue_ms": found.queue.median, "clock_bound_ms": found.bound_ms, "achieved_mbps": found.mbps}
    row["why"] = ", ".join(found.why)
    if total_ms > 0:
        row["error_pct"] = 100 * (latency.total_ms(cost, context.link(mbps)) - total_ms) / total_ms
    return row


def _break_points(context: _Context) -> list[dict[str, Any]]:
    intervals = latency.best_by_speed(context.costs.points, context.logs.record.delay_ms)
    return [
        {
            "from_mbps": interval.from_mbps,
            "to_mbps": interval.to_mbps,
            "index": interval.point,
            "name": context.costs.named(interval.point).name,
        }
        for interval in intervals
    ]


def _moves(context: _Context) -> list[dict[str, Any]]:
    rows = []
    for before, after in itertools.permutations(context.speeds, 2):
        stays, moves = (latency.best(context.costs.points, context.link(mbps)) for mbps in (before, after))
        loss = latency.loss_of_staying(context.costs.points, context.link(before), context.link(after))
        spread = cutting.behind(context.costs, context.link(after))[stays.index]
        rows.append(
            {
                "from_mbps": before,
                "to_mbps": after,
                "from_index": stays.index,
                "from_name": stays.name,
                "to_index": moves.index,
                "to_name": moves.name,
                "moves": stays.index != moves.index,
                **_interval("loss", spread),
                "loss_pct": loss.pct,
            }
        )
    return rows


def _sweep(context: _Context) -> list[dict[str, Any]]:
    ratio = latency.edge_to_cloud(context.costs.points)
    rows = []
    for fast, slow in itertools.combinations(context.speeds, 2):
        for interval in latency.ratio_sweep(context.costs.points, context.logs.record.delay_ms, slow, fast):
            slow_point, fast_point = (context.costs.named(i) for i in (interval.slow_point, interval.fast_point))
            rows.append(
                {
                    "slow_mbps": slow,
                    "fast_mbps": fast,
                    "from_factor": interval.from_factor,
                    "to_factor": interval.to_factor,
                    "from_ratio": interval.from_factor * ratio,
                    "to_ratio": interval.to_factor * ratio,
                    "slow_index": slow_point.index,
                    "slow_name": slow_point.name,
                    "fast_index": fast_point.index,
                    "fast_name": fast_point.name,
                    "moves": interval.moves,
                    **_losses(context, interval, slow, fast),
                }
            )
    return rows


def _losses(context: _Context, interval: RatioInterval, slow: float, fast: float) -> dict[str, float]:
    """Return the largest loss within an interval of factors; it is at one of its ends, as totals are lines there."""
    ends = [
        latency.with_edge_factor(context.costs.points, factor) for factor in (interval.from_factor, interval.to_factor)
    ]
    found: dict[str, float] = {}
    for name, kept, best, mbps in (
        ("slowdown", interval.fast_point, interval.slow_point, slow),
        ("speedup", interval.slow_point, interval.fast_point, fast),
    ):
        losses = [_loss(costs, kept, best, context.link(mbps)) for costs in ends]
        found[f"{name}_loss_ms"] = max(ms for ms, _ in losses)
        found[f"{name}_loss_pct"] = max(pct for _, pct in losses)
    return found


def _loss(costs: Sequence[PointCost], kept: int, best: int, link: Link) -> tuple[float, float]:
    totals = {cost.index: latency.total_ms(cost, link) for cost in costs if cost.index in {kept, best}}
    ms = max(0.0, totals[kept] - totals[best])  # at the end of an interval two points are equal but for rounding
    return ms, 100 * ms / totals[best] if totals[best] else 0.0


def _part_row(part: cutting.Part) -> dict[str, Any]:
    return {
        "tier": part.tier,
        "index": part.index,
        "name": part.name,
        **_interval("measured", part.measured),
        "sum_ms": part.sum_ms,
        "error_pct": part.error_pct,
    }
