"""Models on this machine: which are stored, and others made ready by the command that the workflow uses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hosts.errors import ConfigError, HostsError
from hosts.named_points import refuse_unknown
from hosts.provenance import REPOSITORY
from hosts.room import MODEL_STORE
from workers.errors import PartitionError
from workers.partition_models import Factory, ModelFile, check_file, parse_source
from workers.store import Stored, StoredModel, find_stored, make_request
from workers.store_check import check_once

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hosts.config import Config
    from workers.partition import PartitionPoint

STORE_TIMEOUT_S = 900.0  # drawing VGG-19's weights on a slow machine


def refuse_unmakeable(config: Config, names: Iterable[str]) -> None:
    """Refuse models that cannot be made, as far as their files and weights tell without TensorFlow.

    Raises:
        ConfigError: a line for each of them.
    """
    found = []
    for name in names:
        model = config.models[name]
        try:
            source = parse_source(model.source or name)
            make_request(source, model.weights, config.seed)
            if isinstance(source, ModelFile):
                check_file(source)
        except PartitionError as error:
            found.append(f"models.{name}: {error}")
    if found:
        raise ConfigError("\n".join(found))


def stored_points(config: Config, names: Iterable[str]) -> dict[str, tuple[PartitionPoint, ...]]:
    """Return the points of those models that are stored just as the config wants them."""
    found = {name: _stored_points(config, name) for name in names}
    return {name: points for name, points in found.items() if points is not None}


def _stored_points(config: Config, name: str) -> tuple[PartitionPoint, ...] | None:
    model = config.models[name]
    try:
        source = parse_source(model.source or name)
        if isinstance(source, Factory):  # code that may have changed since: only making it can tell
            return None
        stored = find_stored(MODEL_STORE, make_request(source, model.weights, config.seed))
        return None if stored is None else StoredModel.read(stored).points
    except (PartitionError, OSError):  # what cannot be made or read is refused where it is needed
        return None


def store_model(config: Config, name: str, folder: Path) -> Path:
    """Put a model of the config into the store, and return the file in `folder` that says where it is.

    Raises:
        ConfigError: the config names points that the model does not have.
        HostsError: it cannot be made; the message is the command's.
        PartitionError: what is stored under its name is damaged.
    """
    model = config.models[name]
    argv = [sys.executable, "-m", "workers.store", model.source or name, "--weights", model.weights]
    argv += ["--seed", str(config.seed), "--store", str(MODEL_STORE)]
    # A user's own factory is found in the folder that this was called from, ours beside this code.
    paths = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(argv, capture_output=True, env=env, check=False, timeout=STORE_TIMEOUT_S)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason was given"]
        raise HostsError(f"models.{name}: it could not be stored: {words[0]}")
    there = Path(msgspec.json.decode(done.stdout, type=Stored).path)
    refuse_unknown(config, {name: check_once(there, "Remove the folder; the next run makes it again").points})
    folder.mkdir(parents=True, exist_ok=True)
    stored = folder / f"{name}.json"
    stored.write_bytes(done.stdout)
    return stored
