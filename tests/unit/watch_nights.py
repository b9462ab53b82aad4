"""Nights made up by hand for the tests of the night watch."""

from report.watch.ledger import Ledger
from report.watch.records import GRID, Kind, Night, Series, Value
from report.watch.thresholds import Relevance, Thresholds

BLOCK = "vgg19/switch-b2/cpu100-mem100"
OTHER = "vgg19/pause-resume/cpu100-mem100"
DOWNTIME = Series(Kind.DOWNTIME, "downtime", BLOCK, "5 FPS, 20 → 5 Mbit/s")
DROPS = Series(Kind.DROPS, "dropped", BLOCK)
RATE = Series(Kind.CONDITION, "link rate", BLOCK)
WALL = Series(Kind.WALL_TIME, "wall time", GRID)
STEADY = (100.0, 102.0, 98.0, 101.0, 99.0, 100.0, 103.0, 97.0)

KINDS = {kind: Relevance(percent=10, at_least=1) for kind in Kind} | {
    kind: Relevance(points=3) for kind in (Kind.DROPS, Kind.FAILURES, Kind.CONDITION)
}
THRESHOLDS = Thresholds(kinds=KINDS)


def night(number, values, **changed):
    """Return the night of this number; `values` maps series to medians."""
    return Night(
        **{
            "id": f"n{number}",
            "started_utc": f"2026-11-{number:02d}T01:00:00+00:00",
            "commit": f"{number:040d}",
            "dirty": False,
            "protocol": 2,
            "hosts": {"edge cpu_model": "A"},
            "environment": {"edge kernel": "6.1"},
            "blocks": {BLOCK: "c1", OTHER: "c1"},
            "runs_asked": 12,
            "runs_measured": 12,
            "values": tuple(Value(series, median, 6) for series, median in values.items()),
        }
        | changed
    )


def nights(series, medians, **changed):
    """Return a night for each median of one series."""
    return [night(number, {series: median}, **changed) for number, median in enumerate(medians, start=1)]


def ledger_of(series=DOWNTIME, medians=STEADY, **changed):
    return Ledger(nights(series, medians, **changed))
