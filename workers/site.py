"""A host that runs containers: tier, cgroup and the sampler of its memory, opened and closed together."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from workers import cgroup, memory
from workers.records import JsonLines, MemorySample
from workers.runtime import open_runtime
from workers.store_check import check_once, state_of
from workers.tier import Tier, TierSetup

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers import messages as m
    from workers.agent import Agent
    from workers.guard import Guard
    from workers.store import StoredModel
    from workers.transport import DataPlane

MEMORY_PERIOD_S = 0.25


class Site:
    """What the edge and the cloud agent have in common."""

    def __init__(self, tier: Tier, model: StoredModel, choices: dict[str, str], log_path: Path) -> None:
        self.tier = tier
        self.model = model
        self.choices = choices
        self.run = 0
        self._log = JsonLines(log_path)
        self._stop = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()

    @classmethod
    async def open(
        cls,
        *,
        role: str,
        agent: Agent,
        plane: DataPlane,
        order: m.SetUpEdge | m.SetUpCloud,
        peer_public: str,
        tail_address: str,
        results_endpoint: str,
        on_died: Callable[[m.Died], None],
    ) -> Site:
        """Open runtime and tier of a host whose stored model is what its name says.

        Raises:
            RuntimeUnavailable: the container engine is missing; the message says what to do.
            PartitionError: the stored model is damaged or another one.
        """
        # In a thread: reading a model lasts, in which a controller must not think this host dead.
        folder = Path(order.place.folder)
        model = await asyncio.to_thread(check_once, folder)
        state = state_of(folder)
        runtime = open_runtime(order.containers.runtime)
        choices = {"runtime": runtime.version(), "cgroup": cgroup.detect().version}
        budget = _budget(agent.guard, order)
        runtime.prepare()
        log_folder = Path(order.log_folder)
        setup = TierSetup(
            role=role,
            session=order.session,
            folder=agent.folder,
            log_folder=log_folder,
            cgroup=budget,
            place=order.place,
            model_state=state,
            keys=order.keys,
            peer_public=peer_public,
            tail_address=tail_address,
            results_endpoint=results_endpoint,
        )
        tier = Tier(setup, runtime, plane, agent.guard, on_died)
        agent.spawn(tier.listen())
        return cls(tier, model, choices, log_folder / f"{role}-memory.jsonl")

    def refusals(self, plane: DataPlane) -> dict[str, int]:
        """Return all counts of refused peers and frames on this host, those of its containers included."""
        counts = plane.collect_refusals()
        for container in self.tier.refusals.values():
            for name, count in container.items():
                counts[name] = counts.get(name, 0) + count
        return counts

    async def close(self) -> None:
        """Stop sampling."""
        self._stop.set()
        self._sampler.join()
        self._log.close()

    def _sample(self) -> None:
        while not self._stop.wait(MEMORY_PERIOD_S):
            first = list(self.tier.containers.values())
            if not first:
                continue
            with contextlib.suppress(OSError, KeyError, ValueError):  # a container that goes while it is read
                pids = sorted({pid for parent in first for pid in (parent, *memory.descendants(parent))})
                self._log.write(
                    MemorySample(
                        self.run,
                        time.monotonic_ns(),
                        len(first),
                        memory.pss(pids).pss_bytes,
                        self.pipelines_bytes(),
                    )
                )

    def pipelines_bytes(self) -> int | None:
        """Return the anonymous memory of the containers, None where one has no cgroup of its own."""
        paths = list(self.tier.cgroups.values())
        if not paths or None in paths:
            return None
        return sum(cgroup.Cgroup(path).memory().anon_bytes for path in paths if path is not None)


def _budget(guard: Guard, order: m.SetUpEdge | m.SetUpCloud) -> cgroup.Cgroup:
    """Return the cgroup of this host's containers, made (and to be removed) where the host gives none."""
    if cgroup.own() is None:
        path = f"/neukonfig-{order.session}"
        guard.add("cgroup", [sys.executable, "-m", "workers.cgroup", "remove", path])
    count = order.containers.cpus
    cpus = sorted(os.sched_getaffinity(0))[:count] if count else None
    return cgroup.budget(order.session, cpus, order.containers.memory_mb)
