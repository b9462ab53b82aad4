"""A session whose edge is ordered to switch without being waited for."""

from __future__ import annotations

from hosts.session import Session
from workers import messages as m


class SoakSession(Session):
    """The agents of one testbed; the edge keeps the logits of every answer."""

    def order(self, run: int, mbps: float, point: int, standby_point: int) -> None:
        """Order another cut and await nothing; what the edge has said of earlier ones is forgotten.

        Raises:
            AgentError: a worker died or is in trouble.
        """
        self._check_agents()
        edge = self._agents["edge"]
        for report in (m.Repartitioned, m.Rearmed):
            edge.discard(report)
        edge.send(m.NetworkChanged(run, mbps, point, standby_point))

    def settle(self, run: int) -> None:
        """Wait until the last order has been carried out: the newest is held back at most, never forgotten.

        Raises:
            AgentError: a worker died or went silent.
        """
        while self._expect("edge", m.Rearmed, self._config.repartition_timeout_s).run != run:
            pass
