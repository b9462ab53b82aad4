"""How the edge learns of a new network speed: the controller tells it, or it notices by itself and is waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hosts.agents import AgentSilent, Expected
from hosts.errors import AgentError
from hosts.points import speed_map
from workers import messages as m
from workers.detection import Detection
from workers.partition import resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hosts.agents import AgentClient
    from hosts.config import Config
    from hosts.session import RunSpec
    from workers.partition import PartitionPoint
    from workers.records import Change, ProfileRecord

NOTICE_TIMEOUT_S = 20.0
ANSWER_TIMEOUT_S = 10.0


class Expects(Protocol):
    """Waits for an agent's report, and hears of trouble at any of the hosts."""

    def __call__(self, role: str, kind: type[Expected], timeout_s: float) -> Expected:
        """Return the report."""


def detection(
    config: Config, model: str, points: Sequence[PartitionPoint], profile: ProfileRecord | None = None
) -> Detection | None:
    """Return by what the edge is to notice a new speed by itself; None where the config says that it is told.

    Raises:
        ConfigError, PartitionError: see `hosts.points.speed_map`.
    """
    if config.detection == "notified":
        return None
    return Detection(speed_map(config, model, profile, lambda point: resolve(points, point).index))


def tell(edge: AgentClient, spec: RunSpec | Change) -> None:
    """Tell the edge the new speed and the cuts for this and the other one (``notified``)."""
    edge.send(m.NetworkChanged(spec.run, spec.to_mbps, spec.to_point, spec.from_point))


def await_notice(edge: AgentClient, expect: Expects, spec: RunSpec) -> None:
    """Wait until the edge has noticed the new speed by itself and chosen the cut for it (``estimated``).

    Raises:
        AgentError: it did not within `NOTICE_TIMEOUT_S`, or it chose another cut.
    """
    try:
        noticed = expect("edge", m.SpeedNoticed, NOTICE_TIMEOUT_S)
    except AgentSilent:
        edge.send(m.ReadSpeed())
        mbps = expect("edge", m.SpeedRead, ANSWER_TIMEOUT_S).mbps
        estimate = "it has seen no speed at all" if mbps is None else f"its last estimate is {mbps:.1f} Mbit/s"
        raise AgentError(
            f"{edge.label}: the edge did not notice within {NOTICE_TIMEOUT_S:g} s that the link went from "
            f"{spec.from_mbps:g} to {spec.to_mbps:g} Mbit/s; {estimate}. A speed close to where the best cut changes "
            "is not acted upon (docs/detection.md): take speeds further apart, or `detection: notified`"
        ) from None
    if (noticed.run, noticed.point) != (spec.run, spec.to_point):
        raise AgentError(
            f"{edge.label}: wrong decision: the link went from {spec.from_mbps:g} to {spec.to_mbps:g} Mbit/s, the edge "
            f"took it for {noticed.mbps:.1f} Mbit/s and moved the cut to point {noticed.point} instead of "
            f"{spec.to_point} (run {noticed.run})"
        )


def refuse_wrong(edge: AgentClient, mbps: float) -> None:
    """Refuse a decision of the edge's own for which there was no cause: the link has had `mbps` all the time.

    Raises:
        AgentError: there is one among its reports so far.
    """
    for noticed in edge.take(m.SpeedNoticed):
        raise AgentError(
            f"{edge.label}: wrong decision in run {noticed.run}: the edge took the link, which had {mbps:g} Mbit/s, "
            f"for {noticed.mbps:.1f} Mbit/s and moved the cut to point {noticed.point}"
        )
