"""NEUKONFIG's experiments: measure every block of the grid, then tables, figures and the report."""

from snakemake.utils import min_version

min_version("9.17")  # priorities by wildcards


# A config given with --configfile stands alone; merged into the default one it would measure the models of both.
if "models" not in config:

    configfile: "config/default.yaml"


include: "rules/common.smk"
include: "rules/testbed.smk"
include: "rules/grid.smk"
include: "rules/report.smk"


rule all:
    """The report, and all that it rests on."""
    default_target: True
    input:
        f"{RESULTS}/report/index.html",
