"""The page from end to end: self-contained, complete, honest about what is missing."""

import re
from html.parser import HTMLParser

import pytest

from report.__main__ import main as make_report
from report.asked import AskedGrid
from report.load import load_results
from report.page import main as make_page
from report.view.runs import missing
from tests.grids import write_grid
from tests.synthetic import RunSpec, Work, write_block
from workers.records import Status

VOID = {"meta", "link", "br", "path", "use", "hr", "img", "rect"}


class Outline(HTMLParser):
    """Collects ids, links, headings and the nesting of a page."""

    def __init__(self):
        super().__init__()
        self.ids, self.links, self.headings, self.open, self.text = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        if "id" in named:
            self.ids.append(named["id"])
        if tag == "a":
            self.links.append(named["href"])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(path):
    outline = Outline()
    outline.feed(path.read_text())
    return outline, " ".join(" ".join(outline.text).replace("\xa0", " ").split())


@pytest.fixture(scope="module")
def grid_page(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    write_grid(root, repeats=2)
    out = root / "report" / "index.html"
    assert make_report(["--results", str(root), "--out", str(out)]) == 0
    return out


def test_the_page_needs_nothing_else(grid_page):
    page = grid_page.read_text()
    assert not re.search(r'(?:src|href)="(?!#|data:,")', page)
    assert "<script" not in page
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_the_page_is_well_formed_and_its_links_lead_somewhere(grid_page):
    outline, _ = read(grid_page)
    assert not outline.open
    assert len(outline.ids) == len(set(outline.ids))
    assert {link[1:] for link in outline.links} <= set(outline.ids)
    assert outline.headings[0] == 1
    assert outline.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(outline.headings, outline.headings[1:], strict=False))


def test_the_page_says_what_ran_what_failed_and_what_is_missing(grid_page):
    _, said = read(grid_page)
    assert "816 repartitions of mobilenetv2 and vgg19 by 6 strategies" in said
    assert "agent on edge (198.18.0.12) went silent for 5 s" in said
    assert "runs/vgg19/switch-b1/cpu50-mem50: not measured" in said
    assert "Of 72 blocks that the config asks for" in said
    assert "schema version 99" in said
    assert "2 blocks of another schema version left out" in said
    assert "link_mbps" not in said  # quantities have names
    assert "Out of tolerance: Link after the change was 14.1 Mbit/s for 20" in said
    assert "nan" not in said.lower().split()


def test_infeasible_runs_show_their_evidence_and_those_that_fell_back_their_downtime(grid_page):
    _, said = read(grid_page)
    assert "out of memory (exit code 137, oom_kill 1) exit code 137, 1 OOM kill" in said
    assert "the standby had died; frames were served on with a pipeline built anew – 2.90 s" in said


def test_the_page_says_at_which_condition_it_compares(grid_page):
    _, said = read(grid_page)
    assert "Decided at 100 % CPU, 100 % memory; 5, 10 and 20 FPS pooled, both directions pooled." in said
    assert "all runs that are ok at 100 % CPU, 100 % memory; frame rates pooled" in said
    assert "all runs at 100 % CPU, 100 % memory" in said  # Table I


def test_where_service_never_came_back_the_gap_is_a_lower_bound(grid_page):
    _, said = read(grid_page)
    assert "lower bounds: " in said
    assert "no frame offered" in said


def test_the_page_says_what_it_can_be_trusted_for_and_what_the_time_went_into(grid_page):
    _, said = read(grid_page)
    assert "the records of device, edge and cloud agree on each" in said
    assert "stress-ng 0.15.06" in said
    assert "asked: 50 %" in said
    assert "90.2 % of it was observation" in said
    assert "Clock offsets of every block" in said
    assert "−29.5 %" in said  # the link that was too slow


def test_a_single_run_makes_a_page_that_decides_nothing(tmp_path):
    write_block(tmp_path, [RunSpec(works=(Work("build", 600),), routed_ms=601)], dirty=True)
    out = tmp_path / "page.html"
    assert make_report(["--results", str(tmp_path), "--out", str(out)]) == 0
    _, said = read(out)
    assert "one run, no interval" in said
    assert "uncommitted changes" in said
    assert "There is no config.json" in said
    assert re.search(r"Of 9 claims .*undecided", said)


def test_results_without_a_good_run_still_make_a_page(tmp_path):
    write_block(tmp_path, [RunSpec(status=Status.FAILED, reason="agent died")])
    out = tmp_path / "page.html"
    assert make_report(["--results", str(tmp_path), "--out", str(out)]) == 0
    _, said = read(out)
    assert "No run that is ok has a downtime." in said
    assert "agent died" in said


def test_damaged_logs_are_shown_as_invalid_runs(tmp_path):
    folder = write_block(tmp_path, [RunSpec()])
    (folder / "edge-frames.jsonl").write_text("{garbage\n")
    out = tmp_path / "page.html"
    assert make_report(["--results", str(tmp_path), "--out", str(out)]) == 0
    _, said = read(out)
    assert "edge-frames.jsonl, line 1 is damaged" in said


def test_text_from_logs_is_escaped(tmp_path):
    reason = "<script>alert('x')</script> & <b>"
    write_block(tmp_path, [RunSpec(status=Status.FAILED, reason=reason)])
    out = tmp_path / "page.html"
    make_report(["--results", str(tmp_path), "--out", str(out)])
    assert "<script" not in out.read_text()
    assert reason in read(out)[1]


def test_the_same_results_give_the_same_page(tmp_path):
    write_block(tmp_path, [RunSpec()])
    for make, name in ((make_report, "one.html"), (make_page, "two.html")):
        assert make(["--results", str(tmp_path), "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_the_page_alone_needs_the_stages_before_it(tmp_path, capsys):
    write_block(tmp_path, [RunSpec()])
    arguments = ["--results", str(tmp_path), "--out", str(tmp_path / "page.html")]
    assert make_page(arguments) == 1
    assert "python -m report.tables" in capsys.readouterr().err
    make_report(arguments)
    assert make_page(arguments) == 0
    (tmp_path / "figures" / "downtime.svg").unlink()
    assert make_page(arguments) == 1
    assert "python -m report.figures" in capsys.readouterr().err


@pytest.mark.parametrize("make", [make_report, make_page])
def test_an_empty_folder_is_no_traceback(make, tmp_path, capsys):
    assert make(["--results", str(tmp_path), "--out", str(tmp_path / "page.html")]) == 1
    assert "holds no measured block" in capsys.readouterr().err


def test_runs_that_a_block_lacks_are_missing(tmp_path):
    write_block(tmp_path, [RunSpec()])
    (tmp_path / "config.json").write_text(
        '{"models": {"vgg19": {}}, "strategies": ["switch-b2", "switch-a1"], "fps": [5, 10], "repeats": 3}'
    )
    assert missing(load_results(tmp_path)) == [
        "runs/vgg19/switch-a1/cpu100-mem100: not measured",
        "runs/vgg19/switch-b2/cpu100-mem100: 1 of 12 runs",
    ]


@pytest.mark.parametrize("config", [None, {}, {"models": 3, "strategies": []}])
def test_a_config_that_names_no_grid_asks_for_nothing(config):
    assert AskedGrid.from_config(config) is None
