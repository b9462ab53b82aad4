"""How long the edge took to notice, and which decisions were wrong."""

import pytest

from report.metrics.detection import Detection, detection
from tests.synthetic import MS, RunSpec, run_record
from workers.records import Event, EventKind

RUN = run_record(RunSpec(), 1, 100, 100)  # from 20 to 5 Mbit/s, from point 16 to 21


def link(ms, mbps=5.0):
    return Event(1, round(ms * MS), EventKind.LINK_SET, {"mbps": mbps, "delay_ms": 20.0, "took_ms": 3.0})


def noticed(ms, point=21, mbps=4.9):
    return Event(1, round(ms * MS), EventKind.SPEED_NOTICED, {"mbps": mbps, "point": point, "evidence": 3})


def learned(ms, mbps=4.9):
    return Event(1, round(ms * MS), EventKind.CHANGE_LEARNED, {"mbps": mbps, "from_point": 16, "to_point": 21})


def test_the_delay_is_from_the_link_to_the_edge():
    assert detection(RUN, [link(100), noticed(850), learned(850)]) == Detection(pytest.approx(750), 4.9, 0)


def test_the_order_in_the_log_does_not_matter():
    assert detection(RUN, [learned(850), noticed(850), link(100)]).detection_ms == pytest.approx(750)


def test_a_decision_before_the_link_changed_is_wrong_and_not_the_delay():
    found = detection(RUN, [noticed(20), learned(20), link(100), noticed(400), learned(401)])
    assert found == Detection(pytest.approx(301), 4.9, 1)


def test_a_second_decision_is_wrong():
    events = [link(100), noticed(400), learned(400), noticed(900, point=16, mbps=19), learned(900)]
    assert detection(RUN, events) == Detection(pytest.approx(300), 4.9, 1)


def test_a_decision_for_another_point_is_wrong():
    assert detection(RUN, [link(100), noticed(400, point=17, mbps=11), learned(400)]) == Detection(
        pytest.approx(300), None, 1
    )


def test_a_change_that_was_not_noticed_has_no_delay():
    assert detection(RUN, [link(100)]) == Detection(None, None, 0)


def test_the_speed_that_a_run_starts_from_may_be_noticed_too():
    before = [link(0, 20.0), noticed(30, point=16, mbps=19.5), learned(30, 19.5)]
    assert detection(RUN, [*before, link(100), noticed(400), learned(400)]) == Detection(pytest.approx(300), 4.9, 0)
