"""Profiles one model: its layers and parts on both tiers, then frames through the points that matter."""

from __future__ import annotations

import time
from itertools import count
from statistics import median
from typing import TYPE_CHECKING

import msgspec

from hosts.agents import AgentTrouble, status_of
from hosts.errors import AgentError, RemoteError
from hosts.profile_points import named_points, parts_to_time, points_to_measure
from hosts.session import RunSpec
from workers.latency import Link, point_costs
from workers.records import Conditions, PointRun, Status, TierTimings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hosts.config import Config
    from hosts.grid import Level
    from hosts.profile_points import PointSpec
    from hosts.profile_session import MeasuredPoint, ProfileSession
    from workers.latency import PointCost
    from workers.partition import PartitionPoint

SESSIONS = 2  # so many are tried where one is lost


class ProfileResult(msgspec.Struct):
    """What came of a profile; `tiers` and `measured` are empty where it is not ok.

    `timed_at` is when `tiers` were there (s, of the monotonic clock), None where they never were.
    """

    status: Status = Status.OK
    reason: str | None = None
    tiers: dict[str, TierTimings] = {}
    measured: tuple[PointRun, ...] = ()
    choices: dict[str, str] = {}
    stress: dict[str, float | str] = {}
    agent_logs: dict[str, str] = {}
    timed_at: float | None = None
    exit_code: int | None = None
    oom_kills: int = 0


class ProfileMeasurement:
    """Works through one model at one level of availability.

    Args:
        config: the experiment, its deadline that of a profile's frames.
        level: the model and what is left over for it.
        points: the model's.
        open_session: makes a session, not yet entered.
        say: told of the steps.
    """

    def __init__(
        self,
        config: Config,
        level: Level,
        points: Sequence[PartitionPoint],
        open_session: Callable[[], ProfileSession],
        say: Callable[[str], None],
    ) -> None:
        self._config = config
        self._level = level
        self._points = points
        self._named = named_points(config, level.model, points)
        self._open_session = open_session
        self._say = say
        self._runs = count(1)  # through all sessions: they write into the same logs
        self._result = ProfileResult()

    def measure(self) -> ProfileResult:
        """Return what was measured, or why nothing was, whatever happens to the workers."""
        for number in range(SESSIONS):
            try:
                tiers, measured = self._measure_session(number)
            except (AgentError, RemoteError) as error:  # not ConnectError: without a host there is no profile
                self._note(error)
                if self._result.status is Status.INFEASIBLE:
                    break
                self._say(f"lost: {error}")
            else:
                self._conclude(Status.OK)
                self._result.tiers, self._result.measured = tiers, measured
                break
        return self._result

    def _note(self, error: Exception) -> None:
        exit_code, oom_kills = None, 0
        if isinstance(error, AgentTrouble):
            exit_code, oom_kills = error.exit_code, error.oom_kills
        self._conclude(status_of(error), str(error), exit_code, oom_kills)

    def _conclude(
        self, status: Status, reason: str | None = None, exit_code: int | None = None, oom_kills: int = 0
    ) -> None:
        result = self._result
        result.status, result.reason = status, reason
        result.exit_code, result.oom_kills = exit_code, oom_kills

    def _measure_session(self, number: int) -> tuple[dict[str, TierTimings], tuple[PointRun, ...]]:
        session = self._open_session()
        try:
            with session:
                self._result.choices |= session.choices
                self._result.stress = session.stress
                first, last = self._points[0].index, self._points[-1].index
                speed = self._config.network.speeds_mbps[0]
                session.deploy(RunSpec(0, 0, 1.0, speed, speed, first, last))
                self._say("timing layers, heads and tails")
                parts = parts_to_time(self._points, self._named)
                tiers = session.profile(parts, self._config.profile.repetitions)
                self._result.timed_at = time.monotonic()
                return tiers, self._measure_points(session, _costs(self._points, tiers))
        finally:
            for role, text in session.last_words.items():
                self._result.agent_logs[f"{role}-agent-{number}"] = text

    def _measure_points(self, session: ProfileSession, costs: Sequence[PointCost]) -> tuple[PointRun, ...]:
        rows = []
        for mbps in self._config.network.speeds_mbps:
            specs = points_to_measure(costs, Link(mbps, self._config.network.delay_ms), self._named)
            self._say(f"sending frames through {len(specs)} cuts at {mbps:g} Mbit/s")
            session.set_speed(mbps)
            rows += [self._measure_point(session, spec) for spec in specs]
        return tuple(rows)

    def _measure_point(self, session: ProfileSession, spec: PointSpec) -> PointRun:
        run = next(self._runs)
        measured = session.measure_point(run, spec, self._config.profile.frames)
        return point_run(self._config, self._level, run, spec, measured)


def point_run(config: Config, level: Level, run: int, spec: PointSpec, measured: MeasuredPoint) -> PointRun:
    """Return the row of a point that was measured."""
    return PointRun(
        run=run,
        mbps=spec.mbps,
        point=spec.point,
        why=spec.why,
        fps=spec.fps,
        requested=Conditions(spec.mbps, spec.mbps, config.network.delay_ms, level.cpu_pct, level.mem_pct, spec.fps),
        achieved=Conditions(
            link_mbps_before=measured.link_before.mbps,
            link_mbps_after=measured.link_after.mbps,
            link_delay_ms=measured.link_after.delay_ms,
            cpu_pct=measured.left.cpu_pct,
            mem_pct=measured.left.mem_pct,
            fps=measured.frames.fps,
        ),
        clock_before=measured.clock_before,
        clock_after=measured.clock_after,
    )


def _costs(points: Sequence[PartitionPoint], tiers: dict[str, TierTimings]) -> tuple[PointCost, ...]:
    edge, cloud = ([median(samples) for samples in tiers[role].layers_ms] for role in ("edge", "cloud"))
    return point_costs(points, edge, cloud)
