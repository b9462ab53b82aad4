"""How much is left: at the pace so far, said where somebody can read it, and always where something went wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.config import parse
from hosts.forecast import forecast
from hosts.grid import blocks
from hosts.progress import Progress, eta_s, grid_progress, in_words
from tests.unit.past_records import past_of
from workers.records import Conditions, RunRecord, Status

CONFIG = parse({"models": {"vgg19": {}}, "strategies": ["pause-resume", "switch-a2", "switch-b2"]}, "c")


def ended(status=Status.OK, reason=None):
    return RunRecord(
        run=1,
        repeat=1,
        fps=5.0,
        from_mbps=20.0,
        to_mbps=5.0,
        from_point=16,
        to_point=21,
        status=status,
        reason=reason,
        requested=Conditions(),
        achieved=Conditions(),
        deadline_ms=900.0,
        started_utc="",
    )


@pytest.fixture
def on_terminal(monkeypatch):
    """Set whether stderr is a terminal."""

    def choose(answer):
        monkeypatch.setattr("sys.stderr.isatty", lambda: answer, raising=False)

    return choose


@pytest.mark.parametrize(("done", "total", "elapsed", "left"), [(1, 4, 10, 30), (2, 4, 10, 10), (4, 4, 10, 0)])
def test_the_rest_takes_as_long_as_what_is_done(done, total, elapsed, left):
    assert eta_s(done, total, elapsed) == left


def test_before_anything_is_done_nobody_knows():
    assert eta_s(0, 4, 10.0) is None


@given(st.integers(1, 1000), st.integers(0, 1000), st.floats(0, 1e6))
def test_the_time_left_is_never_negative(done, more, elapsed):
    assert eta_s(done, done + more, elapsed) >= 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "an unknown time"), (99.0, "99 s"), (100.0, "2 min"), (3600.0, "60 min"), (9000.0, "2.5 h")],
)
def test_durations_in_words(seconds, words):
    assert in_words(seconds) == words


def test_on_a_terminal_every_run_has_its_line(on_terminal, capsys):
    on_terminal(True)
    progress = Progress("vgg19/switch-b2/cpu100-mem100", 2)
    progress.run_ended(ended())
    progress.run_ended(ended())
    first, second = capsys.readouterr().err.splitlines()
    assert first == "vgg19/switch-b2/cpu100-mem100: run 1/2, 20 → 5 Mbit/s, ok; 0 s left in this block"
    assert "run 2/2" in second


def test_off_a_terminal_only_what_went_wrong_has_one(on_terminal, capsys):
    on_terminal(False)
    progress = Progress("block", 3)
    progress.run_ended(ended())
    progress.run_ended(ended(Status.FAILED, "edge: no memory"))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("block: run 2/3, 20 → 5 Mbit/s, failed: edge: no memory; ")


def test_the_grid_counts_its_blocks_and_forecasts_the_rest():
    grid = blocks(CONFIG)
    past = [past_of(CONFIG, block) for block in grid]
    whole_s = sum(expected.split.total_s for expected in forecast(CONFIG, [], None))
    assert grid_progress(CONFIG, [], None) == f"block 0/3, {in_words(whole_s)} left"
    assert grid_progress(CONFIG, past[:2], None).startswith("block 2/3, ")
    assert grid_progress(CONFIG, past, None) == "block 3/3, 0 s left"
