"""What every `Connection` promises, checked on SSH and on its stand-in."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from hosts.errors import ConnectError, RemoteError
from hosts.ssh import connect
from tests.contract.connections import LocalConnection, Sshd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hosts.connection import Channel, Connection

EVERY_BYTE = bytes(range(256))


@pytest.fixture(scope="module")
def sshd(tmp_path_factory) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(params=["local", "ssh"])
def connection(request, tmp_path) -> Iterator[Connection]:
    if request.param == "local":
        home = tmp_path / "home"
        home.mkdir()
        with LocalConnection(home) as local:
            yield local
    else:
        with connect(request.getfixturevalue("sshd").host) as ssh:
            yield ssh


@pytest.fixture
def home(request, connection, tmp_path) -> Path:
    return tmp_path / "home" if isinstance(connection, LocalConnection) else request.getfixturevalue("sshd").home


def read_all(channel: Channel, timeout_s: float = 10.0) -> bytes:
    data = b""
    while piece := channel.receive(65536, timeout_s):
        data += piece
    return data


def read_line(channel: Channel) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        piece = channel.receive(1, 10)
        assert piece, f"it ended after {line!r}: {channel.stderr_tail()}"
        line += piece
    return line


def wait_until(condition, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


# --- run ----------------------------------------------------------------------------------------------------


def test_label_names_role_and_address(connection):
    assert connection.label == "edge (127.0.0.1)"


def test_run_returns_status_and_both_outputs(connection):
    done = connection.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert done == (3, b"out\n", b"err\n")


@pytest.mark.parametrize(
    "argument",
    ["two words", "", "it's", '"', "$HOME", "`id`", "*", "a\nb", "~/x", "ünïcode", "\\", "-n", "#", ";exit 9", "!"],
)
def test_run_hands_over_arguments_as_they_are(connection, argument):
    assert connection.run(["printf", "%s", argument]).stdout == argument.encode()


def test_run_is_binary_safe_both_ways(connection):
    assert connection.run(["cat"], stdin=EVERY_BYTE).stdout == EVERY_BYTE


def test_run_gives_end_of_file_on_stdin(connection):
    assert connection.run(["cat"]).stdout == b""


def test_run_moves_more_than_any_buffer_holds(connection):
    data = EVERY_BYTE * 40_000  # 10 MB
    done = connection.run(["cat"], stdin=data)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()


def test_run_keeps_all_of_a_big_stderr_beside_stdout(connection):
    done = connection.run(["sh", "-c", "head -c 4000000 /dev/zero >&2; head -c 4000000 /dev/zero"])
    assert (len(done.stdout), len(done.stderr)) == (4_000_000, 4_000_000)


def test_run_ends_although_the_command_reads_none_of_a_big_stdin(connection):
    done = connection.run(["echo", "done"], stdin=bytes(8_000_000))
    assert (done.status, done.stdout) == (0, b"done\n")


def test_run_of_an_unknown_command_has_status_127(connection):
    assert connection.run(["no-such-command-at-all"]).status == 127


def test_run_of_a_killed_command_has_the_signal_in_its_status(connection):
    assert connection.run(["sh", "-c", "kill -9 $$"]).status == 128 + 9


def test_run_gives_up_in_time_and_the_connection_goes_on(connection):
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"edge \(127\.0\.0\.1\).*`sleep`.*0\.2 s"):
        connection.run(["sleep", "5"], timeout_s=0.2)
    assert time.monotonic() - began < 3
    assert connection.run(["echo", "still here"]).stdout == b"still here\n"


def test_runs_at_the_same_time_do_not_mix(connection):
    found: dict[int, bytes] = {}

    def run(number: int) -> None:
        found[number] = connection.run(["cat"], stdin=str(number).encode() * 50_000).stdout

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: str(number).encode() * 50_000 for number in range(8)}


# --- put and get --------------------------------------------------------------------------------------------


def test_put_makes_folders_and_sets_the_mode(connection, tmp_path):
    target = tmp_path / "new" / "folder" / "it's a file"
    connection.put(EVERY_BYTE, str(target), mode=0o750)
    assert target.read_bytes() == EVERY_BYTE
    assert target.stat().st_mode & 0o7777 == 0o750


def test_put_and_get_move_files_of_several_megabytes(connection, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(EVERY_BYTE * 30_011)
    connection.put(source, str(tmp_path / "there"))
    connection.get(str(tmp_path / "there"), tmp_path / "back" / "again")
    assert (tmp_path / "back" / "again").read_bytes() == source.read_bytes()


def test_put_of_an_empty_file(connection, tmp_path):
    connection.put(b"", str(tmp_path / "empty"))
    assert (tmp_path / "empty").read_bytes() == b""


def test_put_replaces_the_file_in_one_step(connection, tmp_path):
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with target.open("rb") as reader:
        connection.put(b"new", str(target))
        assert reader.read() == b"old"  # a reader keeps what it opened: the file was replaced, not rewritten
    assert target.read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["file"]


def test_a_tilde_is_the_home_on_the_host(connection, home, tmp_path):
    connection.put(b"x", "~/some where/file")
    assert (home / "some where" / "file").read_bytes() == b"x"
    connection.get("~/some where/file", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"x"


def test_put_below_a_file_says_host_file_and_reason(connection, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RemoteError, match=r"^edge \(127\.0\.0\.1\): .*/file/below could not be written: .+`workdir`"):
        connection.put(b"x", str(tmp_path / "file" / "below"))


def test_put_onto_a_folder_is_refused_and_leaves_nothing(connection, tmp_path):
    (tmp_path / "target" / "inside").mkdir(parents=True)
    with pytest.raises(RemoteError):
        connection.put(b"x", str(tmp_path / "target"))
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["inside"]
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.root
def test_put_onto_a_full_disk_says_so_and_leaves_nothing(connection, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    try:
        with pytest.raises(RemoteError, match=r"edge \(127\.0\.0\.1\): disk full: .*/disk/big .*Free space there"):
            connection.put(bytes(8_000_000), str(disk / "big"))
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_get_of_a_missing_file_leaves_nothing(connection, tmp_path):
    folder = tmp_path / "local"
    with pytest.raises(FileNotFoundError, match=r"edge \(127\.0\.0\.1\).*missing"):
        connection.get(str(tmp_path / "missing"), folder / "file")
    assert not folder.exists() or list(folder.iterdir()) == []


# --- open ---------------------------------------------------------------------------------------------------


def test_a_channel_talks_both_ways(connection):
    with contextlib.closing(connection.open(["cat"])) as channel:
        for message in (b"one\n", EVERY_BYTE.replace(b"\n", b"") + b"\n", b"three\n"):
            channel.send(message)
            assert read_line(channel) == message


def test_receive_is_in_time_and_loses_nothing(connection):
    with contextlib.closing(connection.open(["cat"])) as channel:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            channel.receive(10, 0.1)
        assert 0.09 < time.monotonic() - began < 2
        channel.send(b"late\n")
        assert read_line(channel) == b"late\n"


def test_end_of_file_and_exit_status(connection):
    with contextlib.closing(connection.open(["sh", "-c", "echo bye; exit 5"])) as channel:
        assert read_all(channel) == b"bye\n"
        assert channel.receive(10, 1) == b""
        assert channel.exit_status(10) == 5


def test_exit_status_is_none_while_it_runs(connection):
    with contextlib.closing(connection.open(["cat"])) as channel:
        assert channel.exit_status(0.05) is None


def test_stderr_is_drained_and_its_end_kept(connection):
    script = "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo the end >&2; echo ready; cat"
    with contextlib.closing(connection.open(["sh", "-c", script])) as channel:
        assert read_line(channel) == b"ready\n"
        wait_until(lambda: channel.stderr_tail().endswith("the end\n"))
        assert len(channel.stderr_tail()) == 64 * 1024


def test_close_gives_the_process_end_of_file(connection, tmp_path):
    mark = tmp_path / "mark"
    channel = connection.open(["sh", "-c", f"echo up; cat >/dev/null; echo ended > '{mark}'"])
    assert read_line(channel) == b"up\n"
    assert not mark.exists()
    channel.close()
    wait_until(mark.exists)
    channel.close()


def test_sending_to_an_ended_process_raises(connection):
    with contextlib.closing(connection.open(["true"])) as channel:
        assert channel.exit_status(10) == 0

        def send_until_refused() -> None:
            for _ in range(1000):  # how soon the end is seen is not ours to say
                channel.send(bytes(1000))
                time.sleep(0.005)

        with pytest.raises(ConnectError, match=r"edge \(127\.0\.0\.1\)"):
            send_until_refused()


def test_sending_and_receiving_at_the_same_time(connection):
    data = EVERY_BYTE * 20_000  # 5 MB, more than the windows of both directions hold
    with contextlib.closing(connection.open(["cat"])) as channel:
        sender = threading.Thread(target=channel.send, args=(data,))
        sender.start()
        received = bytearray()
        while len(received) < len(data):
            received += channel.receive(65536, 10)
        sender.join()
    assert bytes(received) == data


def test_several_channels_and_commands_share_a_connection(connection):
    channels = [connection.open(["cat"]) for _ in range(3)]
    for number, channel in enumerate(channels):
        channel.send(f"{number}\n".encode())
    assert connection.run(["echo", "between"]).stdout == b"between\n"
    assert [read_line(channel) for channel in channels] == [b"0\n", b"1\n", b"2\n"]
    for channel in channels:
        channel.close()


# --- close --------------------------------------------------------------------------------------------------


def test_a_closed_connection_refuses_everything(connection, tmp_path):
    connection.close()
    connection.close()
    for use in (
        lambda: connection.run(["true"]),
        lambda: connection.open(["true"]),
        lambda: connection.put(b"", str(tmp_path / "file")),
        lambda: connection.get("/etc/hostname", tmp_path / "file"),
    ):
        with pytest.raises(ConnectError, match=r"^edge \(127\.0\.0\.1\)"):
            use()


def test_no_thread_outlives_its_channel_and_connection(sshd):
    before = set(threading.enumerate())
    for _ in range(3):
        with connect(sshd.host) as connection:
            connection.run(["true"])
            connection.open(["cat"])
    wait_until(lambda: set(threading.enumerate()) <= before)
