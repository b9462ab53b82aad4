"""``bench.json`` as a table to read: Markdown for people, CSV for a spreadsheet."""

from __future__ import annotations

import csv
import io
import itertools
from typing import TYPE_CHECKING

from report import text
from report.bench.plane import EXACT_WIRE_MS
from report.bench.records import Figure
from report.bench.words import counts, latency, lost, lost_in_downtime, megabytes, number, ratio, time, times
from report.preparation import made
from report.theme import PARTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from report.bench.records import Bench, PlaneFigures, StrategyRow

_S = 1000.0  # ms
_PREPARED = ("pairs", "launch_s", "first_pair_s", "points", "build_s", "build_edge_s", "build_cloud_s", "armed_s")
_WIRE_NOTE = (
    "What TCP and the shaper take beyond the computed wire is in the overhead: "
    f"its goal is for cuts whose wire takes no longer than {EXACT_WIRE_MS:g} ms."
)
_MET = {True: "met", False: "not met", None: "unknown"}


def markdown(bench: Bench) -> str:
    """Return all of a bench that fits on a page."""
    changed = " (changed)" if bench.dirty else ""
    about = (
        f"{bench.rounds} rounds in an order of their own; ratios are to {bench.baseline} of this bench. Medians with a "
        "95 % interval made of measured values. n counts changes; of memory runs, of steady latency frames, of parts "
        "pieces of work, of what was prepared in advance blocks. Memory is what a tier's pipelines take at most, at "
        "the cut where that is most, by their processes' proportional set size (PSS) and by what their cgroups are "
        "charged with (anonymous memory). There is no interval where n is too small for one that covers half."
    )
    parts = [
        f"# Bench of {text.moment(bench.started_utc)} UTC, commit {bench.commit[:12]}{changed}",
        about,
        *([] if bench.complete else ["**This bench did not come to its end.**"]),
        _table(
            ["model", "strategy", "CPU, memory", "n", "downtime p50", "p99", "× baseline", "prepared in advance"],
            [_downtime_cells(row) for row in bench.rows],
        ),
        "## Prepared in advance",
        _table(
            ["model", "strategy", "downtime p50", "pairs launched", "points built", "ready after", "conversion", "n"],
            [_prepared_cells(row) for row in bench.rows],
        ),
        "## Memory beyond the baseline's at rest",
        _table(
            ["model", "strategy", "edge (PSS)", "edge (charged)", "cloud (PSS)", "cloud (charged)", "n"],
            [_memory_cells(row) for row in bench.rows],
        ),
        "## Frames and steady state",
        _table(
            ["model", "strategy", "frames dropped in downtime", "of all frames", "steady latency × baseline"],
            [
                [row.model, row.strategy, lost_in_downtime(row.frames), lost(row.frames), latency(row)]
                for row in bench.rows
            ],
        ),
        *_why(bench.rows),
        "## What the time goes into (ms, medians, edge / cloud)",
        _parts_table(bench.rows),
        *(_plane(bench.plane) if bench.plane else []),
    ]
    return "\n\n".join(parts) + "\n"


def _downtime_cells(row: StrategyRow) -> list[str]:
    return [
        *(row.model, row.strategy, f"{row.cpu_pct:g} %, {row.mem_pct:g} %", str(row.changes)),
        *(times(row.downtime_p50_ms), times(row.downtime_p99_ms), ratio(row.ratio_to_baseline), _made(row)),
    ]


def _made(row: StrategyRow) -> str:
    """Return what was made before the first change beyond the first pipeline; how much memory it takes stands below."""
    found = row.prepared
    if found is None or found.pairs.value is None:
        return "not known"
    launch_s, first_s = found.launch_s.value or 0.0, found.first_pair_s.value or 0.0
    return made(found.pairs.value - 1, launch_s - first_s, found.points.value or 0.0, found.build_s.value or 0.0)


def _prepared_cells(row: StrategyRow) -> list[str]:
    found = row.prepared
    if found is None or found.pairs.value is None:
        return [row.model, row.strategy, time(row.downtime_p50_ms.value), *["not known"] * 3, _conversion(row), "0"]
    built = f"{found.points.value:g} in {_seconds(found.build_s)}" if found.points.value else "none"
    tiers = f" (edge {_seconds(found.build_edge_s)}, cloud {_seconds(found.build_cloud_s)})"
    return [
        *(row.model, row.strategy, time(row.downtime_p50_ms.value)),
        f"{found.pairs.value:g} in {_seconds(found.launch_s)} (first: {_seconds(found.first_pair_s)})",
        f"{built}{tiers if found.points.value else ''}",
        *(times(_in_ms(found.armed_s)), _conversion(row), str(found.armed_s.n)),
    ]


def _conversion(row: StrategyRow) -> str:
    took = row.prepared.conversion_s if row.prepared else None
    return "not known" if took is None else f"{time(took * _S)}, once"


def _seconds(figure: Figure) -> str:
    return time(_in_ms(figure).value)


def _in_ms(figure: Figure) -> Figure:
    value, low, high = (None if end is None else end * _S for end in (figure.value, figure.low, figure.high))
    return Figure(value, low, high, figure.n, figure.coverage)


def _memory_cells(row: StrategyRow) -> list[str]:
    both = (
        (megabytes(tier.additional_mb, tier.additional_share), megabytes(tier.charged_mb, tier.charged_share))
        for tier in row.memory
    )
    n = counts(figure.n for tier in row.memory for figure in (tier.additional_mb, tier.charged_mb))
    return [row.model, row.strategy, *itertools.chain.from_iterable(both), n]


def _why(rows: Iterable[StrategyRow]) -> list[str]:
    """Return why blocks or runs are missing."""
    said = [f"- {row.model}, {row.strategy}: {reason}" for row in rows for reason in row.reasons]
    return ["## Not measured", "\n".join(said)] if said else []


def _parts_table(rows: Sequence[StrategyRow]) -> str:
    found = {part.part for row in rows for part in row.parts}
    names = [*(name for name in PARTS if name in found), *sorted(found - PARTS.keys())]
    head = ["model", "strategy", "work", "n", *(name.replace("_", " ") for name in names)]
    return _table(head, list(_part_cells(rows, names)))


def _part_cells(rows: Iterable[StrategyRow], names: Sequence[str]) -> Iterable[list[str]]:
    for row in rows:
        for work in dict.fromkeys(part.work for part in row.parts):
            found = {(part.tier, part.part): part.ms.value for part in row.parts if part.work == work}
            cells = [
                " / ".join(number(found.get((tier, part))) for tier in ("edge", "cloud"))
                if {("edge", part), ("cloud", part)} & found.keys()
                else ""
                for part in names
            ]
            n = counts(part.ms.n for part in row.parts if part.work == work)
            yield [row.model, row.strategy, work, n, *cells]


def _plane(plane: PlaneFigures) -> list[str]:
    goals = [
        [goal.name, f"≤ {goal.limit_ms:g} ms", times(goal.found), str(goal.found.n), _MET[goal.met]]
        for goal in plane.goals
    ]
    steps = [
        [
            *(step.model, f"{step.cut_bytes:,}", number(step.wire_ms), f"{step.fps:g}", str(step.answered)),
            *(times(step.overhead_p50_ms), times(step.overhead_p99_ms)),
            *(times(step.before_p50_ms), times(step.before_p99_ms), times(step.off_schedule_p99_ms)),
        ]
        for step in plane.steps
        if step.purpose == "overhead"
    ]
    ceilings = [
        [
            one.model,
            str(one.point),
            *map(number, (one.held_fps, one.first_not_held_fps, one.ingress_mb_s, one.link_mb_s)),
        ]
        for one in plane.ceilings
    ]
    return [
        "## The harness by itself, with models that do nothing",
        _table(["goal", "limit", "found", "n", ""], goals),
        _table(
            [
                "model",
                "bytes at the cut",
                "wire (ms)",
                "FPS",
                "n",
                "overhead p50",
                "p99",
                "to the head p50",
                "p99",
                "off schedule p99",
            ],
            steps,
        ),
        _WIRE_NOTE,
        _table(["model", "cut at", "FPS held", "not held", "MB/s into the edge", "MB/s over the link"], ceilings),
        *[f"- {reason}" for reason in plane.reasons],
    ]


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ").replace(text.SPACE, " ")


def comma_separated(bench: Bench) -> str:
    """Return a line a strategy and model, numbers bare; steady latency by the speed before the change."""
    rows = [_flat(row) for row in bench.rows]
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(dict.fromkeys(itertools.chain(*rows))))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _flat(row: StrategyRow) -> dict[str, object]:
    figures = {
        "downtime_p50_ms": row.downtime_p50_ms,
        "downtime_p99_ms": row.downtime_p99_ms,
        "t_switch_p50_ms": row.t_switch_p50_ms,
        "t_switch_p99_ms": row.t_switch_p99_ms,
        "ratio_to_baseline": row.ratio_to_baseline,
        **{f"additional_{tier.tier}_mb": tier.additional_mb for tier in row.memory},
        **{f"charged_{tier.tier}_mb": tier.charged_mb for tier in row.memory},
        **{
            f"steady_{one.mbps:g}mbps_{name}": getattr(one, name)
            for one in row.steady
            for name in ("round_trip_ms", "round_trip_ratio", "compute_ms", "compute_ratio")
        },
        **{name: getattr(row.prepared, name) for name in _PREPARED if row.prepared},
    }
    return {
        **{key: getattr(row, key) for key in ("model", "strategy", "cpu_pct", "mem_pct", "changes", "downtime_max_ms")},
        **{
            f"{name}{end}": getattr(figure, part)
            for name, figure in figures.items()
            for end, part in (("", "value"), ("_low", "low"), ("_high", "high"), ("_n", "n"))
        },
        "conversion_s": row.prepared.conversion_s if row.prepared else None,
        **{key: getattr(row.frames, key) for key in row.frames.__struct_fields__},
    }
