"""``bench.json`` as a table to read: Markdown for people, CSV for a spreadsheet."""

from __future__ import annotations

import csv
import io
import itertools
from typing import TYPE_CHECKING

from report import text
from report.metrics.statistics import CONFIDENCE
from report.theme import PARTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from report.bench.records import Bench, Figure, FrameFigures, PlaneFigures, StrategyRow

_S = 1000.0  # ms
_US = 1e-3
_MET = {True: "met", False: "not met", None: "unknown"}


def number(value: float | None) -> str:
    """Return a number with three significant digits."""
    return text.NONE if value is None else text.digits(value)


def time(ms: float | None) -> str:
    """Return a duration in µs, ms or s, whichever reads best."""
    if ms is None:
        return text.NONE
    if abs(ms) >= _S:
        return f"{text.digits(ms / _S)} s"
    return f"{text.digits(ms)} ms" if abs(ms) >= 1 else f"{text.digits(ms / _US)} µs"


def times(figure: Figure) -> str:
    """Return a duration with its interval; a quantile that n is too small for says what it is instead."""
    if figure.value is None:
        return text.NONE
    if figure.extreme:
        return f"{time(figure.value)} (largest of {figure.n})"
    if figure.low is None:
        return time(figure.value)
    high = time(figure.high) if figure.high is not None else "∞"
    return f"{time(figure.value)} [{time(figure.low)}, {high}]{_covered(figure)}"


def _covered(figure: Figure) -> str:
    """Say what an interval covers where n is too small for 95 %."""
    return "" if figure.coverage >= CONFIDENCE else f" (covers {figure.coverage:.0%})"


def ratio(figure: Figure) -> str:
    """Return a ratio with its interval."""
    if figure.value is None:
        return text.NONE
    if figure.low is None or figure.high is None:
        return number(figure.value)
    return f"{number(figure.value)} [{number(figure.low)}, {number(figure.high)}]{_covered(figure)}"


def megabytes(figure: Figure, share: float | None) -> str:
    """Return what a tier needs beyond the baseline at rest."""
    if figure.value is None:
        return text.NONE
    part = "" if share is None else f" ({100 * share:+.0f} %)"
    ends = "" if figure.low is None or figure.high is None else f" [{figure.low:+.0f}, {figure.high:+.0f}]"
    return f"{figure.value:+.0f} MB{part}{ends}{_covered(figure) if ends else ''}"


def lost(frames: FrameFigures) -> str:
    """Return the frames that were dropped: within downtimes, and of all."""
    dropped = frames.offered - frames.answered
    return f"{frames.downtime_dropped} of {frames.downtime_offered}; all: {dropped} of {frames.offered}"


def latency(row: StrategyRow) -> str:
    """Return the steady-state latency as multiples of the baseline's, by speed: the round trip, and computing alone."""
    return "; ".join(
        f"{one.mbps:g} Mbit/s: {ratio(one.round_trip_ratio)}, computing {ratio(one.compute_ratio)}"
        for one in row.steady
    )


def markdown(bench: Bench) -> str:
    """Return all of a bench that fits on a page."""
    changed = " (changed)" if bench.dirty else ""
    about = (
        f"{bench.rounds} rounds in an order of their own; ratios are to {bench.baseline} of this bench. Medians with a "
        "95 % interval made of measured values; n counts changes. Memory is what a tier's pipelines take at most, at "
        "the cut where that is most, by their processes' proportional set size (PSS) and by what their cgroups are "
        "charged with (anonymous memory)."
    )
    parts = [
        f"# Bench of {text.moment(bench.started_utc)} UTC, commit {bench.commit[:12]}{changed}",
        about,
        *([] if bench.complete else ["**This bench did not come to its end.**"]),
        _table(
            ["model", "strategy", "CPU, memory", "n", "downtime p50", "p99", "× baseline"],
            [_downtime_cells(row) for row in bench.rows],
        ),
        "## Memory beyond the baseline's at rest",
        _table(
            ["model", "strategy", "edge (PSS)", "edge (charged)", "cloud (PSS)", "cloud (charged)"],
            [_memory_cells(row) for row in bench.rows],
        ),
        "## Frames and steady state",
        _table(
            ["model", "strategy", "frames dropped in downtime", "steady latency × baseline"],
            [[row.model, row.strategy, lost(row.frames), latency(row)] for row in bench.rows],
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
        *(times(row.downtime_p50_ms), times(row.downtime_p99_ms), ratio(row.ratio_to_baseline)),
    ]


def _memory_cells(row: StrategyRow) -> list[str]:
    both = (
        (megabytes(tier.additional_mb, tier.additional_share), megabytes(tier.charged_mb, tier.charged_share))
        for tier in row.memory
    )
    return [row.model, row.strategy, *itertools.chain.from_iterable(both)]


def _why(rows: Iterable[StrategyRow]) -> list[str]:
    """Return why blocks or runs are missing."""
    said = [f"- {row.model}, {row.strategy}: {reason}" for row in rows for reason in row.reasons]
    return ["## Not measured", "\n".join(said)] if said else []


def _parts_table(rows: Sequence[StrategyRow]) -> str:
    found = {part.part for row in rows for part in row.parts}
    names = [*(name for name in PARTS if name in found), *sorted(found - PARTS.keys())]
    head = ["model", "strategy", "work", *(name.replace("_", " ") for name in names)]
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
            yield [row.model, row.strategy, work, *cells]


def _plane(plane: PlaneFigures) -> list[str]:
    goals = [[goal.name, f"≤ {goal.limit_ms:g} ms", times(goal.found), _MET[goal.met]] for goal in plane.goals]
    steps = [
        [
            *(step.model, f"{step.cut_bytes:,}", f"{step.fps:g}", str(step.answered)),
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
        _table(["goal", "limit", "found", ""], goals),
        _table(
            [
                "model",
                "bytes at the cut",
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
        _table(["model", "cut at", "FPS held", "not held", "MB/s into the edge", "MB/s over the link"], ceilings),
        *[f"- {reason}" for reason in plane.reasons],
    ]


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ").replace(text.SPACE, " ")


def comma_separated(bench: Bench) -> str:
    """Return a line a strategy and model, numbers bare."""
    rows = [_flat(row) for row in bench.rows]
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]) if rows else [])
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
    }
    return {
        **{key: getattr(row, key) for key in ("model", "strategy", "cpu_pct", "mem_pct", "changes", "downtime_max_ms")},
        **{
            f"{name}{end}": getattr(figure, part)
            for name, figure in figures.items()
            for end, part in (("", "value"), ("_low", "low"), ("_high", "high"), ("_n", "n"))
        },
        **{key: getattr(row.frames, key) for key in row.frames.__struct_fields__},
    }
