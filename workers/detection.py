"""Notices that the link's speed has changed so that another cut is better. Pure: observations in, decisions out.

The rule, in the order in which it is applied (docs/detection.md says why, and what it achieves):

1. *Evidence.* Each observed speed counts by how far it lies beyond the bound of the present cut's speeds: the logarithm
   of their ratio, cut off at `Rule.cutoff`, less `Rule.margin`. The sum never falls below 0 (a CUSUM): one slow frame
   is forgotten, several in a row add up, and a link within the margin of a bound adds up to nothing.
2. *Enough of it.* The sum has come to `Rule.threshold`: three observations well beyond the bound do.
3. *It lasts.* From the first of them to the last at least the patience, `Rule.lasts_s`. It doubles with every
   repartition and with every suspicion that the speed itself refuted, and is back once there has been neither for
   `Rule.steady_s`.
4. *A packet train agrees*: the last observation is one. A frame's transfer shows TCP's window, too; a train does not.

After a decision nothing counts until the strategy has re-armed, and then only what was seen since. A run starts
without the suspicions and the patience of the one before: runs are to be measured as if each stood alone.
"""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec.structs import replace

from workers.errors import WorkerError
from workers.speed_map import SpeedMap

if TYPE_CHECKING:
    from workers.transfers import Observation

RECENT = 5
LONGEST_PATIENCE = 16  # times the shortest


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of the rule. `margin` and `cutoff` are logarithms of a ratio: 0.1 is about 10 %.

    `probe_every_s`, `silence_s`, `confirm_s`: when a train is sent, see `train_due`.
    """

    margin: float = 0.1
    cutoff: float = 0.5
    threshold: float = 1.0
    lasts_s: float = 0.6
    steady_s: float = 10.0
    probe_every_s: float = 2.0
    silence_s: float = 0.5
    confirm_s: float = 0.1


class Detection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an edge needs to find its cuts by itself."""

    speeds: SpeedMap
    rule: Rule = Rule()


class Suspicion(msgspec.Struct, frozen=True):
    """That the speed lies beyond the bound of the present cut: above it (`faster`) or below.

    `trains_mbps` are the speeds that trains have seen since it arose, the last few.
    """

    faster: bool
    since_ns: int
    score: float = 0.0
    evidence: int = 0
    trains_mbps: tuple[float, ...] = ()


class State(msgspec.Struct, frozen=True):
    """What the detector remembers, of the `run` whose frames were seen last.

    `fresh_ns`: what was seen from then on counts, None while a repartition is under way. `turned_ns`: when a suspicion
    last ended, by a decision or without; `denied_ns`: when a train last contradicted one. `frames_ns` are the ends of
    the last observations by frames, `seen_ns` that of the last one of any kind, `mbps` its speed.
    """

    point: int
    run: int = 0
    fresh_ns: int | None = None
    suspicion: Suspicion | None = None
    patience: int = 1
    turned_ns: int | None = None
    denied_ns: int | None = None
    frames_ns: tuple[int, ...] = ()
    seen_ns: int = 0
    mbps: float | None = None


class Noticed(NamedTuple):
    """A decision: the link has had `mbps` since `since_ns` at the latest, and `point` is the cut for that."""

    run: int
    mbps: float
    point: int
    evidence: int
    since_ns: int
    at_ns: int


Step = tuple[State, Noticed | None]


def rearmed(state: State, at_ns: int) -> State:
    """Return the state of an edge that can take the next change from then on."""
    return replace(state, fresh_ns=at_ns, suspicion=None, frames_ns=(), seen_ns=max(state.seen_ns, at_ns))


def moved(state: State | None, point: int) -> State:
    """Return the state of an edge that serves at `point`, which it has still to re-arm for."""
    if state is None:
        return State(point)
    return replace(state, point=point, fresh_ns=None, suspicion=None)


def observe(detection: Detection, state: State, seen: Observation) -> Step:
    """Take in an observation.

    Raises:
        WorkerError: the present cut is not on the map of speeds.
    """
    if state.fresh_ns is None or seen.began_ns < state.fresh_ns:
        return state, None
    state = _note(detection.rule, state, seen)
    suspicion = state.suspicion or _first_suspicion(detection, state, seen)
    gain = _gain(detection, state.point, seen.mbps, faster=suspicion.faster)
    contradicts = seen.train and gain <= 0
    score = min(detection.rule.threshold, suspicion.score + gain)
    if score <= 0 or contradicts:
        return _calm(state, seen, contradicts=contradicts), None
    suspicion = replace(
        suspicion,
        score=score,
        evidence=suspicion.evidence + (gain > 0),
        trains_mbps=(*suspicion.trains_mbps, *([seen.mbps] if seen.train else []))[-RECENT:],
    )
    return _decide(detection, replace(state, suspicion=suspicion), seen)


def train_due(rule: Rule, state: State, now_ns: int, idle_until_ns: int) -> bool:
    """Say whether a packet train has to be sent, where frames have been offered since `idle_until_ns`.

    It is due

    - where a suspicion lacks nothing but a train, or has had no evidence for `confirm_s` (frames: `silence_s`); for
      `probe_every_s` after a train has denied one it is not;
    - where frames that used to tell stay away for `silence_s` and twice their usual interval;
    - after `probe_every_s` without evidence, as with a cut that sends too little to tell.
    """
    if state.fresh_ns is None:
        return False
    silence_s = (now_ns - max(state.seen_ns, state.fresh_ns, idle_until_ns)) / 1e9
    suspicion = state.suspicion
    if suspicion is not None and not _within(state.denied_ns, now_ns, rule.probe_every_s):
        if suspicion.score >= rule.threshold and now_ns - suspicion.since_ns >= _patience_ns(rule, state):
            return True
        return silence_s >= (rule.confirm_s if suspicion.trains_mbps else rule.silence_s / 2)
    return silence_s >= min(rule.probe_every_s, max(rule.silence_s, 2 * _usual_gap_s(rule, state)))


def _note(rule: Rule, state: State, seen: Observation) -> State:
    """Note the observation itself; a new run, or `steady_s` without a suspicion, restores the patience."""
    if seen.run != state.run:
        state = replace(state, run=seen.run, suspicion=None, patience=1, turned_ns=None, denied_ns=None, frames_ns=())
    frames_ns = state.frames_ns if seen.train else (*state.frames_ns, seen.ended_ns)[-RECENT:]
    patience = state.patience
    if state.suspicion is None and not _within(state.turned_ns, seen.began_ns, rule.steady_s):
        patience = 1
    return replace(state, frames_ns=frames_ns, seen_ns=seen.ended_ns, mbps=seen.mbps, patience=patience)


def _first_suspicion(detection: Detection, state: State, seen: Observation) -> Suspicion:
    low_mbps, high_mbps = bounds_mbps(detection.speeds, state.point, seen.mbps)
    return Suspicion(faster=seen.mbps * seen.mbps > low_mbps * high_mbps, since_ns=seen.began_ns)


def _calm(state: State, seen: Observation, *, contradicts: bool) -> State:
    """Drop the suspicion. One of several observations makes the edge more patient: the speed did turn, and back."""
    dropped = state.suspicion
    state = replace(state, suspicion=None, denied_ns=seen.ended_ns if contradicts and dropped else state.denied_ns)
    if dropped is None or dropped.evidence < 2:  # noqa: PLR2004 - a single one is an outlier
        return state
    if contradicts:  # perhaps the frames were slow for another reason: as patient as before, but no less so
        return replace(state, turned_ns=seen.ended_ns)
    return _turned(state, seen.ended_ns)


def _decide(detection: Detection, state: State, seen: Observation) -> Step:
    suspicion, rule = state.suspicion, detection.rule
    if (
        suspicion is None
        or not seen.train
        or suspicion.score < rule.threshold
        or seen.ended_ns - suspicion.since_ns < _patience_ns(rule, state)
    ):
        return state, None
    mbps = median(suspicion.trains_mbps)
    if _gain(detection, state.point, mbps, faster=suspicion.faster) <= 0:
        return state, None
    point = detection.speeds.point_for(mbps)
    noticed = Noticed(seen.run, mbps, point, suspicion.evidence, suspicion.since_ns, seen.ended_ns)
    return _turned(replace(state, suspicion=None, fresh_ns=None), seen.ended_ns), noticed


def _turned(state: State, at_ns: int) -> State:
    return replace(state, turned_ns=at_ns, patience=min(2 * state.patience, LONGEST_PATIENCE))


def _gain(detection: Detection, point: int, mbps: float, *, faster: bool) -> float:
    """Return what an observation adds to the score of a suspicion."""
    low_mbps, high_mbps = bounds_mbps(detection.speeds, point, mbps)
    beyond = _log_ratio(mbps, high_mbps) if faster else _log_ratio(low_mbps, mbps)
    cutoff = detection.rule.cutoff
    return max(-cutoff, min(cutoff, beyond)) - detection.rule.margin


def bounds_mbps(speeds: SpeedMap, point: int, mbps: float) -> tuple[float, float]:
    """Return the speeds from and up to which the map has that point: where it has it twice, those nearest to `mbps`.

    Raises:
        WorkerError: it does not have it.
    """
    spans = [
        span
        for span, at in zip(pairwise((0.0, *speeds.bounds_mbps, math.inf)), speeds.points, strict=True)
        if at == point
    ]
    if not spans:
        raise WorkerError(f"the cut at point {point} is not on the map of speeds, which has {speeds.points}")
    return min(spans, key=lambda span: max(_log_ratio(span[0], mbps), _log_ratio(mbps, span[1])))


def _log_ratio(number: float, by: float) -> float:
    if number <= 0 or math.isinf(by):
        return -math.inf
    return math.log(number / by)


def _usual_gap_s(rule: Rule, state: State) -> float:
    """Return the usual time between two frames that tell of the speed; `probe_every_s` where none does."""
    gaps_s = [(after - before) / 1e9 for before, after in pairwise(state.frames_ns)]
    within_a_run = [gap_s for gap_s in gaps_s if gap_s < rule.probe_every_s]
    return median(within_a_run) if within_a_run else rule.probe_every_s


def _patience_ns(rule: Rule, state: State) -> float:
    return rule.lasts_s * state.patience * 1e9


def _within(then_ns: int | None, now_ns: int, seconds: float) -> bool:
    return then_ns is not None and now_ns - then_ns < seconds * 1e9
