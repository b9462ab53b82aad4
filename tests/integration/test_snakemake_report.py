"""Snakemake's own report of results that are there: the page, every figure and table, with captions and labels."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from report.__main__ import main as make_report
from report.catalogue import FIGURES, TABLES
from tests.grids import STRATEGIES, Levels, write_grid

REPOSITORY = Path(__file__).parents[2]
CONFIG = {
    "models": {"mobilenetv2": {}, "vgg19": {}},
    "strategies": list(STRATEGIES),
    "fps": [5],
    "repeats": 3,
    "inventory": str(REPOSITORY / "hosts/local.yaml"),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A results folder with its tables, figures and page."""
    root = tmp_path_factory.mktemp("work") / "results"
    root.mkdir()
    write_grid(root, repeats=3, levels=Levels(cpu_pct=(100.0,), mem_pct=(100.0,), fps=(5.0,)))
    assert make_report(["--results", str(root), "--out", str(root / "report/index.html")]) == 0
    return root


@pytest.fixture(scope="module")
def archive(results):
    """Snakemake's report of it: what each file of the archive holds."""
    folder = results.parent
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    command = [
        *("unshare", "--net") * (os.geteuid() == 0),  # nothing may be fetched
        str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(REPOSITORY / "Snakefile"),
        "--directory", str(folder), "--configfile", str(folder / "config.yaml"), "--report", "report.zip",
    ]  # fmt: skip
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(folder / "report.zip") as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def listed(archive, name):
    """Return a list that the report's script begins with."""
    html = archive["report/report.html"].decode()
    begin = html.index(f'var {name} = {{"') + len(f"var {name} = ")
    return json.JSONDecoder().raw_decode(html, begin)[0]


@pytest.fixture(scope="module")
def entries(archive):
    """What the report lists: its record by path."""
    return listed(archive, "results")


def test_it_holds_the_page_and_every_table_and_figure(entries):
    tables, figures = (
        (f"results/tables/{name}.csv" for name in TABLES),
        (f"results/figures/{name}.svg" for name in FIGURES),
    )
    assert entries.keys() == {"results/report/index.html", *tables, *figures}


def test_each_has_a_caption_and_labels(entries):
    for path, record in entries.items():
        assert record["caption"].startswith("<p>"), path
        assert record["labels"].keys() == {"name", "shows"}
    assert entries["results/figures/fig11.svg"]["labels"]["shows"] == FIGURES["fig11"].shows
    assert "Wilson" in entries["results/figures/fig14.svg"]["caption"]
    assert "every run is a row" in entries["results/tables/downtime.csv"]["caption"]


def test_they_are_sorted_into_categories(archive):
    categories = listed(archive, "categories")
    counts = {name: sum(map(len, members.values())) for name, members in categories.items()}
    assert counts == {"Report": 1, "Tables": len(TABLES), "Figures": len(FIGURES)}


def test_each_is_in_the_archive_as_it_is(archive, entries, results):
    for path, record in entries.items():
        assert archive[f"report/{record['data_uri']}"] == (results.parent / path).read_bytes()
