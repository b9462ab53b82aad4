"""A results folder becomes a night: which numbers, from which runs, and which folder is no night."""

import json
from dataclasses import replace

import msgspec
import pytest

from report.errors import NothingToReport
from report.load import load_results
from report.tables import build_tables
from report.watch.errors import NightError
from report.watch.likeness import Likeness, class_facts, differences, environment, host_class
from report.watch.measures import EVERYWHERE, Sample, samples, with_strategies
from report.watch.records import GRID, Kind, Night, Series, Value
from report.watch.summary import summarise
from tests.synthetic import RunSpec, Work, block_record, write_block
from tests.synthetic_profiles import ProfileSpec, vgg19, write_profile
from tests.unit.watch_nights import BLOCK, DOWNTIME, OTHER, night
from workers.records import Status

BUILT = {"edge_build_ms": 6.0, "edge_trace_ms": 380.0, "cloud_build_ms": 5.0}


def runs(middle_ms, count=6, **changed):
    """Return runs in both directions: from 20 to 5 Mbit/s of `middle_ms`, back of twice that."""
    found = []
    for repeat in range(1, count + 1):
        for factor, pair in ((1, (20.0, 5.0)), (2, (5.0, 20.0))):
            done = factor * (middle_ms + repeat)
            works = (Work("build", done - 0.5, BUILT),)
            found.append(
                RunSpec(routed_ms=done, works=works, repeat=repeat, from_mbps=pair[0], to_mbps=pair[1], **changed)
            )
    return found


def write_night(root, blocks=("switch-b2", "pause-resume"), **changed):
    for strategy in blocks:
        write_block(root, runs(100.0), strategy=strategy, **changed)
    return write_config(root, blocks)


def write_config(root, strategies=("switch-b2",), repeats=6, models=("vgg19",)):
    config = {"models": {model: {} for model in models}, "strategies": strategies, "fps": [10], "repeats": repeats}
    (root / "config.json").write_text(json.dumps(config))
    return root


def summary_of(root, ok_share=0.9):
    results = load_results(root)
    return summarise(results, build_tables(results), ok_share)


def values_of(root):
    return {value.series: value for value in summary_of(root).values}


@pytest.fixture
def root(tmp_path):
    return write_night(tmp_path / "results")


def test_a_downtime_is_the_median_of_its_runs_with_interval_and_n(root):
    value = values_of(root)[Series(Kind.DOWNTIME, "downtime", BLOCK, "10 FPS, 20 → 5 Mbit/s")]
    assert (value.median, value.low, value.high, value.n) == (103.5, 101.0, 106.0, 6)


def test_a_strategys_downtime_is_the_geometric_mean_over_its_scenarios(root):
    value = values_of(root)[Series(Kind.DOWNTIME, "downtime", "switch-b2", EVERYWHERE)]
    assert value.median == pytest.approx((103.5 * 207) ** 0.5, rel=1e-5)
    assert value.n == 12


def test_a_strategy_without_one_of_its_scenarios_has_no_downtime_of_its_own():
    offered = frozenset({DOWNTIME, msgspec.structs.replace(DOWNTIME, scenario="back")})
    assert with_strategies((Value(DOWNTIME, 100.0, 6),), offered) == (Value(DOWNTIME, 100.0, 6),)
    (_, pooled) = with_strategies((Value(DOWNTIME, 100.0, 6),), frozenset({DOWNTIME}))
    assert pooled.median == 100.0


def test_components_and_parts_of_the_work_are_series(root):
    found = values_of(root)
    there = "10 FPS, 20 → 5 Mbit/s"
    assert found[Series(Kind.PART, "t_exec", BLOCK, there)].median == 103.0
    assert found[Series(Kind.PART, "t_switch", BLOCK, there)].median == 0.5
    assert found[Series(Kind.PART, "trace on the edge", BLOCK, there)].median == 380.0
    assert found[Series(Kind.PART, "build on the cloud", BLOCK, there)].median == 5.0


def test_memory_conditions_failures_and_wall_times_are_series_of_blocks(root):
    found = values_of(root)
    assert found[Series(Kind.MEMORY, "memory at rest on the edge", BLOCK)].median == 700.0
    assert found[Series(Kind.MEMORY, "largest memory on the cloud", BLOCK)].median == 900.0
    assert found[Series(Kind.CONDITION, "link rate", BLOCK)].median == pytest.approx(96)
    assert found[Series(Kind.CONDITION, "CPU availability", BLOCK)].median == 99.0
    assert found[Series(Kind.FAILURES, "runs not ok", BLOCK)].median == 0.0
    assert found[Series(Kind.WALL_TIME, "wall time", BLOCK)].median == 133.0


def test_dropped_frames_are_pooled_over_a_block_and_over_a_strategy(tmp_path):
    write_block(tmp_path, runs(1000.0, busy_every=2))
    write_block(tmp_path, runs(1000.0), model="mobilenetv2")
    found = values_of(write_config(tmp_path, models=("vgg19", "mobilenetv2")))
    block = found[Series(Kind.DROPS, "dropped", BLOCK)]
    strategy = found[Series(Kind.DROPS, "dropped", "switch-b2", EVERYWHERE)]
    assert block.median > 5
    assert block.low < block.median < block.high
    assert strategy.median == pytest.approx(block.median * block.n / strategy.n, rel=1e-4)


def test_a_strategy_one_of_whose_blocks_failed_has_no_drop_rate_of_its_own(tmp_path):
    write_block(tmp_path, runs(1000.0, busy_every=2))
    bad = [RunSpec(status=Status.FAILED, reason="died", measured=False)] * 12
    write_block(tmp_path, bad, model="mobilenetv2")
    found = values_of(write_config(tmp_path, models=("vgg19", "mobilenetv2")))
    assert [series.of for series in found if series.kind is Kind.DROPS] == [BLOCK]


def test_the_grid_takes_from_its_first_blocks_start_to_its_last_ones_end(tmp_path):
    write_block(tmp_path, runs(100.0), started_utc="2026-11-23T20:00:00+00:00", duration_s=100.0)
    write_block(tmp_path, runs(100.0), strategy="switch-b1", started_utc="2026-11-23T20:02:00+00:00", duration_s=60.0)
    found = values_of(write_config(tmp_path, ("switch-b2", "switch-b1")))
    assert found[Series(Kind.WALL_TIME, "wall time", GRID)].median == 180.0


def test_of_a_delay_of_zero_there_is_no_share(root):
    results = load_results(root)
    tables = build_tables(results)
    conditions = tables.conditions.assign(link_delay_ms_requested=0.0)
    night = summarise(results, replace(tables, conditions=conditions), 0.9)
    assert "link delay" not in {value.series.name for value in night.values}
    assert msgspec.json.decode(msgspec.json.encode(night), type=Night) == night


def test_a_run_without_a_row_is_not_ok_and_a_block_without_a_folder_is_missing(tmp_path):
    root = write_night(tmp_path)
    config = json.loads((root / "config.json").read_text())
    config |= {"repeats": 8, "strategies": [*config["strategies"], "switch-a1"]}
    (root / "config.json").write_text(json.dumps(config))
    night = summary_of(root, ok_share=0.1)
    failures = {value.series.of: value for value in night.values if value.series.kind is Kind.FAILURES}
    assert {(value.median, value.n) for value in failures.values()} == {(25.0, 16)}
    assert night.missing == ("vgg19/switch-a1/cpu100-mem100",)


def test_runs_that_are_not_ok_count_as_failures_and_in_no_median(tmp_path):
    bad = [RunSpec(status=Status.FAILED, reason="died", measured=True, routed_ms=9000.0)] * 3
    write_block(tmp_path, [*runs(100.0)[:9], *bad])
    found = values_of(write_config(tmp_path))
    assert found[Series(Kind.FAILURES, "runs not ok", BLOCK)].median == 25.0
    assert max(value.median for series, value in found.items() if series.kind is Kind.DOWNTIME) < 300


def test_a_night_says_who_measured_it_by_what(root):
    found = summary_of(root)
    assert found.commit == "0123456789abcdef0123456789abcdef01234567"
    assert found.blocks == {BLOCK: "c0ffee" * 8, OTHER: "c0ffee" * 8}
    assert (found.runs_asked, found.runs_measured, found.short) == (24, 24, None)
    assert found.hosts["edge cpu_model"] == "Synthetic CPU 3000"
    assert found.environment["edge tensorflow"] == "2.21.0"


def test_the_same_results_are_the_same_night_and_others_another(root, tmp_path):
    other = write_night(tmp_path / "other", started_utc="2026-11-24T20:00:00Z")
    assert summary_of(root).id == summary_of(root).id != summary_of(other).id


def test_a_night_keeps_what_it_is_through_the_history(root):
    found = summary_of(root)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Night) == found


def test_a_night_without_enough_runs_is_short_and_says_so(root):
    config = json.loads((root / "config.json").read_text())
    (root / "config.json").write_text(json.dumps(config | {"repeats": 10}))
    found = summary_of(root)
    assert (found.runs_asked, found.runs_measured) == (40, 24)
    assert found.short.startswith("24 of 40 runs gave a result")
    assert summary_of(root, ok_share=0.6).short is None


def test_what_does_not_fit_is_a_result(tmp_path):
    infeasible = [RunSpec(status=Status.INFEASIBLE, reason="out of memory")] * 6
    write_block(tmp_path, infeasible)
    assert summary_of(write_config(tmp_path, repeats=3)).short is None


def test_what_failed_is_none(tmp_path):
    write_block(tmp_path, [RunSpec(status=Status.FAILED, reason="no agent")] * 6)
    assert summary_of(write_config(tmp_path, repeats=3)).short.startswith("0 of 6 runs")


@pytest.mark.parametrize("config", [None, "{", '{"models": {}}'])
def test_without_the_config_nobody_knows_what_is_missing(root, config):
    path = root / "config.json"
    path.unlink() if config is None else path.write_text(config)
    with pytest.raises(NightError, match=r"config.json is missing or says of no grid.*Copy it from where"):
        summary_of(root)


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"commit": "f" * 40}, "2 commits"), ({"protocol_version": 9}, "2 protocol"), ({"choices": {}}, "2 classes")],
)
def test_blocks_of_two_nights_are_no_night(root, changed, said):
    write_block(root, runs(100.0), strategy="switch-a1", **changed)
    with pytest.raises(NightError, match=f"is no single night: its blocks are of {said}"):
        summary_of(root)


def test_an_empty_folder_is_no_night(tmp_path):
    with pytest.raises(NothingToReport):
        summary_of(tmp_path)


# --- samples ------------------------------------------------------------------------------------------------


def test_a_samples_value_is_the_series_value(root):
    results = load_results(root)
    found = {sample.series: sample.value() for sample in samples(results, build_tables(results))}
    measured = values_of(root)
    assert all(measured[series] == value for series, value in found.items())
    assert measured.keys() - found.keys() == {
        Series(Kind.DOWNTIME, "downtime", strategy, EVERYWHERE) for strategy in ("switch-b2", "pause-resume")
    }


def test_a_rate_is_hits_of_totals_and_nothing_offered_has_none():
    series = Series(Kind.DROPS, "dropped", BLOCK)
    assert Sample(series, (1.0, 2.0), (10.0, 20.0)).value().median == 10.0
    assert Sample(series, (0.0,), (0.0,)).value() is None
    assert Sample(DOWNTIME, ()).value() is None


# --- hosts --------------------------------------------------------------------------------------------------


def record(**facts):
    found = block_record((), "vgg19", "switch-b2", 100.0, 100.0)
    hosts = {role: of_role | facts for role, of_role in found.hosts.items()}
    return msgspec.structs.replace(found, hosts=hosts)


@pytest.mark.parametrize("facts", [{"kernel": "6.2"}, {"memory_mb": 8030}, {"packages": {"tensorflow": "2.22"}}])
def test_an_update_leaves_the_class_of_hosts(facts):
    assert class_facts(record(**facts)) == class_facts(record())


@pytest.mark.parametrize("facts", [{"cpu_model": "B"}, {"cpus": 4}, {"memory_mb": 16000}, {"governor": "powersave"}])
def test_other_hardware_is_another_class(facts):
    assert host_class(class_facts(record(**facts))) != host_class(class_facts(record()))


def test_an_engines_version_is_an_update_but_another_engine_another_class():
    podman = record()
    newer = msgspec.structs.replace(podman, choices=podman.choices | {"edge_runtime": "podman 5.0"})
    docker = msgspec.structs.replace(podman, choices=podman.choices | {"edge_runtime": "docker 27"})
    assert class_facts(newer) == class_facts(podman) != class_facts(docker)
    assert environment(newer) != environment(podman)


def test_differences_name_what_changed_once_for_all_roles():
    found = differences(environment(record()), environment(record(kernel="6.2")))
    assert found == ["cloud, device, edge kernel 6.1.0-synthetic → 6.2"]
    assert differences({}, {"delay": "netem"}) == ["delay none → netem"]


def test_a_series_of_a_strategy_depends_on_all_blocks_of_it():
    series = Series(Kind.DOWNTIME, "downtime", "switch-b2", EVERYWHERE)
    first = Likeness(night(1, {}))
    assert first.of(series) == Likeness(night(1, {}, blocks={BLOCK: "c1", OTHER: "c2"})).of(series)
    assert first.of(series) != Likeness(night(1, {}, blocks={BLOCK: "c2", OTHER: "c1"})).of(series)


def test_a_night_of_profiles_alone_measured_nothing_and_has_no_samples(tmp_path):
    write_profile(tmp_path, ProfileSpec(vgg19()))
    results = load_results(tmp_path)
    tables = build_tables(results)
    with pytest.raises(NothingToReport, match="can be read: there is none"):
        summarise(results, tables, 0.9)
    assert list(samples(results, tables)) == []
