"""Checks the config before anything else and derives the grid from it."""

import hashlib
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)


from hosts.config import parse as parse_config
from hosts.errors import HostsError
from hosts.grid import blocks as grid_blocks
from hosts.inventory import load as load_inventory
from hosts.points import points_by_speed
from hosts.room import MODEL_STORE
from hosts.strict import read_yaml
from workers.messages import PROTOCOL_VERSION

try:
    for file in workflow.configfiles:
        read_yaml(
            Path(file), "config"
        )  # Snakemake would silently keep the last of two equal keys
    EXPERIMENT = parse_config(config, "config")
    INVENTORY = load_inventory(Path(EXPERIMENT.inventory))
except HostsError as error:
    raise WorkflowError(str(error)) from None

# Blocks that were measured on other hosts are measured anew.
HOSTS_DIGEST = hashlib.sha256(repr(INVENTORY.hosts).encode()).hexdigest()[:12]
RESULTS = EXPERIMENT.results
BLOCKS = grid_blocks(EXPERIMENT)
PAGE = f"{RESULTS}/report/index.html"
RENDER = [sys.executable, "-m", "report", "--results", RESULTS, "--out", PAGE]
RESOLVED = f"{RESULTS}/config.json"


def priority_of(block):
    """Of the blocks that are ready, Snakemake starts the one with the highest priority: the grid's next."""
    folder = f"{block.model}/{block.strategy}/cpu{block.cpu}-mem{block.mem}"
    return next((-n for n, known in enumerate(BLOCKS) if known.folder == folder), 0)


# Only read with --sdm apptainer: the system that `make setup` is known to make ready. Without it rules run as they are.
container: "docker://debian:bookworm"


wildcard_constraints:
    model="|".join(map(re.escape, EXPERIMENT.models)),
    strategy="|".join(map(re.escape, EXPERIMENT.strategies)),
    cpu=r"\d+(\.\d+)?",
    mem=r"\d+(\.\d+)?",


localrules:
    all,
