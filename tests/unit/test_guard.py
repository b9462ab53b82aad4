import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.errors import WorkerError
from workers.guard import Add, Guard, Register, RunNow, Withdraw, read_log, run_undo

ROOT = Path(__file__).parents[2]


class TestRegister:
    def test_newest_first(self):
        register = Register()
        for name in "abc":
            register.apply(Add(name, [name]))
        assert register.newest_first() == [("c", ["c"]), ("b", ["b"]), ("a", ["a"])]

    def test_a_replaced_command_counts_as_new(self):
        register = Register()
        for name, word in (("a", "old"), ("b", "b"), ("a", "new")):
            register.apply(Add(name, [word]))
        assert register.newest_first() == [("a", ["new"]), ("b", ["b"])]

    def test_withdrawing_what_is_not_there_is_no_error(self):
        assert Register().apply(Withdraw("a")) is True

    def test_running_ends_the_listening(self):
        assert Register().apply(RunNow()) is False

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans())))
    def test_holds_exactly_what_was_added_and_not_withdrawn(self, orders):
        register, model = Register(), set()
        for name, add in orders:
            register.apply(Add(name, [name]) if add else Withdraw(name))
            (model.add if add else model.discard)(name)
        assert {name for name, _ in register.newest_first()} == model


class TestRunUndo:
    def test_output_and_status_are_kept(self):
        outcome = run_undo("link", ["sh", "-c", "echo gone; echo bad >&2; exit 3"])
        assert (outcome.name, outcome.status, outcome.ok) == ("link", 3, False)
        assert outcome.output == "gone\nbad\n"

    def test_a_command_that_hangs_is_killed(self):
        outcome = run_undo("slow", ["sleep", "60"], timeout_s=0.1)
        assert outcome.status is None
        assert "killed after 0.1 s" in outcome.output
        assert 100 <= outcome.took_ms < 5000

    def test_a_command_that_does_not_exist(self):
        outcome = run_undo("typo", ["/no/such/program"])
        assert outcome.status is None
        assert "could not be started" in outcome.output


@pytest.fixture
def log(tmp_path):
    return tmp_path / "logs" / "guard.jsonl"


def writes(file, word):
    return ["sh", "-c", f"echo {word} >> {file}"]


class TestGuard:
    def test_a_good_end_runs_what_is_registered_newest_first(self, log, tmp_path):
        guard = Guard.start(log)
        for word in ("first", "second", "third"):
            guard.add(word, writes(tmp_path / "done", word))
        guard.withdraw("second")
        outcomes = guard.finish(10)
        assert [outcome.name for outcome in outcomes] == ["third", "first"]
        assert all(outcome.ok for outcome in outcomes)
        assert (tmp_path / "done").read_text() == "third\nfirst\n"
        assert read_log(log) == outcomes

    def test_a_failure_does_not_stop_the_others(self, log, tmp_path):
        guard = Guard.start(log)
        guard.add("good", writes(tmp_path / "done", "good"))
        guard.add("bad", ["false"])
        assert [outcome.ok for outcome in guard.finish(10)] == [False, True]

    def test_nothing_registered(self, log):
        assert Guard.start(log).finish(10) == []

    def test_outlives_hangup_and_terminate(self, log, tmp_path):
        guard = Guard.start(log)
        guard.add("undo", writes(tmp_path / "done", "undone"))
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            guard._process.send_signal(number)
        assert [outcome.ok for outcome in guard.finish(10)] == [True]

    def test_has_a_session_of_its_own_and_none_of_our_streams(self, log):
        guard = Guard.start(log)
        pid = guard._process.pid
        assert os.getsid(pid) == pid
        assert {str(Path(f"/proc/{pid}/fd/{fd}").readlink()) for fd in (1, 2)} == {"/dev/null"}
        guard.finish(10)

    def test_a_killed_guard_is_an_error_not_a_silence(self, log):
        guard = Guard.start(log)
        guard._process.kill()
        guard._process.wait()
        with pytest.raises(WorkerError, match="is gone"):
            guard.add("undo", ["true"])
        with pytest.raises(WorkerError, match="was gone"):
            guard.finish(10)

    def test_a_guard_that_takes_long_is_named(self, log):
        guard = Guard.start(log)
        guard.add("slow", ["sleep", "2"])
        with pytest.raises(WorkerError, match="still undoes changes"):
            guard.finish(0.2)
        assert guard._process.wait(10) == 0


OWNER = """
import subprocess, sys, time
from pathlib import Path
from workers.guard import Guard
log, done, holds_pipe = sys.argv[1:]
guard = Guard.start(Path(log))
guard.add("undo", ["sh", "-c", f"echo undone > {done}"])
if holds_pipe == "forked":
    import os
    if os.fork() == 0:  # a child with a copy of the pipe, which therefore never reads end-of-file
        time.sleep(60)
print(guard._process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("holds_pipe", ["alone", "forked"])
def test_a_killed_owner_is_noticed(log, tmp_path, holds_pipe):
    done = tmp_path / "done"
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(log), str(done), holds_pipe],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        start_new_session=True,
    )
    with owner:
        owner.stdout.readline()
        killed = time.monotonic()
        owner.kill()
        owner.wait()
        while not (done.exists() and log.exists() and log.read_bytes().endswith(b"\n")):
            assert time.monotonic() - killed < 10, "the guard did not notice"
            time.sleep(0.005)
        if holds_pipe == "forked":
            os.killpg(owner.pid, signal.SIGKILL)  # the child that still sleeps
    assert [outcome.name for outcome in read_log(log)] == ["undo"]
