"""The lease of a testbed: one holder at a time, free as soon as the holder is gone."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from hosts import facts
from hosts.errors import RemoteError
from hosts.lease import lease
from tests.contract.connections import LocalConnection, Sshd, make_host

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def lock(monkeypatch) -> Path:
    """A lease that is nobody else's; its file is gone in the end."""
    name = f"test-{secrets.token_hex(4)}"
    monkeypatch.setenv("NEUKONFIG_CGROUP", f"/{name}")
    return Path(f"/tmp/lease-{name}.lock")  # noqa: S108 - where leases are


@pytest.fixture
def edge(tmp_path) -> LocalConnection:
    return LocalConnection(tmp_path)


def wait_until(condition, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def test_the_second_waits_for_the_first_and_says_for_whom(edge, lock):
    said: list[str] = []
    order: list[str] = []

    def second() -> None:
        with lease(edge, said.append):
            order.append("second")

    with lease(edge, said.append):
        assert said == []
        waiting = threading.Thread(target=second)
        waiting.start()
        wait_until(lambda: said)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]
    assert said[0].startswith(f"edge (127.0.0.1): the testbed is leased by process {os.getpid()} of ")
    assert said[0].endswith("; waiting for it")
    wait_until(lambda: not lock.exists())


def test_many_at_once_are_one_after_the_other(edge, lock):
    inside: list[int] = []
    most: list[int] = []

    def hold(number: int) -> None:
        with lease(edge, lambda _: None):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.01)
            inside.remove(number)

    threads = [threading.Thread(target=hold, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1] * 6
    wait_until(lambda: not lock.exists())


def test_an_error_inside_frees_the_lease(edge, lock):
    with pytest.raises(ZeroDivisionError), lease(edge):
        _ = 1 / 0
    with lease(edge, pytest.fail):
        assert lock.exists()
    wait_until(lambda: not lock.exists())


def test_the_facts_of_the_edge_name_the_holder(edge, lock):
    assert facts.gather(edge, make_host()).leased_by is None
    with lease(edge):
        assert facts.gather(edge, make_host()).leased_by.startswith(f"process {os.getpid()} of ")
    wait_until(lambda: not lock.exists())
    assert facts.gather(edge, make_host()).leased_by is None


def test_a_file_that_a_killed_host_left_means_nothing(edge, lock):
    lock.write_text("process 1 of nobody\n")
    with lease(edge, pytest.fail):
        assert "nobody" not in lock.read_text()
    wait_until(lambda: not lock.exists())


@pytest.mark.usefixtures("lock")
def test_a_host_without_flock(edge, tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with (
        pytest.raises(RemoteError, match=r"could not be leased \(flock not found, status 127\).*util-linux"),
        lease(edge),
    ):
        pass


HOLD = """
import sys, msgspec
from hosts.inventory import Host
from hosts.lease import lease
from hosts.ssh import connect
host = msgspec.json.decode(sys.argv[1], type=Host, dec_hook=lambda kind, value: kind(value))
with connect(host) as edge, lease(edge):
    print("leased", flush=True)
    sys.stdin.read()
"""


def test_kill_9_of_the_holder_frees_the_lease_over_ssh(lock, tmp_path):
    with Sshd(tmp_path / "sshd", environment={"NEUKONFIG_CGROUP": os.environ["NEUKONFIG_CGROUP"]}) as sshd:
        argv = [sys.executable, "-c", HOLD, msgspec.json.encode(sshd.host, enc_hook=str)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(argv, cwd=REPOSITORY, **pipes) as first:
            assert first.stdout.readline() == b"leased\n"
            with subprocess.Popen(argv, cwd=REPOSITORY, stderr=subprocess.PIPE, **pipes) as second:
                assert f"leased by process {first.pid} of ".encode() in second.stderr.readline()
                first.kill()
                began = time.monotonic()
                assert second.stdout.readline() == b"leased\n"
                assert time.monotonic() - began < 2
                second.stdin.close()
        wait_until(lambda: not lock.exists())
