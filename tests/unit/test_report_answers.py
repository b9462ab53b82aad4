"""The paper's Q1: its claims against our profiles, the answer in three sentences, and what the page says of it."""

import json
import re
from dataclasses import replace

import pytest

from report.answers import MovingRange, answer
from report.asked import AskedGrid
from report.claims import State, verdicts
from report.cuts import at_references
from report.load import load_results
from report.tables import build_tables
from report.view import points as view
from report.view.paper_points import against_paper
from tests.synthetic import RunSpec, write_block
from tests.synthetic_profiles import HAND_MADE, LayerSpec, MeasuredSpec, ProfileSpec, slower, write_profile
from workers.records import Status


def tables_of(root, *specs, **where):
    for spec in specs:
        write_profile(root, spec, **where)
    return build_tables(load_results(root))


def plain(sentence):
    return sentence.replace("\xa0", " ")


# --- claims -------------------------------------------------------------------------------------------------


def claims(tables):
    return {verdict.key: verdict for verdict in verdicts(tables) if verdict.key.startswith("best-by")}


@pytest.mark.parametrize(("factor", "state"), [(3, State.HOLDS), (1, State.DOES_NOT_HOLD)])
def test_whether_speed_moves_the_best_point(tmp_path, factor, state):
    found = claims(tables_of(tmp_path, ProfileSpec(slower(factor))))
    assert found["best-by-speed"].state is state
    assert found["best-by-cpu"].state is found["best-by-memory"].state is State.NOT_TESTED


def test_a_move_that_buys_less_than_a_percent_is_none(tmp_path):
    # A factor just beyond 1.94092 makes conv the best at 20 Mbit/s by a hair, and pool, the best at 5, as good.
    tables = tables_of(tmp_path, ProfileSpec(slower(1.945)))
    assert tables.moves["moves"].all()
    finding = claims(tables)["best-by-speed"].findings[0]
    assert "at 20 Mbit/s after layer 2 conv" in plain(finding.figure)
    # But conv is no good at 5 Mbit/s: the cut has to move when the link gets slower.
    assert finding.state is State.HOLDS


def test_points_too_close_to_tell_decide_nothing(tmp_path):
    # Repetitions differ by up to 30 %: pool leads by 0.1 of 57 ms at 20 Mbit/s and dense by 0.1 at 19, for one of which
    # the link makes up: 2.2 ± 0.7 ms of computing against 2.1 ms of transfer.
    (tmp_path / "config.json").write_text(json.dumps({"network": {"speeds_mbps": [20, 18]}}))
    close = (*HAND_MADE[:3], LayerSpec("dense", 40, 7.17, 5.0))
    tables = tables_of(tmp_path, ProfileSpec(close, spread=(0.0, 0.3, -0.3, 0.2, -0.2, 0.1, -0.1)))
    assert tables.moves["moves"].all()
    found = claims(tables)
    assert found["best-by-speed"].state is State.UNDECIDED


def test_too_few_repetitions_decide_nothing(tmp_path):
    found = claims(tables_of(tmp_path, ProfileSpec(slower(3), spread=(0.0, 0.01, -0.01))))
    assert found["best-by-speed"].state is State.UNDECIDED


@pytest.mark.parametrize(
    ("factor", "stretched", "state"),
    [
        (1, {}, State.DOES_NOT_HOLD),
        (1, {3: 3.0}, State.UNDECIDED),  # stays by prediction, but frames at others are quicker
        (3, {}, State.HOLDS),
        (3, {1: 3.0}, State.UNDECIDED),  # moves by prediction, but frames at 3 are the quickest at both speeds
    ],
)
def test_frames_that_were_measured_otherwise_leave_it_open_whether_the_point_moves(tmp_path, factor, stretched, state):
    measured = tuple(
        MeasuredSpec(mbps, point, stretch=stretched.get(point, 1.0)) for mbps in (20.0, 5.0) for point in (1, 3, 4)
    )
    (finding,) = claims(tables_of(tmp_path, ProfileSpec(slower(factor), measured)))["best-by-speed"].findings
    assert finding.state is state
    assert ("the profile does not predict" in finding.why) is bool(stretched)


def test_stress_is_compared_with_the_highest_availability(tmp_path):
    write_profile(tmp_path, ProfileSpec(HAND_MADE))
    write_profile(tmp_path, ProfileSpec(slower(3)), cpu_pct=25)
    write_profile(tmp_path, ProfileSpec(HAND_MADE), mem_pct=50)
    refused = {"status": Status.INFEASIBLE, "reason": "OOM", "tiers": {}}
    write_profile(tmp_path, ProfileSpec(HAND_MADE, overrides=refused), mem_pct=10)
    found = claims(build_tables(load_results(tmp_path)))
    assert found["best-by-memory"].state is State.HOLDS
    assert "no profile at 10 % (infeasible)" in found["best-by-memory"].findings[0].figure
    assert found["best-by-cpu"].state is State.DOES_NOT_HOLD
    at_20, at_5 = found["best-by-cpu"].findings
    assert at_20.state is State.DOES_NOT_HOLD  # pool becomes the input
    assert "25 % CPU: 1 input (staying costs 25.3 ms" in plain(at_20.figure)
    assert at_5.state is State.HOLDS
    assert at_20.condition == "100 % memory"


# --- answer and page ----------------------------------------------------------------------------------------


def test_the_answer_says_whether_the_point_moves_and_where_before_anything_else(tmp_path):
    write_profile(tmp_path, ProfileSpec(slower(3)))
    write_profile(tmp_path, ProfileSpec(HAND_MADE), model="mobilenetv2")
    stays, moves, speed, stress, staying = map(plain, answer(build_tables(load_results(tmp_path))))
    assert stays == (
        "In short: between 20 and 5 Mbit/s the best point of mobilenetv2 does not move here. It moves only where the "
        "edge takes 0.471 to 0.884 and 3.88 to 17.7 times as long as the cloud; here it takes 2.0 times."
    )
    assert moves.startswith("In short: between 20 and 5 Mbit/s the best point of vgg19 moves here. It moves only where")
    assert "the best point of mobilenetv2 stays at 3 pool" in speed
    assert "the best point of vgg19 moves (1 input at the faster, 3 pool at the slower speed)" in speed
    assert stress == "Stress: what less CPU on the edge does was not profiled; what less memory does was not profiled."
    assert "5 Mbit/s a cut of mobilenetv2 that stays costs nothing (up to 106 ms (96 %) at the ratios" in staying
    assert "vgg19 that stays costs a frame 94.0 ms (76 %) when the link gets slower and 25.3 ms (27 %) when" in staying


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((False, False), "1.99 to 15.8"),
        ((True, False), "at most 1.99 to 15.8"),
        ((False, True), "1.99 to at least 15.8"),
        ((True, True), "any number from 1.99 to 15.8 (no other was tried)"),
    ],
)
def test_a_range_that_the_sweep_cuts_off_says_so(ends, said):
    assert MovingRange(1.99, 15.8, 1.0, 1.0, *ends).text == said


def test_without_a_profile_there_is_no_answer(tmp_path):
    write_block(tmp_path, [RunSpec()])
    tables = build_tables(load_results(tmp_path))
    assert answer(tables) == []
    results = load_results(tmp_path)
    assert view.holes(results, tables, None) == ["vgg19: not profiled"]


def test_stress_is_answered_for_what_was_profiled(tmp_path):
    write_profile(tmp_path, ProfileSpec(HAND_MADE))
    write_profile(tmp_path, ProfileSpec(slower(3)), cpu_pct=25)
    _, _, stress, _ = answer(build_tables(load_results(tmp_path)))
    assert "less CPU on the edge moves it for vgg19 at 20 Mbit/s and does not move it for vgg19 at 5 Mbit/s" in stress


def test_a_ratio_at_which_nothing_moves_is_said(tmp_path):
    flat = (LayerSpec("input", 1000, 0.0, 0.0), LayerSpec("dense", 1000, 1.0, 1.0))
    short, *_ = answer(tables_of(tmp_path, ProfileSpec(flat)))
    assert short.endswith("It would move at no ratio of edge to cloud; here it takes 1.0 times as long.")


def named(*, edge):
    """Return four layers under the names of the paper's points."""
    names = ("input", "block4_pool", "block5_pool", "dense")
    return tuple(
        LayerSpec(name, layer.output_bytes, edge * layer.edge_ms, layer.cloud_ms)
        for name, layer in zip(names, HAND_MADE, strict=True)
    )


def test_the_papers_points_are_set_beside_ours_with_the_reason(tmp_path):
    fast, slow = map(plain, against_paper(tables_of(tmp_path, ProfileSpec(named(edge=1)))))
    assert fast.startswith(
        "vgg19 at 20 Mbit/s: the paper's best point, its layer 17 (2 block4_pool here), takes 75.9 ms, "
        "18.8 ms (33 %) more than ours, 3 block5_pool: −20.0 ms on the edge, +18.8 ms of "
        "transfer and +20.0 ms in the cloud"
    )
    assert "The edge takes 1.0 times as long as the cloud for layer 3, so what it saves in computing (0 ms) is" in fast
    assert "is less than what its larger output takes longer to send (18.8 ms)." in fast
    assert "It would be the best where the edge took between 3.88 and 5.18 times as long as the cloud." in fast
    assert slow == "vgg19 at 5 Mbit/s: the paper's best point, its layer 22 (3 block5_pool here), is ours, too."


def test_a_deep_point_on_a_slow_edge_computes_longer_than_its_small_output_saves(tmp_path):
    fast, _ = map(plain, against_paper(tables_of(tmp_path, ProfileSpec(named(edge=6)))))
    # The input is the best: block4_pool takes 60 ms on the edge for the 5 ms and 20.924 ms that it saves.
    assert "so what its smaller output saves (20.9 ms) is less than what it computes longer (55.0 ms)." in fast


def test_where_the_papers_point_is_best_up_to_the_sweeps_end_there_is_no_bound(tmp_path):
    spec = ProfileSpec(named(edge=1))
    tables = tables_of(tmp_path, spec)
    sweep = tables.ratio_sweep
    cut = replace(tables, ratio_sweep=sweep[sweep["from_ratio"] < 4.0])
    fast, _ = map(plain, against_paper(cut))
    assert "It would be the best where the edge took at least 3.88 times as long as the cloud." in fast


def test_a_point_that_is_best_at_every_ratio_tried_has_no_bound_at_all(tmp_path):
    tables = tables_of(tmp_path, ProfileSpec(named(edge=1)))
    sweep = tables.ratio_sweep
    cut = replace(tables, ratio_sweep=sweep[sweep["fast_index"] == 2])
    fast, _ = map(plain, against_paper(cut))
    assert re.search(r"the edge took any number from \S+ to \S+ \(no other was tried\) times as long", fast)


def test_a_point_that_no_ratio_makes_the_best_is_said(tmp_path):
    worse = (*named(edge=1)[:1], LayerSpec("block4_pool", 200_000, 10.0, 5.0), *named(edge=1)[2:])
    fast, _ = map(plain, against_paper(tables_of(tmp_path, ProfileSpec(worse))))
    assert "At no ratio of edge to cloud between 0.200 and 200 would it be the best." in fast


def test_a_model_that_the_paper_does_not_have_has_nothing_beside_it(tmp_path):
    tables = tables_of(tmp_path, ProfileSpec(HAND_MADE), model="resnet50")
    assert against_paper(tables) == []
    assert all(ranking.paper is None for ranking in at_references(tables))


def test_holes_name_what_has_no_profile_and_why(tmp_path):
    refused = {"status": Status.INFEASIBLE, "reason": "out of memory", "tiers": {}}
    write_profile(tmp_path, ProfileSpec(HAND_MADE, overrides=refused), mem_pct=10)
    write_profile(tmp_path, ProfileSpec(HAND_MADE, overrides={"schema_version": 99}), model="resnet50")
    results = load_results(tmp_path)
    asked = AskedGrid(("mobilenetv2", "resnet50", "vgg19"), ("switch-b2",), (100.0,), (100.0,), 2)
    first, second, third = view.holes(results, build_tables(results), asked)
    assert first == "profiles/vgg19/cpu100-mem10: infeasible (out of memory)"
    assert "schema version 99" in second
    assert third == "mobilenetv2: not profiled"


@pytest.mark.parametrize(("levels", "missing"), [("all", ["profiles/vgg19/cpu25-mem100: not measured"]), ("full", [])])
def test_a_level_is_missing_only_where_all_were_asked_for(tmp_path, levels, missing):
    (tmp_path / "config.json").write_text(json.dumps({"profile": {"levels": levels}}))
    asked = AskedGrid(("vgg19",), ("switch-a1", "switch-b2"), (100.0, 25.0), (100.0,), 2)
    write_profile(tmp_path, ProfileSpec(HAND_MADE))
    results = load_results(tmp_path)
    assert view.holes(results, build_tables(results), asked) == missing


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (
            (MeasuredSpec(20, 1), MeasuredSpec(20, 3)),
            "of 2 points measured 3 pool is the shortest (57.1 ms, as predicted.",
        ),
        # The input as predicted, 91.848 ms; pool, the best by prediction, takes twice as long as it should.
        (
            (MeasuredSpec(20, 1), MeasuredSpec(20, 3, stretch=2.0)),
            "1 input is the shortest (91.8 ms, not 3 pool, which was predicted and takes 22.4 ms (24 %) more.",
        ),
        (
            (MeasuredSpec(20, 1), MeasuredSpec(20, 4)),
            "4 dense is the shortest (80.0 ms; 3 pool, the best by prediction, is not among them.",
        ),
        ((MeasuredSpec(20, 3),), None),
    ],
)
def test_whether_the_shortest_that_was_measured_was_predicted(tmp_path, measured, said):
    found = view.measured_best(tables_of(tmp_path, ProfileSpec(HAND_MADE, measured)))
    if said is None:
        assert found == []
    else:
        (sentence,) = found
        assert re.sub(r" \[[^]]*\]\)", "", plain(sentence)).endswith(said)


def test_grids_show_what_was_measured_and_say_where_it_is_not_enough(tmp_path):
    few = (MeasuredSpec(20, 3, frames=2), MeasuredSpec(5, 3, clocks=False))
    tables = tables_of(tmp_path, ProfileSpec(HAND_MADE, few))
    (group,) = view.measured_grid(tables).groups
    assert group.label == "vgg19, 100 % CPU, 100 % memory"
    notes = [row[4].note for row in group.rows]
    assert notes == ["range of too few frames", "no frame, or clocks not compared"]
    assert not view.errors_grid(tables).is_empty
    (repetitions,) = (column for column in view.errors_grid(tables).columns if column.label == "Repetitions")
    assert repetitions.note == "the fewer of both tiers; one stops after 20 s, but not before 6"
    assert len(view.breaks_grid(tables).groups[0].rows) == 3
    assert [plain(row[4].text) for row in view.points_grid(tables).groups[0].rows] == ["30.0 ms", "30.0 ms"]
