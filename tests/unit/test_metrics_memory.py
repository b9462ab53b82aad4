"""Table I as measured: rest, peak, and when a strategy needs more than one pipeline."""

import math

import pandas as pd
import pytest

from report.metrics.memory import DOUBTFUL, additional_when, is_doubtful, memory_use, table_one
from workers.records import MemorySample

MS = 1_000_000


def sample(at_ms, mb, cgroup_mb=None):
    return MemorySample(1, at_ms * MS, 1, int(mb * 1e6), None if cgroup_mb is None else int(cgroup_mb * 1e6))


SAMPLES = [
    sample(0, 690, 600),
    sample(90, 700, 610),
    sample(100, 900, 800),
    sample(200, 1500, 1300),
    sample(700, 1600),
    sample(701, 9999, 9999),
]


def test_rest_is_the_last_before_the_change_and_peak_the_largest_until_half_a_second_after():
    use = memory_use(SAMPLES, 100 * MS, 200 * MS, moved=True)
    assert (use.rest_mb, use.peak_mb) == (700, 1600)
    assert (use.rest_cgroup_mb, use.peak_cgroup_mb) == (610, 1300)


def test_a_sample_of_long_before_is_not_this_runs_rest():
    assert memory_use([sample(0, 700)], 5_001 * MS, 5_200 * MS, moved=True).rest_mb is None


def test_a_run_that_did_not_move_has_no_peak():
    use = memory_use(SAMPLES, 100 * MS, 200 * MS, moved=False)
    assert (use.rest_mb, use.peak_mb) == (700, None)


def test_no_sample_is_no_number():
    use = memory_use([], 100 * MS, 200 * MS, moved=True)
    assert (use.rest_mb, use.peak_mb, use.rest_cgroup_mb, use.peak_cgroup_mb) == (None,) * 4


@pytest.mark.parametrize(
    ("initial", "rest", "peak", "when"),
    [
        (763.1, 763.1, 763.1, "never"),
        (763.1, 1526.2, 1526.2, "always"),
        (763.1, 763.1, 1526.2, "during switching"),
        (763.1, 1526.2, 2289.3, "always, more during switching"),
        (1000.0, 1050.0, 1050.0, "never"),  # 5 % is noise
        (1000.0, 1051.0, 1051.0, "always"),
        (50.0, 59.0, 59.0, "never"),  # and so are 10 MB
        (763.1, 763.1, math.nan, "never"),
    ],
)
def test_when_memory_is_additional(initial, rest, peak, when):
    assert additional_when(initial, rest, peak) == when


def runs(**strategies):
    rows = [
        {
            "model": "vgg19",
            "strategy": strategy.replace("_", "-"),
            "tier": "edge",
            "status": "ok",
            "rest_mb": rest,
            "peak_mb": peak,
            "rest_cgroup_mb": math.nan,
            "peak_cgroup_mb": math.nan,
        }
        for strategy, values in strategies.items()
        for rest, peak in values
    ]
    return pd.DataFrame(rows)


def test_table_one_compares_with_the_baseline_at_rest():
    table = table_one(
        runs(
            pause_resume=[(760, 770), (770, 760), (765, 765)],
            switch_a1=[(1530, 1530)],
            switch_b1=[(900, 1530)],
        )
    ).set_index("strategy")
    assert set(table["initial_mb"]) == {765}
    assert list(table["total_mb"]) == [765, 1530, 1530]
    assert list(table["additional_mb"]) == [0, 765, 765]
    assert list(table["additional_when"]) == ["never", "always", "always, more during switching"]
    assert list(table["n"]) == [3, 1, 1]
    assert table.loc["switch-a1", "total_over_initial"] == 2
    assert set(table["initial_from"]) == {"pause-resume"}


def test_without_a_single_pipeline_strategy_its_own_rest_is_the_start():
    table = table_one(runs(switch_a1=[(1530, 1530)]))
    assert table["initial_from"].item() == "switch-a1"
    assert table["additional_mb"].item() == 0


def test_runs_that_failed_do_not_count():
    table = runs(pause_resume=[(760, 770), (9999, 9999)])
    table.loc[1, "status"] = "invalid"
    assert table_one(table)["initial_mb"].item() == 760


def test_no_run_is_an_empty_table():
    assert table_one(runs(pause_resume=[(760, 770)]).assign(status="failed")).empty


@pytest.mark.parametrize(
    ("strategy", "rest", "charged", "doubtful"),
    [
        ("switch-b2", 760, 605, True),  # another process mapped the same libraries while the baseline was measured
        ("switch-b2", 640, 605, True),  # or while this strategy was
        ("switch-b2", 760, 612, True),  # of which the charge explains a fifth
        ("switch-b2", 760, 660, False),  # the charge says so, too
        ("switch-b2", 720, 605, False),  # noise
        ("switch-a2", 760, 605, False),  # a standby may be mapped weights
        ("switch-b2", 760, math.nan, False),  # no charge to hold against it
    ],
)
def test_a_single_pipeline_apart_in_set_size_alone_is_doubtful(strategy, rest, charged, doubtful):
    assert is_doubtful(strategy, rest, 700, charged, 600) is doubtful


def test_table_one_concludes_nothing_from_a_doubtful_row():
    table = runs(pause_resume=[(700, 700)], switch_b2=[(760, 760)]).assign(rest_cgroup_mb=600.0)
    assert list(table_one(table)["additional_when"]) == ["never", DOUBTFUL]
