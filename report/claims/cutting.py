"""The paper's answer to its Q1: the network's speed moves the best partition point, stress on the edge does not.

A point moves where staying costs: its total is surely more than 1 % behind the new best one's, by the repetitions of
the profile. Where two points are closer than that, either is as good, and nothing has to move. All totals are those of
Eq. 1 as predicted from the profiles. Where frames that were measured end to end say otherwise, nothing is decided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from report import text
from report.claims.availability import AXES, Axis
from report.claims.decision import Finding, State, decide, worst
from report.cuts import CutPoint, Ranking, at_references, pairs

if TYPE_CHECKING:
    import pandas as pd

    from report.tables import Tables

SAME_SHARE = 0.01  # of the best total: a point within it is as good as the best
_OPPOSITE = {State.HOLDS: State.DOES_NOT_HOLD, State.DOES_NOT_HOLD: State.HOLDS}


def by_speed(tables: Tables) -> list[Finding]:
    """The best point at one speed is not the best at the other."""
    return [_between(tables, fast, slow) for fast, slow in pairs(at_references(tables))]


def by_cpu(tables: Tables) -> list[Finding]:
    """At every CPU availability the best point is that at the highest."""
    return _along(tables, AXES[0])


def by_memory(tables: Tables) -> list[Finding]:
    """At every memory availability the best point is that at the highest."""
    return _along(tables, AXES[1])


def moves(one: Ranking, other: Ranking) -> State:
    """Say whether the best point moves between two conditions."""
    there, back = _leaves(one, other), _leaves(other, one)
    if State.HOLDS in {there, back}:
        same = _quickest(one).index == _quickest(other).index
        return State.UNDECIDED if same else State.HOLDS
    contradicted = _shortest(one) is not None or _shortest(other) is not None
    return State.UNDECIDED if State.UNDECIDED in {there, back} or contradicted else State.DOES_NOT_HOLD


def _between(tables: Tables, fast: Ranking, slow: Ranking) -> Finding:
    state = moves(fast, slow)
    hosts = "" if state is State.HOLDS else _speeds(tables, fast)
    return Finding(
        f"{fast.model}, {fast.mbps:g} and {slow.mbps:g} Mbit/s",
        state,
        f"{_best(fast)}; {_best(slow)}{_cost(fast, slow)}",
        fast.cell.text,
        " ".join(filter(None, (_measured(fast), _measured(slow), hosts))),
        f"layer {fast.best.index} and {slow.best.index}",
    )


def _leaves(before: Ranking, after: Ranking) -> State:
    """Say whether the best point before is surely no longer as good as the best one after."""
    margin_ms = SAME_SHARE * after.best.total_ms
    state = decide(after.at(before.best.index).behind, above=margin_ms)
    challenged = any(point.behind.low < -margin_ms for point in after.points)
    return State.UNDECIDED if challenged and state is State.DOES_NOT_HOLD else state


def _quickest(ranking: Ranking) -> CutPoint:
    """Return the point at which frames were measured to be quickest; the best by prediction where it was not tried."""
    known = [point for point in ranking.points if point.measured.n]
    return min(known, key=lambda point: point.measured.median) if ranking.best in known else ranking.best


def _shortest(ranking: Ranking) -> CutPoint | None:
    """Return the quickest point where that is not the best by prediction and more than 1 % quicker."""
    quickest = _quickest(ranking)
    clearly = (1 + SAME_SHARE) * quickest.measured.median < ranking.best.measured.median
    return quickest if clearly else None


def _measured(ranking: Ranking) -> str:
    shortest, best = _shortest(ranking), ranking.best
    if shortest is None:
        return ""
    more = 100 * (best.measured.median / shortest.measured.median - 1)
    return (
        f"At {text.speed(ranking.mbps)} frames at {best.text} were measured to take {text.points(more)} longer than "
        f"at {shortest.text}, the shortest of those measured, which the profile does not predict."
    )


def _along(tables: Tables, axis: Axis) -> list[Finding]:
    """Compare the best point at each level of a resource with that at the highest, the other one at its highest."""
    found = []
    for highest in at_references(tables):
        lower = [ranking for ranking in tables.rankings if _differs_in(axis, ranking, highest)]
        if lower:
            states = (moves(highest, other) for other in lower)
            figure = "; ".join(_level(highest, other, axis) for other in (highest, *lower))
            found.append(
                Finding(
                    f"{highest.model}, {highest.mbps:g} Mbit/s",
                    worst(_OPPOSITE.get(state, state) for state in states),
                    f"{figure}{_without(tables, highest, axis)}",
                    f"{getattr(highest.cell, axis.other):g} % {axis.other_name}",
                )
            )
    return found


def _differs_in(axis: Axis, one: Ranking, other: Ranking) -> bool:
    """Say whether two rankings differ in a resource's level alone."""
    same_model = (one.model, one.mbps) == (other.model, other.mbps)
    same_rest = getattr(one.cell, axis.other) == getattr(other.cell, axis.other)
    return same_model and same_rest and one.cell != other.cell


def _best(ranking: Ranking) -> str:
    where = f"at {text.speed(ranking.mbps)} after layer {ranking.best.text}"
    return f"{where} ({text.duration(ranking.best.total_ms)})"


def _cost(fast: Ranking, slow: Ranking) -> str:
    """Say what it costs to stay in either direction, where the point is another one."""
    if fast.best.index == slow.best.index:
        return ""
    losses = ((fast, slow, "slower"), (slow, fast, "faster"))
    said = [
        f"{text.durations(after.at(before.best.index).behind)} when the link gets {change}"
        for before, after, change in losses
    ]
    return f"; staying costs {' and '.join(said)}"


def _speeds(tables: Tables, ranking: Ranking) -> str:
    """Say how the hosts compare: where the edge is as fast as the cloud, sending is all that a cut can cost."""
    profiles = _of_cell(tables.profiles, ranking)
    if profiles.empty:
        return ""
    ratio = float(profiles["edge_to_cloud"].iloc[0])
    return (
        f"The edge takes {ratio:.1f} times as long as the cloud here; at which ratios the point would move "
        "stands under Where to cut."
    )


def _of_cell(profiles: pd.DataFrame, ranking: Ranking) -> pd.DataFrame:
    """Return the good profile that a ranking was made from."""
    return profiles[
        (profiles["status"] == "ok")
        & (profiles["model"] == ranking.model)
        & (profiles["cpu_pct"] == ranking.cell.cpu_pct)
        & (profiles["mem_pct"] == ranking.cell.mem_pct)
    ]


def _level(highest: Ranking, other: Ranking, axis: Axis) -> str:
    said = f"{getattr(other.cell, axis.column):g} % {axis.name}: {other.best.text}"
    stayed = other.at(highest.best.index).behind
    return said if other.best.index == highest.best.index else f"{said} (staying costs {text.durations(stayed)})"


def _without(tables: Tables, highest: Ranking, axis: Axis) -> str:
    """Name the levels along the axis that have no good profile."""
    profiles = tables.profiles
    bad = profiles[
        (profiles["status"] != "ok")
        & (profiles["model"] == highest.model)
        & (profiles[axis.other] == getattr(highest.cell, axis.other))
    ]
    said = [f"{level:g} % ({status})" for level, status in zip(bad[axis.column], bad["status"], strict=True)]
    return f"; no profile at {text.listing(said)}" if said else ""
