"""Tables -> the numbers that nights are compared by, each a median over a night's runs or a rate over its frames."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from report import text
from report.metrics.statistics import median_interval, wilson
from report.summaries import COMPONENTS, good, moved
from report.watch.records import GRID, Kind, Series, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from report.load import Results
    from report.tables import Tables

_SCENARIO = ["model", "strategy", "cpu_pct", "mem_pct", "fps", "from_mbps", "to_mbps"]
_BLOCK = _SCENARIO[:4]
_SHARES = {"link_mbps": "link rate", "link_delay_ms": "link delay", "fps": "frame rate"}
_POINTS = {"cpu_pct": "CPU availability", "mem_pct": "memory availability"}
EVERYWHERE = "all blocks"
_SMALLEST_MS = 1e-6
_KEPT_DIGITS = 6


@dataclass(frozen=True)
class Sample:
    """What a series' number is taken from: the values of a night's runs or, where there are `totals`, hits of those.

    `scenarios` numbers the scenario of each run where there are several.
    """

    series: Series
    values: tuple[float, ...]
    totals: tuple[float, ...] = ()
    scenarios: tuple[int, ...] = ()

    def value(self) -> Value | None:
        """Return the median with its interval or the pooled rate (%) with Wilson's; None where nothing was measured."""
        if self.totals:
            return self._rate()
        found = median_interval(self.values)
        if not found.n:
            return None
        low, high = (None if math.isnan(bound) else _kept(bound) for bound in (found.low, found.high))
        return Value(self.series, _kept(found.median), found.n, low, high)

    def _rate(self) -> Value | None:
        hits, total = int(sum(self.values)), int(sum(self.totals))
        rate = wilson(hits, total)
        if not total:
            return None
        return Value(self.series, _kept(100 * rate.rate), total, _kept(100 * rate.low), _kept(100 * rate.high))


def measures(results: Results, tables: Tables, runs_per_block: int = 0) -> tuple[Value, ...]:
    """Return the values of all series that a night has measured; a run asked for that has no row is not ok."""
    return with_strategies(
        tuple(value for sample in samples(results, tables, runs_per_block) if (value := sample.value()) is not None),
        frozenset(_downtime_series(key) for key, _ in _scenarios(tables.downtime)),
    )


def with_strategies(values: tuple[Value, ...], offered: frozenset[Series]) -> tuple[Value, ...]:
    """Add each strategy's downtime: the geometric mean of its medians, where every scenario offered has one."""
    found = {value.series: value for value in values}
    by_strategy: defaultdict[str, list[Value | None]] = defaultdict(list)
    for series in sorted(offered, key=lambda series: series.text):
        by_strategy[strategy_of(series.of)].append(found.get(series))
    pooled = []
    for strategy, members in by_strategy.items():
        known = [value for value in members if value is not None]
        if len(known) == len(members):
            mean = statistics.geometric_mean(max(value.median, _SMALLEST_MS) for value in known)
            series = Series(Kind.DOWNTIME, "downtime", strategy, EVERYWHERE)
            pooled.append(Value(series, _kept(mean), sum(value.n for value in known)))
    return (*values, *pooled)


def samples(results: Results, tables: Tables, runs_per_block: int = 0) -> list[Sample]:
    """Return what every series is taken from but those that with_strategies adds."""
    return [
        *_downtimes(tables.downtime),
        *_parts(tables.parts),
        *_drops(tables),
        *_failures(tables.downtime, runs_per_block),
        *_memory(tables.memory_runs),
        *_conditions(tables.conditions),
        *_wall_times(results),
    ]


def _downtimes(downtime: pd.DataFrame) -> Iterator[Sample]:
    """Yield downtimes, and the components of those that have several: a single one is the downtime itself."""
    for key, rows in _scenarios(moved(downtime)):
        yield _of_runs(_downtime_series(key), rows, rows["downtime_ms"])
        there = [name for name in COMPONENTS if rows[name].notna().any()]
        for name in there if len(there) > 1 else ():
            yield _of_runs(Series(Kind.PART, name.removesuffix("_ms"), *key), rows, rows[name])


def _parts(parts: pd.DataFrame) -> Iterator[Sample]:
    for key, rows in _scenarios(good(parts)):
        for (tier, part), group in rows.groupby(["tier", "part"]):
            yield _of_runs(Series(Kind.PART, f"{part} on the {tier}", *key), group, group["ms"])


def _drops(tables: Tables) -> Iterator[Sample]:
    """Yield drop rates of blocks, and of strategies with all of their scenarios: fewer are another mixture."""
    whole = good(tables.frames)
    whole = whole[(whole["window"] == "whole") & (whole["offered"] > 0)]
    for block, rows in _blocks(whole):
        yield _of_runs(Series(Kind.DROPS, "dropped", block), rows, rows["dropped"], rows["offered"])
    offered_by, counted_by = (
        Counter(strategy_of(block) for (block, _), _ in _scenarios(table)) for table in (tables.downtime, whole)
    )
    for strategy, rows in whole.groupby("strategy"):
        if counted_by[str(strategy)] < offered_by[str(strategy)]:
            continue
        series = Series(Kind.DROPS, "dropped", str(strategy), EVERYWHERE)
        yield _of_runs(series, rows, rows["dropped"], rows["offered"])


def _failures(downtime: pd.DataFrame, runs_per_block: int) -> Iterator[Sample]:
    for block, rows in _blocks(downtime):
        bad = [float(status != "ok") for status in rows["status"]]
        bad += [1.0] * (runs_per_block - len(rows))
        yield Sample(Series(Kind.FAILURES, "runs not ok", block), tuple(bad), (1.0,) * len(bad))


def _memory(runs: pd.DataFrame) -> Iterator[Sample]:
    for block, of_block in _blocks(good(runs)):
        for tier, rows in of_block.groupby("tier"):
            yield _of_runs(Series(Kind.MEMORY, f"memory at rest on the {tier}", block), rows, rows["rest_mb"])
            yield _of_runs(Series(Kind.MEMORY, f"largest memory on the {tier}", block), rows, rows["peak_mb"])


def _conditions(conditions: pd.DataFrame) -> Iterator[Sample]:
    for block, rows in _blocks(good(conditions)):
        for quantity, name in _SHARES.items():
            asked = rows[rows[f"{quantity}_requested"] > 0]  # of a delay of 0 ms there is no share
            shares = 100 * asked[f"{quantity}_achieved"] / asked[f"{quantity}_requested"]
            yield _of_runs(Series(Kind.CONDITION, name, block), asked, shares)
        for quantity, name in _POINTS.items():
            yield _of_runs(Series(Kind.CONDITION, name, block), rows, rows[f"{quantity}_achieved"])


def _wall_times(results: Results) -> Iterator[Sample]:
    """Yield what each block took, and the grid from its first block's start to its last one's end."""
    records = [block.record for block in results.distinct]
    if not records:
        return
    for block in results.distinct:
        yield Sample(Series(Kind.WALL_TIME, "wall time", block_name(block.source)), (block.record.duration_s,))
    try:
        starts = [datetime.fromisoformat(record.started_utc).timestamp() for record in records]
    except ValueError:  # no moment in time: other code wrote it
        return
    ends = [start + record.duration_s for start, record in zip(starts, records, strict=True)]
    yield Sample(Series(Kind.WALL_TIME, "wall time", GRID), (max(ends) - min(starts),))


def block_name(source: str) -> str:
    """Return the name of a block whose logs lie in ``runs/<name>``."""
    return source.removeprefix("runs/")


def strategy_of(block: str) -> str:
    """Return the strategy in a block's name."""
    return block.split("/")[1]


def _of_runs(series: Series, rows: pd.DataFrame, values: pd.Series, totals: pd.Series | None = None) -> Sample:
    """Return the sample of a series that has a value, or hits of a total, in each of these rows."""
    known = values.notna()
    scenarios = () if series.scenario and series.scenario != EVERYWHERE else rows[known].groupby(_SCENARIO).ngroup()
    return Sample(
        series,
        tuple(float(value) for value in values[known]),
        () if totals is None else tuple(float(total) for total in totals[known]),
        tuple(int(number) for number in scenarios),
    )


def _downtime_series(key: tuple[str, str]) -> Series:
    return Series(Kind.DOWNTIME, "downtime", *key)


def _scenarios(table: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    for key, rows in table.groupby(_SCENARIO):
        model, strategy, cpu_pct, mem_pct, fps, from_mbps, to_mbps = _fields(key)
        block = _name((model, strategy, cpu_pct, mem_pct))
        yield (block, f"{fps:g} FPS, {text.direction(from_mbps, to_mbps)}"), rows


def _blocks(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for key, rows in table.groupby(_BLOCK):
        yield _name(key), rows


def _fields(key: Any) -> tuple[Any, ...]:
    return tuple(key)  # of several columns, whatever the stubs say


def _name(key: Any) -> str:
    model, strategy, cpu_pct, mem_pct = key
    return f"{model}/{strategy}/cpu{cpu_pct:g}-mem{mem_pct:g}"


def _kept(value: float) -> float:
    """Round to what a history has to remember."""
    return float(f"{value:.{_KEPT_DIGITS}g}")
