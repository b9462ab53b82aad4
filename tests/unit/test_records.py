"""Logs: what was written is read back, a line cut short by a kill costs that line alone, damage is not hidden."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.records import DeviceFrame, EdgeFrame, Event, EventKind, JsonLines, MemorySample, Outcome, read_lines

INTS = st.integers(0, 2**63 - 1)
DETAILS = st.dictionaries(
    st.text(max_size=8), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8), max_size=4
)
EVENTS = st.builds(Event, run=INTS, at_ns=INTS, kind=st.sampled_from(EventKind), detail=DETAILS)
ROWS = [DeviceFrame(1, frame, 100 * frame, Outcome.ANSWERED) for frame in range(3)]


def write(path, rows):
    log = JsonLines(path)
    for row in rows:
        log.write(row)
    log.close()


@pytest.fixture(scope="module")
def shared_path(tmp_path_factory):
    return tmp_path_factory.mktemp("logs") / "events.jsonl"


@given(events=st.lists(EVENTS, max_size=5))
def test_events_come_back_as_they_went(shared_path, events):
    shared_path.unlink(missing_ok=True)
    write(shared_path, events)
    assert list(read_lines(shared_path, Event)) == events


@pytest.mark.parametrize(
    "row",
    [
        DeviceFrame(1, 2, 3, Outcome.LOST),
        EdgeFrame(1, 2, 3, Outcome.ANSWERED, 4, "p1", 5, 6.5, 7, 8, 9, 10.5, 11),
        MemorySample(1, 2, 3, 4, None),
        Event(1, 2, EventKind.ROUTED, {"container": "p1", "point": 3, "mbps": 1.5, "ok": True, "reason": None}),
    ],
)
def test_every_kind_of_row_comes_back(tmp_path, row):
    write(tmp_path / "log", [row])
    assert list(read_lines(tmp_path / "log", type(row))) == [row]


@given(kept=st.integers(0, 200))
def test_a_kill_costs_the_last_line_alone(shared_path, kept):
    shared_path.unlink(missing_ok=True)
    write(shared_path, ROWS)
    data = shared_path.read_bytes()[:kept]
    shared_path.write_bytes(data)
    assert list(read_lines(shared_path, DeviceFrame)) == ROWS[: data.count(b"\n")]


def test_a_row_is_on_disk_once_it_is_written(tmp_path):
    log = JsonLines(tmp_path / "log")
    log.write(ROWS[0])
    assert list(read_lines(tmp_path / "log", DeviceFrame)) == ROWS[:1]
    log.close()


def test_a_new_agent_goes_on_behind_the_last_one(tmp_path):
    write(tmp_path / "log", ROWS[:2])
    write(tmp_path / "log", ROWS[2:])
    assert list(read_lines(tmp_path / "log", DeviceFrame)) == ROWS


@given(torn=st.integers(1, 60))
def test_a_new_agent_is_not_harmed_by_a_line_cut_short_before(shared_path, torn):
    shared_path.unlink(missing_ok=True)
    write(shared_path, ROWS[:2])
    with shared_path.open("ab") as log:
        log.write(msgspec.json.encode(ROWS[2])[:torn])
    write(shared_path, ROWS[2:])
    assert list(read_lines(shared_path, DeviceFrame)) == ROWS


def test_a_log_makes_its_folder(tmp_path):
    write(tmp_path / "a" / "b" / "log", ROWS[:1])
    assert list(read_lines(tmp_path / "a" / "b" / "log", DeviceFrame)) == ROWS[:1]


def test_text_with_line_breaks_stays_one_row(tmp_path):
    event = Event(1, 2, EventKind.WORK_FAILED, {"reason": "one\ntwo\r\nthree\u2028four\x85"})
    write(tmp_path / "log", [event])
    assert list(read_lines(tmp_path / "log", Event)) == [event]


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"null", b'{"run": 1}', b'{"run":1,"frame":"x","offered_ns":1,"outcome":"lost"}', b"\x00" * 40],
)
def test_damage_before_the_end_raises(tmp_path, line):
    write(tmp_path / "log", ROWS[:1])
    with (tmp_path / "log").open("ab") as log:
        log.write(line + b"\n" + msgspec.json.encode(ROWS[1]) + b"\n")
    rows = read_lines(tmp_path / "log", DeviceFrame)
    assert next(rows) == ROWS[0]
    with pytest.raises(msgspec.DecodeError):
        next(rows)


def test_an_unknown_outcome_raises(tmp_path):
    (tmp_path / "log").write_bytes(b'{"run":1,"frame":1,"offered_ns":1,"outcome":"fine"}\n')
    with pytest.raises(msgspec.ValidationError, match="fine"):
        list(read_lines(tmp_path / "log", DeviceFrame))


def test_a_missing_log_is_not_an_empty_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(read_lines(tmp_path / "log", DeviceFrame))
