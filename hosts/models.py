"""Models made ready on this machine by the command that the workflow uses, for benches and soaks."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from hosts.errors import ConfigError, HostsError
from hosts.points import needs_profile, points_by_speed
from hosts.provenance import REPOSITORY
from hosts.room import MODEL_STORE
from workers.errors import PartitionError
from workers.partition_models import ModelFile, check_file, parse_source
from workers.store import make_request

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hosts.config import Config

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


def store_model(config: Config, name: str, folder: Path) -> Path:
    """Put a model of the config into the store, and return the file in `folder` that says where it is.

    Raises:
        HostsError: it cannot be made; the message is the command's.
    """
    model = config.models[name]
    cuts = [] if needs_profile(config, name) else points_by_speed(config, name).values()
    argv = [sys.executable, "-m", "workers.store", model.source or name, "--weights", model.weights]
    argv += ["--seed", str(config.seed), "--store", str(MODEL_STORE), *(f"--cut={point}" for point in cuts)]
    # A user's own factory is found in the folder that this was called from, ours beside this code.
    paths = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(argv, capture_output=True, env=env, check=False, timeout=STORE_TIMEOUT_S)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason was given"]
        raise HostsError(f"models.{name}: it could not be stored: {words[0]}")
    folder.mkdir(parents=True, exist_ok=True)
    stored = folder / f"{name}.json"
    stored.write_bytes(done.stdout)
    return stored
