"""What a frame's transfer tells of the link's speed, and when it tells nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from workers.latency import wire_bytes
from workers.records import EdgeFrame, Outcome
from workers.transfers import LEAST_WIRE_BYTES, Way, disturbed, follow, pinged

ROUND_TRIP_NS = 20_000_000
WAY = pinged(Way(), ROUND_TRIP_NS)
BYTES = 150_528


def ns(ms):
    return round(ms * 1e6)


def frame(handed_over_ms, transfer_ms, tail_ms=10.0, *, delay_ms=20.0, number=0, **fields):
    """Return a frame whose bytes were on the link for `transfer_ms` after it was handed over."""
    settled_ns = ns(handed_over_ms + delay_ms + transfer_ms + tail_ms)
    row = EdgeFrame(
        1, number, ns(handed_over_ms) - ns(15), Outcome.ANSWERED, 1, "p1", settled_ns,
        head_ms=10.0, head_done_ns=ns(handed_over_ms), cut_bytes=BYTES, tail_ms=tail_ms,
    )  # fmt: skip
    return replace(row, **fields)


def speeds(frames, way=WAY):
    """Return what each frame tells (Mbit/s), None where it tells nothing."""
    told = []
    for row in frames:
        way, seen = follow(way, row)
        told.append(seen and round(seen.mbps, 3))
    return told


def transfer_ms(mbps, payload=BYTES):
    return wire_bytes(payload) * 8 / mbps / 1e3


def test_bytes_on_the_wire_over_the_time_they_took():
    assert speeds([frame(100, transfer_ms(20)), frame(300, transfer_ms(5))]) == [20.0, 5.0]


def test_an_observation_says_when():
    _, seen = follow(WAY, frame(100, 50, number=7))
    assert (seen.run, seen.began_ns, seen.ended_ns, seen.train) == (1, ns(120), ns(170), False)


def test_frames_that_queue_do_not_read_as_a_slower_link():
    each = transfer_ms(5)
    queued = [frame(100 + 10 * index, each * (index + 1) - 10 * index, number=index) for index in range(3)]
    assert speeds(queued) == [5.0] * 3


@given(st.floats(5, 80), st.lists(st.floats(0, 1500), min_size=2, max_size=30), st.floats(0, 2))
def test_any_queue_reads_as_the_speed_of_the_link(mbps, gaps_ms, tail_ms):
    """Whatever the frames' distances, one after the other over one link: each tells its speed or nothing."""
    each, handed_over_ms, free_ms, rows = transfer_ms(mbps), 100.0, 0.0, []
    for gap_ms in gaps_ms:
        handed_over_ms += gap_ms
        free_ms = max(handed_over_ms, free_ms) + each
        rows.append(frame(handed_over_ms, free_ms - handed_over_ms, tail_ms))
    told = [speed for speed in speeds(rows) if speed is not None]
    assert told == pytest.approx([mbps] * len(told), rel=0.01)
    assert told or each < 20


def test_before_a_round_trip_is_known_a_transfer_tells_nothing():
    assert speeds([frame(100, 63)], Way()) == [None]


def test_the_shortest_round_trip_counts():
    way = pinged(pinged(pinged(Way(), ns(25)), ns(20)), ns(90))
    assert way.round_trip_ns == ns(20)


@pytest.mark.parametrize("payload", [0, 4_000, 50_176])
def test_a_small_transfer_tells_nothing(payload):
    assert wire_bytes(payload) < LEAST_WIRE_BYTES
    assert speeds([frame(100, 300, cut_bytes=payload)]) == [None]


def test_one_shorter_than_a_round_trip_tells_nothing():
    assert speeds([frame(100, 19.9), frame(200, 20.1)])[0] is None
    assert speeds([frame(100, 19.9), frame(200, 20.1)])[1] is not None


def test_one_too_short_for_the_stamps_tells_nothing():
    short = [frame(100, 9.9, delay_ms=1), frame(200, 10.1, delay_ms=1)]
    assert [speed is None for speed in speeds(short, pinged(Way(), ns(1)))] == [True, False]


@pytest.mark.parametrize("outcome", [Outcome.LOST, Outcome.FAILED, Outcome.PAUSED])
def test_after_a_frame_without_an_answer_the_next_only_sets_the_clock(outcome):
    each = transfer_ms(5)
    lost = EdgeFrame(1, 0, ns(90), outcome, 1, "p1", settled_ns=ns(110))
    assert speeds([lost, frame(120, 2 * each), frame(130, 3 * each - 10)]) == [None, None, 5.0]


def test_frames_that_the_intake_dropped_are_none_of_the_links_business():
    dropped = EdgeFrame(1, 1, ns(90), Outcome.BUSY, settled_ns=ns(90))
    assert speeds([frame(100, transfer_ms(20)), dropped, frame(300, transfer_ms(20))]) == [20.0, None, 20.0]


def test_a_frame_that_waited_for_its_tail_tells_nothing():
    """The tail takes 200 ms, a transfer 63: it starts with the next frame as soon as it is done with the last."""
    each = transfer_ms(20)
    rows = [frame(100, each, 200), frame(110, each - 10 + 200, 200), frame(120, each - 20 + 400, 200)]
    assert speeds(rows) == [20.0, None, None]


def test_after_such_a_wait_a_frame_tells_only_if_the_link_was_free():
    each = transfer_ms(20)
    waited = [frame(100, each, 200), frame(110, each - 10 + 200, 200)]
    behind = frame(300, each + 40)  # it may have been on the link since before the last tail began
    assert speeds([*waited, behind, frame(900, each)]) == [20.0, None, None, 20.0]
    assert speeds([*waited, frame(900, each)]) == [20.0, None, 20.0]


def test_a_train_disturbs_the_frames_that_were_on_their_way():
    way = disturbed(WAY, ns(150))
    assert speeds([frame(100, 90), frame(160, transfer_ms(20) + 50)], way)[0] is None
    assert speeds([frame(100, 30), frame(160, transfer_ms(20))], way) == [None, 20.0]


@given(
    st.lists(
        st.builds(
            frame,
            st.floats(0, 1e5),
            st.floats(-1e3, 1e5),
            st.floats(0, 1e3),
            outcome=st.sampled_from(Outcome),
            container=st.sampled_from(["p1", None]),
        ),
        max_size=20,
    )
)
def test_whatever_comes_speeds_are_positive_and_take_time(rows):
    way = WAY
    for row in rows:
        way, seen = follow(way, row)
        if seen is not None:
            assert seen.mbps > 0
            assert seen.ended_ns - seen.began_ns >= ROUND_TRIP_NS
