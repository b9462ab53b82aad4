"""What the page carries of every run: as in the tables, and of those that cannot all be there it says which."""

import json

import numpy as np
import pytest

from report.explore.runs import OUTSIDE, WITHIN
from report.load import load_results
from report.tables import build_tables
from report.view import explore
from tests.synthetic import RunSpec, Work, write_block
from tests.unit.test_explore_columns import unpacked
from workers.records import Conditions, Status

TRACES = {"edge_trace_ms": 380.0, "cloud_trace_ms": 290.0}
RUNS = [
    RunSpec(
        works=(Work("build", 600, {"edge_trace_ms": 380.0, "cloud_trace_ms": 290.0}),), routed_ms=601, busy_every=3
    ),
    RunSpec(from_mbps=5.0, to_mbps=20.0, status=Status.FAILED, reason="</script><img src=x onerror=alert(1)>"),
    RunSpec(achieved=Conditions(5.0, 14.1, 20.2, 99, 99, 10.0)),
    RunSpec(status=Status.INFEASIBLE, reason="out of memory", exit_code=137, oom_kills=1),
]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    write_block(root, RUNS)
    results = load_results(root)
    return results, build_tables(results)


def columns(packed):
    return {name: unpacked(json.dumps(column)) for name, column in packed.items()}


@pytest.fixture(scope="module")
def view(measured):
    return explore.explore_view(*measured, "..")


@pytest.fixture(scope="module")
def data(view):
    return json.loads(view.data)


def test_every_run_is_there_as_in_the_tables(measured, data, view):
    _, tables = measured
    rows = columns(data["rows"])
    assert rows["run"] == [1, 2, 3, 4]
    assert rows["status"] == ["ok", "failed", "ok", "infeasible"]
    assert rows["downtime_ms"] == [601, None, 0.5, None]
    assert rows["from_mbps"] == tables.downtime["from_mbps"].tolist()
    assert rows["flag"] == [WITHIN, WITHIN, OUTSIDE, WITHIN]
    assert rows["reason"][1] == RUNS[1].reason
    assert view.scope == "All 4 runs are in the table, each with its details."


def test_frames_and_conditions_are_those_of_the_run(measured, data):
    _, tables = measured
    details = columns(data["details"]["columns"])
    during = tables.frames[(tables.frames["window"] == "downtime") & (tables.frames["run"] == 1)].iloc[0]
    assert during["dropped_busy"] == 2
    assert details["downtime_dropped_busy"][0] == 2
    assert details["downtime_offered"][0] == during["offered"]
    assert details["downtime_offered"][1] is None
    assert details["link_mbps_after_achieved"][2] == 14.1
    assert details["exit_code"] == [None, None, None, 137]


def test_parts_are_those_of_the_run(data):
    details = data["details"]
    shapes = unpacked(json.dumps(details["shape"]))
    assert shapes[1:] == [-1, -1, -1]
    assert details["shapes"][shapes[0]] == [["build", "edge", "trace"], ["build", "cloud", "trace"]]
    assert details["ms"] == [380, 290]


def test_raw_files_are_those_in_the_folder_and_the_record_comes_first(data):
    (names,) = data["rest"]["files"].values()
    assert names[0] == "run.json"
    assert "edge-events.jsonl" in names


def test_nothing_in_the_data_is_markup(view):
    assert "<" not in view.data


def test_of_too_many_runs_those_that_need_a_look_stay_and_the_page_says_so(measured, data, monkeypatch):
    whole = json.dumps(data["details"], separators=(",", ":"))
    monkeypatch.setattr(explore, "MOST_OF_DETAILS", len(whole) - 50)
    view = explore.explore_view(*measured, "..")
    of = json.loads(view.data)["details"]["of"]
    assert of
    assert 0 not in of  # the one run that is ok and within tolerance
    assert view.scope.startswith("All 4 runs are in the table. ")
    assert "open with all details: " in view.scope


def flags(places, count):
    marked = np.zeros(count, dtype=bool)
    marked[list(places)] = True
    return marked


@pytest.mark.parametrize(
    ("shown", "opened", "said"),
    [
        (range(9), (0, 1, 5), "All 9 runs are in the table. 3 of them open with all details: all that are not ok or"),
        (
            (0, 1, 5, 7),
            (0, 1),
            "4 of 9 runs are in the table: all that are not ok or out of tolerance (2) and a sample",
        ),
        ((0, 5), (0, 1), "2 of 9 runs are in the table: a sample of the 2 that are not ok or out of tolerance, drawn"),
    ],
)
def test_the_page_says_which_runs_it_carries(shown, opened, said):
    marked = flags((0, 1), 9)
    assert explore.scope_of(marked, np.array(shown), np.array(opened)).startswith(said)


def test_a_run_that_stands_twice_in_its_block_is_two_rows(tmp_path):
    folder = write_block(tmp_path, [RunSpec(), RunSpec()])
    record = json.loads((folder / "run.json").read_text())
    record["runs"].append(record["runs"][0])
    (folder / "run.json").write_text(json.dumps(record))
    results = load_results(tmp_path)
    rows = columns(json.loads(explore.explore_view(results, build_tables(results), "..").data)["rows"])
    assert rows["run"] == [1, 2, 1]
    assert rows["status"] == ["invalid", "ok", "invalid"]
