"""The figures on where to cut: what they show, how many names they carry, and that each is there."""

from itertools import pairwise

import pytest

from report.asked import AskedGrid
from report.cuts import at_references
from report.figures.point_numbers import HEADROOM, best_curves, ceiling_ms, computing_is_drowned, labelled
from report.figures.point_plots import name_of, point_plots
from report.load import load_results
from report.tables import build_tables
from tests.synthetic_profiles import HAND_MADE, LayerSpec, MeasuredSpec, ProfileSpec, mobilenetv2, vgg19, write_profile
from workers.records import Status

SLOW_EDGE = {"edge_gflops": 4.0, "cloud_gflops": 40.0}


def rankings(root, spec, model="vgg19"):
    write_profile(root, spec, model=model)
    return at_references(build_tables(load_results(root)))


def plain(text):
    return text.replace("\xa0", " ")


def test_the_axis_ends_above_what_matters_and_below_what_is_hopeless(tmp_path):
    fast, slow = rankings(tmp_path, ProfileSpec(vgg19(edge_gflops=70)))
    longest = max(point.total_ms for point in slow.points)
    # The input at 5 Mbit/s takes 20 + 1007.3 + 93.7 ms and is the longest of what matters; the convolutions take 20 s.
    assert ceiling_ms(slow) == pytest.approx(HEADROOM * slow.points[0].total_ms)
    assert ceiling_ms(slow) < longest / 5
    assert ceiling_ms(fast) > max(fast.best.total_ms, fast.paper.total_ms)


def test_what_was_measured_fits_below_the_axis(tmp_path):
    spec = ProfileSpec(HAND_MADE, (MeasuredSpec(20, 2, stretch=4.0), MeasuredSpec(5, 2)))
    fast, slow = rankings(tmp_path, spec)
    assert ceiling_ms(fast) == pytest.approx(HEADROOM * 4 * 75.924)
    assert ceiling_ms(slow) == pytest.approx(HEADROOM * 217.392)


@pytest.mark.parametrize(("dense_ms", "drowned"), [(26.7, True), (26.8, False)])
def test_computing_has_an_axis_of_its_own_where_it_is_a_tenth_of_the_other(tmp_path, dense_ms, drowned):
    # All in the cloud takes as long at 5 Mbit/s as the link with 100,004 bytes, 167.392 ms, 20 of delay, and computing:
    # the axis ends at 1.25 times that, and computing is a tenth of it where c = 0.125 (187.392 + c), at 26.77 ms.
    layers = (LayerSpec("input", 100_000, 0.0, 0.0), LayerSpec("dense", 40, dense_ms, dense_ms))
    ranked = rankings(tmp_path, ProfileSpec(layers))
    assert computing_is_drowned(ranked) is drowned
    plot = next(plot for plot in point_plots(build_tables(load_results(tmp_path))) if plot.name == "fig02")
    assert ("The last panel has computing alone" in plot.finding) is drowned
    assert ("Computing alone, at any speed" in plot.render()["svg"].decode()) is drowned


def test_few_points_all_have_names(tmp_path):
    names = labelled(rankings(tmp_path, ProfileSpec(vgg19())))
    assert len(names) == 26
    assert names[16] == "17 block4_pool"


def test_of_many_points_those_that_matter_have_names_that_do_not_overlap(tmp_path):
    measured = (MeasuredSpec(20, 17), MeasuredSpec(20, 18))
    ranked = rankings(tmp_path, ProfileSpec(mobilenetv2(**SLOW_EDGE), measured), "mobilenetv2")
    names = labelled(ranked)
    said = set(names.values())
    assert {ranking.best.text for ranking in ranked} <= said
    assert {"1 input", "35 block_3_project", "17 block_1_project", "156 predictions"} <= said
    assert "18 block_1_project_BN" not in said  # measured, but right beside a name
    places = sorted(names)
    assert all(after - before > 1 for before, after in pairwise(places))
    assert len(names) < 20


def test_the_best_curve_is_the_smallest_of_all_and_its_segments_meet(tmp_path):
    write_profile(tmp_path, ProfileSpec(HAND_MADE))
    (curve,) = best_curves(build_tables(load_results(tmp_path)))
    assert [segment.label for segment in curve.segments] == ["4 dense", "3 pool", "1 input"]
    for before, after in pairwise(curve.segments):
        assert before.curve[-1] == pytest.approx(after.curve[0])
    assert curve.segments[0].curve[0] == pytest.approx((0.5, 60 + 20 + 8 * 106 / 500))
    assert curve.asked == ((20, pytest.approx(57.1056)), (5, pytest.approx(63.4224)))
    assert [kind for kind, _, _ in curve.kept] == ["cloud", "edge"]  # no layer has the name of a point of the paper
    assert curve.kept[0][2][-1] == pytest.approx((200, 30 + 20 + 8 * 104_620 / 200_000))


def test_the_papers_points_are_curves_of_their_own_unless_they_are_an_end(tmp_path):
    write_profile(tmp_path, ProfileSpec(vgg19()))
    write_profile(tmp_path, ProfileSpec(mobilenetv2()), model="mobilenetv2")
    wide, deep = best_curves(build_tables(load_results(tmp_path)))
    assert [label for kind, label, _ in deep.kept if kind == "paper"] == ["the paper's 17", "the paper's 22"]
    assert [label for kind, label, _ in wide.kept if kind == "paper"] == ["the paper's 35"]  # its 2 is the input


def test_every_model_has_a_figure_and_a_profile_that_is_no_good_says_why(tmp_path):
    write_profile(tmp_path, ProfileSpec(HAND_MADE), model="resnet50")
    refused = {"status": Status.INFEASIBLE, "reason": "OOM", "tiers": {}}
    write_profile(tmp_path, ProfileSpec(HAND_MADE, overrides=refused), mem_pct=10)
    asked = AskedGrid(("densenet121", "vgg19"), ("switch-b2",), (100.0,), (100.0,), 2)
    plots = {plot.name: plot for plot in point_plots(build_tables(load_results(tmp_path)), asked)}
    assert list(plots) == ["fig02", "fig03", "fig_points_densenet121", "fig_points_resnet50", "best_point"]
    assert plots["fig02"].empty == "vgg19: no good profile (infeasible at 100 % CPU, 10 % memory)."
    assert plots["fig03"].empty == "mobilenetv2: no profile."
    assert plots["fig_points_resnet50"].empty is None
    assert name_of("vgg19") == "fig02"


def test_findings_say_the_best_points_and_how_far_the_prediction_is_off(tmp_path):
    spec = ProfileSpec(vgg19(edge_gflops=70), (MeasuredSpec(20, 1, stretch=1.25), MeasuredSpec(5, 26)))
    write_profile(tmp_path, spec)
    plots = {plot.name: plot for plot in point_plots(build_tables(load_results(tmp_path)))}
    said = plain(plots["fig02"].finding)
    assert "At 20 Mbit/s 1 input is the best: edge 0 ms, transfer 272 ms and cloud 93.7 ms." in said
    assert "Bars with a triangle go beyond it." in said
    assert "the prediction is off by 10 % in the median, 20 % at worst" in said
    assert "vgg19: 26 predictions from 0.500 to 10.7 Mbit/s and 1 input from 10.7 to 200 Mbit/s." in plain(
        plots["best_point"].finding
    )


def test_drawings_carry_their_words(tmp_path):
    write_profile(tmp_path, ProfileSpec(vgg19(edge_gflops=70), (MeasuredSpec(20, 17), MeasuredSpec(5, 17))))
    plots = {plot.name: plot for plot in point_plots(build_tables(load_results(tmp_path)))}
    drawn = plain(plots["fig02"].render()["svg"].decode())
    for words in ("best: 1 input, 366 ms", "paper: 17 (block4_pool), here 703 ms", "22 block5_pool", "output size"):
        assert words in drawn
    assert "measured, 95 % interval" in drawn
    curve = plain(plots["best_point"].render()["svg"].decode())
    assert all(words in curve for words in ("26 predictions", "the paper's 22", "best point changes"))


def test_names_from_outside_are_drawn_as_they_are_and_lead_nowhere(tmp_path):
    layers = (*HAND_MADE[:3], LayerSpec("de$n^{se$ <b>", 40, 30.0, 5.0))
    write_profile(tmp_path, ProfileSpec(layers, overrides={"model": "../../x"}), model="x")
    plots = {plot.name: plot for plot in point_plots(build_tables(load_results(tmp_path)))}
    assert "fig_points_.._.._x" in plots
    assert "4 de$n^{se$ &lt;b&gt;" in plots["fig_points_.._.._x"].render()["svg"].decode()


def test_marks_are_in_the_legend_only_where_they_are_drawn(tmp_path):
    write_profile(tmp_path, ProfileSpec(HAND_MADE), model="resnet50")
    (plot,) = (plot for plot in point_plots(build_tables(load_results(tmp_path))) if plot.name == "fig_points_resnet50")
    drawn = plot.render()["svg"].decode()
    assert "the paper's" not in drawn
    assert "measured, 95" not in drawn
