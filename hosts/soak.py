"""``python -m hosts.soak``: lets a strategy switch at random for minutes, and checks every answer.

Every ``--every-ms`` the cut is ordered to another of the points, drawn by the seed, while the device offers frames at
the config's first FPS over a link of its first speed. A strategy that is still at work on a change has the next ones
held back for it: the newest is served once it is ready, the others never. A strategy that keeps points hot keeps those
of the config's ``models.NAME.hot``, so that one can see what becomes of an order to another; without that key all that
are ordered. Every answer's logits are kept and compared with those of the whole model for the same frame.
``python -m report.soak FOLDER`` makes numbers of the logs.
"""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from hosts import config as configs
from hosts import inventory as inventories
from hosts.agents import status_of
from hosts.errors import AgentError, ConfigError
from hosts.grid import Block
from hosts.hot import hot_in_a_soak
from hosts.job import make_empty, model_facts, read_stored, run_job, write_record
from hosts.logits import check_answers
from hosts.models import store_model
from hosts.provenance import current_commit
from hosts.session import RunSpec
from hosts.soak_options import make_parser, refuse_unfit
from hosts.soak_plan import FRAMES_RUN, chosen, order_count, orders
from hosts.soak_session import SoakSession
from hosts.stage import fetch_logs, staged
from workers import answer_log
from workers.bench_records import BENCH_VERSION, Ordered, SoakRecord
from workers.records import ClockOffset, Status
from workers.store import StoredModel

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from hosts.config import Config
    from hosts.stage import Stage

RECORD, ANSWERS, SUMMARY = "soak.json", "answers.json", "summary.json"  # the summary is report.soak's


class Soak(NamedTuple):
    """What is asked for: `points` are ordered, `hot` (names by index) are kept ready where the strategy does that."""

    config: Config
    block: Block
    stored: Path
    points: tuple[int, ...]
    hot: dict[int, str]
    minutes: float
    every_ms: float


class Soaked(msgspec.Struct):
    """What came of it."""

    status: Status = Status.OK
    reason: str | None = None
    ordered: list[Ordered] = []
    late_ms: float = 0.0
    choices: dict[str, str] = {}
    clock_before: dict[str, ClockOffset] = {}
    clock_after: dict[str, ClockOffset] = {}


def soak(asked: Soak, out: Path) -> SoakRecord:
    """Run a soak and write its folder; `soak.json` comes after the logs, `answers.json` last."""
    config, began, began_utc = asked.config, time.monotonic(), datetime.now(UTC)
    inventory = inventories.load(Path(config.inventory))
    model = StoredModel.read(asked.stored)
    with staged(inventory, asked.stored, began_utc) as stage:
        make_empty(out, RECORD)
        for stale in (ANSWERS, SUMMARY, answer_log.NAME):
            (out / stale).unlink(missing_ok=True)
        shape = (model.input_shape[0], model.input_shape[1])
        session = SoakSession(config, inventory, stage.sites, asked.block, shape, keep_answers=True, hot=asked.hot)
        soaked = run(session, asked)
        fetch_logs(stage.sites, out, soaked.reason)
    for role, text in session.last_words.items():
        (out / f"{role}-agent-0.log").write_text(text)
    record = _record(asked, soaked, stage, began_utc, time.monotonic() - began)
    write_record(record, out / RECORD)
    frames = (config.source, config.seed)
    write_record(check_answers(out / answer_log.NAME, asked.stored, frames, FRAMES_RUN), out / ANSWERS)
    return record


def run(session: SoakSession, asked: Soak) -> Soaked:
    """Switch for so long; what breaks it is its reason, and never raised."""
    soaked = Soaked()
    try:
        with session:
            soaked.choices, soaked.clock_before = session.choices, session.clocks
            ready = [point for point in asked.points if point in asked.hot]
            upcoming = orders(asked.points, asked.config.seed, ready)
            first, second = next(upcoming), next(upcoming)
            mbps, fps = asked.config.network.speeds_mbps[0], asked.config.fps[0]
            standby = second if second.point in asked.hot else first  # what stands by at the start stays hot
            session.deploy(RunSpec(0, 0, fps, mbps, mbps, first.point, standby.point))
            session.warm_up(fps, asked.config.windows.warmup_frames)
            session.start_frames(FRAMES_RUN, fps)
            soaked.late_ms = _switch(session, asked, chain([second], upcoming), soaked.ordered.append)
            session.settle(soaked.ordered[-1].run)
            session.stop_frames(FRAMES_RUN)
            soaked.clock_after = session.clock_offsets()
    except AgentError as error:
        soaked.status, soaked.reason = status_of(error), str(error)
    return soaked


def _switch(session: SoakSession, asked: Soak, upcoming: Iterator[Ordered], note: Callable[[Ordered], None]) -> float:
    """Order a change at each due time, however the last one went; return by how much the latest was late (ms)."""
    mbps = asked.config.network.speeds_mbps[0]
    count = order_count(asked.minutes, asked.every_ms)
    began, late_s = time.monotonic(), 0.0
    for number, (order, after) in enumerate(islice(pairwise(upcoming), count)):
        due = began + number * asked.every_ms / 1e3
        session.wait(due - time.monotonic())
        late_s = max(late_s, time.monotonic() - due)
        session.order(order.run, mbps, order.point, after.point)
        note(order)
    return late_s * 1e3


def _record(asked: Soak, soaked: Soaked, stage: Stage, began: datetime, duration_s: float) -> SoakRecord:
    commit, config = current_commit(), asked.config
    return SoakRecord(
        schema_version=BENCH_VERSION,
        **msgspec.structs.asdict(asked.block),
        status=soaked.status,
        reason=soaked.reason,
        seed=config.seed,
        minutes=asked.minutes,
        every_ms=asked.every_ms,
        fps=config.fps[0],
        mbps=config.network.speeds_mbps[0],
        deadline_ms=config.deadline_ms,
        run=FRAMES_RUN,
        points=asked.points,
        ordered=tuple(soaked.ordered),
        late_ms=soaked.late_ms,
        model_facts=model_facts(StoredModel.read(asked.stored)),
        commit=commit.commit,
        dirty=commit.dirty,
        config_hash=config.digest(asked.block.model),
        hosts=stage.facts,
        choices=soaked.choices,
        clock_before=soaked.clock_before,
        clock_after=soaked.clock_after,
        started_utc=began.isoformat(timespec="seconds"),
        duration_s=duration_s,
    )


def prepare(config: Config, arguments: argparse.Namespace) -> Soak:
    """Return what the command line asks for.

    Raises:
        ConfigError: what `refuse_unfit` finds, fewer than two points, or hot ones that the model does not have.
        PartitionError: points that the model does not have.
    """
    refuse_unfit(config, arguments)
    stored = Path(read_stored(store_model(config, arguments.model, arguments.out / "models")).path)
    every = StoredModel.read(stored).points
    points = chosen(every, arguments.points)
    if len(points) < 2:  # noqa: PLR2004
        raise ConfigError(f"--points {arguments.points}: a soak takes at least two points, this is {len(points)}")
    block = Block(arguments.model, arguments.strategy, arguments.cpu, arguments.mem)
    hot = hot_in_a_soak(config, arguments.model, every, points)
    return Soak(config, block, stored, points, hot, arguments.minutes, arguments.every_ms)


def main(argv: Sequence[str] | None = None) -> int:
    """Soak, say what came of it, and return an exit status: 2 for the user's mistakes, 1 where it is no pass."""
    arguments = make_parser(__doc__).parse_args(argv)

    def job() -> str:
        config = configs.load(arguments.config)
        if arguments.out is None:
            block = Block(arguments.model, arguments.strategy, arguments.cpu, arguments.mem)
            arguments.out = Path(config.results) / "soaks" / block.folder
        record = soak(prepare(config, arguments), arguments.out)
        why = f" ({record.reason})" if record.reason else ""
        done = "carried out" if record.status is Status.OK else record.status.value
        return f"{arguments.out}: {done}{why} in {record.duration_s:.0f} s"

    status = run_job(job, arguments.out or arguments.config)
    if status:
        return status
    # The report does not know this package, nor this package the report: it is asked as a user would.
    asked = [sys.executable, "-m", "report.soak", str(arguments.out)]
    return subprocess.run(asked, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
