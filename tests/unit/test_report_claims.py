"""Claims against made-up results: each state is reached by data that deserve it."""

import math
import re
from dataclasses import replace

import pytest

from report.claims import State, verdicts
from report.claims.decision import decide, worst
from report.load import load_results
from report.metrics.statistics import Interval
from report.tables import build_tables
from tests.synthetic import RunSpec, Work, write_block
from tests.synthetic_profiles import ProfileSpec, vgg19, write_profile
from workers.records import Status

FULL = 0.96


def interval(low, high, coverage=FULL):
    return Interval((low + high) / 2, low, high, 8, coverage)


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (interval(10.0, 12.0), State.HOLDS),
        (interval(9.0, 12.0), State.UNDECIDED),
        (interval(8.0, 9.9), State.DOES_NOT_HOLD),
        (interval(math.nan, math.nan), State.UNDECIDED),
        (interval(10.0, 12.0, coverage=0.93), State.UNDECIDED),
    ],
)
def test_an_interval_decides_only_where_it_is_on_one_side(found, state):
    assert decide(found, above=10.0) is state


def test_one_failure_refutes_and_none_tests_nothing():
    assert worst([State.HOLDS, State.UNDECIDED, State.DOES_NOT_HOLD]) is State.DOES_NOT_HOLD
    assert worst([State.HOLDS, State.UNDECIDED]) is State.UNDECIDED
    assert worst([]) is State.NOT_TESTED


def restarts(seconds, n=8):
    """Runs of the baseline, a few milliseconds apart."""
    return [
        RunSpec(
            works=(Work("rebuild", seconds * 1000 + i),),
            stopped_ms=0.1,
            resumed_ms=seconds * 1000 + i + 1,
            repeat=i,
        )
        for i in range(n)
    ]


def switches(ms, kind=None, n=8, **changes):
    works = (Work(kind, ms - 0.3),) if kind else ()
    return [replace(RunSpec(works=works, routed_ms=ms + i * ms / 1000, repeat=i), **changes) for i in range(n)]


def states(root, **blocks):
    for strategy, specs in blocks.items():
        write_block(root, specs, strategy=strategy.replace("_", "-"))
    return {verdict.key: verdict for verdict in verdicts(build_tables(load_results(root)))}


def test_the_papers_world_holds(tmp_path):
    twice = {"edge": 1400.0, "cloud": 1800.0}
    found = states(
        tmp_path,
        pause_resume=restarts(6.0),
        switch_a1=switches(0.5),
        switch_b1=switches(1900, "launch", peak_mb=twice),
        switch_b2=switches(590, "build"),
    )
    held = {key for key, verdict in found.items() if verdict.state is State.HOLDS}
    assert held == {"outage", "scenario-a", "b2-memory", "b2-speed", "b1-between", "served"}
    untested = {key for key, verdict in found.items() if verdict.state is State.NOT_TESTED}
    assert untested == {"availability", "fps", "infeasible", "best-by-speed", "best-by-cpu", "best-by-memory"}


def test_another_world_does_not(tmp_path):
    found = states(
        tmp_path,
        pause_resume=restarts(0.8),
        switch_a1=switches(1.4),
        switch_b1=switches(3000, "launch"),
        switch_b2=switches(400, "build", n=20, busy_every=1, peak_mb={"edge": 800.0, "cloud": 1000.0}),
    )
    refuted = {key for key, verdict in found.items() if verdict.state is State.DOES_NOT_HOLD}
    assert refuted == {"outage", "scenario-a", "b2-memory", "b2-speed", "b1-between", "served"}


def test_too_few_runs_decide_nothing(tmp_path):
    found = states(tmp_path, pause_resume=restarts(6.0, n=5), switch_a1=switches(0.5, n=1))
    assert found["outage"].state is State.UNDECIDED
    assert found["scenario-a"].state is State.UNDECIDED
    assert "n = 5, range: covers 94% only" in found["outage"].findings[0].figure
    assert "n = 1, no interval" in found["scenario-a"].findings[0].figure


@pytest.mark.parametrize(
    ("stressed_ms", "state"),
    [(590, State.HOLDS), (1200, State.DOES_NOT_HOLD), (648, State.UNDECIDED)],
)
def test_availability_compares_most_with_least(tmp_path, stressed_ms, state):
    write_block(tmp_path, switches(590, "build"), cpu_pct=100)
    write_block(tmp_path, switches(stressed_ms, "build"), cpu_pct=25)
    found = {verdict.key: verdict for verdict in verdicts(build_tables(load_results(tmp_path)))}
    assert found["availability"].state is state
    (finding,) = found["availability"].findings
    assert "25 %" in finding.figure


def decided(root):
    return {verdict.key: verdict for verdict in verdicts(build_tables(load_results(root)))}


def test_strategies_are_compared_at_the_highest_availability_alone(tmp_path):
    write_block(tmp_path, restarts(6.0), strategy="pause-resume")
    write_block(tmp_path, switches(500, "build"))
    write_block(tmp_path, switches(0.4), strategy="switch-a1")
    # Under stress everything is otherwise; none of it may enter.
    write_block(tmp_path, restarts(0.1, n=40), strategy="pause-resume", cpu_pct=25)
    write_block(tmp_path, switches(9000, "build", n=40, busy_every=1), mem_pct=25)
    write_block(tmp_path, switches(70, n=40), strategy="switch-a1", cpu_pct=25)
    found = decided(tmp_path)
    for key in ("outage", "scenario-a", "b2-speed", "served", "b2-memory"):
        assert found[key].state is State.HOLDS, key
        conditions = {finding.condition for finding in found[key].findings}
        assert conditions == {"100 % CPU, 100 % memory; 10 FPS"}, key


def test_a_strategy_that_was_not_measured_at_the_reference_condition_is_not_compared(tmp_path):
    write_block(tmp_path, restarts(6.0), strategy="pause-resume")
    write_block(tmp_path, switches(500, "build"), cpu_pct=50)
    assert decided(tmp_path)["b2-speed"].state is State.NOT_TESTED


def test_availability_is_compared_along_an_axis_with_the_other_at_its_highest(tmp_path):
    for cpu_pct, mem_pct, ms in ((100, 100, 590), (50, 100, 600), (25, 100, 580), (100, 50, 595), (50, 50, 5000)):
        write_block(tmp_path, switches(ms, "build", n=10), cpu_pct=cpu_pct, mem_pct=mem_pct)
    write_block(tmp_path, [RunSpec(status=Status.INFEASIBLE, reason="OOM")], mem_pct=10)
    verdict = decided(tmp_path)["availability"]
    assert verdict.state is State.HOLDS
    cpu, memory = verdict.findings
    assert cpu.subject == "vgg19, switch-b2: CPU"
    assert cpu.condition == "100 % memory; 10 FPS"
    figure = cpu.figure.replace("\xa0", " ")
    assert "over 100, 50 and 25 % between 583 ms (at 25 %) and 603 ms (at 50 %); n = 10 a level" in figure
    assert memory.condition == "100 % CPU; 10 FPS"
    assert "over 100 and 50 %" in memory.figure
    assert memory.figure.endswith("; no run is ok at 10 %")


def test_that_the_baseline_was_not_measured_under_stress_is_said(tmp_path):
    write_block(tmp_path, restarts(6.0), strategy="pause-resume")
    for cpu_pct in (100, 50):
        write_block(tmp_path, switches(590, "build"), cpu_pct=cpu_pct)
    verdict = decided(tmp_path)["availability"]
    assert verdict.state is State.UNDECIDED
    assert {finding.subject: finding.state for finding in verdict.findings} == {
        "vgg19, switch-b2: CPU": State.HOLDS,
        "vgg19, pause-resume: CPU": State.NOT_TESTED,
        "vgg19, pause-resume: memory": State.NOT_TESTED,
    }
    assert "within 10 % or 0.5 ms counts as the same" in verdict.findings[0].figure.replace("\xa0", " ")


def test_what_holds_holds_for_every_model_of_the_grid(tmp_path):
    write_block(tmp_path, switches(0.4), strategy="switch-a1")
    tables = build_tables(load_results(tmp_path))
    states = [
        {verdict.key: verdict.state for verdict in verdicts(tables, models)}["scenario-a"]
        for models in ((), ("vgg19",), ("vgg19", "mobilenetv2"))
    ]
    assert states == [State.HOLDS, State.HOLDS, State.UNDECIDED]


def test_a_level_between_the_ends_can_refute_that_availability_does_not_matter(tmp_path):
    for cpu_pct, ms in ((100, 590), (50, 1500), (25, 590)):
        write_block(tmp_path, switches(ms, "build", n=10), cpu_pct=cpu_pct)
    assert decided(tmp_path)["availability"].state is State.DOES_NOT_HOLD


def test_infeasible_runs_bring_their_evidence(tmp_path):
    refused = RunSpec(status=Status.INFEASIBLE, reason="OOM", exit_code=137, oom_kills=1)
    copied = RunSpec(status=Status.INFEASIBLE, reason="not tried again after: OOM")
    write_block(tmp_path, [refused, copied, RunSpec(status=Status.FAILED, reason="died")], mem_pct=10)
    (finding,) = decided(tmp_path)["infeasible"].findings
    assert finding.figure == (
        "2 of 3 runs infeasible, 0 ran; the kernel killed 1 for want of memory, after which 1 other had no try; "
        "1 failed for another reason or cannot be read"
    )
    assert finding.condition == "100 % CPU, 10 % memory; 10 FPS"


def test_more_drops_at_higher_frame_rates(tmp_path):
    slow = switches(1900, "launch", fps=5.0, busy_every=0)
    fast = switches(1900, "launch", fps=20.0, busy_every=2)
    write_block(tmp_path, [*slow, *fast], strategy="switch-b1")
    found = {verdict.key: verdict for verdict in verdicts(build_tables(load_results(tmp_path)))}
    assert found["fps"].state is State.HOLDS
    assert "at 5 FPS" in found["fps"].findings[0].figure


def test_little_memory_is_infeasible_until_a_run_says_otherwise(tmp_path):
    refused = [RunSpec(status=Status.INFEASIBLE, reason="OOM") for _ in range(3)]
    write_block(tmp_path, refused, mem_pct=10, strategy="switch-a1")
    assert decided(tmp_path)["infeasible"].state is State.HOLDS
    write_block(tmp_path, switches(590, "build"), mem_pct=5)
    verdict = decided(tmp_path)["infeasible"]
    assert verdict.state is State.DOES_NOT_HOLD
    assert [(finding.subject, finding.state) for finding in verdict.findings] == [
        ("vgg19, switch-a1", State.HOLDS),
        ("vgg19, switch-b2", State.DOES_NOT_HOLD),
    ]


def test_little_memory_is_undecided_where_all_failed_for_another_reason(tmp_path):
    write_block(tmp_path, [RunSpec(status=Status.FAILED, reason="died")], mem_pct=10)
    assert decided(tmp_path)["infeasible"].state is State.UNDECIDED


def test_with_little_memory_it_is_said_what_was_left_and_what_the_pipelines_take(tmp_path):
    write_block(tmp_path, switches(590, "build"))
    stress = {"memory_bytes": 8e9, "mem_taken_bytes": 7.2e9, "mem_pct": 9.5}
    write_block(tmp_path, [RunSpec(status=Status.INFEASIBLE, reason="OOM")], mem_pct=10, stress=stress)
    (finding,) = decided(tmp_path)["infeasible"].findings
    # The cgroups are charged with nine tenths of the 700 MB.
    assert finding.why == (
        "The stressor left 760 MB of the edge's memory; with all of it the strategy is charged with 630 MB."
    )


def launched(ms, n=8):
    parts = {"edge_read_ms": ms - 500.0, "edge_import_ms": 400.0, "cloud_import_ms": 300.0}
    return [RunSpec(works=(Work("launch", ms, parts),), routed_ms=ms + i, repeat=i) for i in range(n)]


def rebuilt(ms, n=8):
    parts = {"edge_read_ms": 100.0, "edge_import_ms": 390.0, "cloud_import_ms": 300.0}
    return [
        RunSpec(works=(Work("rebuild", ms, parts),), stopped_ms=0.1, resumed_ms=ms + i + 1, repeat=i) for i in range(n)
    ]


def test_what_keeps_b1_longer_than_the_baseline_is_named(tmp_path):
    write_block(tmp_path, rebuilt(2000.0), strategy="pause-resume")
    write_block(tmp_path, launched(5000.0), strategy="switch-b1")
    write_block(tmp_path, switches(500, "build"))
    verdict = decided(tmp_path)["b1-between"]
    assert verdict.state is State.DOES_NOT_HOLD
    (finding,) = verdict.findings
    assert finding.why.replace("\xa0", " ") == (
        "switch-b1 takes longest on the edge, there more than pause-resume for read 4.50 s against 100 ms."
    )
    assert finding.short.replace("\xa0", " ") == (
        "B2 502 ms [500, 504], B1 5.00 s [5.00, 5.01], baseline 2.00 s [2.00, 2.01], n = 8"
    )


def test_what_a_short_outage_is_made_of_is_named(tmp_path):
    write_block(tmp_path, rebuilt(800.0), strategy="pause-resume")
    (finding,) = decided(tmp_path)["outage"].findings
    assert finding.state is State.DOES_NOT_HOLD
    assert finding.why.replace("\xa0", " ") == (
        "The edge works longest, 490 ms: mostly import 390 ms (80 %) and read 100 ms (20 %)."
    )


def test_memory_above_the_baselines_is_split_into_rest_and_peak(tmp_path):
    write_block(tmp_path, restarts(6.0), strategy="pause-resume")
    write_block(tmp_path, switches(500, "build", peak_mb={"edge": 1400.0, "cloud": 1800.0}))
    findings = decided(tmp_path)["b2-memory"].findings
    assert [finding.state for finding in findings] == [State.DOES_NOT_HOLD] * 2
    assert all(re.match(r"At rest it has \d+ MB; the rest of its peak", finding.why) for finding in findings)


def test_b2s_memory_is_held_against_what_the_baseline_takes_at_most(tmp_path):
    peak = {"edge": 1400.0, "cloud": 1800.0}
    write_block(tmp_path, [replace(run, peak_mb=peak) for run in restarts(6.0)], strategy="pause-resume")
    write_block(tmp_path, switches(500, "build", peak_mb=peak))
    findings = decided(tmp_path)["b2-memory"].findings
    assert [finding.state for finding in findings] == [State.HOLDS] * 2
    assert all("1.00×" in finding.figure for finding in findings)
    largest = "1,400 MB [1,400, 1,400]"
    assert findings[0].short.replace("\xa0", " ") == f"{largest} against {largest} of pause-resume, n = 8"


def test_memory_is_undecided_where_the_baselines_own_largest_is_uncertain(tmp_path):
    either = [
        replace(run, peak_mb={"edge": (1000.0, 1400.0)[number % 2], "cloud": 1800.0})
        for number, run in enumerate(restarts(6.0))
    ]
    write_block(tmp_path, either, strategy="pause-resume")
    write_block(tmp_path, switches(500, "build", peak_mb={"edge": 1200.0, "cloud": 1800.0}))
    findings = {finding.subject: finding for finding in decided(tmp_path)["b2-memory"].findings}
    assert findings["vgg19, edge"].state is State.UNDECIDED
    assert "against at most 1,200 MB [1,000, 1,400] of pause-resume" in findings["vgg19, edge"].figure.replace(
        "\xa0", " "
    )
    assert findings["vgg19, cloud"].state is State.HOLDS


def test_memory_is_undecided_where_size_and_charge_contradict_each_other(tmp_path):
    write_block(tmp_path, restarts(6.0), strategy="pause-resume")
    write_block(tmp_path, switches(500, "build", peak_mb={"edge": 1400.0, "cloud": 1800.0}))
    tables = build_tables(load_results(tmp_path))
    memory = tables.memory.assign(cgroup_total_mb=tables.memory["cgroup_initial_mb"])
    found = {verdict.key: verdict for verdict in verdicts(replace(tables, memory=memory))}["b2-memory"]
    assert {finding.state for finding in found.findings} == {State.UNDECIDED}
    assert all("say opposite things" in finding.why for finding in found.findings)


def test_directions_that_are_apart_are_told_apart(tmp_path):
    runs = restarts(6.0)
    back = [replace(run, from_mbps=5.0, to_mbps=20.0) for run in restarts(8.0)]
    write_block(tmp_path, runs + back, strategy="pause-resume")
    (finding,) = decided(tmp_path)["outage"].findings
    assert "20 → 5 Mbit/s 6.00 s and 5 → 20 Mbit/s 8.00 s" in finding.figure.replace("\xa0", " ")


def test_a_claim_that_holds_needs_no_reason(tmp_path):
    write_block(tmp_path, restarts(6.0), strategy="pause-resume")
    write_block(tmp_path, launched(1900.0), strategy="switch-b1")
    write_block(tmp_path, switches(500, "build"))
    found = decided(tmp_path)
    for key in ("b1-between", "b2-speed", "outage"):
        assert [(finding.state, finding.why) for finding in found[key].findings] == [(State.HOLDS, "")]


def test_a_smaller_ratio_is_traced_to_the_strategy_that_differs_from_the_paper(tmp_path):
    write_block(tmp_path, restarts(1.5), strategy="pause-resume")
    write_block(tmp_path, switches(600, "build"))
    (finding,) = decided(tmp_path)["b2-speed"].findings
    assert finding.state is State.DOES_NOT_HOLD
    assert finding.why == (
        "pause-resume takes 0.25 times as long as in the paper (≈ 6 s) and "
        "switch-b2 takes 1.0 times as long as in the paper (≈ 0.6 s)."
    )


def test_frames_served_meanwhile_are_told_by_direction_with_what_became_of_the_others(tmp_path):
    slower = switches(1900, "launch", busy_every=1)
    faster = switches(1900, "launch", from_mbps=5.0, to_mbps=20.0)
    write_block(tmp_path, [*slower, *faster], strategy="switch-b1")
    to_slow, to_fast = decided(tmp_path)["served"].findings
    assert to_slow.subject.replace("\xa0", " ") == "vgg19, switch-b1, to 5 Mbit/s"
    # Frames every 100 ms, the first at t0: 20 a run within 1900 to 1913 ms.
    assert to_slow.figure.replace("\xa0", " ") == "0 of 160 frames answered, 0 % [0, 2]; before the change 100 %"
    assert (to_slow.state, to_slow.why) == (State.DOES_NOT_HOLD, "Dropped: 160 busy.")
    assert (to_fast.state, to_fast.why) == (State.HOLDS, "")


def test_where_the_link_holds_frames_up_the_time_of_sending_one_is_said(tmp_path):
    write_block(tmp_path, switches(500, "build", busy_every=1))
    write_profile(tmp_path, ProfileSpec(vgg19()))
    (finding,) = decided(tmp_path)["served"].findings
    # Point 16 puts out 1,605,632 bytes; with 66 of headers for every 1448 and 20 ms of delay at 5 Mbit/s.
    assert finding.why.replace("\xa0", " ").endswith("s on the new link, a frame comes every 100 ms.")
