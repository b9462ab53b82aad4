"""Two results folders side by side: intervals that overlap agree, others make the command fail."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from report.compare import Agreement, Comparison, main
from report.metrics.statistics import Interval, median_interval
from tests.synthetic import RunSpec, write_block
from workers.records import Status

KEY = ("vgg19", "switch-b2", "20 → 5 Mbit/s", "100 % CPU, 100 % memory")


def spread(middle_ms, n=6):
    return [RunSpec(routed_ms=middle_ms + offset, repeat=offset) for offset in range(n)]


def interval(low, high):
    return Interval((low + high) / 2, low, high, 8, 0.96)


@pytest.mark.parametrize(
    ("first", "second", "agreement"),
    [
        ((1, 2), (1.5, 3), Agreement.AGREE),
        ((1, 2), (2, 3), Agreement.AGREE),
        ((1, 4), (2, 3), Agreement.AGREE),
        ((1, 2), (2.1, 3), Agreement.DIFFER),
        ((5, 6), (2, 3), Agreement.DIFFER),
        ((math.nan, math.nan), (2, 3), Agreement.TOO_FEW),
    ],
)
def test_intervals_that_overlap_agree(first, second, agreement):
    assert Comparison(KEY, interval(*first), interval(*second)).agreement is agreement
    assert Comparison(KEY, interval(*second), interval(*first)).agreement is agreement


@given(st.lists(st.floats(0.01, 1e6), min_size=2, max_size=40))
def test_a_sample_agrees_with_itself(values):
    found = median_interval(values)
    assert Comparison(KEY, found, found).agreement is Agreement.AGREE


def test_results_that_agree_are_success(tmp_path, capsys):
    write_block(tmp_path / "a", spread(100))
    write_block(tmp_path / "b", spread(102))
    assert main([str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    line, total = capsys.readouterr().out.replace("\xa0", " ").splitlines()
    assert line.startswith("agree         vgg19  switch-b2  20 → 5 Mbit/s  100 % CPU, 100 % memory: 102 ms [100, 105]")
    assert "(n = 6) against " in line
    assert total == "1 cell compared: the intervals of 0 do not overlap."


def test_one_cell_that_differs_is_failure_and_cells_of_one_side_are_named(tmp_path, capsys):
    write_block(tmp_path / "a", spread(100))
    write_block(tmp_path / "b", spread(100))
    write_block(tmp_path / "a", spread(100), cpu_pct=50)
    write_block(tmp_path / "b", spread(150), cpu_pct=50)
    write_block(tmp_path / "a", spread(100), mem_pct=50)
    write_block(tmp_path / "b", spread(100), mem_pct=25)
    assert main([str(tmp_path / "a"), str(tmp_path / "b")]) == 1
    said = capsys.readouterr().out
    assert "DIFFER        vgg19  switch-b2  20 → 5 Mbit/s  50 % CPU, 100 % memory" in said
    assert "only in the first: vgg19  switch-b2  20 → 5 Mbit/s  100 % CPU, 50 % memory" in said
    assert "only in the second: vgg19  switch-b2  20 → 5 Mbit/s  100 % CPU, 25 % memory" in said
    assert "2 cells compared: the intervals of 1 do not overlap." in said


def test_single_runs_are_too_few_to_differ(tmp_path, capsys):
    write_block(tmp_path / "a", spread(100, n=1))
    write_block(tmp_path / "b", spread(900, n=1))
    assert main([str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert "too few runs" in capsys.readouterr().out


def test_runs_that_are_not_ok_are_no_figure(tmp_path, capsys):
    write_block(tmp_path / "a", spread(100))
    write_block(tmp_path / "b", [RunSpec(status=Status.FAILED, reason="died", measured=True)] * 3)
    assert main([str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("report: ")
    assert "no cell in common" in said


def test_a_folder_without_results_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("report: No results folder at ")
    assert "--results" not in said  # which this command does not have
