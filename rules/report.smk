"""Renders tables, figures and the page from whatever blocks have been measured.

In: the raw logs of every block. Out: ``results/tables``, ``results/figures``, ``results/report/index.html``.
"""

from report.catalogue import FIGURES as FIGURES_SHOWN, TABLES, figure as entry_of_figure

FIGURES = [
    *FIGURES_SHOWN,
    *(
        f"fig_points_{model}"
        for model in EXPERIMENT.models
        if model not in {"vgg19", "mobilenetv2"}
    ),
]
REPORT_CODE = [
    str(path)
    for path in sorted(Path(workflow.basedir, "report").rglob("*"))
    if path.suffix in {".py", ".j2", ".css", ".js", ".yaml"}
]


rule report:
    """Render tables, figures and the self-contained page."""
    input:
        runs=[f"{RESULTS}/runs/{block.folder}/run.json" for block in BLOCKS],
        profiles=PROFILES,
        code=REPORT_CODE,
    output:
        page=report(
            f"{RESULTS}/report/index.html",
            category="Report",
            caption="../report/captions/page.rst",
            labels={"name": "report", "shows": "Everything, on one page"},
        ),
        tables=[
            shown(f"{RESULTS}/tables/{name}.csv", "Tables", name, entry)
            for name, entry in TABLES.items()
        ],
        parquet=expand(f"{RESULTS}/tables/{{table}}.parquet", table=TABLES),
        figures=[
            shown(
                f"{RESULTS}/figures/{name}.svg", "Figures", name, entry_of_figure(name)
            )
            for name in FIGURES
        ],
        print=expand(f"{RESULTS}/figures/{{figure}}.pdf", figure=FIGURES),
    log:
        f"{RESULTS}/report/report.log",
    params:
        results=subpath(output.page, ancestor=2),
    shell:
        "python -m report --results {params.results:q} --out {output.page:q} 2> {log:q}"
        " || {{ cat {log:q} >&2; exit 1; }}"
