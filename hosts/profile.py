"""``python -m hosts.profile``: profiles one model on a leased testbed and leaves its logs and profile.json.

It times the model's layers, heads and tails in a container on the edge and on the cloud, and then sends frames one at a
time through the points that matter. Where the inventory is a local testbed that is not up yet, it is made for the
duration.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from hosts import config as configs
from hosts import inventory as inventories
from hosts.errors import ConfigError
from hosts.grid import Block, Level, levels
from hosts.job import make_empty, make_parser, model_facts, read_model, run_job, write_record
from hosts.past_profiles import profile_choices
from hosts.profile_points import DEADLINE_MS
from hosts.profile_session import ProfileSession
from hosts.profiling import ProfileMeasurement
from hosts.provenance import current_commit
from hosts.stage import fetch_logs, staged
from workers.messages import PROTOCOL_VERSION
from workers.records import SCHEMA_VERSION, ProfileRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hosts.config import Config
    from hosts.profiling import ProfileResult
    from workers.store import StoredModel

STRATEGY = "switch-b2"  # builds any cut in the containers that serve
RECORD = "profile.json"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, profile, and return an exit status: 2 for the user's mistakes."""
    arguments = make_parser("python -m hosts.profile", __doc__).parse_args(argv)

    def job() -> str:
        config = configs.load(arguments.config)
        level = Level(arguments.model, arguments.cpu, arguments.mem)
        if level not in levels(config):
            raise ConfigError(f"{arguments.config}: its grid has no block of {level.folder}")
        return summary(profile(config, level, arguments.stored, arguments.out))

    return run_job(job, arguments.out)


def profile(config: Config, level: Level, stored_path: Path, out: Path) -> ProfileRecord:
    """Profile a model and write its folder; `profile.json` comes last and atomically."""
    began, began_utc = time.monotonic(), datetime.now(UTC)
    inventory = inventories.load(Path(config.inventory))
    folder, model = read_model(stored_path)
    patient = replace(config, deadline_ms=max(config.deadline_ms, DEADLINE_MS))
    block = Block(level.model, STRATEGY, level.cpu_pct, level.mem_pct)
    with staged(inventory, folder, began_utc) as stage:
        make_empty(out, RECORD)  # only now: hosts that cannot be had must not cost the profile that there was
        result = ProfileMeasurement(
            patient,
            level,
            model.points,
            lambda: ProfileSession(
                patient, inventory, stage.sites, block, (model.input_shape[0], model.input_shape[1])
            ),
            lambda step: _say(level, step),
        ).measure()
        fetch_logs(stage.sites, out, result.reason)
        host_facts = stage.facts
    for name, text in result.agent_logs.items():
        (out / f"{name}.log").write_text(text)
    record = _record(config, level, result, model, host_facts, began_utc, began)
    write_record(record, out / RECORD)
    return record


def _say(level: Level, step: str) -> None:
    print(f"profile {level.folder}: {step}", file=sys.stderr, flush=True)


def summary(record: ProfileRecord) -> str:
    """Return one line about a profile."""
    ended = record.status.value + (f": {record.reason}" if record.reason else "")
    layers = len(record.model_facts["layers"])
    timed = "" if record.timing_s is None else f" timed in {record.timing_s:.0f} s"
    return (
        f"profile {record.model} at {record.cpu_pct:g} % CPU and {record.mem_pct:g} % memory: {ended} in "
        f"{record.duration_s:.0f} s ({layers} layers{timed}, {len(record.measured)} cuts measured end to end)"
    )


def _record(
    config: Config,
    level: Level,
    result: ProfileResult,
    model: StoredModel,
    host_facts: dict[str, dict[str, Any]],
    began_utc: datetime,
    began: float,
) -> ProfileRecord:
    commit = current_commit()
    return ProfileRecord(
        schema_version=SCHEMA_VERSION,
        protocol_version=PROTOCOL_VERSION,
        model=level.model,
        cpu_pct=level.cpu_pct,
        mem_pct=level.mem_pct,
        delay_ms=config.network.delay_ms,
        status=result.status,
        reason=result.reason,
        tiers=result.tiers,
        measured=result.measured,
        model_facts=model_facts(model),
        config_hash=config.digest(level.model),
        commit=commit.commit,
        dirty=commit.dirty,
        hosts=host_facts,
        choices={**result.choices, **profile_choices(config)},
        started_utc=began_utc.isoformat(timespec="seconds"),
        duration_s=time.monotonic() - began,
        timing_s=None if result.timed_at is None else result.timed_at - began,
        stress=result.stress,
        exit_code=result.exit_code,
        oom_kills=result.oom_kills,
    )


if __name__ == "__main__":
    sys.exit(main())
