"""``python -m hosts.measure``: measures one block on a leased testbed and leaves its logs and run.json.

Used by the workflow, and by hand for a single block. Where the inventory is a local testbed that is not up
yet, it is made for the duration.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec.structs import replace

from hosts import config as configs
from hosts import inventory as inventories
from hosts.block import BlockMeasurement, Result, Seconds, run_row, run_specs
from hosts.errors import ConfigError, RemoteError
from hosts.forecast import edge_memory_mb
from hosts.grid import Block, blocks
from hosts.hot import hot_points
from hosts.job import make_empty, make_parser, model_facts, read_model, read_stored, run_job, write_record
from hosts.notice import detection
from hosts.past import past_blocks
from hosts.past_profiles import read_profile
from hosts.points import needs_profile, points_by_speed
from hosts.progress import Progress, grid_progress
from hosts.provenance import current_commit
from hosts.session import RunSpec, Session
from hosts.stage import fetch_logs, staged
from workers.messages import PROTOCOL_VERSION
from workers.partition import resolve
from workers.records import SCHEMA_VERSION, BlockRecord, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hosts.burst import Limits
    from hosts.config import Config
    from workers.detection import Detection
    from workers.partition import PartitionPoint
    from workers.records import ProfileRecord, RunRecord

RECORD = "run.json"


class _Sessions(NamedTuple):
    """What the sessions of a block have in common; see `hosts.session.Session`."""

    frame_shape: tuple[int, int]
    detection: Detection | None
    hot: dict[int, str]


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, measure, and return an exit status: 2 for the user's mistakes."""
    parser = make_parser("python -m hosts.measure", __doc__)
    parser.add_argument("--strategy", required=True, help="a strategy of the config")
    parser.add_argument(
        "--profile", type=Path, help="profile.json of the model's highest availability, for `partition: optimal`"
    )
    arguments = parser.parse_args(argv)

    def job() -> str:
        config = configs.load(arguments.config)
        block = Block(arguments.model, arguments.strategy, arguments.cpu, arguments.mem)
        if block not in blocks(config):
            raise ConfigError(f"{arguments.config}: its grid has no block {block.folder}")
        profile = read_profile(arguments.profile) if arguments.profile is not None else None
        record = measure(config, block, arguments.stored, arguments.out, profile)
        past = past_blocks(Path(config.results), config.models)
        left = grid_progress(config, past, edge_memory_mb(inventories.load(Path(config.inventory))))
        return f"{block.folder}: {summary(record)}; {left}"

    return run_job(job, arguments.out)


def measure(
    config: Config,
    block: Block,
    stored_path: Path,
    out: Path,
    profile: ProfileRecord | None = None,
    limits: Limits | None = None,
) -> BlockRecord:
    """Measure a block and write its folder; `run.json` comes last and atomically.

    `profile` is that of the model's highest availability, needed where the config wants the best points. With
    `limits` a burst of changes follows the last run.
    """
    began, began_utc = time.monotonic(), datetime.now(UTC)
    folder, model = read_model(stored_path)
    wanted = points_by_speed(config, block.model, profile)
    points = {speed: resolve(model.points, point).index for speed, point in wanted.items()}
    specs = run_specs(config, points)
    reason = nothing_to_repartition(config, block.model, model.points, points)
    host_facts: dict[str, dict[str, Any]] = {}
    if reason is not None:
        make_empty(out, RECORD)
        result = _not_measured(config, block, specs, reason)
    else:
        by_itself = detection(config, block.model, model.points, profile)
        shape = (model.input_shape[0], model.input_shape[1])
        hot = hot_points(config, block.model, model.points, points.values())
        sessions = _Sessions(shape, by_itself, hot)
        result, host_facts = _measure_on_hosts(config, block, specs, folder, sessions, out, limits)
    for name, text in result.agent_logs.items():
        (out / f"{name}.log").write_text(text)
    facts = model_facts(model, read_stored(stored_path).conversion_s)
    record = _record(config, block, specs, result, facts, host_facts, began_utc, time.monotonic() - began)
    write_record(record, out / RECORD)
    return record


def _measure_on_hosts(
    config: Config,
    block: Block,
    specs: list[RunSpec],
    folder: Path,
    sessions: _Sessions,
    out: Path,
    limits: Limits | None,
) -> tuple[Result, dict[str, dict[str, Any]]]:
    """Return what came of the block, and what is known of the hosts; their logs are in `out`."""
    began = time.monotonic()
    inventory = inventories.load(Path(config.inventory))
    with staged(inventory, folder, datetime.now(UTC)) as stage:
        make_empty(out, RECORD)  # only now: hosts that cannot be had must not cost the block as it was measured before
        progress = Progress(block.folder, len(specs))
        result = BlockMeasurement(
            config,
            block,
            specs,
            lambda: Session(config, inventory, stage.sites, block, **sessions._asdict()),
            progress.run_ended,
            limits,
        ).measure()
        result.seconds.setup += max(0.0, _time_unaccounted(began, result))
        gathering = time.monotonic()
        fetch_logs(stage.sites, out, next((row.reason for row in result.runs if row.status is Status.FAILED), None))
        result.seconds.controller += time.monotonic() - gathering
    return result, stage.facts


def nothing_to_repartition(
    config: Config, model: str, points: Sequence[PartitionPoint], by_speed: Mapping[float, int]
) -> str | None:
    """Return why a block is not measured where the best point is the same at both speeds; None where it is not."""
    if not needs_profile(config, model) or len(set(by_speed.values())) > 1:
        return None
    one, other = by_speed
    name = resolve(points, by_speed[one]).name
    return (
        f"the best point is the same ({name}) at {one:g} and {other:g} Mbit/s: nothing to repartition; choose speeds "
        "between which it changes (table break_points), or map each speed to a layer"
    )


def _not_measured(config: Config, block: Block, specs: Sequence[RunSpec], reason: str) -> Result:
    """Return a row for every run that says why it was not measured."""
    rows = [replace(run_row(config, block, spec), status=Status.INFEASIBLE, reason=reason) for spec in specs]
    return Result(rows, Seconds(), {}, {}, {}, {}, {})


def summary(record: BlockRecord) -> str:
    """Return one line about a block: how its runs ended and where its time went."""
    counts = {status: sum(run.status is status for run in record.runs) for status in Status}
    ended = ", ".join(f"{count} {status.value}" for status, count in counts.items() if count)
    phases = record.phases
    return (
        f"{ended} in {record.duration_s:.0f} s (set-up {phases.setup_s:.1f}, warm-up {phases.warmup_s:.1f}, "
        f"observation {phases.observation_s:.1f}, tear-down {phases.teardown_s:.1f} s)"
    )


def _time_unaccounted(began: float, result: Result) -> float:
    seconds = result.seconds
    accounted: float = sum(msgspec.structs.astuple(seconds))
    return time.monotonic() - began - accounted


def _status(runs: Sequence[RunRecord]) -> tuple[Status, str | None]:
    """Return the block's status: that of its runs where they agree, failed where some failed."""
    for status in (Status.FAILED, Status.INFEASIBLE, Status.INVALID):
        reasons = [run.reason for run in runs if run.status is status]
        if reasons:
            return status, reasons[0]
    return Status.OK, None


def _record(
    config: Config,
    block: Block,
    specs: Sequence[RunSpec],
    result: Result,
    of_model: dict[str, Any],
    host_facts: dict[str, dict[str, Any]],
    began: datetime,
    duration_s: float,
) -> BlockRecord:
    if len(result.runs) != len(specs):
        raise RemoteError(f"{block.folder}: {len(specs)} runs were asked for, {len(result.runs)} have a row")
    commit = current_commit()
    status, reason = _status(result.runs)
    return BlockRecord(
        schema_version=SCHEMA_VERSION,
        protocol_version=PROTOCOL_VERSION,
        model=block.model,
        strategy=block.strategy,
        cpu_pct=block.cpu_pct,
        mem_pct=block.mem_pct,
        status=status,
        reason=reason,
        runs=tuple(sorted(result.runs, key=lambda run: run.run)),
        model_facts=of_model,
        config_hash=config.digest(block.model),
        commit=commit.commit,
        dirty=commit.dirty,
        hosts=host_facts,
        choices=result.choices,
        clock_before=result.clock_before,
        clock_after=result.clock_after,
        phases=result.seconds.phases(),
        started_utc=began.isoformat(timespec="seconds"),
        duration_s=duration_s,
        stress=result.stress,
        bursts=tuple(result.bursts),
    )


if __name__ == "__main__":
    sys.exit(main())
