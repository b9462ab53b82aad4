"""The report of results from elsewhere: copied, read-only, or with content that wants to do harm."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from justhtml import JustHTML

from report.__main__ import main as make_report
from report.__main__ import place_for
from tests.synthetic import RunSpec, write_block
from workers.records import Status

REPOSITORY = Path(__file__).parents[2]
HOSTILE = "</script><img src=x onerror=alert(1)>"


def problems_of(page):
    """What a parser that follows the HTML standard has to mend in a page."""
    return [f"line {error.line}: {error.code}" for error in JustHTML(page, collect_errors=True).errors]


def made(root, out):
    assert make_report(["--results", str(root), "--out", str(out)]) == 0
    return out.read_text()


def test_the_check_of_html_finds_what_is_wrong():
    assert problems_of("<!DOCTYPE html><title>t</title><p><table><p>x</table></b>")
    assert problems_of("<!DOCTYPE html><title>t</title><p>x") == []


def test_hostile_names_and_reasons_stay_text(tmp_path):
    runs = [RunSpec(), RunSpec(status=Status.FAILED, reason=HOSTILE)]
    write_block(tmp_path, runs, model=HOSTILE.replace("/", ""), strategy="<b onclick=x>&amp;")
    (tmp_path / "runs" / HOSTILE.replace("/", "") / "<b onclick=x>&amp;" / "cpu100-mem100" / '"><i>.log').write_text("")
    page = made(tmp_path, tmp_path / "report" / "index.html")
    assert problems_of(page) == []
    found = JustHTML(page, sanitize=False)
    assert [element.name for element in found.query("img, b[onclick], i")] == []
    assert len(found.query("script")) == 2
    assert re.search(r"script-src 'sha256-[\w+/]{43}='", page)


def test_results_copied_elsewhere_make_the_same_page(tmp_path):
    write_block(tmp_path / "a", [RunSpec()])
    one = made(tmp_path / "a", tmp_path / "a/report/index.html")
    (tmp_path / "a").rename(tmp_path / "b c")
    assert made(tmp_path / "b c", tmp_path / "b c/report/index.html") == one


@pytest.mark.parametrize(("mode", "place"), [(True, "results"), (False, "out")])
def test_tables_and_figures_go_beside_the_page_where_the_results_cannot_be_written(monkeypatch, mode, place):
    monkeypatch.setattr(os, "access", lambda *_: mode)
    assert place_for(Path("results"), Path("out/page.html")) == Path(place)


@pytest.mark.root
def test_results_on_a_read_only_disk_are_reported(tmp_path):
    write_block(tmp_path / "results", [RunSpec()])
    mount = f'mount --bind -o ro {tmp_path}/results {tmp_path}/results && exec "$@"'
    command = [
        sys.executable,
        "-m",
        "report",
        "--results",
        f"{tmp_path}/results",
        "--out",
        f"{tmp_path}/out/index.html",
    ]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, "sh", *command],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "cannot be written, so tables and figures are in" in done.stdout
    assert (tmp_path / "out/tables/downtime.csv").is_file()
    assert not (tmp_path / "results/tables").exists()
    page = (tmp_path / "out/index.html").read_text()
    assert 'href="tables/downtime.csv"' in page
    assert '"to_results":"../results"' in page
