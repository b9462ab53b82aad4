import os
import subprocess
import sys

import pytest

from workers import priority

SHOW = "import os; print(os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0))"


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


CODE = (
    "import subprocess, sys, os; from workers.priority import raise_priority; print(raise_priority(), flush=True);"
    "print(os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK, flush=True);"
    f"subprocess.run([sys.executable, '-c', {SHOW!r}])"
)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may ask for it")
def test_it_is_granted_to_root_and_not_inherited():
    done = run(CODE)
    assert done.returncode == 0, done.stderr
    granted, own, child = done.stdout.splitlines()
    assert granted in {"real-time", "nice -20"}
    assert int(own) == (os.SCHED_RR if granted == "real-time" else os.SCHED_OTHER)
    assert child.split()[0] == str(os.SCHED_OTHER)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may ask for it")
def test_what_need_not_be_quick_is_done_at_ordinary_priority():
    code = (
        "import os; from workers.priority import raise_priority, unhurried; granted = raise_priority();"
        "before = os.sched_getscheduler(0)\n"
        "with unhurried(): within = os.sched_getscheduler(0)\n"
        "print(granted, within & ~os.SCHED_RESET_ON_FORK, os.sched_getscheduler(0) == before)"
    )
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rsplit(maxsplit=2)[1:] == [str(os.SCHED_OTHER), "True"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may ask for it")
def test_zeromqs_threads_bear_it_before_they_have_begun():
    # What is started here does not run before this thread waits, for it has the one CPU for itself: ending waits.
    code = (
        "import os, zmq; from workers.priority import raise_priority\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(2))\n"
        "context = zmq.Context(); context.socket(zmq.DEALER).close(); granted = raise_priority()\n"
        "context.term(); print(granted)\n"
    )
    done = run(code)
    assert (done.returncode, done.stdout) == (0, "real-time\n"), done.stderr


def test_a_plain_user_goes_on_without(monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    monkeypatch.setattr(os, "setpriority", refuse)
    assert priority.raise_priority() == "normal"
