"""The harness's share of a frame's time, and the device's schedule: hand-computed."""

import pytest

from report.metrics.harness import off_schedule_ms, overhead, overheads
from tests.synthetic import MS
from workers.latency import Link, transfer_ms
from workers.records import DeviceFrame, EdgeFrame, Outcome

FREE = Link(1000.0, 0.0)


def frame(**changed):
    """A frame: 0.3 ms until its head begins, 10 ms of head, 26 ms until the answer, of which 5 ms tail."""
    stamps = {
        "received_ns": 1_000 * MS,
        "outcome": Outcome.ANSWERED,
        "settled_ns": round(1_036.3 * MS),
        "head_ms": 10.0,
        "head_done_ns": round(1_010.3 * MS),
        "cut_bytes": 1448,
        "cloud_received_ns": 77,  # by another clock: must not matter
        "tail_ms": 5.0,
        "tail_done_ns": 99,
    } | changed
    return EdgeFrame(1, 0, **stamps)


def test_what_is_neither_head_tail_nor_wire_is_the_harness():
    link = Link(10.0, 20.0)  # 1514 bytes at 10 Mbit/s take 1.2112 ms
    found = overhead(frame(), link)
    assert transfer_ms(1448, link) == pytest.approx(21.2112)
    assert found.before_ms == pytest.approx(0.3)
    assert found.after_ms == pytest.approx(26.0 - 5.0 - 21.2112)
    assert found.total_ms == pytest.approx(0.0888)


def test_the_cloud_s_clock_does_not_matter():
    shifted = frame(cloud_received_ns=10**15, tail_done_ns=10**15 + 1)
    assert overhead(shifted, FREE) == overhead(frame(), FREE)


@pytest.mark.parametrize(
    "missing",
    [{"outcome": Outcome.BUSY}, {"settled_ns": None}, {"head_ms": None}, {"tail_ms": None}, {"head_done_ns": None}],
)
def test_a_frame_that_did_not_come_through_has_no_overhead(missing):
    assert overhead(frame(**missing), FREE) is None
    assert len(overheads([frame(), frame(**missing)], FREE)) == 1


def test_a_negative_overhead_is_shown_as_it_is():
    assert overhead(frame(), Link(1.0, 50.0)).after_ms < 0


def offered(number, at_ms):
    return DeviceFrame(1, number, round(at_ms * MS), Outcome.ANSWERED)


def test_frames_are_due_at_the_pace_from_the_first_one():
    frames = [offered(2, 202.5), offered(0, 100.0), offered(1, 149.0), offered(3, 250.0)]
    assert off_schedule_ms(frames, 20.0) == pytest.approx([-1.0, 2.5, 0.0])


def test_a_late_frame_does_not_make_the_next_ones_late():
    frames = [offered(0, 0.0), offered(1, 90.0), offered(2, 100.0)]
    assert off_schedule_ms(frames, 20.0) == pytest.approx([40.0, 0.0])


def test_without_frames_there_is_no_schedule():
    assert off_schedule_ms([], 20.0) == []
