"""``python -m hosts.bench``: measures strategies side by side, in rounds, on one testbed.

Each round measures every block of the config once, by the code that measures a grid's, in an order of its own, and then
lets its session make changes one after another. A bench that was interrupted goes on where it stopped; one that came to
its end is kept beside the one that is made anew. ``python -m report.bench`` makes numbers of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
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
from hosts.bench_plan import describe, expected_s, refuse_unfit, round_order, without_result
from hosts.bench_start import BLOCKS, PLANE, RUN, keep, start
from hosts.burst import Limits
from hosts.check import check_or_raise
from hosts.errors import HostsError
from hosts.job import INTERRUPTED, USER_ERROR, read_stored, write_record
from hosts.measure import measure
from hosts.models import store_model, stored_points
from hosts.named_points import refuse_unknown
from hosts.plane import NULL_MODELS, measure_plane, plane_config
from hosts.plane import RECORD as PLANE_RECORD
from hosts.progress import in_words
from hosts.provenance import current_commit
from hosts.shared_testbed import testbed_for
from hosts.workbench import take_lock
from workers.bench_records import BENCH_VERSION, BenchedBlock, BenchRun
from workers.errors import PartitionError
from workers.records import JsonLines, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hosts.config import Config
    from hosts.grid import Block

NO_RESULT = 1  # exit status
ENDS = """exit status: 0 where every block of the config came to a result in at least one round (infeasible is one),
1 where some never did, 2 where something must be mended first, 130 after an interruption"""


class Bench:
    """One bench in its results folder.

    Args:
        config: what is compared.
        where: names the config in messages.
        anew: whether it starts anew whatever lies in the folder.

    Raises:
        HostsError: no bench can be made of the config, a stored model has no such point as it names, or another bench
            lies in the folder.
    """

    def __init__(self, config: Config, where: str, *, anew: bool = False) -> None:
        refuse_unfit(config, where)
        refuse_unknown(config, stored_points(config, config.models))
        self._config = config
        self._folder = Path(config.results)
        self._start = start(self._folder, _as_asked(config), anew=anew)
        self._done = self._start.done

    def describe(self) -> list[str]:
        """Return what is to be done, as lines of text."""
        unmade = sum(not (self._folder / "models" / f"{name}.json").exists() for name in self._config.models)
        found = [self._start.words] if self._start.words else []
        return found + describe(self._config, self._left(), self._done, unmade, len(self._planes_left()))

    def measure(self) -> list[BenchedBlock]:
        """Measure what is left, and return how every block of the bench ended.

        Raises:
            HostsError: another bench works here, a model cannot be stored or lacks a point, no testbed can be made, or
                hosts lack something.
            PartitionError: a stored model is damaged.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        inventory = inventories.load(Path(self._config.inventory))
        with ExitStack() as stack:
            stack.enter_context(take_lock(self._folder / ".lock"))
            models = self._folder / "models"
            stored = {name: store_model(self._config, name, models) for name in self._config.models}
            stack.enter_context(testbed_for(inventory))
            check_or_raise(inventory)
            if self._start.kept_in is not None:
                keep(self._folder, self._start.kept_in)
            write_record(self._start.run, self._folder / RUN)
            self._measure_plane()
            self._measure_rounds(stored)
            write_record(replace(self._start.run, complete=True), self._folder / RUN)
        return self._done

    def _planes_left(self) -> list[str]:
        """Return the models that do nothing that this bench has not measured yet."""
        asked = NULL_MODELS if self._config.bench.plane else ()
        goes_on = self._start.kept_in is None  # else what lies in the folder is of another bench
        return [name for name in asked if not (goes_on and (self._folder / PLANE / name / PLANE_RECORD).exists())]

    def _measure_plane(self) -> None:
        for name in self._planes_left():
            out = self._folder / PLANE / name
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


def _as_asked(config: Config) -> BenchRun:
    """Return the bench as it would start now."""
    commit = current_commit()
    text = json.dumps(msgspec.to_builtins(config, str_keys=True), sort_keys=True)
    return BenchRun(
        schema_version=BENCH_VERSION,
        started_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit.commit,
        dirty=commit.dirty,
        digest=hashlib.sha256(text.encode()).hexdigest()[:12],
        config=json.loads(text),
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _called_off(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hosts.bench", description=__doc__, epilog=ENDS)
    parser.add_argument(
        "--config",
        type=Path,
        default=Path("config/bench.yaml"),
        help="what is compared (config/bench.yaml); its `results` says where to",
    )
    parser.add_argument("--plan", action="store_true", help="only say what would be done")
    parser.add_argument(
        "--anew",
        action="store_true",
        help="start anew whatever lies in `results`: a bench that is there is kept in its folder `earlier`",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Say what is planned, measure, and return an exit status as `ENDS` says."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _called_off)
    try:
        bench = Bench(configs.load(arguments.config), str(arguments.config), anew=arguments.anew)
        _say("\n".join(bench.describe()))
        lacking = [] if arguments.plan else without_result(bench.measure())
    except (HostsError, PartitionError) as error:
        print(error, file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print(
            "interrupted; the hosts put themselves back, and the same command goes on with this bench", file=sys.stderr
        )
        return INTERRUPTED
    for line in lacking:
        _say(line)
    return NO_RESULT if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
