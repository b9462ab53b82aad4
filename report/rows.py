"""One run -> its rows in every table."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from report.load import TIERS
from report.metrics import downtime as dt
from report.metrics import frames as fr
from report.metrics.clocks import probes_of, shift_between
from report.metrics.conditions import QUANTITIES, Tolerances, compare
from report.metrics.detection import ESTIMATED, detection
from report.metrics.memory import memory_use
from report.metrics.statistics import wilson
from report.metrics.validity import contradictions
from report.provenance import keys, provenance
from workers.records import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from report.load import Block, RunLogs
    from report.metrics.clocks import Probes
    from workers.records import ClockOffset

_MS = 1e-6  # of a nanosecond
_US = 1e-3


def rows_of_run(block: Block, logs: RunLogs, tolerances: Tolerances) -> list[tuple[str, dict[str, Any]]]:
    """Return the rows of a run as (table, row); its status is the one after all checks."""
    logs, steps = _checked(logs)
    note = _note(steps)
    found = [
        ("downtime", _downtime_row(block, logs, steps)),
        *(("parts", asdict(part)) for part in (dt.parts(steps) if steps else ())),
        *(("frames", row) for row in _frames_rows(block, logs, steps)),
        ("conditions", _conditions_row(logs, tolerances)),
        *(("memory_runs", _memory_row(block, logs, steps, tier)) for tier in TIERS),
    ]
    found += [("clocks", row) for row in _clock_rows(probes_of(block.record, logs.record))]
    common = keys(block, logs) | provenance(block, logs, note)
    return [(name, common | row) for name, row in found]


def _checked(logs: RunLogs) -> tuple[RunLogs, dt.Timeline | None]:
    """Make a run invalid whose logs do not add up; return it with its timeline, where there is one."""
    findings: list[str] = []
    steps: dt.Timeline | None = None
    try:
        steps = dt.timeline(logs.record, logs.edge_events)
    except dt.IncompleteRunError as error:
        findings.append(str(error))
    findings.extend(contradictions(logs.device_frames, logs.edge_frames))
    if logs.status is Status.OK and findings:
        logs = replace(logs, status=Status.INVALID, reason="; ".join(findings))
    return logs, steps


def _note(steps: dt.Timeline | None) -> str | None:
    if steps is None:
        return None
    if not steps.moved:
        return "the partition point did not move: there is no downtime"
    unknown = dt.unknown_works(steps)
    return f"work of kind {', '.join(unknown)} is counted in t_switch" if unknown else None


def _downtime_row(block: Block, logs: RunLogs, steps: dt.Timeline | None) -> dict[str, Any]:
    found = dt.downtime(steps) if steps else None
    to_device = shift_between(probes_of(block.record, logs.record), "edge", "device")
    row: dict[str, Any] = asdict(found) | _rearming(steps, logs) if steps and found else {}
    row["service_gap_resolution_ms"] = 1000 / logs.record.fps if logs.record.fps else None
    if to_device is not None:
        row["clock_bound_ms"] = to_device.bound_ns * _MS
    if steps and found and to_device is not None and logs.record.fps > 0:
        start_ns, end_ns = steps.learned_ns + to_device.ns, steps.end_ns + to_device.ns
        gap = fr.service_gap(logs.device_frames, start_ns, end_ns, logs.record.deadline_ms, logs.record.fps)
        row["service_gap_ms"] = gap.ms if gap else None
        row["service_gap_is_lower_bound"] = gap.is_lower_bound if gap else None
    if block.record.choices.get("detection") == ESTIMATED:
        row |= asdict(detection(logs.record, logs.edge_events))
    return row | {"exit_code": logs.record.exit_code, "oom_kills": logs.record.oom_kills}


def _rearming(steps: dt.Timeline, logs: RunLogs) -> dict[str, Any]:
    """Return the time from the end of the downtime until the strategy was ready again, and the work done in it."""
    works = dt.works_between(logs.edge_events, steps.end_ns, steps.settled_ns)
    return {"rearming_ms": (steps.settled_ns - steps.end_ns) * _MS, "rearming_work": ", ".join(works) or None}


def _frames_rows(block: Block, logs: RunLogs, steps: dt.Timeline | None) -> list[dict[str, Any]]:
    settled = fr.settle(logs.device_frames, logs.edge_frames, logs.record.deadline_ms)
    rows = [_counts_row("whole", settled)]
    if steps and steps.moved:
        to_edge = shift_between(probes_of(block.record, logs.record), "device", "edge")
        inside = fr.in_window(settled, steps.learned_ns, steps.end_ns, to_edge)
        before = fr.due_before(settled, steps.learned_ns, to_edge)
        rows = [_counts_row("before", before), _counts_row("downtime", inside), *rows]
    return rows


def _counts_row(window: str, frames: Sequence[fr.SettledFrame]) -> dict[str, Any]:
    counts = fr.count(frames)
    rate = wilson(counts.dropped, counts.offered)
    row: dict[str, Any] = {
        "window": window,
        "offered": counts.offered,
        "answered": counts.answered,
        "dropped": counts.dropped,
        "dropped_paused": counts.paused,
        "dropped_busy": counts.busy,
        "dropped_late": counts.late,
        "dropped_lost": counts.lost,
        "dropped_failed": counts.failed,
        "drop_rate": rate.rate,
        "drop_rate_low": rate.low,
        "drop_rate_high": rate.high,
    }
    return row if counts.offered else row | {"note": "no frame offered"}


def _conditions_row(logs: RunLogs, tolerances: Tolerances) -> dict[str, Any]:
    requested, achieved = logs.record.requested, logs.record.achieved
    comparison = compare(requested, achieved, tolerances)
    row: dict[str, Any] = {
        f"{quantity}_{side}": getattr(conditions, quantity)
        for quantity in QUANTITIES
        for side, conditions in (("requested", requested), ("achieved", achieved))
    }
    return row | {
        "link_mbps_requested": requested.link_mbps_after,
        "link_mbps_achieved": achieved.link_mbps_after,
        "within_tolerance": comparison.within_tolerance,
        "out_of_tolerance": ", ".join(comparison.out_of_tolerance) or None,
        "not_measured": ", ".join(comparison.not_measured) or None,
    }


def _clock_rows(probes: Probes) -> list[dict[str, Any]]:
    """Return a row a host: its offset against the controller's clock before and after, and the drift."""
    hosts = dict.fromkeys((*probes.before, *probes.after))
    return [
        {"host": host, "probed": "run" if probes.of_run else "block"}
        | _offset_row("before", before := probes.before.get(host))
        | _offset_row("after", after := probes.after.get(host))
        | {"drift_us": (after.offset_ns - before.offset_ns) * _US if before and after else None}
        for host in hosts
    ]


def _offset_row(side: str, found: ClockOffset | None) -> dict[str, float]:
    if found is None:
        return {}
    return {f"{side}_offset_us": found.offset_ns * _US, f"{side}_bound_us": found.bound_ns * _US}


def _memory_row(block: Block, logs: RunLogs, steps: dt.Timeline | None, tier: str) -> dict[str, Any]:
    shift = shift_between(probes_of(block.record, logs.record), "edge", tier)
    offset_ns = 0 if tier == "edge" else shift.ns if shift else None
    row: dict[str, Any] = {"tier": tier}
    if steps is None or offset_ns is None:
        return row
    use = memory_use(
        logs.memory.get(tier, ()),
        steps.learned_ns + offset_ns,
        steps.settled_ns + offset_ns,
        moved=steps.moved,
    )
    return row | asdict(use)
