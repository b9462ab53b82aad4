"""The paper's Q1, "when is repartitioning required?", answered in a few sentences made from the profiles by rules.

In short, for each model: whether the best point moves with the network speed, and at which ratios of edge to cloud it
would. Then what a change of speed does to the best point, what less CPU or memory does, and what a cut that stays
costs, which is all that a repartition can buy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from report import text
from report.claims import cutting
from report.claims.decision import State
from report.cuts import Ranking, at_references, pairs, references

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from report.claims.decision import Finding
    from report.scope import Cell
    from report.tables import Tables


@dataclass(frozen=True)
class MovingRange:
    """Ratios of edge time to cloud time between which the best point moves with the speed, and the largest losses.

    `from_the_end` and `to_the_end` say that the sweep ends there: the range may go on.
    """

    from_ratio: float
    to_ratio: float
    loss_ms: float
    loss_pct: float
    from_the_end: bool
    to_the_end: bool

    @property
    def text(self) -> str:
        """How to print the range."""
        low, high = text.digits(self.from_ratio), text.digits(self.to_ratio)
        if self.from_the_end and self.to_the_end:
            return whole_sweep(low, high)
        return f"{'at most ' if self.from_the_end else ''}{low} to {'at least ' if self.to_the_end else ''}{high}"


def whole_sweep(low: str, high: str) -> str:
    """Name a range that reaches both ends of the sweep: it has no bound."""
    return f"any number from {low} to {high} (no other was tried)"


def answer(tables: Tables) -> list[str]:
    """Return the answer to Q1, in short and then by cause; nothing where no model has a good profile."""
    if not references(tables):
        return []
    return [*_in_short(tables), _speed_sentence(tables), _stress_sentence(tables), _staying_sentence(tables)]


def needless(tables: Tables) -> list[str]:
    """Say of each model whose best point surely stays that its repartitions show costs, not gains."""
    return [
        f"On these hosts no change between {fast.mbps:g} and {slow.mbps:g} Mbit/s asks for another cut of "
        f"{fast.model}: the edge takes {text.digits(_ratio(tables, fast), 2)} times as long as the cloud, and "
        f"point {_named(fast)} stays best. Its repartitions, between the points that the config names, show "
        "what moving costs, not what it gains: see Where to cut."
        for fast, slow in pairs(at_references(tables))
        if cutting.moves(fast, slow) is State.DOES_NOT_HOLD and fast.best.index == slow.best.index
    ]


def moving_ranges(sweep: pd.DataFrame) -> list[MovingRange]:
    """Return between which ratios the best point moves with the speed.

    Args:
        sweep: rows of `ratio_sweep` of one model, availability and pair of speeds.
    """
    ends = float(sweep["from_ratio"].min()), float(sweep["to_ratio"].max())
    found = []
    for low, high in ranges_where(sweep, sweep["moves"].astype(bool)):
        rows = sweep[(sweep["from_ratio"] >= low) & (sweep["to_ratio"] <= high)]
        loss_ms, loss_pct = (
            float(rows[[f"slowdown_{column}", f"speedup_{column}"]].max().max()) for column in ("loss_ms", "loss_pct")
        )
        found.append(MovingRange(low, high, loss_ms, loss_pct, from_the_end=low == ends[0], to_the_end=high == ends[1]))
    return found


def ranges_where(sweep: pd.DataFrame, holds: pd.Series[bool]) -> list[tuple[float, float]]:
    """Return the ranges of ratios of those rows of a sweep for which something holds, neighbours as one."""
    ranges: list[tuple[float, float]] = []
    rows = sweep[holds].sort_values("from_ratio")
    for low, high in zip(rows["from_ratio"].tolist(), rows["to_ratio"].tolist(), strict=True):
        if ranges and ranges[-1][1] == low:
            ranges[-1] = (ranges[-1][0], high)
        else:
            ranges.append((low, high))
    return ranges


def of_cell(table: pd.DataFrame, model: str, cell: Cell) -> pd.DataFrame:
    """Return the rows of a model at one availability."""
    return table[(table["model"] == model) & (table["cpu_pct"] == cell.cpu_pct) & (table["mem_pct"] == cell.mem_pct)]


def _in_short(tables: Tables) -> list[str]:
    words = {State.HOLDS: "moves", State.DOES_NOT_HOLD: "does not move", State.UNDECIDED: "may move"}
    return [
        f"In short: between {fast.mbps:g} and {slow.mbps:g} Mbit/s the best point of {fast.model} "
        f"{words[cutting.moves(fast, slow)]} here. {_where_it_moves(tables, fast, slow)}"
        for fast, slow in pairs(at_references(tables))
    ]


def _where_it_moves(tables: Tables, fast: Ranking, slow: Ranking) -> str:
    ranges, here = _ranges(tables, fast, slow), f"here it takes {text.digits(_ratio(tables, fast), 2)} times"
    if not ranges:
        return f"It would move at no ratio of edge to cloud; {here} as long."
    found = text.listing([one.text for one in ranges])
    return f"It moves only where the edge takes {found} times as long as the cloud; {here}."


def _speed_sentence(tables: Tables) -> str:
    said = [_moved(fast, slow) for fast, slow in pairs(at_references(tables))]
    if not said:
        return "Speed: the models were profiled for one speed alone, so nothing can be said of a change."
    return f"Speed: {'; '.join(said)}."


def _named(ranking: Ranking) -> str:
    """Name the best point, and what it means where the edge then computes everything."""
    whole = " (everything on the edge)" if ranking.best.index == ranking.points[-1].index else ""
    return f"{ranking.best.text}{whole}"


def _moved(fast: Ranking, slow: Ranking) -> str:
    where = f"between {fast.mbps:g} and {slow.mbps:g} Mbit/s the best point of {fast.model}"
    state, one, other = cutting.moves(fast, slow), fast.best, slow.best
    if one.index == other.index:
        sure = "stays" if state is State.DOES_NOT_HOLD else "seems to stay, though another may be as good,"
        return f"{where} {sure} at {_named(fast)}"
    words = {
        State.HOLDS: f"moves ({one.text} at the faster, {other.text} at the slower speed)",
        State.DOES_NOT_HOLD: f"need not move ({one.text} and {other.text} are within 1 %)",
    }
    return f"{where} {words.get(state, f'may move ({one.text} and {other.text} are too close to tell)')}"


def _stress_sentence(tables: Tables) -> str:
    parts = [
        _stress("less CPU on the edge", cutting.by_cpu(tables)),
        _stress("less memory", cutting.by_memory(tables)),
    ]
    return f"Stress: {'; '.join(parts)}."


def _stress(what: str, findings: list[Finding]) -> str:
    if not findings:
        return f"what {what} does was not profiled"
    words = {State.DOES_NOT_HOLD: "moves it", State.HOLDS: "does not move it", State.UNDECIDED: "may move it"}
    said = [
        f"{word} for {text.listing(subjects)}"
        for state, word in words.items()
        if (subjects := [f"{found.subject.replace(', ', ' at ')}" for found in findings if found.state is state])
    ]
    return f"{what} {text.listing(said)}"


def _staying_sentence(tables: Tables) -> str:
    said = [_stays(tables, fast, slow) for fast, slow in pairs(at_references(tables))]
    return f"Staying: {'; '.join(said)}." if said else "Staying: there are no two speeds to compare."


def _stays(tables: Tables, fast: Ranking, slow: Ranking) -> str:
    here = f"between {fast.mbps:g} and {slow.mbps:g} Mbit/s a cut of {fast.model} that stays {_staying(fast, slow)}"
    ranges = _ranges(tables, fast, slow)
    return f"{here} (up to {_largest_loss(ranges)} at the ratios where the best point moves)" if ranges else here


def _ranges(tables: Tables, fast: Ranking, slow: Ranking) -> list[MovingRange]:
    sweep = of_cell(tables.ratio_sweep, fast.model, fast.cell)
    return moving_ranges(sweep[(sweep["fast_mbps"] == fast.mbps) & (sweep["slow_mbps"] == slow.mbps)])


def _ratio(tables: Tables, ranking: Ranking) -> float:
    profile = of_cell(tables.profiles, ranking.model, ranking.cell)
    return float(profile[profile["status"] == "ok"]["edge_to_cloud"].iloc[0])


def _staying(fast: Ranking, slow: Ranking) -> str:
    if fast.best.index == slow.best.index:
        return "costs nothing"
    losses = [
        f"{text.duration(stayed.total_ms - after.best.total_ms)} "
        f"({text.points(100 * (stayed.total_ms / after.best.total_ms - 1))}) when the link gets {change}"
        for before, after, change in ((fast, slow, "slower"), (slow, fast, "faster"))
        if (stayed := after.at(before.best.index))
    ]
    return f"costs a frame {text.listing(losses)}"


def _largest_loss(ranges: Sequence[MovingRange]) -> str:
    return f"{text.duration(max(one.loss_ms for one in ranges))} ({text.points(max(one.loss_pct for one in ranges))})"
