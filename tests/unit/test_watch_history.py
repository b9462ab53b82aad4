"""The history on disk: torn lines, other schemas, two writers, two nights at once."""

import subprocess
import sys

import msgspec
import pytest

from report.watch.errors import Busy, HistoryError
from report.watch.history import append_record, read_history
from report.watch.lock import one_night
from report.watch.records import Acceptance, Finding, Verdict
from tests.unit.watch_nights import DOWNTIME, STEADY, nights

NIGHTS = nights(DOWNTIME, STEADY)
FINDING = Finding(DOWNTIME, 130.0, 100.0, 1e-5, 8, "new", "old", 128.0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep/history.jsonl"


def test_records_come_back_as_they_went_in(path):
    records = (*NIGHTS, Verdict("n8", alarms=(FINDING,)), Acceptance("2026-11-09T08:00:00+00:00", "why", (DOWNTIME,)))
    for record in records:
        append_record(path, record)
    assert read_history(path).records == records
    assert read_history(path).nights == NIGHTS
    assert len(path.read_bytes().splitlines()) == len(records)


def test_a_history_that_does_not_exist_is_empty(path):
    assert read_history(path).records == ()


def test_a_line_cut_anywhere_costs_that_night_alone(path):
    append_record(path, NIGHTS[0])
    whole = path.read_bytes()
    line = msgspec.json.encode(NIGHTS[1])
    for length in range(1, len(line)):
        path.write_bytes(whole + line[:length])
        append_record(path, NIGHTS[2])
        found = read_history(path)
        assert found.records == (NIGHTS[0], NIGHTS[2])
        assert len(found.left_out) == 1
        assert found.left_out[0].startswith("history.jsonl, line 2 is damaged")


def test_a_record_whose_newline_alone_is_missing_counts(path):
    append_record(path, NIGHTS[0])
    path.write_bytes(path.read_bytes()[:-1])
    append_record(path, NIGHTS[1])
    assert read_history(path).records == (NIGHTS[0], NIGHTS[1])


FULL_DISK = """
import resource, sys
from pathlib import Path
from report.watch.errors import HistoryError
from report.watch.history import append_record
from report.watch.records import Acceptance
path = Path(sys.argv[1])
size = path.stat().st_size + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
try:
    append_record(path, Acceptance("now", "x" * 500))
except HistoryError as error:
    print(error)
"""


@pytest.mark.parametrize("room", [0, 1, 300])
def test_a_disk_that_fills_up_leaves_what_was_there(path, room):
    append_record(path, NIGHTS[0])
    before = path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), str(room)], capture_output=True, text=True, check=True
    )
    assert "cannot be written: File too large. Make room there" in done.stdout
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new"), [(b"97.0", b"1e308"), (b"97.0", b"-1e308"), (b"vgg19/switch-b2/cpu100-mem100", b"vgg19")]
)
def test_a_line_with_what_no_night_has_is_left_out(path, old, new):
    append_record(path, NIGHTS[-1])
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))
    found = read_history(path)
    assert found.records == ()
    assert "line 1 is damaged" in found.left_out[0]


def test_a_line_that_is_nested_without_end_is_left_out(path):
    append_record(path, NIGHTS[0])
    path.write_bytes(b'{"schema":' + b"[" * 100_000 + b"\n" + path.read_bytes())
    assert read_history(path).records == (NIGHTS[0],)


@pytest.mark.parametrize("garbage", [b"\xff\xfe\n", b"[]\n", b'{"schema": 1, "record": "moon"}\n', b'"night"\n'])
def test_garbage_is_left_out_and_said(path, garbage):
    append_record(path, NIGHTS[0])
    path.write_bytes(garbage + path.read_bytes())
    found = read_history(path)
    assert found.records == (NIGHTS[0],)
    assert "line 1 is damaged" in found.left_out[0]


def test_nights_of_an_older_schema_are_left_out_and_said(path):
    append_record(path, msgspec.structs.replace(NIGHTS[0], schema=0))
    append_record(path, NIGHTS[1])
    found = read_history(path)
    assert found.records == (NIGHTS[1],)
    assert "older code (history schema 0)" in found.left_out[0]


def test_a_history_of_newer_code_is_refused_with_the_way_out(path):
    append_record(path, NIGHTS[0])
    append_record(path, msgspec.structs.replace(NIGHTS[1], schema=2))
    with pytest.raises(HistoryError, match=r"line 2 was written by newer code .*name another history"):
        read_history(path)


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HistoryError, match="cannot be written"):
        append_record(tmp_path / "file/history.jsonl", NIGHTS[0])
    with pytest.raises(HistoryError, match="cannot be read: Is a directory"):
        read_history(tmp_path)


WRITER = """
import sys
from pathlib import Path
from report.watch.history import append_record
from report.watch.records import Acceptance
for number in range(100):
    append_record(Path(sys.argv[1]), Acceptance(sys.argv[2], "x" * 5000))
"""


def test_two_writers_at_once_never_mix_their_lines(path):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in ("one", "other")]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    found = read_history(path)
    assert found.left_out == ()
    assert sorted(record.at_utc for record in found.records) == ["one"] * 100 + ["other"] * 100


HOLDER = """
import sys
from pathlib import Path
from report.watch.lock import one_night
with one_night(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_night_is_refused_by_name_until_the_first_ends_however_it_does(path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Busy, match=f"process {holder.pid} since"), one_night(path):
            pass
        holder.kill()
        holder.wait()
    with one_night(path):
        pass


def test_nights_with_different_histories_do_not_wait_for_each_other(tmp_path):
    with one_night(tmp_path / "one.jsonl"), one_night(tmp_path / "other.jsonl"):
        pass
