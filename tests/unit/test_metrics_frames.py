"""Accounting of frames, the service gap, and the checks that make a run invalid."""

from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from report.metrics.clocks import Shift
from report.metrics.frames import count, in_window, service_gap, settle
from report.metrics.validity import contradictions
from tests.synthetic import MS
from workers.records import DeviceFrame, EdgeFrame, Outcome


def offered(number, at_ms, outcome=Outcome.ANSWERED, took_ms=50.0):
    came_back = outcome is not Outcome.LOST
    settled_ns = round((at_ms + took_ms) * MS) if came_back else None
    return DeviceFrame(1, number, round(at_ms * MS), outcome, settled_ns)


def reached(number, at_ms, outcome=Outcome.ANSWERED, **stamps):
    if outcome is Outcome.ANSWERED:
        stamps = {"cloud_received_ns": 7, "tail_done_ns": 9} | stamps
    return EdgeFrame(1, number, round(at_ms * MS), outcome, **stamps)


def outcomes(settled):
    return [frame.outcome for frame in settled]


def test_an_answer_after_the_deadline_is_late():
    device = [offered(0, 0, took_ms=100), offered(1, 10, took_ms=100.1)]
    assert outcomes(settle(device, [], deadline_ms=100)) == [Outcome.ANSWERED, Outcome.LATE]


def test_a_lost_frame_takes_the_edges_reason():
    device = [offered(n, n, Outcome.LOST) for n in range(3)]
    edge = [reached(0, 0, Outcome.PAUSED), reached(1, 1, Outcome.ANSWERED)]
    assert outcomes(settle(device, edge, 100)) == [Outcome.PAUSED, Outcome.LOST, Outcome.LOST]


def test_counts_by_reason():
    device = [offered(n, n, outcome) for n, outcome in enumerate([*Outcome, Outcome.BUSY])]
    counts = count(settle(device, [], 100))
    assert astuple(counts) == (7, 1, 1, 2, 1, 1, 1)
    assert counts.dropped == 6


@given(st.lists(st.tuples(st.sampled_from(Outcome), st.one_of(st.none(), st.sampled_from(Outcome)), st.floats(0, 300))))
def test_every_frame_offered_ends_in_exactly_one_outcome(frames):
    device = [offered(n, 10 * n, outcome, took) for n, (outcome, _, took) in enumerate(frames)]
    edge = [reached(n, 10 * n, outcome) for n, (_, outcome, _) in enumerate(frames) if outcome]
    settled = settle(device, edge, 100)
    counts = count(settled)
    assert counts.offered == len(frames) == counts.answered + counts.dropped
    whole = in_window(settled, 0, 10 * len(frames) * MS, Shift(0, 0))
    half = in_window(settled, 0, 5 * len(frames) * MS, Shift(0, 0))
    assert count(whole).offered == len(frames)
    assert count(half).offered <= count(whole).offered


def test_the_window_is_by_the_edges_clock():
    settled = settle([offered(n, 100 * n) for n in range(10)], [], 100)
    inside = in_window(settled, 5_200 * MS, 5_400 * MS, Shift(5_000 * MS, 1000))
    assert [frame.frame for frame in inside] == [2, 3, 4]


def test_without_an_offset_the_window_is_what_the_edge_received_in_it():
    device = [offered(n, 100 * n) for n in range(10)]
    edge = [reached(n, 77_000 + 100 * n) for n in (0, 1, 2, 4, 5, 9)]
    inside = in_window(settle(device, edge, 100), 77_150 * MS, 77_450 * MS, None)
    assert [frame.frame for frame in inside] == [2, 3, 4]  # 3 never reached the edge, its neighbours did


def test_a_window_between_two_frames_is_empty():
    settled = settle([offered(0, 0), offered(1, 100)], [], 100)
    assert count(in_window(settled, 10 * MS, 11 * MS, Shift(0, 0))).offered == 0


def gap_of(device, start_ms, end_ms, deadline_ms=500):
    found = service_gap(device, round(start_ms * MS), round(end_ms * MS), deadline_ms, fps=10)
    return None if found is None else (pytest.approx(found.ms, abs=1e-6), found.is_lower_bound)


def test_service_gap_is_the_longest_silence_minus_the_usual_one():
    answered = [*range(0, 1000, 100), *range(7000, 8000, 100)]
    device = [offered(n, at) for n, at in enumerate(answered)]
    assert gap_of(device, 1000, 6900) == ((7000 - 900) - 100, False)


def test_no_interruption_is_no_gap():
    device = [offered(n, 100 * n) for n in range(40)]
    assert gap_of(device, 2000, 2001) == (0, False)


def test_a_late_answer_is_no_service():
    device = [offered(n, 100 * n, took_ms=900 if 20 <= n < 25 else 50) for n in range(40)]
    assert gap_of(device, 2000, 2400) == (500, False)


def test_a_gap_long_after_the_change_is_another_matter():
    device = [offered(n, 100 * n) for n in range(100) if not 60 <= n < 80]
    assert gap_of(device, 2000, 2500) == (0, False)


def test_with_one_answer_before_the_change_the_usual_gap_is_the_devices_pace():
    device = [offered(0, 0), *(offered(n, 100 * n) for n in range(20, 40))]
    assert gap_of(device, 1000, 1500) == (2000 - 100, False)


def test_where_nothing_is_answered_any_more_the_gap_is_a_lower_bound():
    device = [offered(n, 100 * n, Outcome.ANSWERED if n < 20 else Outcome.LOST) for n in range(60)]
    # The last result came at 1950 ms, the last frame was offered at 5900 ms.
    assert gap_of(device, 2000, 2500) == (5900 - 1950 - 100, True)


def test_one_answer_after_the_change_and_then_none_is_a_lower_bound_too():
    device = [offered(n, 100 * n, Outcome.ANSWERED if n < 26 else Outcome.LOST) for n in range(60)]
    assert gap_of(device, 2000, 2500) == (5900 - 2550 - 100, True)


def test_the_longest_gap_counts_where_both_are_there():
    outcomes = [Outcome.LOST if 20 <= n < 50 or n >= 58 else Outcome.ANSWERED for n in range(60)]
    device = [offered(n, 100 * n, outcome) for n, outcome in enumerate(outcomes)]
    assert gap_of(device, 2000, 5600) == (5050 - 1950 - 100, False)


@pytest.mark.parametrize("kept", [range(21, 40), range(20), range(0)])
def test_no_gap_where_it_cannot_be_told(kept):
    device = [offered(n, 100 * n) for n in kept]
    assert gap_of(device, 2000, 2500) is None


@given(st.lists(st.sampled_from([Outcome.ANSWERED, Outcome.LOST]), min_size=2, max_size=60))
def test_a_gap_is_never_longer_than_the_device_looked_on(outcomes):
    device = [offered(n, 100 * n, outcome) for n, outcome in enumerate(outcomes)]
    found = service_gap(device, 1000 * MS, 1500 * MS, 500, fps=10)
    assert found is None or found.ms <= 100 * len(outcomes)
    if found is not None and found.is_lower_bound:
        assert found.ms > 0


DEVICE = [offered(n, 10 * n) for n in range(4)]
EDGE = [reached(n, 10 * n) for n in range(4)]


def test_clean_logs_have_no_contradiction():
    assert contradictions(DEVICE, EDGE) == ()


@pytest.mark.parametrize(
    ("device", "edge", "said"),
    [
        ([*DEVICE, DEVICE[2]], EDGE, "frame 2 recorded more than once by the device"),
        (DEVICE, [*EDGE, EDGE[3]], "frame 3 recorded more than once by the edge"),
        ([DEVICE[0], *DEVICE[2:]], EDGE, "frame 1 of no recorded outcome"),
        (DEVICE, [*EDGE, reached(9, 90)], "frame 9 seen by the edge but never offered"),
        (DEVICE, EDGE[1:], "frame 0 answered without having reached the edge"),
        (
            DEVICE,
            [EDGE[0], reached(1, 10, Outcome.BUSY), *EDGE[2:]],
            "frame 1 answered to the device but dropped by the edge",
        ),
        ([DeviceFrame(1, 0, 5, Outcome.ANSWERED), *DEVICE[1:]], EDGE, "frame 0 answered without a time"),
        ([*DEVICE[:3], offered(3, 30, took_ms=-1)], EDGE, "frame 3 answered before it was offered"),
        ([], EDGE, "the device recorded no frame"),
        (DEVICE, [*EDGE[:3], reached(3, 30, Outcome.LOST)], "frame 3 answered to the device but dropped by the edge"),
        ([*DEVICE[:3], offered(3, 30, Outcome.BUSY)], EDGE, "frame 3 answered by the edge's own record but dropped"),
        (
            [*DEVICE[:3], offered(3, 30, Outcome.BUSY)],
            [*EDGE[:3], reached(3, 30, Outcome.PAUSED)],
            "frame 3 dropped for one reason by the edge's record and for another by the device's",
        ),
        ([*DEVICE[:3], offered(3, 30, Outcome.PAUSED)], EDGE[:3], "frame 3 dropped by the edge without having reached"),
        (
            DEVICE,
            [*EDGE[:3], reached(3, 30, tail_done_ns=None)],
            "frame 3 answered by the edge without a stamp of the cl",
        ),
        (DEVICE, [*EDGE[:3], reached(3, 30, tail_done_ns=6)], "frame 3 finished by the cloud before it had them"),
    ],
)
def test_what_does_not_add_up_is_named(device, edge, said):
    assert any(finding.startswith(said) for finding in contradictions(device, edge))


@pytest.mark.parametrize(
    ("seen", "recorded"),
    [(Outcome.LOST, Outcome.ANSWERED), (Outcome.LATE, Outcome.ANSWERED), (Outcome.LOST, Outcome.BUSY)],
)
def test_a_message_that_was_late_or_lost_is_no_contradiction(seen, recorded):
    assert contradictions([*DEVICE[:3], offered(3, 30, seen)], [*EDGE[:3], reached(3, 30, recorded)]) == ()


def test_a_frame_that_the_device_could_not_send_never_reached_the_edge():
    assert contradictions([*DEVICE[:3], offered(3, 30, Outcome.BUSY)], EDGE[:3]) == ()


def test_many_frames_are_named_by_the_first_five():
    (finding,) = contradictions(DEVICE, [*EDGE, *(reached(n, n) for n in range(10, 20))])
    assert finding == "frames 10, 11, 12, 13, 14 and 5 more seen by the edge but never offered"
