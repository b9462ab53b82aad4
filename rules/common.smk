"""Checks the config before anything else and derives the grid from it."""

import hashlib
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)


from hosts.config import completed, parse as parse_config
from hosts.errors import HostsError
from hosts.grid import blocks as grid_blocks, highest_level, profiled_levels
from hosts.inventory import load as load_inventory
from hosts.named_points import named_points
from hosts.past_profiles import profile_choices
from hosts.points import needs_profile
from hosts.room import MODEL_STORE
from hosts.strict import read_yaml
from workers.messages import PROTOCOL_VERSION

try:
    for file in workflow.configfiles:
        read_yaml(
            Path(file), "config"
        )  # Snakemake would silently keep the last of two equal keys
    EXPERIMENT = parse_config(*completed(config, "config"))
    INVENTORY = load_inventory(Path(EXPERIMENT.inventory))
except HostsError as error:
    raise WorkflowError(str(error)) from None

# Blocks that were measured on other hosts are measured anew.
HOSTS_DIGEST = hashlib.sha256(repr(INVENTORY.hosts).encode()).hexdigest()[:12]
RESULTS = EXPERIMENT.results
BLOCKS = grid_blocks(EXPERIMENT)
PLACES = {block.folder: place for place, block in enumerate(BLOCKS)}
LEVELS = profiled_levels(EXPERIMENT)
LEVEL_PLACES = {level.folder: place for place, level in enumerate(LEVELS)}
HIGHEST = {model: highest_level(EXPERIMENT, model) for model in EXPERIMENT.models}
PROFILES = [f"{RESULTS}/profiles/{level.folder}/profile.json" for level in LEVELS]
PAGE = f"{RESULTS}/report/index.html"
RENDER = [sys.executable, "-m", "report", "--results", RESULTS, "--out", PAGE]
RESOLVED = f"{RESULTS}/config.json"


def priority_of(block):
    """Of the blocks that are ready, Snakemake starts the one with the highest priority: the grid's next."""
    folder = f"{block.model}/{block.strategy}/cpu{block.cpu}-mem{block.mem}"
    return -PLACES.get(folder, 0)


def profile_priority_of(profile):
    """Profiles come before blocks, which may be cut by them; among themselves they keep their order."""
    folder = f"{profile.model}/cpu{profile.cpu}-mem{profile.mem}"
    return len(LEVELS) - LEVEL_PLACES.get(folder, len(LEVELS) - 1)


def deciding_profile(block):
    """Return the profile by which a model is cut, none where the config says where."""
    if not needs_profile(EXPERIMENT, block.model):
        return []
    return [f"{RESULTS}/profiles/{HIGHEST[block.model].folder}/profile.json"]


def shown(path, category, name, entry):
    """Return an output that Snakemake's own report lists under a category, with its name, what it shows and a caption."""
    return report(
        path,
        category=category,
        caption=f"../report/captions/{entry.caption}.rst",
        labels={"name": name, "shows": entry.shows},
    )


# Only read with --sdm apptainer: the system that `make setup` is known to make ready. Without it rules run as they are.
container: "docker://debian:bookworm"


wildcard_constraints:
    model="|".join(map(re.escape, EXPERIMENT.models)),
    strategy="|".join(map(re.escape, EXPERIMENT.strategies)),
    cpu=r"\d+(\.\d+)?",
    mem=r"\d+(\.\d+)?",


localrules:
    all,
