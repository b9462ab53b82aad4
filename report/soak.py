"""``python -m report.soak FOLDER``: what came of a soak, from its logs; written beside them as ``summary.json``.

The exit status is 1 where it is no pass: an answer was wrong, answers could not be told apart, an order failed, or
frames do not add up. Frames that were dropped, orders that were overtaken and what the strategy did in another way than
it promises are counted, with the reasons, and no failure.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from report import text
from report.bench.records import Figure, of_interval, of_quantile
from report.bench.words import time, times
from report.errors import NothingToReport, ReportError, SchemaError
from report.files import write_whole
from report.load import TIERS
from report.logs import read_grouped
from report.metrics import frames as fr
from report.metrics.shortfalls import Shortfalls, shortfalls
from report.metrics.soak import SLOPE_MIN, growth, switches
from report.metrics.statistics import median_interval, quantile
from report.metrics.validity import contradictions
from workers.bench_records import BENCH_VERSION, AnswersChecked, SoakRecord
from workers.records import DeviceFrame, EdgeFrame, Event, MemorySample, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from report.metrics.soak import Switches

Wanted = TypeVar("Wanted", SoakRecord, AnswersChecked)
P99 = 0.99
SHOWN = 5  # reasons; all of them are in summary.json


class TierMemory(msgspec.Struct, frozen=True):
    """Memory of a tier's pipelines (MB, PSS) at start and end, and its slope (MB a minute).

    There is no slope where start and end are less than `report.metrics.soak.SLOPE_MIN` apart.
    """

    start_mb: float
    end_mb: float
    slope_mb_per_min: float | None
    n: int


class SoakSummary(msgspec.Struct, frozen=True):
    """Contents of ``summary.json``; times in ms. `troubles` are why it is no pass.

    Downtimes are of all changes that were served; `served_otherwise` counts those among them that were served in
    another way than the strategy promises, and `shortfalls` says why.
    """

    schema_version: int
    model: str
    strategy: str
    cpu_pct: float
    mem_pct: float
    points: tuple[int, ...]
    minutes: float
    every_ms: float
    fps: float
    frames: dict[str, int]
    answers: AnswersChecked
    ordered: int
    served: int
    served_otherwise: int
    unmoved: int
    overtaken: int
    failed: int
    downtime_p50_ms: Figure
    downtime_p99_ms: Figure
    downtime_max_ms: float | None
    otherwise_p50_ms: Figure
    t_switch_p50_ms: Figure
    t_switch_p99_ms: Figure
    t_switch_max_ms: float | None
    memory: dict[str, TierMemory]
    shortfalls: Shortfalls
    late_ms: float
    commit: str
    troubles: tuple[str, ...]


@dataclass(frozen=True)
class _Place:
    folder: Path
    source: str


def summarise(folder: Path) -> SoakSummary:
    """Compute a soak's summary from its folder.

    Raises:
        NothingToReport: it holds no soak that came to its end.
        SchemaError: it was measured by code of another version, or a log is damaged.
    """
    record, answers = _read(folder / "soak.json", SoakRecord), _read(folder / "answers.json", AnswersChecked)
    if record.schema_version != BENCH_VERSION:
        raise SchemaError(f"{folder}/soak.json has version {record.schema_version}, this code reads {BENCH_VERSION}")
    place, damages = _Place(folder, folder.name), list[str]()
    device = read_grouped(place, "device-frames.jsonl", DeviceFrame, damages, required=True).get(record.run, ())
    edge = read_grouped(place, "edge-frames.jsonl", EdgeFrame, damages, required=True).get(record.run, ())
    events = read_grouped(place, "edge-events.jsonl", Event, damages, required=True)
    if damages:
        raise SchemaError(f"{'; '.join(damages)}. Soak again")
    found = switches(record.ordered, events, record.mbps)
    counts = msgspec.to_builtins(fr.count(fr.settle(device, edge, record.deadline_ms)))
    totals = [taken.downtime_ms for taken in found.downtimes]
    switching = [taken.t_switch_ms for taken in found.downtimes if taken.t_switch_ms is not None]
    return SoakSummary(
        schema_version=BENCH_VERSION,
        **{key: getattr(record, key) for key in _KEPT},
        frames=counts,
        answers=answers,
        **{key: getattr(found, key) for key in ("ordered", "served", "unmoved", "overtaken", "failed")},
        downtime_p50_ms=of_interval(median_interval(totals)),
        downtime_p99_ms=of_quantile(quantile(totals, P99)),
        downtime_max_ms=max(totals, default=None),
        served_otherwise=len(found.otherwise),
        otherwise_p50_ms=of_interval(median_interval([taken.downtime_ms for taken in found.otherwise])),
        t_switch_p50_ms=of_interval(median_interval(switching)),
        t_switch_p99_ms=of_quantile(quantile(switching, P99)),
        t_switch_max_ms=max(switching, default=None),
        memory=_memory(place, edge),
        shortfalls=shortfalls(itertools.chain(*events.values()), record.choices.get("cold_points")),
        troubles=tuple(_troubles(record, answers, found, device, edge)),
    )


_KEPT = (
    *("model", "strategy", "cpu_pct", "mem_pct", "points", "minutes", "every_ms", "fps"),
    *("late_ms", "commit"),
)


def _read(path: Path, kind: type[Wanted]) -> Wanted:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise NothingToReport(
            f"{path} is not there: no soak came to its end in this folder ({error.strerror})"
        ) from error
    except msgspec.DecodeError as error:
        raise SchemaError(f"{path} is not what hosts.soak writes ({error}). Soak again") from error


def _memory(place: _Place, edge: Sequence[EdgeFrame]) -> dict[str, TierMemory]:
    """Return each tier's memory while frames were offered; the cloud's by its own clock, from first to last sample."""
    found = {}
    for tier in TIERS:
        grouped = read_grouped(place, f"{tier}-memory.jsonl", MemorySample, [])
        samples = sorted(itertools.chain(*grouped.values()), key=lambda sample: sample.at_ns)
        if not samples or not edge:
            continue
        on_edge = tier == "edge"
        start_ns = edge[0].received_ns if on_edge else samples[0].at_ns
        end_ns = max(frame.received_ns for frame in edge) if on_edge else samples[-1].at_ns
        if (grown := growth(samples, start_ns, end_ns)) is not None:
            found[tier] = TierMemory(grown.start_mb, grown.end_mb, grown.slope_mb_per_min, grown.n)
    return found


def _troubles(
    record: SoakRecord,
    answers: AnswersChecked,
    found: Switches,
    device: Sequence[DeviceFrame],
    edge: Sequence[EdgeFrame],
) -> list[str]:
    troubles = [] if record.status is Status.OK else [f"{record.status.value}: {record.reason}"]
    if not answers.compared:
        troubles.append("no answer could be compared")
    if answers.wrong_count:
        first = answers.wrong[0]
        troubles.append(
            f"{text.plural(answers.wrong_count, 'wrong answer')}, first frame {first.frame} at point {first.point}: "
            f"off by {text.digits(first.error)} of the largest logit"
        )
    if answers.control <= answers.tolerance:
        troubles.append(
            f"two different pictures have logits within {text.digits(answers.control)} of each other: an answer for "
            "another frame would not be found. Soak another model or seed"
        )
    return [*troubles, *found.reasons[:SHOWN], *contradictions(device, edge)]


def words(summary: SoakSummary) -> str:
    """Return the summary as lines to read."""
    answers, frames = summary.answers, summary.frames
    dropped = ", ".join(
        f"{frames[name]} {name}" for name in ("paused", "busy", "late", "lost", "failed") if frames[name]
    )
    lines = [
        (
            f"{summary.strategy}, {summary.model}: an order to switch every {summary.every_ms:g} ms among "
            f"{len(summary.points)} points for {summary.minutes:g} min at {summary.fps:g} FPS"
        ),
        f"frames: {frames['offered']} offered, {frames['answered']} answered, dropped: {dropped or 'none'}",
        (
            f"answers compared with the whole model, also late ones: {answers.compared}, wrong: {answers.wrong_count} "
            f"(tolerance {answers.tolerance:g} of the largest logit; worst of the right ones {answers.worst:.2g}, "
            f"nearest two pictures {answers.control:.2g} apart)"
        ),
        (
            f"orders: {summary.ordered}, served {summary.served}, overtaken while the strategy was at work "
            f"{summary.overtaken}, to where it was {summary.unmoved}, failed {summary.failed}"
        ),
        (
            f"downtime: p50 {times(summary.downtime_p50_ms)}, p99 {times(summary.downtime_p99_ms)}, "
            f"max {time(summary.downtime_max_ms)}"
        ),
        (
            f"t_switch: p50 {times(summary.t_switch_p50_ms)}, p99 {times(summary.t_switch_p99_ms)}, "
            f"max {time(summary.t_switch_max_ms)}"
        ),
    ]
    lines += _shortfall_lines(summary)
    lines += [
        f"memory, {tier} (PSS): {grown.start_mb:.0f} MB at the start, {grown.end_mb:.0f} MB at the end, {_slope(grown)}"
        for tier, grown in summary.memory.items()
    ]
    return "\n".join([*lines, *(f"NO PASS: {trouble}" for trouble in summary.troubles)])


def _shortfall_lines(summary: SoakSummary) -> list[str]:
    """Return what the strategy did not do as it promises, by kind; nothing where it did all."""
    short = summary.shortfalls
    p50 = f", downtime p50 {times(summary.otherwise_p50_ms)}" if summary.served_otherwise else ""
    found = {
        f"served in another way than the strategy promises: {summary.served_otherwise} of {summary.served}{p50}": (
            _counted(short.amiss)
        ),
        "pipelines lost": _counted(short.lost),
        "work that failed": _counted(short.failed),
        "points that stayed cold at the start": short.cold,
    }
    return [f"{what}: {why}" for what, why in found.items() if why]


def _counted(reasons: Mapping[str, int]) -> str:
    """Return the most frequent reasons with their counts, and how many others there are."""
    shown = [f"{count} × {text.cut(reason)}" for reason, count in itertools.islice(reasons.items(), SHOWN)]
    others = len(reasons) - len(shown)
    return "; ".join([*shown, *([f"and {text.plural(others, 'other reason')}"] if others else [])])


def _slope(grown: TierMemory) -> str:
    if grown.slope_mb_per_min is None:
        return f"less than {SLOPE_MIN:g} minutes apart: too short for a slope"
    return f"{grown.slope_mb_per_min:+.2f} MB a minute"


def main(argv: Sequence[str] | None = None) -> int:
    """Summarise a soak, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m report.soak", description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder that hosts.soak wrote")
    folder = parser.parse_args(argv).folder
    try:
        summary = summarise(folder)
        write_whole(folder / "summary.json", msgspec.json.format(msgspec.json.encode(summary), indent=1))
    except ReportError as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    print(words(summary))
    return 1 if summary.troubles else 0


if __name__ == "__main__":
    sys.exit(main())
