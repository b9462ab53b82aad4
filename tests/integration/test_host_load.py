"""Real stress-ng in a real cgroup: what it takes, what is left, and that it goes whatever happens."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workers import cgroup_cpu
from workers.cgroup import Cgroup
from workers.errors import WorkerError
from workers.guard import Guard
from workers.host_load import HostLoad
from workers.stress import Level

pytestmark = pytest.mark.root
ROOT = Path(__file__).parents[2]
LIMIT = 512 * 2**20
OWNER = """
import sys, time
from pathlib import Path
from workers.cgroup import Cgroup
from workers.guard import Guard
from workers.host_load import HostLoad
from workers.stress import Level
folder = Path(sys.argv[1])
HostLoad(Guard.start(folder / "guard.jsonl"), Cgroup(sys.argv[2]), "t", folder).set(Level(50.0, 50.0))
print("set", flush=True)
time.sleep(600)
"""


@pytest.fixture
def budget():
    group = Cgroup(f"/neukonfig-load-{os.getpid()}")
    group.create()
    group.limit([min(os.sched_getaffinity(0))], LIMIT)
    yield group
    group.remove()


@pytest.fixture
def load(budget, tmp_path):
    guard = Guard.start(tmp_path / "guard.jsonl")
    load = HostLoad(guard, budget, "t", tmp_path)
    yield load
    load.release()
    assert all(outcome.ok for outcome in guard.finish())


def children(group):
    return [place.name for place in group.directory("memory").iterdir() if place.is_dir()]


def test_what_is_to_be_left_is_left_by_two_measurements(load, budget):
    facts = load.set(Level(50.0, 40.0))
    assert facts["tool"].startswith("stress-ng ")
    assert facts["mem_taken_bytes"] == pytest.approx(0.6 * LIMIT, rel=0.001)
    assert 36.0 < facts["mem_pct"] < 41.0
    assert facts["cpu_pct"] < 65.0  # a probe that has the CPU to itself gets 100
    time.sleep(0.5)
    left = load.read(0)
    assert left.cpu_pct < 65.0
    assert 36.0 < left.mem_pct < 41.0
    assert children(budget) == ["stress-t"]  # the probe has gone


def test_it_is_not_the_stressor_that_dies_for_want_of_memory(load, budget):
    load.set(Level(100.0, 40.0))
    stressors = Cgroup(f"{budget.path}/stress-t").pids()
    assert {Path(f"/proc/{pid}/oom_score_adj").read_text() for pid in stressors} == {"0\n"}
    program = "from pathlib import Path; Path('/proc/self/oom_score_adj').write_text('1000'); b'x' * (400 << 20)"
    place = Cgroup(f"{budget.path}/pipeline")
    place.create()
    assert (
        subprocess.run(place.entered_by([sys.executable, "-c", program]), check=False, timeout=60).returncode
        == -signal.SIGKILL
    )
    assert budget.memory().oom_kills == 1
    load.check()


def test_memory_that_is_held_costs_no_cpu_time(load, budget):
    load.set(Level(100.0, 40.0))
    stressor = Cgroup(f"{budget.path}/stress-t")
    used_ns = cgroup_cpu.usage_ns(stressor)
    time.sleep(0.5)
    assert cgroup_cpu.usage_ns(stressor) - used_ns < 50_000_000


def test_a_host_left_alone_has_no_stressor(load, budget):
    facts = load.set(Level(100.0, 100.0))
    assert (facts["tool"], facts["set_s"], facts["mem_taken_bytes"]) == ("none", 0.0, 0)
    assert children(budget) == []
    assert load.release() is None


def test_released_it_leaves_nothing(load, budget):
    load.set(Level(30.0, 50.0))
    inside = Cgroup(f"{budget.path}/stress-t").pids()
    assert inside
    assert load.release() < 5.0
    assert children(budget) == []
    assert not [pid for pid in inside if Path(f"/proc/{pid}/exe").exists()]


def test_a_stressor_that_is_killed_is_noticed(load, budget):
    load.set(Level(50.0, 100.0))
    load.check()
    Cgroup(f"{budget.path}/stress-t").kill()
    deadline = time.monotonic() + 10
    while load._stressor._processes[0].poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(WorkerError, match="stress-ng ended with status"):
        load.check()


def test_whatever_kills_its_owner_the_stressor_goes_too(budget, tmp_path):
    argv = [sys.executable, "-c", OWNER, str(tmp_path), budget.path]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=ROOT) as owner:
        assert owner.stdout.readline() == b"set\n"
        inside = Cgroup(f"{budget.path}/stress-t").pids()
        owner.kill()
    deadline = time.monotonic() + 20
    while children(budget) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert children(budget) == []
    assert not [pid for pid in inside if Path(f"/proc/{pid}/exe").exists()]


def test_more_memory_than_there_is_is_said(budget, tmp_path, monkeypatch):
    monkeypatch.setattr("workers.availability.memory_bytes", lambda _: 8 * LIMIT)
    monkeypatch.setattr("workers.stress.STALL_S", 1.0)
    guard = Guard.start(tmp_path / "guard.jsonl")
    load = HostLoad(guard, budget, "t", tmp_path)
    with pytest.raises(WorkerError, match=r"gets no more|ended with status"):
        load.set(Level(100.0, 50.0))
    load.release()
    guard.finish()
    assert children(budget) == []
