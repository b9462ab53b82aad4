"""Beside every downtime below a millisecond stands what was prepared for it, computed once."""

import re

import pytest

from report.claims.downtime import scenario_a
from report.figures.plots import plots
from report.load import load_results
from report.preparation import ANCHOR, beside
from report.tables import build_tables
from report.view.downtime import downtime_grid
from report.view.preparation import prepared_grid
from tests.synthetic import FIRST_PIPELINE, Order, RunSpec, Work, block_record, write_block

BUILT = {"edge_build_ms": 30.0, "cloud_build_ms": 40.0}
MEMORY = {"edge": 712.0, "cloud": 960.0}
FACTS = block_record((), "vgg19", "any", 100, 100).model_facts
DIRECTIONS = ((20.0, 5.0), (5.0, 20.0))


def write(root, *, facts=FACTS, cell=100.0):
    paused = [RunSpec(works=(Work("rebuild", 5900),), stopped_ms=1, resumed_ms=6000, routed_ms=5990)] * 2
    routed = [
        RunSpec(from_mbps=a, to_mbps=b, routed_ms=0.04, rearmed_ms=2.04, rest_mb=MEMORY, peak_mb=MEMORY)
        for a, b in DIRECTIONS
    ]
    launched = [
        RunSpec(
            works=(Work("launch", 1500), Work("remove", 1800), Work("launch", 2900)), routed_ms=1501, rearmed_ms=3000
        )
    ]
    one_more = (FIRST_PIPELINE, Order("build", 901, 961, "p1", 21, BUILT))
    for strategy, runs, setup in (
        ("pause-resume", paused, (FIRST_PIPELINE,)),
        ("switch-a2", routed, one_more),
        ("switch-a1", routed, (FIRST_PIPELINE, Order("launch", 901, 1851, "p2", 21))),
        ("switch-b1", launched, (FIRST_PIPELINE,)),
    ):
        write_block(root, runs, strategy=strategy, setup=setup, model_facts=facts, mem_pct=cell)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    write(root, facts={**FACTS, "conversion_s": 12.5})
    return build_tables(load_results(root))


def row_of(grid, strategy):
    return next(row for group in grid.groups for row in group.rows if row[0].text == strategy)


def plain(words):
    return words.replace("\xa0", " ")


def cells_of(tables, strategy):
    return [plain(f"{cell.text} | {cell.note}") for cell in row_of(prepared_grid(tables), strategy)[1:]]


def test_the_table_states_what_was_made_and_what_stays(tables):
    assert cells_of(tables, "switch-a2") == [
        "12.5 s, once | ",
        "1 in 900 ms | ",
        "1 in 60.0 ms | edge 30.0 ms, cloud 40.0 ms",
        "962 ms | ",
        "+12 MB (noise) | charged +11",
        "+60 MB | charged +54",
        "2.00 ms | n = 2",
        "1 | ",
    ]


def test_a_strategy_that_prepares_nothing_shows_that(tables):
    conversion, pairs, points, *_ = cells_of(tables, "pause-resume")
    assert (conversion, pairs, points) == ("12.5 s, once | ", "1 in 900 ms | ", "none | ")


def test_a_standby_pair_and_what_re_arming_works_on_are_named(tables):
    assert cells_of(tables, "switch-a1")[1] == "2 in 1.85 s | beyond the first: 950 ms"
    assert cells_of(tables, "switch-b1")[6] == "1.50 s | remove, launch; n = 1"


def test_a_downtime_below_a_millisecond_leads_there_and_no_other_does(tables):
    grid = downtime_grid(tables)
    anchor, words = row_of(grid, "switch-a2")[2].see
    assert anchor == ANCHOR
    assert plain(words) == "prepared in advance: 1 point in 60.0 ms; edge at rest +12 MB (noise), charged +11"
    assert [row_of(grid, strategy)[2].see for strategy in ("pause-resume", "switch-b1")] == [None, None]


def test_the_claim_on_scenario_a_says_it_in_full_and_in_short(tables):
    by_strategy = {finding.subject: finding for finding in scenario_a(tables)}
    for found in (by_strategy["vgg19, switch-a1"].figure, by_strategy["vgg19, switch-a1"].short):
        assert "; prepared in advance: 1 more pair in 950 ms; edge at rest +12 MB" in plain(found)


def test_captions_of_figures_with_such_a_downtime_say_it(tables):
    findings = {plot.name: plain(plot.finding) for plot in plots(tables)}
    said = (
        "Prepared in advance for downtimes below 1 ms: "
        "vgg19: switch-a1 (1 more pair in 950 ms; edge at rest +12 MB (noise), charged +11); "
        "switch-a2 (1 point in 60.0 ms; edge at rest +12 MB (noise), charged +11); "
        "conversion of the model 12.5 s, once."
    )
    assert {name for name, finding in findings.items() if said in finding} == {
        *("timeline", "downtime", "tradeoff", "fig12")
    }
    assert not any(re.search("[Pp]repared", findings[name]) for name in ("fig11", "fig13"))


def test_nothing_is_said_where_no_downtime_is_so_short(tables):
    assert not beside(tables.preparations, ("pause-resume", "switch-b1"))


def test_a_conversion_that_was_not_noted_is_not_known(tmp_path):
    write(tmp_path)
    tables = build_tables(load_results(tmp_path))
    assert cells_of(tables, "switch-a2")[0] == "not known | "
    assert "conversion of the model not known" in beside(tables.preparations)


def test_without_events_of_the_start_nothing_is_known(tmp_path):
    write_block(tmp_path, [RunSpec(routed_ms=0.04)], strategy="switch-a2", setup=())
    tables = build_tables(load_results(tmp_path))
    assert "prepared in advance: not known" in plain(row_of(downtime_grid(tables), "switch-a2")[2].see[1])
    assert cells_of(tables, "switch-a2")[1:3] == ["not known | ", "not known | "]
