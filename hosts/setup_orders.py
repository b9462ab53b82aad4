"""What each agent is told to set up: the orders of one session, from config, inventory and block."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, NamedTuple

from hosts.errors import AgentError
from workers import link
from workers import messages as m

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hosts.config import Config
    from hosts.connection import Connection
    from hosts.grid import Block
    from hosts.inventory import Host, Inventory
    from workers.detection import Detection

TAIL_PORTS = 18


class Site(NamedTuple):
    """A connected host with what has been deployed on it (absolute remote paths)."""

    host: Host
    connection: Connection
    code_folder: str
    log_folder: str
    model_folder: str | None


class SetUpOrders:
    """The orders of one session, which has a name and a probe token of its own.

    Args:
        keys: a key pair a role.
        delay_at_cloud: whether the edge's kernel cannot delay packets, so that the cloud must.
        detection: by which the edge notices a new network speed by itself; None: it is told.
        keep_answers: whether the edge logs the logits of every answer.
    """

    def __init__(
        self,
        config: Config,
        inventory: Inventory,
        sites: Mapping[str, Site],
        block: Block,
        keys: Mapping[str, m.KeyPair],
        delay_at_cloud: bool,
        detection: Detection | None = None,
        keep_answers: bool = False,
    ) -> None:
        self._config = config
        self._inventory = inventory
        self._sites = sites
        self._block = block
        self._keys = keys
        self._delay_at_cloud = delay_at_cloud
        self._detection = detection
        self._keep_answers = keep_answers
        self._session = secrets.token_hex(3)
        self._probe_token = secrets.token_bytes(link.TOKEN_BYTES)

    def device(self, height: int, width: int) -> m.SetUpDevice:
        """Return the device's order; frames of `height` × `width`."""
        edge = self._inventory.edge
        return m.SetUpDevice(
            log_folder=self._sites["device"].log_folder,
            keys=self._keys["device"],
            edge_endpoint=f"tcp://{edge.data_address}:{edge.data_ports}",
            edge_public=self._keys["edge"].public,
            source=self._config.source,
            seed=self._config.seed,
            height=height,
            width=width,
            deadline_ms=self._config.deadline_ms,
        )

    def cloud(self) -> m.SetUpCloud:
        """Return the cloud's order."""
        edge, cloud = self._inventory.edge, self._inventory.cloud
        return m.SetUpCloud(
            log_folder=self._sites["cloud"].log_folder,
            session=self._session,
            keys=self._keys["cloud"],
            probe_token=self._probe_token,
            probe_port=cloud.data_ports,
            edge_public=self._keys["edge"].public,
            endpoint=f"tcp://{cloud.data_address}:{cloud.data_ports}",
            data_address=cloud.data_address,
            edge_results_endpoint=f"tcp://{edge.cloud_side_address}:{edge.data_ports + 1}",
            edge_address=edge.cloud_side_address or edge.data_address,
            delay_ms=(self._config.network.delay_ms or None) if self._delay_at_cloud else None,
            containers=_containers(cloud),
            place=self._place("cloud"),
        )

    def edge(self) -> m.SetUpEdge:
        """Return the edge's order."""
        edge, cloud = self._inventory.edge, self._inventory.cloud
        return m.SetUpEdge(
            log_folder=self._sites["edge"].log_folder,
            session=self._session,
            keys=self._keys["edge"],
            probe_token=self._probe_token,
            probe_port=cloud.data_ports,
            device_public=self._keys["device"].public,
            cloud_public=self._keys["cloud"].public,
            ingress_endpoint=f"tcp://{edge.data_address}:{edge.data_ports}",
            results_endpoint=f"tcp://{edge.cloud_side_address}:{edge.data_ports + 1}",
            cloud_endpoint=f"tcp://{cloud.data_address}:{cloud.data_ports}",
            cloud_address=cloud.data_address,
            first_tail_port=cloud.data_ports + 2,
            tail_ports=TAIL_PORTS,
            delay_at_cloud=self._delay_at_cloud,
            queue_limit=self._config.queue_limit,
            deadline_ms=self._config.deadline_ms,
            strategy=self._block.strategy,
            cpu_pct=self._block.cpu_pct,
            mem_pct=self._block.mem_pct,
            containers=_containers(edge),
            place=self._place("edge"),
            detection=self._detection,
            keep_answers=self._keep_answers,
        )

    def _place(self, role: str) -> m.ModelPlace:
        folder = self._sites[role].model_folder
        if folder is None:
            raise AgentError(f"{role}: no model was deployed there")
        return m.ModelPlace(self._block.model, folder, self._config.weights_memory)


def _containers(host: Host) -> m.ContainerSetup:
    return m.ContainerSetup(host.runtime or "process", host.cpus, host.memory_mb)
