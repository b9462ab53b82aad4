"""How long the edge took to notice: in the table of downtimes and on the page, and never in the downtime."""

import pytest

from report.load import load_results
from report.tables import build_tables
from report.view.detection import detection_grid
from tests.synthetic import RunSpec, write_block
from workers.records import Status

BY_ITSELF = {"choices": {"edge_runtime": "podman 4.3.1", "detection": "estimated"}}


def tables_of(root, runs, **changes):
    write_block(root, runs, strategy="switch-a1", **changes)
    return build_tables(load_results(root))


def test_the_delay_is_apart_from_the_downtime(tmp_path):
    row = tables_of(tmp_path, [RunSpec(noticed_ms=640.0, routed_ms=0.7)], **BY_ITSELF).downtime.iloc[0]
    assert row.status == "ok"
    assert row.detection_ms == pytest.approx(640)
    assert row.downtime_ms == pytest.approx(0.7)
    assert (row.noticed_mbps, row.wrong_decisions) == (pytest.approx(4.85), 0)


def test_the_change_is_the_one_after_the_link_not_the_last(tmp_path):
    spec = RunSpec(noticed_ms=640.0, routed_ms=0.7, wrong_ms=900.0)
    row = tables_of(tmp_path, [spec], **BY_ITSELF).downtime.iloc[0]
    assert (row.detection_ms, row.downtime_ms) == (pytest.approx(640), pytest.approx(0.7))
    assert row.wrong_decisions == 1


def test_an_edge_that_is_told_has_no_delay(tmp_path):
    tables = tables_of(tmp_path, [RunSpec(), RunSpec(noticed_ms=10.0)], choices={"detection": "notified"})
    assert tables.downtime[["detection_ms", "noticed_mbps", "wrong_decisions"]].isna().all(axis=None)
    assert detection_grid(tables).is_empty


def test_blocks_from_before_there_was_a_choice_were_told(tmp_path):
    assert detection_grid(tables_of(tmp_path, [RunSpec()])).is_empty


def test_the_page_counts_wrong_decisions_in_all_runs_and_delays_in_those_that_are_ok(tmp_path):
    good = [RunSpec(noticed_ms=600.0 + 10 * i, repeat=i) for i in range(6)]
    reason = "edge: wrong decision in run 7"
    bad = RunSpec(noticed_ms=5.0, wrong_ms=300.0, status=Status.FAILED, reason=reason, measured=True)
    back = [RunSpec(from_mbps=5.0, to_mbps=20.0, noticed_ms=300.0)]
    (group,) = detection_grid(tables_of(tmp_path, [*good, bad, *back], **BY_ITSELF)).groups
    slower, faster = [[cell.text.replace("\xa0", " ") for cell in row] for row in group.rows]
    assert slower == ["switch-a1", "20 → 5", "625 ms [600, 650]", "650 ms", "6", "4.85", "1", "7"]
    assert faster == ["switch-a1", "5 → 20", "300 ms", "300 ms", "1", "19.4", "0", "1"]
