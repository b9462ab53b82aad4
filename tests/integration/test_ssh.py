"""Reaching hosts over SSH: every refusal says which host, why, and what to do; a dead host is noticed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from hosts.errors import ConnectError
from hosts.known_hosts import HostKey
from hosts.ssh import connect
from tests.contract.connections import Sshd, free_port, make_host, make_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hosts.inventory import Host

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("sshd")) as sshd:
        yield sshd


@pytest.fixture
def sshd(server) -> Sshd:
    server.write_known_hosts()
    return server


def refusal(host: Host, **changes) -> str:
    """Return the one line with which a host is refused; no thread or socket may be left."""
    before = set(threading.enumerate())
    with pytest.raises(ConnectError) as caught:
        connect(msgspec.structs.replace(host, **changes))
    line = str(caught.value)
    assert line.startswith(f"edge ({host.address}:{host.port}): ")
    assert "\n" not in line
    deadline = time.monotonic() + 2
    while not set(threading.enumerate()) <= before:
        assert time.monotonic() < deadline, "threads are left"
        time.sleep(0.01)
    return line


def key_of(path: Path) -> HostKey:
    return HostKey(*path.with_suffix(".pub").read_text().split()[:2])


# --- who the host is ----------------------------------------------------------------------------------------


def test_an_unknown_host_key_is_refused_with_the_line_to_add(sshd):
    sshd.known_hosts.unlink()
    line = refusal(sshd.host)
    key = key_of(sshd.host_key)
    shown = subprocess.run(["ssh-keygen", "-lf", sshd.host_key], capture_output=True, text=True, check=True)
    assert key.fingerprint in shown.stdout  # ours is what OpenSSH shows
    assert key.fingerprint in line
    wanted = f"[127.0.0.1]:{sshd.port} {key.kind} {key.blob}"
    assert line.endswith(f"add this line to {sshd.known_hosts}: {wanted}")
    assert not sshd.known_hosts.exists()  # nothing was learnt

    sshd.known_hosts.write_text(wanted + "\n")
    connect(sshd.host).close()


def test_a_changed_host_key_is_refused_with_both_fingerprints(sshd, tmp_path):
    other = make_key(tmp_path / "other")
    sshd.write_known_hosts(other.with_suffix(".pub"))
    line = refusal(sshd.host)
    assert "CHANGED" in line
    assert key_of(other).fingerprint in line
    assert key_of(sshd.host_key).fingerprint in line
    assert f"ssh-keygen -f {sshd.known_hosts} -R '[127.0.0.1]:{sshd.port}'" in line


def test_a_revoked_host_key_is_refused(sshd):
    sshd.write_known_hosts(prefix="@revoked ")
    assert "@revoked" in refusal(sshd.host)


def test_hashed_names_in_known_hosts_are_understood(sshd):
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", sshd.known_hosts], check=True, capture_output=True)
    assert sshd.known_hosts.read_text().startswith("|1|")
    connect(sshd.host).close()


def test_of_several_host_keys_the_known_one_is_asked_for(tmp_path):
    server = Sshd(tmp_path)
    ecdsa = tmp_path / "ecdsa_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", ecdsa], check=True)
    config = server._config
    server._config = lambda: config() + f"HostKey {ecdsa}\n"
    with server:
        for public_key in (ecdsa.with_suffix(".pub"), server.host_key.with_suffix(".pub")):
            server.write_known_hosts(public_key)
            connect(server.host).close()


def test_an_rsa_host_key_is_verified(tmp_path):
    server = Sshd(tmp_path)
    server.host_key = tmp_path / "rsa_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", server.host_key], check=True)
    with server:
        connect(server.host).close()


# --- who we are ---------------------------------------------------------------------------------------------


def test_a_key_that_the_host_does_not_know(sshd, tmp_path):
    stranger = make_key(tmp_path / "stranger")
    line = refusal(sshd.host, key=stranger)
    assert f"does not let {sshd.user} in with the key {stranger}" in line
    assert "authorized_keys" in line


def test_a_user_who_may_not_log_in(sshd):
    assert "does not let daemon in" in refusal(sshd.host, user="daemon")


def test_a_missing_key(sshd, tmp_path):
    assert "does not exist. Set `key`" in refusal(sshd.host, key=tmp_path / "missing")


def test_a_key_that_is_none(sshd, tmp_path):
    (tmp_path / "text").write_text("not a key")
    assert "is no private key" in refusal(sshd.host, key=tmp_path / "text")


def test_a_key_with_a_passphrase(sshd, tmp_path):
    assert "has a passphrase. Run ssh-add" in refusal(sshd.host, key=make_key(tmp_path / "locked", "secret"))


def test_without_a_key_agent_and_default_keys_are_tried(sshd, tmp_path, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "there is no key to log in with" in refusal(sshd.host, key=None)

    (tmp_path / ".ssh").mkdir()
    make_key(tmp_path / ".ssh" / "id_ecdsa", "passphrase")  # is passed over
    make_key(tmp_path / ".ssh" / "id_rsa")
    assert "with none of 1 keys" in refusal(sshd.host, key=None)

    (tmp_path / ".ssh" / "id_ed25519").write_bytes(sshd.key.read_bytes())
    connect(msgspec.structs.replace(sshd.host, key=None)).close()


def test_a_key_of_ssh_agent(sshd, tmp_path, monkeypatch):
    place = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.DEVNULL) as agent:
        try:
            deadline = time.monotonic() + 5
            while not place.exists():
                assert time.monotonic() < deadline
                time.sleep(0.01)
            monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
            monkeypatch.setenv("HOME", str(tmp_path))
            subprocess.run(["ssh-add", "-q", sshd.key], check=True, capture_output=True)
            with connect(msgspec.structs.replace(sshd.host, key=None)) as connection:
                # The agent itself is not forwarded.
                assert connection.run(["sh", "-c", "echo ${SSH_AUTH_SOCK:-none}"]).stdout == b"none\n"
        finally:
            agent.terminate()


# --- whether it can be reached ------------------------------------------------------------------------------


def test_a_closed_port():
    assert "nothing listens on port" in refusal(make_host(port=free_port()))


def test_a_name_that_nobody_knows():
    host = make_host(address="no-such-host.invalid")
    assert "the name no-such-host.invalid is not known" in refusal(host)


@contextlib.contextmanager
def server_saying(words: bytes | None) -> Iterator[Host]:
    """Accept one connection and say `words` (None: hang up at once)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                if words is not None:
                    connection.sendall(words)
                    connection.settimeout(10)
                    with contextlib.suppress(OSError):
                        while connection.recv(1024):
                            pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield make_host(port=listener.getsockname()[1])
        thread.join(10)


def test_a_port_of_another_service():
    with server_saying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as host:
        assert "no SSH server (it said 'HTTP/1.1 400 Bad Request')" in refusal(host)


def test_a_server_that_hangs_up():
    with server_saying(None) as host:
        assert "closed the connection at once" in refusal(host)


def test_a_server_that_says_nothing(monkeypatch):
    monkeypatch.setattr("hosts.ssh.login.CONNECT_TIMEOUT_S", 0.3)
    with server_saying(b"") as host:
        assert "said nothing within 0.3 s" in refusal(host)


def test_a_server_that_stops_after_its_greeting(monkeypatch):
    monkeypatch.setattr("hosts.ssh.login.CONNECT_TIMEOUT_S", 0.3)
    with server_saying(b"SSH-2.0-OpenSSH_9.2\r\n") as host:
        assert "no secure connection could be agreed on" in refusal(host)


# --- whether it stays ---------------------------------------------------------------------------------------


def test_a_killed_session_is_noticed_at_once_by_channel_and_connection(sshd):
    with connect(sshd.host) as connection, contextlib.closing(connection.open(["cat"])) as channel:
        channel.send(b"x")
        assert channel.receive(1, 5) == b"x"
        began = time.monotonic()
        for pid in sshd.sessions():
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(ConnectError, match=r"^edge \(127\.0\.0\.1\): the SSH connection is gone"):
            channel.receive(1, 10)
        assert time.monotonic() - began < 5
        assert channel.exit_status(1) is None
        with pytest.raises(ConnectError):
            connection.run(["true"])


def test_the_host_gives_a_killed_controllers_process_end_of_file(sshd, tmp_path):
    """What a dead controller means for an agent: its stdin ends."""
    mark = tmp_path / "mark"
    script = (
        "import sys, pathlib, msgspec\nfrom hosts.inventory import Host\nfrom hosts.ssh import connect\n"
        "host = msgspec.json.decode(sys.argv[1], type=Host, dec_hook=lambda kind, value: kind(value))\n"
        "channel = connect(host).open(['sh', '-c', 'echo up; cat; echo > ' + sys.argv[2]])\n"
        "channel.receive(3, 10); print('up', flush=True); sys.stdin.read()"
    )
    host = msgspec.json.encode(sshd.host, enc_hook=str)
    argv = [sys.executable, "-c", script, host, str(mark)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY) as controller:
        assert controller.stdout.readline() == b"up\n"
        assert not mark.exists()
        controller.kill()
    deadline = time.monotonic() + 5
    while not mark.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# Runs in a network namespace of its own, whose loopback it takes down: packets vanish as with a pulled cable.
PULL_THE_CABLE = """
import pathlib, subprocess, sys, time
from hosts.errors import ConnectError
from hosts.ssh import connect
from tests.contract.connections import Sshd
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
with Sshd(pathlib.Path(sys.argv[1])) as sshd, connect(sshd.host) as connection:
    channel = connection.open(["cat"])
    subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
    began = time.monotonic()
    try:
        channel.receive(1, 60)
    except ConnectError as error:
        print(round(time.monotonic() - began, 1), error)
"""


@pytest.mark.root
def test_commands_that_end_at_once_beside_uploads_do_not_break_their_connection(sshd):
    upload = b"x" * 300_000
    with connect(sshd.host) as connection, ThreadPoolExecutor(6) as pool:
        sizes = [pool.submit(connection.run, ["wc", "-c"], stdin=upload) for _ in range(60)]
        short = [pool.submit(connection.run, ["/bin/sh", "-c", "echo $0", str(number)]) for number in range(600)]
        assert {future.result().stdout for future in sizes} == {b"300000\n"}
        assert [future.result().stdout for future in short] == [b"%d\n" % number for number in range(600)]


def test_a_pulled_cable_is_noticed_within_15_seconds(tmp_path):
    argv = ["unshare", "--net", sys.executable, "-c", PULL_THE_CABLE, str(tmp_path / "sshd")]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=REPOSITORY, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    seconds, _, line = done.stdout.partition(" ")
    assert float(seconds) <= 16
    assert line.startswith("edge (127.0.0.1): the SSH connection is gone (")


def test_a_command_takes_milliseconds(sshd):
    """Nagle's algorithm and delayed acknowledgements would make it 40 ms or more, each time."""
    with connect(sshd.host) as connection:
        took_ms = []
        for _ in range(20):
            began = time.monotonic()
            connection.run(["true"])
            took_ms.append((time.monotonic() - began) * 1e3)
    assert min(took_ms) < 30
