"""``python -m hosts.measure``: measures one block on a leased testbed and leaves its logs and run.json.

Used by the workflow, and by hand for a single block. Where the inventory is a local testbed that is not up
yet, it is made for the duration.
"""

from __future__ import annotations

import argparse
import io
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hosts import config as configs
from hosts import inventory as inventories
from hosts.block import BlockMeasurement, Result, run_specs
from hosts.deploy import deploy_tree, deploy_workers
from hosts.errors import ConfigError, HostsError, RemoteError
from hosts.facts import gather
from hosts.forecast import edge_memory_mb
from hosts.grid import Block, blocks
from hosts.inventory import ROLES
from hosts.lease import lease
from hosts.past import past_blocks
from hosts.points import points_by_speed
from hosts.progress import Progress, grid_progress
from hosts.provenance import current_commit
from hosts.session import RunSpec, Session
from hosts.setup_orders import Site
from hosts.ssh import connect
from hosts.workbench import testbed_for
from workers.errors import PartitionError
from workers.messages import PROTOCOL_VERSION
from workers.partition import resolve
from workers.records import SCHEMA_VERSION, BlockRecord, Status
from workers.store import Stored, StoredModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hosts.config import Config
    from hosts.connection import Connection
    from hosts.inventory import Inventory
    from workers.records import RunRecord

USER_ERROR = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, measure, and return an exit status: 2 for the user's mistakes."""
    parser = argparse.ArgumentParser(prog="python -m hosts.measure", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the experiment's config")
    parser.add_argument("--model", required=True, help="a model of the config")
    parser.add_argument("--strategy", required=True, help="a strategy of the config")
    parser.add_argument("--cpu", type=float, default=100.0, help="CPU availability in percent")
    parser.add_argument("--mem", type=float, default=100.0, help="memory availability in percent")
    parser.add_argument("--stored", type=Path, required=True, help="file holding what workers.store printed")
    parser.add_argument("--out", type=Path, required=True, help="the block's folder")
    arguments = parser.parse_args(argv)
    try:
        config = configs.load(arguments.config)
        block = Block(arguments.model, arguments.strategy, arguments.cpu, arguments.mem)
        if block not in blocks(config):
            raise ConfigError(f"{arguments.config}: its grid has no block {block.folder}")
        record = measure(config, block, arguments.stored, arguments.out)
    except (HostsError, PartitionError) as error:
        print(error, file=sys.stderr)
        return USER_ERROR
    except OSError as error:
        print(f"{arguments.out}: {error}. Mend this and run again: blocks that are measured stay", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("interrupted; the hosts put themselves back, and a new run measures this block again", file=sys.stderr)
        return INTERRUPTED
    past = past_blocks(Path(config.results), config.models)
    left = grid_progress(config, past, edge_memory_mb(inventories.load(Path(config.inventory))))
    print(f"{block.folder}: {summary(record)}; {left}", file=sys.stderr)
    return 0


def measure(config: Config, block: Block, stored_path: Path, out: Path) -> BlockRecord:
    """Measure a block and write its folder; `run.json` comes last and atomically."""
    began, began_utc = time.monotonic(), datetime.now(UTC)
    inventory = inventories.load(Path(config.inventory))
    stored = _read_stored(stored_path)
    model = StoredModel.read(Path(stored.path))
    wanted = points_by_speed(config, block.model)
    points = {speed: resolve(model.points, point).index for speed, point in wanted.items()}
    specs = run_specs(config, points)
    with ExitStack() as stack:
        stack.enter_context(testbed_for(inventory))
        connections = _connect(inventory, stack)
        stack.enter_context(lease(connections["edge"]))
        with ThreadPoolExecutor(1) as beside:
            gathered = beside.submit(_gather, inventory, connections)
            sites = _deploy(inventory, connections, Path(stored.path), began_utc)
            host_facts = gathered.result()
        _empty(out)  # only now: hosts that cannot be had must not cost the block as it was measured before
        progress = Progress(block.folder, len(specs))
        result = BlockMeasurement(
            config,
            block,
            specs,
            lambda: Session(
                config,
                inventory,
                sites,
                block,
                (model.input_shape[0], model.input_shape[1]),
            ),
            progress.run_ended,
        ).measure()
        result.seconds.setup += max(0.0, _time_unaccounted(began, result))
        gathering = time.monotonic()
        _fetch_logs(sites, out)
        result.seconds.controller += time.monotonic() - gathering
    for name, text in result.agent_logs.items():
        (out / f"{name}.log").write_text(text)
    record = _record(config, block, specs, result, model, host_facts, began_utc, time.monotonic() - began)
    fresh = out / ".run.json"
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))
    fresh.replace(out / "run.json")
    return record


def _read_stored(path: Path) -> Stored:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Stored)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}. Make it with: python -m workers.store") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: is not what workers.store prints ({error})") from error


def summary(record: BlockRecord) -> str:
    """Return one line about a block: how its runs ended and where its time went."""
    counts = {status: sum(run.status is status for run in record.runs) for status in Status}
    ended = ", ".join(f"{count} {status.value}" for status, count in counts.items() if count)
    phases = record.phases
    return (
        f"{ended} in {record.duration_s:.0f} s (set-up {phases.setup_s:.1f}, warm-up {phases.warmup_s:.1f}, "
        f"observation {phases.observation_s:.1f}, tear-down {phases.teardown_s:.1f} s)"
    )


def _empty(out: Path) -> None:
    """Remove what an earlier measurement of the block left, and nothing else."""
    out.mkdir(parents=True, exist_ok=True)
    for role in ROLES:
        for stale in (*out.glob(f"{role}-*.jsonl"), *out.glob(f"{role}-*.log")):
            stale.unlink()
    (out / "run.json").unlink(missing_ok=True)


def _connect(inventory: Inventory, stack: ExitStack) -> dict[str, Connection]:
    with ThreadPoolExecutor(len(ROLES)) as pool:
        opened = pool.map(lambda role: connect(getattr(inventory, role)), ROLES)
        return {role: stack.enter_context(connection) for role, connection in zip(ROLES, opened, strict=True)}


def _deploy(
    inventory: Inventory, connections: Mapping[str, Connection], model: Path, began: datetime
) -> dict[str, Site]:
    def deploy(role: str) -> Site:
        host, connection = getattr(inventory, role), connections[role]
        code = deploy_workers(connection, host)
        base = code.rsplit("/", 1)[0]
        folder = None
        if role != "device":
            folder = f"{base}/models/{model.name}"
            deploy_tree(connection, model, folder)
        logs = f"{base}/logs/{began:%Y%m%dT%H%M%S%f}"
        connection.run(["mkdir", "-p", logs])
        return Site(host, connection, code, logs, folder)

    with ThreadPoolExecutor(len(ROLES)) as pool:
        return dict(zip(ROLES, pool.map(deploy, ROLES), strict=True))


def _gather(inventory: Inventory, connections: Mapping[str, Connection]) -> dict[str, dict[str, Any]]:
    with ThreadPoolExecutor(len(ROLES)) as pool:
        found = pool.map(lambda role: gather(connections[role], getattr(inventory, role)), ROLES)
        return {role: msgspec.to_builtins(facts) for role, facts in zip(ROLES, found, strict=True)}


def _fetch_logs(sites: Mapping[str, Site], out: Path) -> None:
    """Fetch what the hosts logged and remove it there.

    Raises:
        RemoteError: logs could not be read. Rows without their logs would be worth nothing: there is no run.json then.
    """
    for site in sites.values():
        as_root = ["sudo", "-n"] if site.host.sudo else []
        packed = site.connection.run([*as_root, "tar", "-C", site.log_folder, "-cf", "-", "."])
        if packed.status > 1:  # 1: a file grew while it was read
            words = packed.stderr.decode(errors="replace").strip()
            raise RemoteError(f"{site.host.label}: the logs in {site.log_folder} could not be read: {words}. Run again")
        _save_logs(packed.stdout, out)
        site.connection.run([*as_root, "rm", "-rf", site.log_folder])


def _save_logs(packed: bytes, out: Path) -> None:
    """Write the files of an archive into `out`, each by its bare name: a host does not choose where."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is not None:
                (out / Path(member.name).name).write_bytes(stream.read())


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
    model: StoredModel,
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
        model_facts=_model_facts(model),
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
    )


def _model_facts(model: StoredModel) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(model)
    del facts["variables"]  # hundreds, and of no use to a reader
    return facts


if __name__ == "__main__":
    sys.exit(main())
