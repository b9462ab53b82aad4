"""Two results folders side by side: both thresholds, all kinds of series."""

import random

import msgspec
import pytest

from report.watch.__main__ import main
from report.watch.measures import Sample
from report.watch.sides import compare_sides
from tests.synthetic import RunSpec, write_block
from tests.unit.watch_nights import DOWNTIME, DROPS, THRESHOLDS
from workers.records import Status

SPREAD = (98.0, 99.0, 100.0, 100.0, 101.0, 102.0)


def of(values, series=DOWNTIME, totals=()):
    return [Sample(series, tuple(values), tuple(totals))]


def differing(first, second):
    return [pair.series for pair in compare_sides(first, second, THRESHOLDS).differing]


@pytest.mark.parametrize(("factor", "differs"), [(1.0, False), (1.09, False), (1.2, True), (0.8, True)])
def test_a_difference_is_clear_and_matters(factor, differs):
    assert bool(differing(of(SPREAD), of([factor * value for value in SPREAD]))) is differs


def test_a_difference_that_the_machine_shows_from_block_to_block_is_none():
    faster = of([0.8 * value for value in SPREAD])
    assert compare_sides(of(SPREAD), faster, THRESHOLDS).differing
    assert compare_sides(of(SPREAD), faster, THRESHOLDS, (0.15, 0.15)).differing == ()


def test_a_difference_that_matters_but_is_not_clear_is_none():
    wide = [60.0, 80.0, 100.0, 110.0, 140.0, 170.0]
    assert differing(of(wide), of([1.3 * value for value in wide])) == []


def test_rates_are_compared_by_their_runs():
    first = of([1, 0, 1, 0, 1, 0], DROPS, [20] * 6)
    assert differing(first, of([4, 4, 5, 5, 4, 5], DROPS, [20] * 6)) == [DROPS]
    assert differing(first, of([0, 1, 0, 1, 0, 1], DROPS, [20] * 6)) == []


def test_what_one_side_lacks_or_measured_once_is_named():
    found = compare_sides(of(SPREAD), [*of([100.0]), *of([1, 2], DROPS, [9, 9])], THRESHOLDS)
    assert (found.pairs, set(found.alone)) == ((), {DOWNTIME, DROPS})


def test_folders_that_are_alike_rarely_differ():
    rng = random.Random(1)

    def side():
        return [
            Sample(type(DOWNTIME)(DOWNTIME.kind, "downtime", DOWNTIME.of, str(number)), values)
            for number in range(60)
            for values in [tuple(rng.gauss(100, 6) for _ in range(6))]
        ]

    assert sum(bool(differing(side(), side())) for _ in range(40)) <= 2


def test_what_few_runs_of_each_scenario_do_not_show_all_of_a_strategy_do():
    noise = random.Random(3)
    scenarios = [msgspec.structs.replace(DOWNTIME, scenario=f"{number}") for number in range(6)]

    def side(factor):
        return [
            Sample(series, tuple(factor * 100 * noise.lognormvariate(0, 0.3) for _ in range(4))) for series in scenarios
        ]

    one, slower = side(1.0), side(1.5)
    found = compare_sides(one, slower, THRESHOLDS)
    assert [pair.series.of for pair in found.differing] == ["switch-b2"]
    assert compare_sides(one, side(1.0), THRESHOLDS).differing == ()
    assert len(compare_sides(one[:1], slower[:1], THRESHOLDS).pairs) == 1


def write_side(folder, middle_ms, **changed):
    runs = [
        RunSpec(routed_ms=middle_ms + repeat, repeat=repeat, from_mbps=a, to_mbps=b)
        for repeat in range(6)
        for a, b in ((20.0, 5.0), (5.0, 20.0))
    ]
    write_block(folder, runs, **changed)
    return str(folder)


def test_the_command_says_what_differs_and_on_what(tmp_path, capsys):
    one = write_side(tmp_path / "a", 100)
    other = write_side(tmp_path / "b", 150, commit="f" * 40)
    assert main(["compare", one, one]) == 0
    assert "0 differ" in capsys.readouterr().out
    assert main(["compare", one, other]) == 1
    said = capsys.readouterr().out.replace("\xa0", " ")
    assert "commits 0123456789 and ffffffffff" in said
    assert (
        "| vgg19/switch-b2/cpu100-mem100, 10 FPS, 20 → 5 Mbit/s, downtime "
        "| 102 ms [100 ms, 105 ms] (n = 6) | 152 ms [150 ms, 155 ms] (n = 6) | +49 %"
    ) in said
    assert "### All downtimes" in said
    unknown = "nobody knows how much (it takes 3 blocks to tell)"
    assert said.endswith(f"From block to block the machine differed by {unknown} and {unknown}.\n")


def test_folders_with_nothing_in_common_cannot_be_compared(tmp_path, capsys):
    one = write_side(tmp_path / "a", 100)
    write_block(tmp_path / "b", [RunSpec(status=Status.FAILED, reason="died")] * 3, strategy="switch-a1")
    assert main(["compare", one, str(tmp_path / "b")]) == 2
    assert "have no series in common" in capsys.readouterr().err
    assert main(["compare", one, str(tmp_path / "none")]) == 2
