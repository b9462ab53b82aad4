"""Measures one block: its runs one after another, with a fresh session whenever one is lost."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from hosts.agents import AgentTrouble, status_of
from hosts.burst import run_burst
from hosts.errors import AgentError, RemoteError
from hosts.order import run_order
from hosts.session import Measured, RunSpec, Session
from workers.records import Burst, ClockOffset, Conditions, Phases, RunRecord, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hosts.burst import Limits
    from hosts.config import Config
    from hosts.grid import Block

SESSIONS_WITHOUT_A_RUN = 2  # so many in a row that fail before a run: the rest of the block is given up


class Seconds(msgspec.Struct):
    """Wall time of a block by what it was spent on."""

    setup: float = 0.0
    warmup: float = 0.0
    observation: float = 0.0
    teardown: float = 0.0
    controller: float = 0.0

    def phases(self) -> Phases:
        """Return the record's form."""
        return Phases(self.setup, self.warmup, self.observation, self.teardown, self.controller)


class Result(msgspec.Struct):
    """What came of a block."""

    runs: list[RunRecord]
    seconds: Seconds
    choices: dict[str, str]
    clock_before: dict[str, ClockOffset]
    clock_after: dict[str, ClockOffset]
    agent_logs: dict[str, str]
    stress: dict[str, float | str]
    bursts: list[Burst] = []


def run_specs(config: Config, points: Mapping[float, int]) -> list[RunSpec]:
    """Return the runs of a block, numbered from 1 in the order in which they are measured."""
    return [
        RunSpec(number, *step, points[step.from_mbps], points[step.to_mbps])
        for number, step in enumerate(run_order(config), start=1)
    ]


class BlockMeasurement:
    """Works through the runs of a block.

    Args:
        open_session: makes a session, not yet entered.
        progress: told of every run that ends.
        limits: of the burst that follows the last run in its session; None: there is none.
    """

    def __init__(
        self,
        config: Config,
        block: Block,
        specs: list[RunSpec],
        open_session: Callable[[], Session],
        progress: Callable[[RunRecord], None],
        limits: Limits | None = None,
    ) -> None:
        self._config = config
        self._block = block
        self._pending = list(specs)
        self._open_session = open_session
        self._progress = progress
        self._limits = limits
        self._last = specs[-1]
        self._session_number = 0
        self._in_vain = 0
        self._result = Result([], Seconds(), {}, {}, {}, {}, {})

    def measure(self) -> Result:
        """Return a row for every run, whatever happens to the workers."""
        while self._pending:
            runs_before = len(self._result.runs)
            try:
                self._measure_session()
            except (AgentError, RemoteError) as error:  # not ConnectError: without a host there is no block
                self._after_failure(error, in_vain=len(self._result.runs) == runs_before)
            self._session_number += 1
        return self._result

    def _measure_session(self) -> None:
        seconds, result = self._result.seconds, self._result
        began, closing = time.monotonic(), None
        session = self._open_session()
        try:
            with session:
                result.choices |= session.choices
                result.stress = result.stress or session.stress
                result.clock_before = result.clock_before or session.clocks
                session.deploy(self._pending[0])
                result.choices |= session.choices
                warm_began = time.monotonic()
                seconds.setup += warm_began - began
                session.warm_up(self._pending[0].fps, self._config.windows.warmup_frames)
                seconds.warmup += time.monotonic() - warm_began
                while self._pending:
                    self._measure_run(session)
                self._burst(session)
                result.clock_after = session.clock_offsets()
                closing = time.monotonic()
        finally:
            if closing is not None:
                seconds.teardown += time.monotonic() - closing
            for role, text in session.last_words.items():
                result.agent_logs[f"{role}-agent-{self._session_number}"] = text

    def _measure_run(self, session: Session) -> None:
        spec = self._pending[0]
        began = time.monotonic()
        row = run_row(self._config, self._block, spec)
        try:
            measured = session.measure(spec)
        except BaseException:
            self._result.seconds.observation += time.monotonic() - began
            raise
        self._result.seconds.observation += measured.observed_s
        record = measured_run(row, measured)
        self._record(replace(record, session=self._session_number))
        if not measured.repartitioned.ok:
            raise AgentError(f"the repartition failed: {measured.repartitioned.reason}")

    def _burst(self, session: Session) -> None:
        if self._limits is not None:
            began = time.monotonic()
            self._result.bursts.append(run_burst(session, self._last, self._config.deadline_ms, self._limits))
            self._result.seconds.observation += time.monotonic() - began

    def _record(self, record: RunRecord) -> None:
        self._pending = [spec for spec in self._pending if spec.run != record.run]
        self._result.runs.append(record)
        self._progress(record)

    def _after_failure(self, error: Exception, *, in_vain: bool) -> None:
        """Give the run under way its row; after sessions in vain, or for want of memory, also the others."""
        status = status_of(error)
        already_has_its_row = not in_vain and self._result.runs[-1].status is not Status.OK
        if not already_has_its_row and self._pending:
            self._record(self._lost_run(self._pending[0], status, str(error), error))
        self._in_vain = self._in_vain + 1 if in_vain else 0
        if status is Status.INFEASIBLE or self._in_vain >= SESSIONS_WITHOUT_A_RUN:
            for spec in list(self._pending):
                self._record(self._lost_run(spec, status, f"not tried again after: {error}"))

    def _lost_run(self, spec: RunSpec, status: Status, reason: str, error: Exception | None = None) -> RunRecord:
        """Return the row of a run that was lost; `error` is the evidence, where it was tried."""
        row = run_row(self._config, self._block, spec)
        row = replace(row, status=status, reason=reason, session=self._session_number)
        if isinstance(error, AgentTrouble):
            row = replace(row, exit_code=error.exit_code, oom_kills=error.oom_kills)
        return row


def requested(config: Config, block: Block, spec: RunSpec) -> Conditions:
    """Return the conditions that a run asks for."""
    return Conditions(
        link_mbps_before=spec.from_mbps,
        link_mbps_after=spec.to_mbps,
        link_delay_ms=config.network.delay_ms,
        cpu_pct=block.cpu_pct,
        mem_pct=block.mem_pct,
        fps=spec.fps,
    )


def run_row(config: Config, block: Block, spec: RunSpec) -> RunRecord:
    """Return the row of a run of which nothing is known yet but what was asked for."""
    return RunRecord(
        **msgspec.structs.asdict(spec),
        status=Status.FAILED,
        reason="it did not come to its end",
        requested=requested(config, block, spec),
        achieved=Conditions(),
        deadline_ms=config.deadline_ms,
        started_utc=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def measured_run(row: RunRecord, measured: Measured) -> RunRecord:
    """Return the row of a run that came to its end.

    A strategy that moved the cut but not as it promises (its standby was missing) has failed in this run, and so
    has one that lost a pipeline, though something went on serving.
    """
    outcome = measured.repartitioned
    reasons = [*filter(None, [outcome.reason]), *measured.lost]
    return replace(
        row,
        status=Status.OK if outcome.ok and not reasons else Status.FAILED,
        reason="; ".join(reasons) or None,
        clock_before=measured.clock_before,
        clock_after=measured.clock_after,
        achieved=Conditions(
            link_mbps_before=measured.link_before.mbps,
            link_mbps_after=measured.link_after.mbps,
            link_delay_ms=measured.link_after.delay_ms,
            cpu_pct=measured.left.cpu_pct,
            mem_pct=measured.left.mem_pct,
            fps=measured.frames.fps,
        ),
    )
