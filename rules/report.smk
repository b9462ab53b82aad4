"""Renders tables, figures and the page from whatever blocks have been measured.

In: the raw logs of every block. Out: ``results/tables``, ``results/figures``, ``results/report/index.html``.
"""

TABLES = ["downtime", "frames", "memory", "conditions"]


rule report:
    """Render tables, figures and the self-contained page."""
    input:
        runs=[f"{RESULTS}/runs/{block.folder}/run.json" for block in BLOCKS],
        code=sorted(
            str(path)
            for path in Path(workflow.basedir, "report").rglob("*")
            if path.suffix in {".py", ".j2", ".css", ".yaml"}
        ),
    output:
        page=report(f"{RESULTS}/report/index.html", category="Report"),
        tables=expand(
            f"{RESULTS}/tables/{{table}}.{{format}}",
            table=TABLES,
            format=["csv", "parquet"],
        ),
    log:
        f"{RESULTS}/report/report.log",
    params:
        results=subpath(output.page, ancestor=2),
    shell:
        "python -m report --results {params.results:q} --out {output.page:q} 2> {log:q}"
        " || {{ cat {log:q} >&2; exit 1; }}"
