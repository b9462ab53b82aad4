"""A session: three agents set up on a testbed, able to measure one run after another."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple, Self

import msgspec

from hosts import notice
from hosts.agents import AgentClient, AgentSilent, Expected
from hosts.errors import AgentError
from hosts.inventory import ROLES
from hosts.setup_orders import SetUpOrders
from workers import messages as m
from workers import transport

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from hosts.config import Config
    from hosts.grid import Block
    from hosts.inventory import Inventory
    from hosts.setup_orders import Site
    from workers.detection import Detection
    from workers.records import Change, ClockOffset

SETUP_TIMEOUT_S = 180.0  # to take gigabytes from a busy edge lasts
DEPLOY_TIMEOUT_S = 300.0  # two pipelines one after the other, on a quarter of a CPU
LINK_TIMEOUT_S = 30.0
CHECK_S = 0.1


class RunSpec(msgspec.Struct, frozen=True):
    """One run to be measured; points are 1-based indices."""

    run: int
    repeat: int
    fps: float
    from_mbps: float
    to_mbps: float
    from_point: int
    to_point: int


class Measured(NamedTuple):
    """What the controller learned during a run.

    `observed_s` is how long frames were offered and their outcomes awaited; `lost` names the pipelines that died
    while something went on serving.
    """

    repartitioned: m.Repartitioned
    frames: m.FramesStopped
    link_before: m.LinkMeasured
    link_after: m.LinkMeasured
    left: m.AvailabilityRead
    lost: tuple[str, ...]
    observed_s: float
    clock_before: dict[str, ClockOffset]
    clock_after: dict[str, ClockOffset]


class Session:
    """The agents of one testbed. A failure of any of them raises AgentError; then open a new session.

    Args:
        detection: by which the edge notices a new network speed by itself; None: it is told.
        keep_answers: whether the edge logs the logits of every answer.
        hot: names, by index, of the points that a strategy that keeps any number of them ready is to keep.
    """

    def __init__(
        self,
        config: Config,
        inventory: Inventory,
        sites: Mapping[str, Site],
        block: Block,
        frame_shape: tuple[int, int],
        detection: Detection | None = None,
        keep_answers: bool = False,
        hot: Mapping[int, str] | None = None,
    ) -> None:
        self._config = config
        self._inventory = inventory
        self._sites = sites
        self._block = block
        self._frame_shape = frame_shape
        self._detection = detection
        self._keep_answers = keep_answers
        self._hot = hot or {}
        self._stack = ExitStack()
        self._agents: dict[str, AgentClient] = {}
        self._link: m.LinkMeasured | None = None
        self.choices: dict[str, str] = {}
        self.stress: dict[str, float | str] = {}
        self.clocks: dict[str, ClockOffset] = {}
        self.last_words: dict[str, str] = {}  # what each agent printed, once the session is closed

    def __enter__(self) -> Self:
        try:
            with ThreadPoolExecutor(len(ROLES)) as pool:
                for client in pool.map(self._start_agent, ROLES):
                    self._agents[client.role] = client
            self._set_up()
            self.clocks = self.clock_offsets()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the agents; a host whose agent does not answer cleans up by itself."""
        with ThreadPoolExecutor(len(ROLES)) as pool:
            list(pool.map(_finish, self._agents.values()))
        self.last_words |= {role: agent.stderr_tail() for role, agent in self._agents.items()}
        self._stack.close()
        self._agents = {}

    def clock_offsets(self) -> dict[str, ClockOffset]:
        """Probe all agents' clocks."""
        return {role: agent.clock_offset() for role, agent in self._agents.items()}

    # --- measuring ------------------------------------------------------------------------------------------

    def deploy(self, spec: RunSpec) -> None:
        """Start serving at `spec`'s first speed and cut, and wait until the strategy is armed."""
        edge = self._agents["edge"]
        self._shape(0, spec.from_mbps)
        edge.send(m.Deploy(spec.from_point, spec.to_point, tuple(self._hot)))
        armed = self._expect("edge", m.Rearmed, DEPLOY_TIMEOUT_S)
        if armed.hot:
            self.choices["hot_points"] = ", ".join(map(self._point, armed.hot))
        if armed.cold:
            self.choices["cold_points"] = "; ".join(f"{self._point(at)}: {why}" for at, why in armed.cold)
        self._link = self._probe(0)

    def warm_up(self, fps: float, frames: int) -> None:
        """Offer some frames that are never counted (run 0)."""
        self.start_frames(0, fps)
        self.wait(frames / fps)
        self.stop_frames(0)

    def measure(self, spec: RunSpec) -> Measured:
        """Offer frames, change the network speed, await the repartition, offer on, and stop.

        Raises:
            AgentError: a worker died or went silent, or the edge did not notice the change, or one that was none.
        """
        edge = self._agents["edge"]
        if self._link is None:
            raise AgentError("a session measures only after deploy()")
        edge.discard(m.Rearmed)
        self._read_availability(spec.run)
        began = time.monotonic()
        self.start_frames(spec.run, spec.fps)
        self.wait(self._config.windows.before_s)
        notice.refuse_wrong(edge, spec.from_mbps)
        self._shape(spec.run, spec.to_mbps)
        if self._detection is None:
            notice.tell(edge, spec)
        else:
            notice.await_notice(edge, self._expect, spec)
        repartitioned = self._expect("edge", m.Repartitioned, self._config.repartition_timeout_s)
        self.wait(self._config.windows.after_s)
        while self._expect("edge", m.Rearmed, self._config.repartition_timeout_s).run != spec.run:
            pass  # an earlier run's: a standby that was lost is there again
        frames = self.stop_frames(spec.run)
        notice.refuse_wrong(edge, spec.to_mbps)
        observed_s = time.monotonic() - began
        left = self._read_availability(spec.run)
        before, self._link = self._link, self._probe(spec.run)
        self._check_agents()
        if repartitioned.run != spec.run:
            raise AgentError(f"edge: it spoke of run {repartitioned.run} while run {spec.run} was measured")
        lost = tuple(report.reason for report in edge.take(m.PipelineLost))
        clock_before, self.clocks = self.clocks, self.clock_offsets()
        clocks = clock_before, self.clocks
        return Measured(repartitioned, frames, before, self._link, left, lost, observed_s, *clocks)

    def start_frames(self, run: int, fps: float) -> None:
        """Offer frames as those of `run` until `stop_frames`."""
        self._agents["device"].send(m.StartFrames(run, fps))

    def change(self, change: Change) -> m.Repartitioned:
        """Change the network speed and the cut, without a window of its own, and wait until the strategy has re-armed.

        Raises:
            AgentError: a worker died or went silent.
        """
        edge, timeout_s = self._agents["edge"], self._config.repartition_timeout_s
        self._shape(change.run, change.to_mbps)
        notice.tell(edge, change)
        repartitioned = self._expect("edge", m.Repartitioned, timeout_s)
        while self._expect("edge", m.Rearmed, timeout_s).run != change.run:
            pass  # an earlier change's: a standby that was lost is there again
        if repartitioned.run != change.run:
            raise AgentError(f"edge: it spoke of run {repartitioned.run} while change {change.run} was made")
        return repartitioned

    def _point(self, index: int) -> str:
        return f"{index} ({self._hot[index]})" if index in self._hot else str(index)

    def _read_availability(self, run: int) -> m.AvailabilityRead:
        self._agents["edge"].send(m.ReadAvailability(run))
        return self._expect("edge", m.AvailabilityRead, LINK_TIMEOUT_S)

    def stop_frames(self, run: int) -> m.FramesStopped:
        """Stop offering and wait until every frame of `run` has settled."""
        device = self._agents["device"]
        device.send(m.StopFrames(run))
        return self._expect("device", m.FramesStopped, self._config.deadline_ms / 1e3 + LINK_TIMEOUT_S)

    def _shape(self, run: int, mbps: float) -> None:
        edge = self._agents["edge"]
        edge.send(m.ShapeLink(run, mbps, self._config.network.delay_ms))
        edge.expect(m.LinkShaped, LINK_TIMEOUT_S)

    def _probe(self, run: int) -> m.LinkMeasured:
        edge = self._agents["edge"]
        edge.send(m.ProbeLink(run))
        return edge.expect(m.LinkMeasured, LINK_TIMEOUT_S)

    def wait(self, seconds: float) -> None:
        """Let the observation window pass, but hear at once of an agent in trouble."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(CHECK_S, left))
            self._check_agents()

    def _expect(self, role: str, kind: type[Expected], timeout_s: float) -> Expected:
        """Wait for a report, but hear at once of trouble at any of the hosts."""
        end = time.monotonic() + timeout_s
        while True:
            try:
                return self._agents[role].expect(kind, min(CHECK_S, max(0.0, end - time.monotonic())))
            except AgentSilent:
                self._check_agents()
                if time.monotonic() >= end:
                    raise AgentSilent(
                        f"{self._agents[role].label}: the {role} agent said no {kind.__name__} within {timeout_s:g} s. "
                        "Its log is beside run.json"
                    ) from None

    def _check_agents(self) -> None:
        for agent in self._agents.values():
            agent.check()

    # --- set-up ---------------------------------------------------------------------------------------------

    def _start_agent(self, role: str) -> AgentClient:
        site = self._sites[role]
        python = site.host.python
        argv = ["env", f"PYTHONPATH={site.code_folder}", python, "-m", f"workers.{role}"]
        if site.host.sudo:
            argv = ["sudo", "-n", *argv]
        return self._stack.enter_context(AgentClient(site.connection, argv, role))

    def _set_up(self) -> None:
        keys: dict[str, m.KeyPair] = {role: transport.new_keys() for role in ROLES}
        delay_at_cloud = not self._agents["edge"].hello.netem
        orders = SetUpOrders(
            self._config,
            self._inventory,
            self._sites,
            self._block,
            keys,
            delay_at_cloud,
            self._detection,
            self._keep_answers,
        )
        self._agents["cloud"].send(orders.cloud())
        self._agents["edge"].send(orders.edge())
        self._agents["device"].send(orders.device(*self._frame_shape))
        for role in ROLES:
            ready = self._agents[role].expect(m.Ready, SETUP_TIMEOUT_S)
            self.choices |= {f"{role}_{key}": value for key, value in ready.choices.items()}
            if role == "edge":
                self.stress = ready.stress
        self.choices["weights_memory"] = self._config.weights_memory
        self.choices["detection"] = "estimated" if self._detection is not None else "notified"
        by = "delay line at the cloud" if delay_at_cloud else "netem at the edge"
        self.choices["delay"] = by if self._config.network.delay_ms else "none"


def _finish(agent: AgentClient) -> None:
    try:
        for failure in agent.finish():
            print(f"{agent.label}: could not undo {failure}")
    except AgentError as error:
        print(f"{error}; its guard puts the host back")
