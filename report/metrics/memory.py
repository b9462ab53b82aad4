"""Memory as in Table I: what one pipeline needs at rest, and what a strategy needs beyond that, and when.

Per run and tier two values are taken: `rest`, the last sample before the change, and `peak`, the largest one
from the change until the strategy is ready for the next and half a second more. Table I then compares the
medians over the runs of a model with the rest of its single-pipeline baseline. 1 MB = 1e6 bytes.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from report.metrics.statistics import Interval, median_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.records import MemorySample

SETTLING_NS = 500_000_000  # after the last step: retired processes are still being torn down
REST_AGE_NS = 5_000_000_000  # an older sample is not of this run
NOISE_SHARE = 0.05  # PSS of one unchanged pipeline wanders by a few per cent between samples
NOISE_MB = 10.0
DOUBTFUL = "doubtful"
# Strategies that keep one pipeline at rest, the paper's baseline first.
SINGLE_PIPELINE = ("pause-resume", "pause-resume-inprocess", "switch-b1", "switch-b2")
_MB = 1e6


@dataclass(frozen=True)
class MemoryUse:
    """Memory of a tier's pipelines in one run (MB); None where no sample fell into the window."""

    rest_mb: float | None
    peak_mb: float | None
    rest_cgroup_mb: float | None
    peak_cgroup_mb: float | None


def memory_use(samples: Sequence[MemorySample], learned_ns: int, settled_ns: int, *, moved: bool) -> MemoryUse:
    """Return a run's memory at rest and at its peak.

    Args:
        samples: of one tier, in order of time.
        learned_ns: when the edge learned of the change, by the clock of the samples' tier.
        settled_ns: when the strategy was ready for the next change, by the same clock.
        moved: whether there was a repartition; without one there is no peak.
    """
    first = bisect.bisect_left(samples, learned_ns, key=lambda sample: sample.at_ns)
    behind = bisect.bisect_right(samples, settled_ns + SETTLING_NS, key=lambda sample: sample.at_ns)
    rest = samples[first - 1] if first and learned_ns - samples[first - 1].at_ns <= REST_AGE_NS else None
    during = samples[first:behind] if moved else ()
    charged = [sample.cgroup_bytes for sample in during if sample.cgroup_bytes is not None]
    return MemoryUse(
        rest_mb=rest.pss_bytes / _MB if rest else None,
        peak_mb=max(sample.pss_bytes for sample in during) / _MB if during else None,
        rest_cgroup_mb=rest.cgroup_bytes / _MB if rest and rest.cgroup_bytes is not None else None,
        peak_cgroup_mb=max(charged) / _MB if charged else None,
    )


def table_one(runs: pd.DataFrame) -> pd.DataFrame:
    """Return Table I as measured, one row a model, strategy and tier.

    Args:
        runs: one row a run and tier: model, strategy, tier, status, rest_mb, peak_mb, rest_cgroup_mb,
            peak_cgroup_mb. Only runs with status "ok" count.
    """
    good = runs[runs["status"] == "ok"]
    rows = [
        _row(group, good[(good["model"] == model) & (good["tier"] == tier)], str(strategy))
        | {"model": model, "strategy": strategy, "tier": tier}
        for (model, strategy, tier), group in good.groupby(["model", "strategy", "tier"], sort=True)
    ]
    return pd.DataFrame([row for row in rows if not math.isnan(row["rest_mb"])])


def _row(group: pd.DataFrame, of_model: pd.DataFrame, strategy: str) -> dict[str, Any]:
    baseline, initial = _initial(of_model, strategy)
    rest, peak = _interval(group, "rest_mb"), _interval(group, "peak_mb")
    _, cgroup_initial = _initial(of_model, strategy, "rest_cgroup_mb")
    cgroup_rest, cgroup_peak = _interval(group, "rest_cgroup_mb"), _interval(group, "peak_cgroup_mb")
    doubtful = is_doubtful(strategy, rest.median, initial.median, cgroup_rest.median, cgroup_initial.median)
    total = peak if peak.median > rest.median else rest
    return {
        "initial_mb": initial.median,
        "additional_mb": total.median - initial.median,
        "additional_when": DOUBTFUL if doubtful else additional_when(initial.median, rest.median, peak.median),
        "total_mb": total.median,
        "total_low_mb": total.low,
        "total_high_mb": total.high,
        "n": total.n,
        "rest_mb": rest.median,
        "rest_low_mb": rest.low,
        "rest_high_mb": rest.high,
        "peak_mb": peak.median,
        "peak_low_mb": peak.low,
        "peak_high_mb": peak.high,
        "total_over_initial": total.median / initial.median if initial.median else math.nan,
        "cgroup_initial_mb": cgroup_initial.median,
        "cgroup_rest_mb": cgroup_rest.median,
        "cgroup_total_mb": _largest(cgroup_rest.median, cgroup_peak.median),
        "initial_from": baseline,
    }


def noise_mb(initial_mb: float) -> float:
    """Return by how much memory may differ without meaning anything."""
    return max(NOISE_SHARE * initial_mb, NOISE_MB)


def additional_when(initial_mb: float, rest_mb: float, peak_mb: float) -> str:
    """Say when a strategy needs more than one pipeline at rest: always, during switching, both, or never.

    Less than 5 % or 10 MB, whichever is more, is noise.
    """
    noise = noise_mb(initial_mb)
    always = rest_mb - initial_mb > noise
    switching = peak_mb - max(rest_mb, initial_mb) > noise
    if always and switching:
        return "always, more during switching"
    if always:
        return "always"
    return "during switching" if switching else "never"


def is_doubtful(strategy: str, rest_mb: float, initial_mb: float, charged_mb: float, initial_charged_mb: float) -> bool:
    """Say whether a single pipeline's set size at rest is apart from the baseline's for no reason in the charge.

    All in MB. The difference is then shared pages: it moves with whatever else on the host maps the same libraries.
    """
    apart_mb = rest_mb - initial_mb
    unexplained_mb = apart_mb - (charged_mb - initial_charged_mb)  # NaN without a charge, which raises no doubt
    noise = noise_mb(initial_mb)
    return strategy in SINGLE_PIPELINE and abs(apart_mb) > noise and abs(unexplained_mb) > noise


def _initial(of_model: pd.DataFrame, strategy: str, column: str = "rest_mb") -> tuple[str, Interval]:
    for candidate in (*SINGLE_PIPELINE, strategy):
        rest = _interval(of_model[of_model["strategy"] == candidate], column)
        if rest.n:
            return candidate, rest
    return strategy, median_interval(())


def _interval(runs: pd.DataFrame, column: str) -> Interval:
    return median_interval(runs[column].dropna().astype(float))


def _largest(*values: float) -> float:
    known = [value for value in values if not math.isnan(value)]
    return max(known, default=math.nan)
