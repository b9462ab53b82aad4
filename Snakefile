"""NEUKONFIG's experiments: measure every block of the grid, then tables, figures and the report."""

from snakemake.utils import min_version

min_version("9.17")  # priorities by wildcards


include: "rules/common.smk"
include: "rules/testbed.smk"
include: "rules/profile.smk"
include: "rules/grid.smk"
include: "rules/report.smk"


rule all:
    """The report, and all that it rests on."""
    default_target: True
    input:
        f"{RESULTS}/report/index.html",
        # Named as well, or one that was removed would not be missed while the page is there.
        [f"{RESULTS}/runs/{block.folder}/run.json" for block in BLOCKS],
        PROFILES,
