"""The page from end to end: self-contained, complete, honest about what is missing."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import msgspec
import pytest

from report.__main__ import main as make_report
from report.asked import AskedGrid
from report.load import load_results
from report.page import main as make_page
from report.view.provenance import models_grid
from report.view.runs import missing
from tests.grids import write_grid
from tests.synthetic import RunSpec, Work, write_block
from tests.synthetic_profiles import HAND_MADE, MeasuredSpec, ProfileSpec, write_profile
from workers.records import Status

VOID = {"meta", "link", "br", "path", "use", "hr", "img", "rect", "input"}


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
        if "script" not in self.open:
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
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(re.match(r"#|data:|\.\./(?:tables|figures)/", link) for link in links)
    assert page.count("<script") == 2  # the data, and what shows them
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_the_page_is_well_formed_and_its_links_lead_somewhere(grid_page):
    outline, _ = read(grid_page)
    assert not outline.open
    assert len(outline.ids) == len(set(outline.ids))
    assert {link[1:] for link in outline.links if link.startswith("#")} <= set(outline.ids)
    beside = [link for link in outline.links if link.startswith("../")]
    assert len(beside) > 60
    assert [link for link in beside if not (grid_page.parent / link).is_file()] == []
    assert outline.headings[0] == 1
    assert outline.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(outline.headings, outline.headings[1:], strict=False))


def test_the_page_says_what_ran_what_failed_and_what_is_missing(grid_page):
    _, said = read(grid_page)
    assert "816 runs of mobilenetv2 and vgg19 by 6 strategies, each a change of the network's speed" in said
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


def test_the_page_says_where_to_cut(grid_page):
    _, said = read(grid_page)
    assert "Speed: between 20 and 5 Mbit/s the best point of mobilenetv2 stays at 62 block_6_project" in said
    assert "less CPU on the edge moves it for vgg19 at 5 Mbit/s and does not move it for vgg19 at 20 Mbit/s" in said
    assert "vgg19 at 20 Mbit/s: the paper's best point, its layer 17 (17 block4_pool here), takes 703 ms" in said
    assert "profiles/vgg19/cpu100-mem10: infeasible (the edge's container was killed" in said
    assert "the prediction is off by 4.8 % in the median, 9.1 % at worst" in said


def test_claims_stand_in_a_table_before_their_cards_and_say_what_is_not_tested(tmp_path):
    write_block(tmp_path, [RunSpec(routed_ms=0.3)] * 6, strategy="switch-a1")
    config = {"models": {"vgg19": {}, "resnet50": {}}, "strategies": ["switch-a1"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    out = tmp_path / "page.html"
    assert make_report(["--results", str(tmp_path), "--out", str(out)]) == 0
    _, said = read(out)
    table, cards = said.index("All claims in short"), said.index("Claim by claim")
    advance = "prepared in advance: nothing; edge at rest 0 MB, charged 0"
    decided = f"vgg19, switch-a1: 0.300 ms [0.300, 0.300], n = 6; {advance}"
    assert table < said.index(f"{decided} resnet50: not tested") < cards
    assert cards < said.index("Not tested for resnet50.")
    assert "it takes runs of pause-resume, switch-b1 and switch-b2 at one condition" in said
    assert "below each figure the paper's" in said  # Table I
    assert "always paper: always" not in said  # one pipeline's memory here, whatever the paper's A1 needs
    assert "never paper: always" in said


def test_downtimes_below_a_millisecond_lead_to_what_was_prepared_in_advance(grid_page):
    outline, said = read(grid_page)
    assert outline.ids.count("prepared") == 1
    in_cells = "prepared in advance: 1 more pair in 950 ms; edge at rest +730 MB, charged +657"
    assert said.count(in_cells) >= 4  # both directions of switch-a1 with both models
    assert outline.links.count("#prepared") >= 8  # those of switch-a2, too
    assert "switch-a1 not known 2 in 1.85 s beyond the first: 950 ms none 1.85 s" in said


def test_profiles_alone_are_a_page(tmp_path):
    write_profile(tmp_path, ProfileSpec(HAND_MADE, (MeasuredSpec(20, 3), MeasuredSpec(5, 3))))
    out = tmp_path / "report" / "index.html"
    assert make_report(["--results", str(tmp_path), "--out", str(out)]) == 0
    outline, said = read(out)
    assert not outline.open
    assert "1 profile and no repartition: see Where to cut." in said
    assert "the best point of vgg19 stays at 3 pool" in said
    assert "nan" not in said.lower().split()


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
    assert re.search(r"Of 12 claims .*undecided", said)


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
    assert out.read_text().count("<script") == 2
    assert "<script>alert" not in out.read_text()
    assert reason in read(out)[1]


def test_a_strategy_with_any_name_puts_nothing_into_a_style(tmp_path):
    name = "x;background:url(https:"
    write_block(tmp_path, [RunSpec()], strategy=name)
    out = tmp_path / "page.html"
    assert make_report(["--results", str(tmp_path), "--out", str(out)]) == 0
    assert name in read(out)[1]
    assert f"var(--{name}" not in out.read_text()


def test_infeasible_runs_are_no_repartitions_and_a_needless_move_is_said_at_the_top(tmp_path):
    write_block(tmp_path, [RunSpec(), RunSpec(status=Status.INFEASIBLE, reason="OOM")])
    write_profile(tmp_path, ProfileSpec(HAND_MADE, (MeasuredSpec(20, 3), MeasuredSpec(5, 3))))
    out = tmp_path / "page.html"
    assert make_report(["--results", str(tmp_path), "--out", str(out)]) == 0
    _, said = read(out)
    assert "2 runs of vgg19 by 1 strategy" in said
    assert "1 ok and 1 infeasible (a result, too)" in said
    verdicts = said.index("All claims in short")
    assert said.index("asks for another cut of vgg19") < verdicts
    assert "make reproduce CONFIG=again.yaml" in said


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


def test_the_facts_of_a_model_count_its_points_and_layers(tmp_path):
    write_block(tmp_path, [RunSpec()])
    (block,) = load_results(tmp_path).blocks
    facts = dict(block.record.model_facts) | {"layers": [{"index": 1, "name": "input"}, {"index": 2, "name": "fc"}]}
    block = replace(block, record=msgspec.structs.replace(block.record, model_facts=facts))
    ((group,),) = [models_grid([block]).groups]
    assert ("layers", "2") in {tuple(cell.text for cell in row) for row in group.rows}
