"""What stress-ng is asked to do, and what is said where it cannot."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers import stress
from workers.cgroup import Cgroup
from workers.errors import WorkerError
from workers.stress import Level, Stressor, cpu_options, memory_options, taken_bytes


class NoGuard:
    """Takes note of what it is told."""

    def __init__(self):
        self.commands = {}

    def add(self, name, argv):
        self.commands[name] = argv

    def withdraw(self, name):
        self.commands.pop(name, None)


def option(options, name):
    return options[options.index(name) + 1]


def test_a_host_left_alone_needs_no_stressor():
    assert not Level(100.0, 100.0).stresses
    assert Level(99.0, 100.0).stresses
    assert Level(100.0, 10.0).stresses


@pytest.mark.parametrize(("cpu_pct", "load"), [(75, "25"), (50, "50"), (25, "75"), (99.9, "1"), (0.1, "100")])
def test_the_load_is_what_is_not_to_be_left(cpu_pct, load):
    options = cpu_options(cpu_pct, 4)
    assert option(options, "--cpu-load") == load
    assert option(options, "--cpu") == "4"


def test_memory_is_taken_in_bytes_for_all_its_workers_together():
    options = memory_options(25.0, 2, 8 * 2**30)
    assert option(options, "--vm-bytes") == str(6 * 2**30)
    assert option(options, "--vm") == "2"
    assert option(options, "--vm-hang") == "0"  # holds for good


@given(st.floats(0.01, 100.0), st.integers(1, 2**50))
def test_what_is_taken_and_what_is_left_are_the_whole(mem_pct, memory_bytes):
    taken = taken_bytes(mem_pct, memory_bytes)
    assert 0 <= taken <= memory_bytes
    assert (memory_bytes - taken) / memory_bytes == pytest.approx(mem_pct / 100, abs=1e-6 + 1 / memory_bytes)


def test_a_missing_stressor_is_named_before_anything_is_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    guard = NoGuard()
    stressor = Stressor(guard, Cgroup("/neukonfig-unit/stress"), tmp_path)
    with pytest.raises(WorkerError, match="stress-ng not found; install it"):
        stressor.start(Level(50.0, 100.0), 1, 2**30)
    assert guard.commands == {}
    assert stress.version() == "not installed"


def test_a_stressor_that_ended_is_told_with_its_last_words(tmp_path):
    stressor = Stressor(NoGuard(), Cgroup("/neukonfig-unit/stress"), tmp_path)
    stressor.check()
    ended = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    ended.wait()
    stressor._processes.append(ended)
    (tmp_path / "stress-ng.log").write_text("stress-ng: fail:\n  out of luck\n")
    with pytest.raises(WorkerError, match="ended with status 3: stress-ng: fail: out of luck"):
        stressor.check()
