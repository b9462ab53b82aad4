"""Connections for tests: one over subprocesses, and an SSH server of our own on loopback to connect to."""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from hosts import shell
from hosts.connection import Completed
from hosts.errors import ConnectError, RemoteError
from hosts.inventory import Host

if TYPE_CHECKING:
    from collections.abc import Sequence

TAIL_BYTES = 64 * 1024


def make_host(**changes) -> Host:
    """Return an edge host on loopback with every field set."""
    host = Host(
        role="edge",
        address="127.0.0.1",
        port=22,
        user="nobody",
        key=None,
        known_hosts=Path("/nonexistent/known_hosts"),
        python=sys.executable,
        workdir="~/work",
        runtime="podman",
        cpus=None,
        memory_mb=None,
        sudo=False,
        data_address="127.0.0.1",
        cloud_side_address="127.0.0.1",
        data_ports=5600,
    )
    return msgspec.structs.replace(host, **changes)


class LocalChannel:
    """A process of this machine."""

    def __init__(self, label: str, process: subprocess.Popen[bytes]) -> None:
        self._label = label
        self._process = process
        self._errors = b""
        self._drainer = threading.Thread(target=self._drain, daemon=True)
        self._drainer.start()

    def send(self, data: bytes) -> None:
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise ConnectError(f"{self._label}: the process has ended, nothing can be sent to it") from error

    def receive(self, max_bytes: int, timeout_s: float) -> bytes:
        if self._process.stdout.closed:
            return b""
        if not select.select([self._process.stdout], [], [], timeout_s)[0]:
            raise TimeoutError(f"{self._label}: nothing arrived within {timeout_s:g} s")
        return os.read(self._process.stdout.fileno(), max_bytes)

    def stderr_tail(self) -> str:
        return self._errors.decode(errors="replace")

    def exit_status(self, timeout_s: float) -> int | None:
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
            self._drainer.join(2)

    def _drain(self) -> None:
        with self._process.stderr as stderr:
            while data := stderr.read1(TAIL_BYTES):
                self._errors = (self._errors + data)[-TAIL_BYTES:]


class LocalConnection:
    """This machine as a host, with a home directory of its own."""

    def __init__(self, home: Path, role: str = "edge") -> None:
        self._home = home
        self._role = role
        self._closed = False

    @property
    def label(self) -> str:
        return f"{self._role} (127.0.0.1)"

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float = 30.0) -> Completed:
        process = self._start(argv)
        try:
            out, errors = process.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise TimeoutError(f"{self.label}: `{argv[0]}` did not end within {timeout_s:g} s") from None
        return Completed(process.returncode, out, errors)

    def put(self, source: bytes | Path, remote: str, *, mode: int = 0o644) -> None:
        data = source.read_bytes() if isinstance(source, Path) else source
        script = shell.put_script(remote, secrets.token_hex(4), len(data), mode)
        done = self.run(shell.script(script), stdin=data)
        if done.status:
            raise RemoteError(shell.put_failure(self.label, remote, done.stderr.decode()))

    def get(self, remote: str, local: Path) -> None:
        done = self.run(shell.script(shell.get_script(remote)))
        if done.status == shell.NO_SUCH_FILE:
            raise FileNotFoundError(f"{self.label}: there is no file {remote}")
        local.parent.mkdir(parents=True, exist_ok=True)
        local.write_bytes(done.stdout)

    def open(self, argv: Sequence[str]) -> LocalChannel:
        return LocalChannel(self.label, self._start(argv))

    def close(self) -> None:
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        if self._closed:
            raise ConnectError(f"{self.label}: the connection is closed")
        pipe = subprocess.PIPE
        return subprocess.Popen(
            ["/bin/sh", "-c", shell.command_line(argv, reads=True)],
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            cwd=self._home,
            start_new_session=True,
            env={**os.environ, "HOME": str(self._home)},
        )


class Sshd:
    """An SSH server of our own on loopback with its own keys; `host` is how to reach it."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.folder = folder
        self._environment = environment or {}
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self.key = make_key(folder / "client_key")
        self.host_key = make_key(folder / "host_key")
        self.known_hosts = folder / "known_hosts"
        self.port = free_port()
        self.user = getpass.getuser()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> Host:
        return make_host(port=self.port, user=self.user, key=self.key, known_hosts=self.known_hosts)

    @property
    def pid(self) -> int:
        return self._process.pid

    def write_known_hosts(self, public_key: Path | None = None, prefix: str = "") -> None:
        kind, blob = (public_key or self.host_key.with_suffix(".pub")).read_text().split()[:2]
        self.known_hosts.write_text(f"{prefix}[127.0.0.1]:{self.port} {kind} {blob}\n")

    def start(self) -> Self:
        self.write_known_hosts()
        shutil.copyfile(self.key.with_suffix(".pub"), self.folder / "authorized_keys")
        config = self.folder / "sshd_config"
        config.write_text(self._config())
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # as sshd's own service does at boot
        with (self.folder / "sshd.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sshd_program(), "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL, stderr=log
            )
        deadline = time.monotonic() + 10
        while not greets(self.port):
            assert self._process.poll() is None, (self.folder / "sshd.log").read_text()
            assert time.monotonic() < deadline, "sshd did not greet within 10 s"
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def sessions(self) -> list[int]:
        """Return the pids of sshd's direct children, one for each connection."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _config(self) -> str:
        variables = {"SHLVL": "1", "HOME": str(self.home)} | self._environment
        environment = " ".join(f"{name}={value}" for name, value in variables.items())
        return (
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {self.host_key}\nPidFile none\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nStrictModes no\nUsePAM no\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
            f"AllowUsers {self.user}\nSubsystem sftp internal-sftp\nMaxStartups 100\nMaxSessions 100\n"
            f"SetEnv {environment}\n"
        )


def sshd_program() -> str:
    """sshd re-executes itself and wants to be called by an absolute path."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    assert program, "these tests need openssh-server"
    return program


def make_key(path: Path, passphrase: str = "") -> Path:
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "test", "-f", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
