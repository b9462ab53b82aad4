"""Input that is damaged, doubled or hostile: the report is made all the same and says what it left out."""

import contextlib
import json
import math
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from report import text
from report.__main__ import main as make_report
from report.decode import UndecodableError, clean, decode
from report.load import load_results, read_runs
from report.metrics.validity import contradictions
from report.provenance import LONGEST
from report.tables import build_tables
from report.view import overview
from report.view.runs import missing, reasons_grid
from tests.synthetic import RunSpec, write_block
from workers.records import DeviceFrame, Outcome, Status

DEEP = "[" * 100_000 + "]" * 100_000


def page_of(root):
    out = root / "page.html"
    assert make_report(["--results", str(root), "--out", str(out)]) == 0
    return out.read_text()


def said_of(root):
    """What the page says on what does not count, without drawing its figures."""
    results = load_results(root)
    tables = build_tables(results)
    grid = reasons_grid(tables)
    reasons = [cell.text for group in grid.groups for row in group.rows for cell in row]
    return " ".join([overview.lead(results, tables), *overview.warnings(results, tables), *missing(results), *reasons])


def edit(folder, change):
    record = json.loads((folder / "run.json").read_text())
    change(record)
    (folder / "run.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (b'"\xff"', "utf-8"),
        (DEEP.encode(), "nested more than 32 levels"),
        (b"[" * 40 + b"]" * 40, "nested more than 32 levels"),
        (b"1e400", "out of range"),
        (b"-1e308", "the number -1e+308 is out of range"),
        (b"9223372036854775808", "does not fit into 64 bits"),
    ],
)
def test_a_record_that_cannot_be_used_is_listed_and_the_others_count(tmp_path, facts, why):
    write_block(tmp_path, [RunSpec()])
    bad = write_block(tmp_path, [RunSpec()], strategy="switch-a1")
    edit(bad, lambda record: record.update(model_facts={"x": "HERE"}))
    (bad / "run.json").write_bytes((bad / "run.json").read_bytes().replace(b'"HERE"', facts))
    results = load_results(tmp_path)
    assert len(results.blocks) == 1
    assert why in results.unreadable[0].reason
    assert "switch-a1/cpu100-mem100/run.json cannot be read" in said_of(tmp_path)


def test_no_block_that_can_be_read_is_still_a_page(tmp_path):
    folder = write_block(tmp_path, [RunSpec()])
    (folder / "run.json").unlink()
    (folder / "run.json").mkdir()
    page = page_of(tmp_path)
    assert "No block can be read (1 block found)" in page
    assert "run.json cannot be read: Is a directory" in page


@pytest.mark.parametrize("log", ["device-frames", "edge-frames", "edge-events", "cloud-events", "edge-memory"])
def test_a_log_that_is_a_folder_makes_the_runs_invalid(tmp_path, log):
    folder = write_block(tmp_path, [RunSpec()])
    (folder / f"{log}.jsonl").unlink(missing_ok=True)
    (folder / f"{log}.jsonl").mkdir()
    assert f"{log}.jsonl cannot be read: Is a directory" in said_of(tmp_path)
    assert build_tables(load_results(tmp_path)).downtime["status"].tolist() == ["invalid"]


@pytest.mark.parametrize("value", [DEEP, '"\\ud800"', "1e308", "99999999999999999999"])
def test_a_log_line_that_cannot_be_used_makes_the_runs_invalid(tmp_path, value):
    folder = write_block(tmp_path, [RunSpec()])
    log = folder / "edge-events.jsonl"
    line = f'{{"run": 1, "at_ns": 5, "kind": "routed", "detail": {{"x": {value}}}}}\n'
    log.write_text(line + log.read_text())
    assert "edge-events.jsonl, line 1 is damaged" in said_of(tmp_path)


def test_a_frame_number_far_off_is_a_hole_that_is_not_counted_through():
    device = [DeviceFrame(1, n, 0, Outcome.LOST) for n in (0, 1, 2**62)]
    (said,) = contradictions(device, [])
    assert said.startswith(f"frames 2, 3, 4, 5, 6 and {2**62 - 7} more of no recorded outcome")


@pytest.mark.parametrize(
    "config",
    [DEEP, "[]", "{", '{"tolerances": 5}', '{"tolerances": {"fps_pct": "wide"}}', '{"tolerances": {"fps_pct": 1e308}}'],
)
def test_a_config_that_cannot_be_used_is_a_warning(tmp_path, config):
    write_block(tmp_path, [RunSpec()])
    (tmp_path / "config.json").write_text(config)
    assert load_results(tmp_path).config is None
    assert "config.json cannot be used: " in said_of(tmp_path)


def test_a_config_that_is_a_folder_is_a_warning(tmp_path):
    write_block(tmp_path, [RunSpec()])
    (tmp_path / "config.json").mkdir()
    assert "config.json cannot be used: Is a directory" in page_of(tmp_path)


def test_a_config_whose_cells_are_no_numbers_asks_for_nothing(tmp_path):
    write_block(tmp_path, [RunSpec()])
    (tmp_path / "config.json").write_text('{"models": ["vgg19"], "strategies": ["switch-b2"], "cpu_pct": ["many"]}')
    assert missing(load_results(tmp_path)) == []
    page_of(tmp_path)


def occupied_by_a_folder(root):
    (root / "out").mkdir()
    return root / "out"


def below_a_file(root):
    (root / "file").write_text("")
    return root / "file" / "page.html"


def with_tables_a_file(root):
    (root / "tables").write_text("")
    return root / "page.html"


@pytest.mark.parametrize("place", [occupied_by_a_folder, below_a_file, with_tables_a_file])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path, capsys, place):
    write_block(tmp_path, [RunSpec()])
    out = place(tmp_path)
    assert make_report(["--results", str(tmp_path), "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("report: Cannot write ")
    assert said.count("\n") == 1
    assert not list(tmp_path.rglob("*.part"))


def test_a_run_number_that_stands_twice_counts_neither_time(tmp_path):
    folder = write_block(tmp_path, [RunSpec(), RunSpec()])
    edit(folder, lambda record: record["runs"].append(record["runs"][0]))
    (block,) = load_results(tmp_path).blocks
    first, second, again = read_runs(block)
    assert (first.status, second.status, again.status) == (Status.INVALID, Status.OK, Status.INVALID)
    assert first.reason == again.reason == "run 1 stands 2 times in run.json"


@pytest.mark.parametrize("copy", ["runs/a/copy/cpu100-mem100", "runs/zzz/copy/cpu100-mem100"])
def test_a_copy_of_a_block_does_not_count(tmp_path, copy):
    folder = write_block(tmp_path, [RunSpec(), RunSpec()])
    shutil.copytree(folder, tmp_path / copy)
    runs = build_tables(load_results(tmp_path)).downtime
    home = folder.relative_to(tmp_path).as_posix()
    assert runs[runs["status"] == "ok"]["source"].tolist() == [home, home]
    left_out = runs[runs["status"] == "invalid"]
    assert left_out["source"].tolist() == [copy, copy]
    assert left_out["reason"].iloc[0] == f"{home} holds the same block, which counts instead"
    assert len(load_results(tmp_path).distinct) == 1


def test_repeated_runs_do_not_hide_missing_ones(tmp_path):
    folder = write_block(tmp_path, [RunSpec()])
    edit(folder, lambda record: record["runs"].append(record["runs"][0]))
    (tmp_path / "config.json").write_text('{"models": ["vgg19"], "strategies": ["switch-b2"], "fps": [10]}')
    assert any("1 of 2 runs" in problem for problem in missing(load_results(tmp_path)))


HOSTILE = "a\x00b\x1bc\u202ed\u2066e\ufffef\uffffg"


def test_no_character_that_html_forbids_reaches_page_tables_or_figures(tmp_path):
    folder = write_block(tmp_path, [RunSpec(), RunSpec(status=Status.FAILED, reason=HOSTILE)])
    edit(folder, lambda record: record.update(model=HOSTILE, strategy=HOSTILE, choices={HOSTILE: HOSTILE}))
    written = [page_of(tmp_path)]
    written += [path.read_text() for kind in ("csv", "svg") for path in tmp_path.rglob(f"*.{kind}")]
    assert len(written) > 5
    assert all(clean(found) == found for found in written)
    assert "a�b�c�d�e�f�g" in written[0]


def test_a_long_reason_is_cut_in_the_page_and_kept_in_the_tables(tmp_path):
    write_block(tmp_path, [RunSpec(status=Status.FAILED, reason="x" * 20_000)])
    page = page_of(tmp_path)
    assert "x" * 499 + "…" in page
    assert "x" * 500 not in page
    (kept,) = build_tables(load_results(tmp_path)).downtime["reason"]
    assert kept == "x" * (LONGEST - 1) + "…"


def test_tabs_newlines_and_other_scripts_are_left_alone():
    assert clean("a\tb\nc é 你好 שלום 🙂") == "a\tb\nc é 你好 שלום 🙂"


@given(st.binary(max_size=200))
def test_whatever_the_bytes_decoding_says_so_in_one_way(data):
    with contextlib.suppress(UndecodableError):
        assert isinstance(decode(data, dict), dict)


@given(st.floats())
def test_every_float_can_be_printed(value):
    assert text.digits(value)
    assert text.duration(value)
    if math.isnan(value):
        assert text.digits(value) == text.NONE


@pytest.mark.parametrize(("fact", "said"), [(True, True), (False, False), (None, False), ("yes", False)])
def test_hosts_that_give_memory_back_are_told_of_before_any_figure(tmp_path, fact, said):
    folder = write_block(tmp_path, [RunSpec()])
    edit(folder, lambda record: record["hosts"]["cloud"].update(free_page_reporting=fact))
    assert ("free page reporting" in said_of(tmp_path)) is said
