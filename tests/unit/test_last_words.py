"""How a program ended, in one sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.last_words import ending, last_words
from workers.tier import started_after

ONEDNN = "I0000 00:00:1795477881.938214       1 port.cc:153] oneDNN custom operations are on. To turn them off, …"
ABSL = "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR"
DATED = "2026-11-24 00:00:00.123456: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on."


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exit code 0"), (1, "exit code 1"), (137, "exit code 137, SIGKILL"), (143, "exit code 143, SIGTERM"),
     (255, "exit code 255"), (None, "exit code unknown")],
)  # fmt: skip
def test_exit_codes_are_named(code, words):
    assert ending(code) == words


def test_notices_are_no_last_words():
    assert last_words(f"{ABSL}\n{DATED}\n{ONEDNN}\n") == "it printed no reason"
    assert last_words(f"Traceback\nMemoryError: no\n  \n{ONEDNN}\n") == "MemoryError: no"


@given(st.text())
def test_any_log_has_one_line_of_last_words(log):
    assert len(last_words(log).splitlines()) == 1


def test_what_the_engine_did_does_not_count_as_the_runners_start():
    assert started_after(150.0, {"start": 480.0, "import": 2000.0}) == {"start": 330.0, "import": 2000.0}
    assert started_after(150.0, {"start": 100.0}) == {"start": 0.0}  # it was up before the engine said so
