"""Renders tables, figures and the page from whatever blocks have been measured.

In: the raw logs of every block. Out: ``results/tables``, ``results/figures``, ``results/report/index.html``.
"""

TABLES = [
    "downtime",
    "parts",
    "frames",
    "memory",
    "memory_runs",
    "conditions",
    "blocks",
    "clocks",
]
FIGURES = [
    "downtime",
    "parts",
    "tradeoff",
    "fig11",
    "fig12",
    "fig13",
    "fig14",
    "fig15",
]
REPORT_CODE = [
    str(path)
    for path in sorted(Path(workflow.basedir, "report").rglob("*"))
    if path.suffix in {".py", ".j2", ".css", ".yaml"}
]


rule report:
    """Render tables, figures and the self-contained page."""
    input:
        runs=[f"{RESULTS}/runs/{block.folder}/run.json" for block in BLOCKS],
        code=REPORT_CODE,
    output:
        page=report(f"{RESULTS}/report/index.html", category="Report"),
        tables=report(
            expand(f"{RESULTS}/tables/{{table}}.csv", table=TABLES), category="Tables"
        ),
        parquet=expand(f"{RESULTS}/tables/{{table}}.parquet", table=TABLES),
        figures=report(
            expand(f"{RESULTS}/figures/{{figure}}.svg", figure=FIGURES),
            category="Figures",
        ),
        print=expand(f"{RESULTS}/figures/{{figure}}.pdf", figure=FIGURES),
    log:
        f"{RESULTS}/report/report.log",
    params:
        results=subpath(output.page, ancestor=2),
    shell:
        "python -m report --results {params.results:q} --out {output.page:q} 2> {log:q}"
        " || {{ cat {log:q} >&2; exit 1; }}"
