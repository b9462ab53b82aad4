"""The intake settles every frame exactly once, whatever happens to the pipelines."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.frames import FrameHeader
from workers.intake import Intake
from workers.records import Outcome
from workers.strategies.base import Cut

P1, P2, P1_DEEP = Cut("p1", 16), Cut("p2", 21), Cut("p1", 21)


class Settled:
    """Remembers what the intake settled."""

    def __init__(self):
        self.calls = []

    def __call__(self, sender, record, label):
        self.calls.append((sender, record, label))

    @property
    def outcomes(self):
        return {(record.run, record.frame): record.outcome for _, record, _ in self.calls}


def header(frame, run=1, **fields):
    return FrameHeader(run, frame, "uint8", (0,), **fields)


@pytest.fixture
def settled():
    return Settled()


@pytest.fixture
def intake(settled):
    intake = Intake(queue_limit=2, settle=settled)
    intake.set_route(P1)
    return intake


def test_a_frame_goes_to_the_route_and_its_answer_to_its_sender(intake, settled):
    assert intake.admit(b"device", header(7), 100) == P1
    assert settled.calls == []
    stages = {
        "head_ms": 1.5,
        "head_done_ns": 110,
        "cut_bytes": 9,
        "cloud_received_ns": 5,
        "tail_ms": 2.5,
        "tail_done_ns": 6,
    }
    assert intake.answer(header(7, **stages), 3, 140)
    ((sender, record, label),) = settled.calls
    assert (sender, label) == (b"device", 3)
    assert (record.run, record.frame, record.received_ns, record.settled_ns) == (1, 7, 100, 140)
    assert (record.outcome, record.container, record.point) == (Outcome.ANSWERED, "p1", 16)
    assert {name: getattr(record, name) for name in stages} == stages


def test_without_a_route_frames_are_paused(settled):
    intake = Intake(2, settled)
    assert intake.route is None
    assert intake.admit(b"d", header(0), 100) is None
    ((_, record, _),) = settled.calls
    assert record.outcome is Outcome.PAUSED
    assert record.settled_ns == record.received_ns == 100
    assert record.container is None


def test_at_the_limit_frames_are_busy_until_one_settles(intake, settled):
    assert intake.admit(b"d", header(0), 1) == P1
    assert intake.admit(b"d", header(1), 2) == P1
    assert intake.admit(b"d", header(2), 3) is None
    assert settled.outcomes == {(1, 2): Outcome.BUSY}
    assert intake.answer(header(0), 1, 4)
    assert intake.admit(b"d", header(3), 5) == P1


def test_a_stop_gives_up_what_is_in_flight_and_takes_nothing_until_it_is_resumed(intake, settled):
    intake.admit(b"d", header(0), 1)
    intake.admit(b"d", header(1), 2)
    intake.stop(50)
    assert settled.outcomes == {(1, 0): Outcome.PAUSED, (1, 1): Outcome.PAUSED}
    assert {record.settled_ns for _, record, _ in settled.calls} == {50}
    assert intake.admit(b"d", header(2), 60) is None
    assert settled.outcomes[1, 2] is Outcome.PAUSED
    intake.resume()
    assert intake.admit(b"d", header(3), 70) == P1


def test_an_answer_that_comes_after_the_frame_was_given_up_is_ignored(intake, settled):
    intake.admit(b"d", header(0), 1)
    intake.stop(2)
    assert not intake.answer(header(0), 5, 3)
    assert len(settled.calls) == 1


def test_a_second_answer_and_one_for_no_frame_are_ignored(intake, settled):
    intake.admit(b"d", header(0), 1)
    assert intake.answer(header(0), 5, 2)
    assert not intake.answer(header(0), 5, 3)
    assert not intake.answer(header(99), 5, 4)
    assert not intake.answer(header(0, run=2), 5, 5)
    assert len(settled.calls) == 1


def test_an_error_of_the_pipeline_fails_the_frame(intake, settled):
    intake.admit(b"d", header(0), 1)
    assert intake.answer(header(0, error="edge: no part is built"), None, 2)
    assert settled.outcomes == {(1, 0): Outcome.FAILED}


def test_a_container_takes_its_own_frames_with_it_and_no_others(intake, settled):
    intake.admit(b"d", header(0), 1)
    intake.set_route(P2)
    intake.admit(b"d", header(1), 2)
    intake.fail_container("p1", 9)
    assert settled.outcomes == {(1, 0): Outcome.FAILED}
    assert intake.holds(P2) == 1
    intake.fail_container("p1", 10)
    assert len(settled.calls) == 1


def test_the_sweep_gives_up_what_was_received_before(intake, settled):
    intake.admit(b"d", header(0), 100)
    intake.admit(b"d", header(1), 101)
    intake.give_up_older_than(101, 500)
    assert settled.outcomes == {(1, 0): Outcome.LOST}
    assert settled.calls[0][1].settled_ns == 500


def test_a_switch_leaves_frames_in_flight_where_they_are(intake, settled):
    intake.admit(b"d", header(0), 1)
    intake.set_route(P2)
    assert intake.admit(b"d", header(1), 2) == P2
    assert (intake.holds(P1), intake.holds(P2)) == (1, 1)
    intake.answer(header(0), 0, 3)
    assert settled.calls[0][1].point == P1.point
    assert (intake.holds(P1), intake.holds(P2)) == (0, 1)


def test_cuts_in_the_same_container_are_told_apart(intake):
    intake.admit(b"d", header(0), 1)
    intake.set_route(P1_DEEP)
    intake.admit(b"d", header(1), 2)
    assert (intake.holds(P1), intake.holds(P1_DEEP)) == (1, 1)


def test_a_frame_that_is_offered_again_while_it_is_in_flight_is_no_new_one(intake, settled):
    assert intake.admit(b"d", header(0), 1) == P1
    assert intake.admit(b"d", header(0), 2) is None
    assert settled.calls == []
    assert intake.answer(header(0), 5, 3)
    assert [record.received_ns for _, record, _ in settled.calls] == [1]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), st.booleans()),
        st.tuples(st.just("answer"), st.integers(0, 60)),
        st.tuples(st.just("route"), st.sampled_from([P1, P2, P1_DEEP])),
        st.tuples(st.sampled_from(["stop", "resume"]), st.none()),
        st.tuples(st.just("lose"), st.sampled_from(["p1", "p2"])),
        st.tuples(st.just("sweep"), st.integers(0, 60)),
        st.tuples(st.just("end"), st.integers(0, 60)),
    ),
    max_size=60,
)


@given(steps=STEPS, limit=st.integers(1, 5))
def test_every_frame_settles_exactly_once(steps, limit):
    settled = Settled()
    intake = Intake(limit, settled)
    admitted = 0
    for now_ns, (step, value) in enumerate(steps):
        match step:
            case "admit":
                before = len(settled.calls)
                cut = intake.admit(b"d", header(admitted), now_ns)
                assert (cut is None) == (len(settled.calls) == before + 1)
                admitted += 1
            case "answer":
                intake.answer(header(value), 1, now_ns)
            case "route":
                intake.set_route(value)
            case "stop":
                intake.stop(now_ns)
            case "resume":
                intake.resume()
            case "lose":
                intake.fail_container(value, now_ns)
            case "sweep":
                intake.give_up_older_than(value, now_ns)
            case "end":
                intake.end((1, value), Outcome.FAILED, now_ns)
        in_flight = sum(intake.holds(cut) for cut in (P1, P2, P1_DEEP))
        assert 0 <= in_flight <= limit
        assert in_flight + len(settled.calls) == admitted
    intake.give_up_older_than(len(steps), len(steps))
    counts = Counter(record.frame for _, record, _ in settled.calls)
    assert counts == dict.fromkeys(range(admitted), 1)
    assert all(record.settled_ns >= record.received_ns for _, record, _ in settled.calls)
