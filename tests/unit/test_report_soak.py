"""A soak's summary: what makes it no pass, and what is only counted."""

import json

import msgspec
import pytest

from report.errors import NothingToReport, SchemaError
from report.metrics.shortfalls import Shortfalls
from report.soak import main, summarise, words
from tests.synthetic import MS, RunSpec, frames, write_log
from tests.unit.test_metrics_soak import served
from workers.bench_records import BENCH_VERSION, AnswersChecked, Ordered, SoakRecord, WrongAnswer
from workers.records import Event, EventKind, MemorySample, Status

RIGHT = AnswersChecked(40, 0, (), 1e-3, 2e-6, 0.05, 32)
S = 1000 * MS


@pytest.fixture
def folder(tmp_path):
    device, edge = frames(RunSpec(fps=20, busy_every=2, routed_ms=500.0), 1, 100 * S)
    write_log(tmp_path / "device-frames.jsonl", device)
    write_log(tmp_path / "edge-frames.jsonl", edge)
    events = [*served(2, 100.0), *served(4, 300.0, took_ms=5.0, from_point=4, to_point=6)]
    write_log(tmp_path / "edge-events.jsonl", events)
    samples = [MemorySample(1, 95 * S + n * S // 4, 1, 200_000_000) for n in range(80)]
    write_log(tmp_path / "edge-memory.jsonl", samples)
    write_record(tmp_path)
    write_answers(tmp_path)
    return tmp_path


def write_record(folder, **changed):
    record = SoakRecord(
        BENCH_VERSION, "tiny", "switch-a2", 100.0, 100.0, Status.OK, None, 1, 0.1, 100.0, 20.0, 1000.0, 1000.0, 1,
        (1, 4, 6), (Ordered(2, 4), Ordered(3, 1), Ordered(4, 6)), 1.5, {}, "abc", False, "h", {}, {}, {}, {}, "t", 9.0,
    )  # fmt: skip
    (folder / "soak.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(record, **changed)))


def write_answers(folder, checked=RIGHT):
    (folder / "answers.json").write_bytes(msgspec.json.encode(checked))


def test_orders_frames_and_answers_are_counted(folder):
    summary = summarise(folder)
    assert (summary.ordered, summary.served, summary.overtaken) == (3, 2, 1)
    assert summary.frames["offered"] == summary.frames["answered"] + summary.frames["busy"]
    assert summary.frames["busy"] > 0
    assert summary.downtime_max_ms == pytest.approx(5.0)
    assert (summary.memory["edge"].start_mb, summary.memory["edge"].slope_mb_per_min) == (200.0, None)
    assert (summary.served_otherwise, summary.shortfalls) == (0, Shortfalls({}, {}, {}, None))
    assert summary.troubles == ()


def test_drops_and_overtaken_orders_are_no_failure(folder, capsys):
    assert main([str(folder)]) == 0
    said = capsys.readouterr().out
    assert "served 2" in said
    assert "NO PASS" not in said
    assert json.loads((folder / "summary.json").read_text())["schema_version"] == BENCH_VERSION


def test_what_was_not_as_promised_is_counted_and_named_and_no_failure(folder, capsys):
    amiss = "the standby was lost while p1 served on; no warm pair: new containers at the change"
    first = served(2, 100.0, took_ms=900.0)
    first[-1] = Event(2, 1100 * MS, EventKind.REPARTITIONED, {"point": 4, "moved": True, "ok": True, "reason": amiss})
    died = {"container": "p2", "reason": "edge: container p2 ended (exit code 137)"}
    second = served(4, 2000.0, from_point=4, to_point=6)
    (folder / "edge-events.jsonl").unlink()
    write_log(folder / "edge-events.jsonl", [Event(0, 50 * MS, EventKind.CONTAINER_DIED, died), *first, *second])
    write_record(folder, choices={"cold_points": "6 (output): edge: no room"})
    assert main([str(folder)]) == 0
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["served_otherwise"] == 1
    assert summary["shortfalls"]["lost"] == {"edge: container p* ended (exit code 137)": 1}
    said = capsys.readouterr().out
    assert f"promises: 1 of 2, downtime p50 900 ms (n = 1: no interval): 1 × {amiss.replace('p1', 'p*')}\n" in said
    assert "pipelines lost: 1 × edge: container p* ended (exit code 137)\n" in said
    assert "points that stayed cold at the start: 6 (output): edge: no room\n" in said


def test_a_soak_of_seconds_states_no_slope(folder):
    (line,) = (line for line in words(summarise(folder)).splitlines() if line.startswith("memory, edge"))
    assert line.endswith("200 MB at the end, less than 3 minutes apart: too short for a slope")


@pytest.mark.parametrize(
    ("checked", "word"),
    [
        (AnswersChecked(40, 1, (WrongAnswer(1, 7, 4, 0.3),), 1e-3, 0.0, 0.05, 32), "1 wrong answer, first frame 7"),
        (AnswersChecked(0, 0, (), 1e-3, 0.0, 0.05, 32), "no answer could be compared"),
        (AnswersChecked(40, 0, (), 1e-3, 0.0, 5e-4, 32), "another frame would not be found"),
    ],
)
def test_answers_that_are_wrong_or_tell_nothing_are_no_pass(folder, checked, word, capsys):
    write_answers(folder, checked)
    assert main([str(folder)]) == 1
    said = capsys.readouterr().out
    assert "NO PASS" in said
    assert word in said


def test_a_soak_that_broke_is_no_pass(folder):
    write_record(folder, status=Status.FAILED, reason="edge: gone")
    assert summarise(folder).troubles[0] == "failed: edge: gone"


def test_frames_that_do_not_add_up_are_no_pass(folder):
    path = folder / "device-frames.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert any("never offered" in trouble for trouble in summarise(folder).troubles)


def test_without_a_soak_or_of_another_version_it_says_what_to_do(folder, tmp_path):
    with pytest.raises(NothingToReport, match="no soak came to its end"):
        summarise(tmp_path / "nowhere")
    write_record(folder, schema_version=99)
    with pytest.raises(SchemaError, match="version 99"):
        summarise(folder)


def test_words_are_lines(folder):
    assert all(line.strip() for line in words(summarise(folder)).splitlines())
