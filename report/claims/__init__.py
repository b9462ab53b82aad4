"""The paper's claims against our data: each is decided by a pure function over the tables.

A claim holds or does not hold only where the 95 % intervals say so. It is undecided where they leave both
open or the runs are too few for such an interval, and where a model of the grid, or the baseline, has nothing to decide
it by; it is not tested where nothing has. Every finding says the condition it was decided at; strategies are compared
at the reference condition alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from report.claims import availability, cutting, downtime, frames, resources
from report.claims.decision import Finding, State, worst
from report.reference import paper
from report.summaries import models_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from report.reference import PaperClaim
    from report.tables import Tables

__all__ = ["Finding", "State", "Verdict", "verdicts"]

_DECIDERS: dict[str, Callable[[Tables], list[Finding]]] = {
    "outage": downtime.outage,
    "availability": availability.availability,
    "scenario-a": downtime.scenario_a,
    "b2-memory": resources.b2_memory,
    "b2-speed": downtime.b2_speed,
    "b1-between": downtime.b1_between,
    "served": frames.served,
    "fps": frames.more_dropped_at_higher_fps,
    "infeasible": resources.infeasible,
    "best-by-speed": cutting.by_speed,
    "best-by-cpu": cutting.by_cpu,
    "best-by-memory": cutting.by_memory,
}


@dataclass(frozen=True)
class Verdict:
    """A claim, what our data say about it, and the figures that say so."""

    key: str
    claim: PaperClaim
    state: State
    findings: tuple[Finding, ...]


def verdicts(tables: Tables, models: Iterable[str] = ()) -> list[Verdict]:
    """Decide every claim of the paper.

    Args:
        tables: what was measured.
        models: those that were to be measured: what holds, holds for all of them.
    """
    wanted = {*models, *models_of(tables.downtime)}
    return [_verdict(key, claim, _DECIDERS[key](tables), wanted) for key, claim in paper().claims.items()]


def _verdict(key: str, claim: PaperClaim, findings: list[Finding], models: set[str]) -> Verdict:
    state = worst(finding.state for finding in findings)
    untested = models - {finding.model for finding in findings}
    if state is State.HOLDS and (untested or any(finding.state is State.NOT_TESTED for finding in findings)):
        state = State.UNDECIDED
    return Verdict(key, claim, state, tuple(findings))
