"""The tables on where to cut, by hand."""

import json

import pandas as pd
import pytest

from report.answers import moving_ranges
from report.load import load_results
from report.schema import COLUMNS
from report.tables import build_tables, read_tables, write_tables
from tests.synthetic_profiles import HAND_MADE, MeasuredSpec, ProfileSpec, mobilenetv2, slower, vgg19, write_profile

CONTRACT = {
    "layers": ["model", "index", "name", "kind", "block", "output_bytes", "params", "flops", "edge_ms"],
    "partition_points": [
        *("model", "network_mbps", "cpu_pct", "mem_pct", "index", "name", "output_bytes"),
        *("edge_ms", "transfer_ms", "cloud_ms", "total_ms"),
    ],
}


def tables_of(root, *specs, **where):
    for spec in specs:
        write_profile(root, spec, **where)
    return build_tables(load_results(root))


@pytest.mark.parametrize("name", CONTRACT)
def test_the_contracts_columns_come_first(name):
    assert list(COLUMNS[name][: len(CONTRACT[name])]) == CONTRACT[name]


# --- tables -------------------------------------------------------------------------------------------------


def test_layers_by_hand(tmp_path):
    tables = tables_of(tmp_path, ProfileSpec(HAND_MADE))
    pool = tables.layers[tables.layers["name"] == "pool"].iloc[0]
    assert (pool["index"], pool.output_bytes, pool.edge_ms, pool.cloud_ms) == (3, 5000, 20, 20)
    # Seven repetitions from -3 % to 3 %: the interval of the median is the whole range.
    assert (pool.edge_low_ms, pool.edge_high_ms, pool.edge_n) == (pytest.approx(19.4), pytest.approx(20.6), 7)


def test_points_by_hand_at_both_speeds_of_the_paper(tmp_path):
    points = tables_of(tmp_path, ProfileSpec(HAND_MADE)).partition_points
    totals = {(row.network_mbps, row.name): row.total_ms for row in points.itertuples()}
    # 100 000 bytes are 70 segments: 104 620 bytes on the wire, 41.848 ms at 20 Mbit/s, 167.392 ms at 5, and 20 ms.
    assert totals == pytest.approx(
        {
            (20, "input"): 61.848 + 30,
            (20, "conv"): 10 + 40.924 + 25,
            (20, "pool"): 30 + 22.1056 + 5,
            (20, "dense"): 60 + 20.0424,
            (5, "input"): 187.392 + 30,
            (5, "conv"): 10 + 103.696 + 25,
            (5, "pool"): 30 + 28.4224 + 5,
            (5, "dense"): 60 + 20.1696,
        }
    )
    assert points[points["best"]][["network_mbps", "name"]].to_numpy().tolist() == [[20, "pool"], [5, "pool"]]
    assert points["measured_total_ms"].isna().all()


def test_speeds_are_the_configs_and_those_measured_at(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"network": {"speeds_mbps": [100, 10]}}))
    points = tables_of(tmp_path, ProfileSpec(HAND_MADE, (MeasuredSpec(50, 1),))).partition_points
    assert points["network_mbps"].unique().tolist() == [100, 50, 10]


def test_measured_beside_predicted_by_hand(tmp_path):
    measured = (MeasuredSpec(20, 3, why=("best", "config"), stretch=1.25, waited_ms=0.7),)
    points = tables_of(tmp_path, ProfileSpec(HAND_MADE, measured)).partition_points
    row = points[points["measured_total_ms"].notna()].iloc[0]
    assert (row["name"], row.network_mbps, row.why, row.measured_total_n) == ("pool", 20, "best, config", 6)
    assert row.measured_edge_ms == pytest.approx(37.5)
    assert row.measured_transfer_ms == pytest.approx(1.25 * 22.1056)
    assert row.measured_cloud_ms == pytest.approx(6.25)
    assert row.measured_total_ms == pytest.approx(1.25 * 57.1056)  # the frame of run 0 would be ten times that
    assert row.queue_ms == pytest.approx(0.7)
    assert row.clock_bound_ms == pytest.approx(0.08)
    assert row.achieved_mbps == pytest.approx(19.6)
    assert row.error_pct == pytest.approx(-20)


def test_break_points_by_hand(tmp_path):
    breaks = tables_of(tmp_path, ProfileSpec(HAND_MADE)).break_points
    found = [(row.name, row.from_mbps, row.to_mbps) for row in breaks.itertuples(index=False)]
    # dense = pool where 25 ms = 8 (5264 - 106) / R, pool = input where 5 ms = 8 (104 620 - 5264) / R.
    assert found == [
        ("dense", 0.5, pytest.approx(1.65056)),
        ("pool", pytest.approx(1.65056), pytest.approx(158.9696)),
        ("input", pytest.approx(158.9696), 200),
    ]


def test_what_a_move_buys_by_hand(tmp_path):
    # With an edge three times as slow the input is the best at 20 Mbit/s (91.848), pool at 5 (90 + 28.4224 + 5).
    moves = tables_of(tmp_path, ProfileSpec(slower(3))).moves.set_index("from_mbps")
    assert moves["moves"].all()
    assert moves.loc[20, ["from_name", "to_name"]].tolist() == ["input", "pool"]
    assert moves.loc[20, "loss_ms"] == pytest.approx(217.392 - 123.4224)
    assert moves.loc[20, "loss_pct"] == pytest.approx(100 * 93.9696 / 123.4224)
    assert moves.loc[5, "loss_ms"] == pytest.approx(117.1056 - 91.848)
    assert moves.loc[5, "loss_low_ms"] < moves.loc[5, "loss_ms"] < moves.loc[5, "loss_high_ms"]


def test_where_nothing_moves_staying_costs_nothing(tmp_path):
    moves = tables_of(tmp_path, ProfileSpec(HAND_MADE)).moves
    assert not moves["moves"].any()
    assert moves["loss_ms"].tolist() == [0, 0]


def test_the_sweep_of_the_ratio_by_hand(tmp_path):
    sweep = tables_of(tmp_path, ProfileSpec(HAND_MADE)).ratio_sweep
    # The edge takes 60 ms, the cloud 30: a factor of 1 is a ratio of 2. At 20 Mbit/s the best point goes from dense to
    # pool at 7.0632/30, to conv at 38.8184/20, to the input at 25.924/10; at 5 at 13.2528/30, 95.2736/20, 88.696/10.
    bounds = [0.1, 0.23544, 0.44176, 1.94092, 2.5924, 4.76368, 8.8696, 100]
    assert sweep["from_factor"].tolist() == pytest.approx(bounds[:-1])
    assert sweep["to_ratio"].tolist() == pytest.approx([2 * bound for bound in bounds[1:]])
    assert list(zip(sweep["fast_name"], sweep["slow_name"], strict=True)) == [
        ("dense", "dense"),
        ("pool", "dense"),
        ("pool", "pool"),
        ("conv", "pool"),
        ("input", "pool"),
        ("input", "conv"),
        ("input", "input"),
    ]
    ranges = moving_ranges(sweep)
    assert [(r.from_ratio, r.to_ratio) for r in ranges] == [
        (pytest.approx(0.47088), pytest.approx(0.88352)),
        (pytest.approx(3.88184), pytest.approx(17.7392)),
    ]
    # In the first range staying costs 30 f - 7.0632 at 20 Mbit/s, 13.2528 - 30 f at 5: 6.1896 at either end.
    assert ranges[0].loss_ms == pytest.approx(6.1896)
    # In the second most where the input is no longer behind at 20 but pool is still the best at 5: 184 - 30 f.
    assert ranges[1].loss_ms == pytest.approx(217.392 - 33.4224 - 30 * 2.5924)
    assert not sweep.loc[~sweep["moves"], ["slowdown_loss_ms", "speedup_loss_ms"]].to_numpy().any()


def test_errors_of_sums_and_of_predictions_are_summarised(tmp_path):
    measured = (MeasuredSpec(20, 3, stretch=1.25), MeasuredSpec(5, 1, stretch=0.5))
    spec = ProfileSpec(HAND_MADE, measured, parts_at=(1, 3), parts_stretch=0.8)
    tables = tables_of(tmp_path, spec)
    row = tables.profiles.iloc[0]
    assert (row.parts_n, row.parts_error_pct, row.parts_error_worst_pct) == (3, pytest.approx(25), pytest.approx(25))
    assert row.prediction_n == 2
    assert (row.prediction_error_pct, row.prediction_error_worst_pct) == (pytest.approx(60), pytest.approx(100))
    assert (row.points, row.repetitions, row.edge_to_cloud, row.edge_whole_ms) == (4, 7, 2, 60)
    assert len(tables.profile_parts) == 4


def test_tables_of_profiles_survive_being_written(tmp_path):
    tables = tables_of(tmp_path, ProfileSpec(HAND_MADE, (MeasuredSpec(20, 3),)))
    write_tables(tables, tmp_path / "tables")
    pd.testing.assert_frame_equal(read_tables(tmp_path / "tables").partition_points, tables.partition_points)


def test_the_papers_models_have_their_points():
    assert sum(layer.is_point for layer in vgg19()) == 26
    wide = mobilenetv2()
    assert sum(layer.is_point for layer in wide) == 76
    assert wide[34].name == "block_3_project"
