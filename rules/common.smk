"""Checks the config before anything else and derives the grid from it."""

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)

from hosts.config import blocks, parse
from hosts.errors import HostsError
from workers.messages import PROTOCOL_VERSION

try:
    EXPERIMENT = parse(config, " + ".join(map(str, workflow.overwrite_configfiles or workflow.configfiles)))
except HostsError as error:
    raise WorkflowError(str(error)) from None

RESULTS = EXPERIMENT.results
BLOCKS = blocks(EXPERIMENT)
MODEL_STORE = str(Path("~/.cache/neukonfig/models").expanduser())
RESOLVED = f"{RESULTS}/config.json"


container: "docker://neukonfig/controller"


wildcard_constraints:
    model="[^/]+",
    strategy="[^/]+",
    cpu=r"\d+(\.\d+)?",
    mem=r"\d+(\.\d+)?",


localrules:
    all,
