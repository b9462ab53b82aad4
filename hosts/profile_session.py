"""A session that profiles: agents set up on a testbed, able to time a model and to send frames through any cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hosts.errors import AgentError
from hosts.session import Session
from workers import messages as m

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hosts.profile_points import PointSpec
    from workers.records import ClockOffset, TierTimings

PROFILE_TIMEOUT_S = 1200.0  # two tiers one after the other


class MeasuredPoint(NamedTuple):
    """What the controller learned while frames went through one cut."""

    frames: m.FramesStopped
    link_before: m.LinkMeasured
    link_after: m.LinkMeasured
    left: m.AvailabilityRead
    clock_before: dict[str, ClockOffset]
    clock_after: dict[str, ClockOffset]


class ProfileSession(Session):
    """The agents of one testbed. A failure of any of them raises AgentError; then open a new session."""

    def profile(self, points: Sequence[int], repetitions: int) -> dict[str, TierTimings]:
        """Have the model timed on both tiers, and its parts for cuts at `points`; nothing is to be offered meanwhile.

        Raises:
            AgentError: a worker died or went silent.
        """
        self._agents["edge"].send(m.ProfileTiers(tuple(points), repetitions))
        return self._expect("edge", m.TiersProfiled, PROFILE_TIMEOUT_S).tiers

    def set_speed(self, mbps: float) -> None:
        """Give the link another speed; the cut stays."""
        self._shape(0, mbps)
        self._link = self._probe(0)

    def measure_point(self, run: int, spec: PointSpec, frames: int) -> MeasuredPoint:
        """Move the cut to a point, warm it up with one frame, and offer so many frames at the pace of `spec`.

        Raises:
            AgentError: a worker died or went silent, or the cut could not be moved.
        """
        if self._link is None:
            raise AgentError("a session measures only after deploy()")
        self._move(run, spec)
        self._offer(0, spec.fps, 1)
        self._read_availability(run)
        offered = self._offer(run, spec.fps, frames)
        left = self._read_availability(run)
        before, self._link = self._link, self._probe(run)
        self._check_agents()
        clock_before, self.clocks = self.clocks, self.clock_offsets()
        return MeasuredPoint(offered, before, self._link, left, clock_before, self.clocks)

    def _move(self, run: int, spec: PointSpec) -> None:
        edge, timeout_s = self._agents["edge"], self._config.repartition_timeout_s
        edge.discard(m.Rearmed)
        edge.send(m.NetworkChanged(run, spec.mbps, spec.point, spec.point))
        moved = self._expect("edge", m.Repartitioned, timeout_s)
        if not moved.ok:
            raise AgentError(f"{edge.label}: the cut could not be moved to point {spec.point}: {moved.reason}")
        self._expect("edge", m.Rearmed, timeout_s)

    def _offer(self, run: int, fps: float, frames: int) -> m.FramesStopped:
        """Offer so many frames: stop half a period after the last of them."""
        self._agents["device"].send(m.StartFrames(run, fps))
        self.wait((frames - 0.5) / fps)
        return self.stop_frames(run)
