"""``python -m hosts.bench``: measures strategies side by side, in rounds, on one testbed.

Each round measures every block of the config once, by the code that measures a grid's, in an order of its own, and then
lets its session make changes one after another. A bench that was interrupted goes on where it stopped; one that came to
its end is made anew. ``python -m report.bench`` makes numbers of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import signal
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec
from msgspec.structs import replace

from hosts import config as configs
from hosts import inventory as inventories
from hosts.bench_plan import describe, expected_s, refuse_unfit, round_order
from hosts.burst import Limits
from hosts.check import check_or_raise
from hosts.errors import HostsError
from hosts.job import INTERRUPTED, USER_ERROR, read_stored, write_record
from hosts.measure import measure
from hosts.models import store_model
from hosts.plane import NULL_MODELS, measure_plane, plane_config
from hosts.plane import RECORD as PLANE
from hosts.progress import in_words
from hosts.provenance import current_commit
from hosts.shared_testbed import testbed_for
from hosts.workbench import take_lock
from workers.bench_records import BENCH_VERSION, BenchedBlock, BenchRun
from workers.errors import PartitionError
from workers.records import JsonLines, Status, read_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hosts.config import Config
    from hosts.grid import Block

RUN, BLOCKS = "bench.json", "blocks.jsonl"


class Bench:
    """One bench in its results folder.

    Args:
        config: what is compared.
        where: names the config in messages.
    """

    def __init__(self, config: Config, where: str) -> None:
        refuse_unfit(config, where)
        self._config = config
        self._folder = Path(config.results)
        resumed = self._resumed()
        self._run = resumed or self._started()
        self._done = _read_blocks(self._folder) if resumed else []

    def _started(self) -> BenchRun:
        commit = current_commit()
        return BenchRun(
            schema_version=BENCH_VERSION,
            started_utc=datetime.now(UTC).isoformat(timespec="seconds"),
            commit=commit.commit,
            dirty=commit.dirty,
            digest=_digest(self._config),
            config=msgspec.to_builtins(self._config, str_keys=True),
        )

    def _resumed(self) -> BenchRun | None:
        """Return the bench in the folder where it is this one and was interrupted."""
        try:
            run = msgspec.json.decode((self._folder / RUN).read_bytes(), type=BenchRun)
        except (OSError, msgspec.DecodeError):
            return None
        commit = current_commit()
        same = (run.schema_version, run.digest, run.commit, run.dirty) == (
            *(BENCH_VERSION, _digest(self._config)),
            *(commit.commit, commit.dirty),
        )
        return run if same and not run.complete else None

    def describe(self) -> list[str]:
        """Return what is to be done, as lines of text."""
        unmade = sum(not (self._folder / "models" / f"{name}.json").exists() for name in self._config.models)
        return describe(self._config, self._left(), self._done, unmade)

    def measure(self) -> list[BenchedBlock]:
        """Measure what is left, and return how every block of the bench ended.

        Raises:
            HostsError: another bench works here, no testbed can be made, or hosts lack something.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        inventory = inventories.load(Path(self._config.inventory))
        with ExitStack() as stack:
            stack.enter_context(take_lock(self._folder / ".lock"))
            if not self._done:
                _remove_measured(self._folder)
            write_record(self._run, self._folder / RUN)
            models = self._folder / "models"
            stored = {name: store_model(self._config, name, models) for name in self._config.models}
            stack.enter_context(testbed_for(inventory))
            check_or_raise(inventory)
            self._measure_plane()
            self._measure_rounds(stored)
            write_record(replace(self._run, complete=True), self._folder / RUN)
        return self._done

    def _measure_plane(self) -> None:
        for name in NULL_MODELS if self._config.bench.plane else ():
            out = self._folder / "plane" / name
            if (out / PLANE).exists():
                continue
            stored = store_model(plane_config(self._config, name), name, self._folder / "models")
            record = measure_plane(self._config, name, Path(read_stored(stored).path), out)
            why = f" ({record.reason})" if record.reason else ""
            _say(f"data plane, {name}: {record.status.value}{why}")

    def _measure_rounds(self, stored: Mapping[str, Path]) -> None:
        todo = [(number, block) for number, of_round in self._left().items() for block in of_round]
        log = JsonLines(self._folder / BLOCKS)
        try:
            for place, (number, block) in enumerate(todo, start=1):
                row = self._measure_block(number, block, stored[block.model])
                log.write(row)
                self._done.append(row)
                left_s = sum(expected_s(self._config, later, self._done) for _, later in todo[place:])
                why = f" ({row.reason})" if row.reason else ""
                _say(f"round {number}, {block.folder}: {row.status.value}{why}; {in_words(left_s)} left")
        finally:
            log.close()

    def _measure_block(self, number: int, block: Block, stored: Path) -> BenchedBlock:
        """Measure one block; one that fails leaves its row with the reason, and the bench goes on."""
        out = self._folder / f"round-{number:02}" / "runs" / block.folder
        limits = Limits(self._config.bench.burst_s, self._config.bench.burst_changes)
        began = time.monotonic()
        status, reason = Status.FAILED, None
        try:
            record = measure(self._config, block, stored, out, limits=limits)
            status, reason = record.status, record.reason
        except (HostsError, PartitionError, OSError) as error:
            reason = str(error)
        took_s = time.monotonic() - began
        of_block = msgspec.structs.asdict(block)
        return BenchedBlock(number, **of_block, folder=block.folder, status=status, reason=reason, duration_s=took_s)

    def _left(self) -> dict[int, list[Block]]:
        tried = {(row.round, row.folder) for row in self._done}
        return {
            number: [block for block in round_order(self._config, number) if (number, block.folder) not in tried]
            for number in range(1, self._config.bench.rounds + 1)
        }


def _digest(config: Config) -> str:
    text = json.dumps(msgspec.to_builtins(config, str_keys=True), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _read_blocks(folder: Path) -> list[BenchedBlock]:
    path = folder / BLOCKS
    return list(read_lines(path, BenchedBlock)) if path.exists() else []


def _remove_measured(folder: Path) -> None:
    """Remove what an earlier bench measured, and nothing else."""
    for stale in (*folder.glob("round-[0-9][0-9]"), folder / "plane"):
        shutil.rmtree(stale, ignore_errors=True)
    (folder / BLOCKS).unlink(missing_ok=True)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _called_off(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Say what is planned, measure, and return an exit status: 2 for the user's mistakes."""
    parser = argparse.ArgumentParser(prog="python -m hosts.bench", description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("config/bench.yaml"))
    parser.add_argument("--plan", action="store_true", help="only say what would be done")
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _called_off)
    try:
        bench = Bench(configs.load(arguments.config), str(arguments.config))
        print("\n".join(bench.describe()), file=sys.stderr, flush=True)
        if not arguments.plan:
            bench.measure()
    except (HostsError, PartitionError) as error:
        print(error, file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print(
            "interrupted; the hosts put themselves back, and the same command goes on with this bench", file=sys.stderr
        )
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
