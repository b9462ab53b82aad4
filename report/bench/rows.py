"""What was found of each strategy and model -> its row: quantiles, ratios to the baseline, memory, frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from report.bench.records import (
    DROPS,
    FrameFigures,
    MemoryFigures,
    PartFigures,
    PreparedFigures,
    SteadyFigures,
    StrategyRow,
    of_interval,
    of_quantile,
)
from report.load import TIERS
from report.metrics.statistics import difference_interval, median_interval, quantile, ratio_interval, wilson

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from report.bench.collect import Collected, Found, Key, Samples
    from report.bench.records import Figure

P99 = 0.99
_MOST_REASONS = 10


def rows(collected: Collected) -> tuple[StrategyRow, ...]:
    """Return a row for every strategy and model that was asked for, whatever became of it."""
    baseline = str(collected.run.config["bench"]["baseline"])
    return tuple(
        _row(key, found, collected.found.get((key[0], baseline, *key[2:]))) for key, found in collected.found.items()
    )


def _row(key: Key, found: Found, baseline: Found | None) -> StrategyRow:
    model, strategy, cpu_pct, mem_pct = key
    totals = [taken.downtime_ms for taken in found.downtimes]
    switches = [taken.t_switch_ms for taken in found.downtimes if taken.t_switch_ms is not None]
    of_baseline = [taken.downtime_ms for taken in baseline.downtimes] if baseline else []
    return StrategyRow(
        model=model,
        strategy=strategy,
        cpu_pct=cpu_pct,
        mem_pct=mem_pct,
        blocks=dict(found.statuses),
        reasons=tuple(found.reasons[:_MOST_REASONS]),
        changes=len(totals),
        changes_of_bursts=found.of_bursts,
        downtime_p50_ms=of_interval(median_interval(totals)),
        downtime_p99_ms=of_quantile(quantile(totals, P99)),
        downtime_max_ms=max(totals, default=None),
        outage_p50_ms=of_interval(median_interval(taken.outage_ms for taken in found.downtimes)),
        t_switch_p50_ms=of_interval(median_interval(switches)),
        t_switch_p99_ms=of_quantile(quantile(switches, P99)),
        ratio_to_baseline=of_interval(ratio_interval(totals, of_baseline)),
        memory=tuple(_memory(tier, found, baseline) for tier in TIERS),
        frames=_frames(found),
        steady=tuple(_steady(found, baseline)),
        parts=tuple(
            PartFigures(work, tier, part, of_interval(median_interval(values)))
            for (work, tier, part), values in sorted(found.parts.items())
        ),
        prepared=_prepared(found),
    )


def _prepared(found: Found) -> PreparedFigures:
    """Return what the blocks with a change that counts had made before their first one."""

    def figure(name: str) -> Figure:
        return of_interval(median_interval(float(getattr(one, name)) for one in found.prepared))

    return PreparedFigures(
        pairs=figure("pairs_launched"),
        launch_s=figure("launch_s"),
        first_pair_s=figure("first_pair_s"),
        points=figure("points_built"),
        build_s=figure("build_s"),
        build_edge_s=figure("build_edge_s"),
        build_cloud_s=figure("build_cloud_s"),
        armed_s=figure("armed_s"),
        conversion_s=found.conversion_s,
    )


def _memory(tier: str, found: Found, baseline: Found | None) -> MemoryFigures:
    """Return a tier's memory; additional is the larger of rest and peak, beyond the baseline's rest.

    All of it at the cut where it is most: another cut of the very same pipeline may need more.
    """
    rest, peak = _most(found.rest_mb, tier), _most(found.peak_mb, tier)
    additional, share = _additional(rest, peak, _most(baseline.rest_mb, tier) if baseline else [])
    charged, charged_share = _additional(
        _most(found.rest_charged_mb, tier),
        _most(found.peak_charged_mb, tier),
        _most(baseline.rest_charged_mb, tier) if baseline else [],
    )
    return MemoryFigures(
        tier,
        of_interval(median_interval(rest)),
        of_interval(median_interval(peak)),
        additional,
        share,
        charged,
        charged_share,
    )


def _most(samples: Samples, tier: str) -> list[float]:
    """Return a tier's values at the cut where their median is the largest."""
    at_cuts = [values for (of, _), values in samples.items() if of == tier]
    return max(at_cuts, key=lambda values: median_interval(values).median, default=[])


def _additional(rest: list[float], peak: list[float], initial: list[float]) -> tuple[Figure, float | None]:
    at_rest, at_peak = median_interval(rest), median_interval(peak)
    largest = peak if at_peak.n and not at_peak.median <= at_rest.median else rest
    additional = of_interval(difference_interval(largest, initial))
    base = median_interval(initial).median
    return additional, additional.value / base if additional.value is not None and base > 0 else None


def _frames(found: Found) -> FrameFigures:
    whole, during = found.whole, found.in_downtime
    rate, low, high = _dropped_share(whole)
    downtime_rate, downtime_low, downtime_high = _dropped_share(during)
    return FrameFigures(
        offered=whole["offered"],
        answered=whole["answered"],
        **{reason: whole[reason] for reason in DROPS},
        downtime_offered=during["offered"],
        downtime_dropped=_dropped(during),
        downtime_drop_rate=downtime_rate,
        downtime_drop_low=downtime_low,
        downtime_drop_high=downtime_high,
        **{f"downtime_{reason}": during[reason] for reason in DROPS},
        drop_rate=rate,
        drop_low=low,
        drop_high=high,
    )


def _dropped(counts: Counter[str]) -> int:
    return sum(counts[reason] for reason in DROPS)


def _dropped_share(counts: Counter[str]) -> tuple[float | None, float | None, float | None]:
    """Return the share of the frames offered that were dropped, with its interval."""
    if not counts["offered"]:
        return None, None, None
    share = wilson(_dropped(counts), counts["offered"])
    return share.rate, share.low, share.high


def _steady(found: Found, baseline: Found | None) -> Iterable[SteadyFigures]:
    for place, frames in sorted(found.steady.items()):
        mbps, point = place
        plain = baseline.steady.get(place, []) if baseline else []
        trips, computing = [f.round_trip_ms for f in frames], [f.compute_ms for f in frames]
        yield SteadyFigures(
            mbps=mbps,
            point=point,
            round_trip_ms=of_interval(median_interval(trips)),
            compute_ms=of_interval(median_interval(computing)),
            waiting_ms=of_interval(median_interval(f.waiting_ms for f in frames)),
            round_trip_ratio=of_interval(ratio_interval(trips, [f.round_trip_ms for f in plain])),
            compute_ratio=of_interval(ratio_interval(computing, [f.compute_ms for f in plain])),
        )
