"""What the workflow's jobs on a testbed have in common: their command line, their exit status and their record."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hosts.errors import ConfigError, HostsError
from hosts.inventory import ROLES
from workers.errors import PartitionError
from workers.store import META, Stored
from workers.store_check import check_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.store import StoredModel

USER_ERROR = 2
INTERRUPTED = 130


def make_parser(prog: str, description: str | None) -> argparse.ArgumentParser:
    """Return the parser of what every job must be told."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("--config", type=Path, required=True, help="the experiment's config")
    parser.add_argument("--model", required=True, help="a model of the config")
    parser.add_argument("--cpu", type=float, default=100.0, help="CPU availability in percent")
    parser.add_argument("--mem", type=float, default=100.0, help="memory availability in percent")
    parser.add_argument("--stored", type=Path, required=True, help="file holding what workers.store printed")
    parser.add_argument("--out", type=Path, required=True, help="the folder for logs and record")
    return parser


def run_job(job: Callable[[], str], out: Path) -> int:
    """Run a job, print the line that it returns, and return an exit status: 2 for the user's mistakes."""
    try:
        print(job(), file=sys.stderr)
    except (HostsError, PartitionError) as error:
        print(error, file=sys.stderr)
        return USER_ERROR
    except OSError as error:
        print(f"{out}: {error}. Mend this and run again: what is measured stays", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("interrupted; the hosts put themselves back, and a new run measures this again", file=sys.stderr)
        return INTERRUPTED
    return 0


def read_stored(path: Path) -> Stored:
    """Return where a model is stored.

    Raises:
        ConfigError: the file is not there, or of another kind.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Stored)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}. Make it with: python -m workers.store") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: is not what workers.store prints ({error})") from error


def read_model(stored_path: Path) -> tuple[Path, StoredModel]:
    """Return the folder of a stored model in this machine's store, and its description: what may be sent to hosts.

    Raises:
        ConfigError: `stored_path` is not there or of another kind, or it names a folder without a model.
        PartitionError: the model is damaged or another one; says which folder it is and what to do.
    """
    folder = Path(read_stored(stored_path).path)
    makes = "the workflow, or python -m workers.store, makes both again"
    if not (folder / META).is_file():
        raise ConfigError(f"{stored_path}: its model is not in {folder}. Remove the file and the folder: {makes}")
    return folder, check_once(folder, f"Remove it and {stored_path}: {makes}")


def make_empty(out: Path, record_name: str) -> None:
    """Remove the record and the logs that an earlier run of the job left, and nothing else."""
    out.mkdir(parents=True, exist_ok=True)
    for role in ROLES:
        for stale in (*out.glob(f"{role}-*.jsonl"), *out.glob(f"{role}-*.log")):
            stale.unlink()
    (out / record_name).unlink(missing_ok=True)


def write_record(record: msgspec.Struct, path: Path) -> None:
    """Write a record atomically: one that is there is whole."""
    fresh = path.with_name(f".{path.name}")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))
    fresh.replace(path)


def model_facts(model: StoredModel, conversion_s: float | None = None) -> dict[str, Any]:
    """Return what a record says of its model, and what its conversion took (s) where that is known."""
    facts: dict[str, Any] = msgspec.to_builtins(model)
    if conversion_s is not None:
        facts["conversion_s"] = conversion_s
    del facts["variables"]  # hundreds, and of no use to a reader
    return facts
