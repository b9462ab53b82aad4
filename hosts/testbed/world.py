"""The inner process of a testbed: process 1 of its PID and mount namespace, and mother of the three hosts.

The supervisor starts it (``python -m hosts.testbed.world``) and sends the plan over the socket that is
its stdin. That socket is the lifeline: its end-of-file means to take everything down. When it is killed, the kernel
kills every process of the hosts, and their namespaces and links vanish with them.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from hosts.errors import TestbedError
from hosts.testbed import files, network, reap
from hosts.testbed.lock import Lock
from hosts.testbed.plan import Plan, cgroup
from workers import cgroup_cpu
from workers.cgroup import Cgroup, detect
from workers.errors import WorkerError

if TYPE_CHECKING:
    from hosts.testbed.plan import HostPlan

READY_TIMEOUT_S: Final = 10.0
_POLL_S = 0.002
_MIB = 1024 * 1024
_PLAN_BYTES = 65536
# A real-time task (router, delay line, pacer) of a v1 cgroup runs only where its group was given some of each second,
# and stands still for the rest of it where it wants more: enough for hundreds of frames. A second testbed at the same
# time finds too little left, and its agents raise their nice level instead.
_RT_RUNTIME_US: Final = {
    "/neukonfig": 900_000,
    "testbed": 800_000,
    "edge": 400_000,
    "cloud": 180_000,
    "device": 200_000,
}

# What becomes a host: it waits until the links exist, makes the namespace its own and turns into sshd.
_HOST_SCRIPT = """
set -e
echo in
read -r go
hostname "$1"
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
# On a hybrid machine crun would take the empty v2 hierarchy for the real one.
if [ "$3" = v1 ]; then umount /sys/fs/cgroup/unified 2>/dev/null || true; fi
# sshd without PAM refuses accounts whose password is locked with "!".
if [ -e "$2/shadow" ]; then mount --bind "$2/shadow" /etc/shadow; fi
ip -batch "$2/ip.batch"
echo up
exec "$4" -D -f "$2/sshd_config" -E "$2/sshd.log"
"""


class World:
    """The three hosts. `build`, then `wait_ready`; `remove` undoes whatever was built."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.layout = detect()
        self.hosts: dict[str, subprocess.Popen[bytes]] = {}
        self.preferred = ""

    def build(self) -> None:
        """Make cgroups, namespaces and links, and start the hosts' sshd.

        Raises:
            TestbedError: something refused; the message holds its words.

        """
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # as sshd's own service does at boot
        self.hosts = {host.role: self._start(host) for host in self.plan.hosts}
        files.write(self.plan)
        self._write_shadow()
        for host in self.plan.hosts:
            self._make_cgroup(host)
        self.preferred = self._go_first()
        self._read_lines()  # every host is in its namespaces
        reap.run_ip(network.machine_batch(self.plan, {role: host.pid for role, host in self.hosts.items()}))
        for process in self.hosts.values():
            assert process.stdin is not None  # noqa: S101 - for the type checker
            with suppress(BrokenPipeError):  # it ended early: `wait_ready` tells why
                process.stdin.write(b"go\n")
                process.stdin.close()

    def wait_ready(self) -> None:
        """Wait until every host greets as an SSH server.

        Raises:
            TestbedError: one ended, or did not greet in time.

        """
        self._read_lines()  # their links are up: a greeting sent earlier would be lost and repeated after 1 s
        deadline = time.monotonic() + READY_TIMEOUT_S
        for host in self.plan.hosts:
            while not _greets(host):
                if self.hosts[host.role].poll() is not None or time.monotonic() > deadline:
                    raise TestbedError(f"Host {host.label} did not come up; {self._last_words(host)}")
                time.sleep(_POLL_S)

    def remove(self) -> list[str]:
        """Take everything down."""
        return reap.remove(self.plan.name)

    def dead_host(self, pids: set[int]) -> HostPlan | None:
        """Return a host whose sshd is among the ended processes `pids`."""
        return next((host for host in self.plan.hosts if self.hosts[host.role].pid in pids), None)

    def _start(self, host: HostPlan) -> subprocess.Popen[bytes]:
        folder = self.plan.run_dir / host.role
        sshd = str(shutil.which("sshd"))
        script = ["/bin/sh", "-c", _HOST_SCRIPT, "host", host.role, str(folder), self.layout.version, sshd]
        argv = ["unshare", "--net", "--uts", "--ipc", "--mount", "--propagation", "private", *script]
        return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None, cwd="/")

    def _read_lines(self) -> None:
        """Wait for the next line of every host's script, or its end."""
        for process in self.hosts.values():
            assert process.stdout is not None  # noqa: S101 - for the type checker
            process.stdout.readline()

    def _make_cgroup(self, host: HostPlan) -> None:
        top = Cgroup(self.plan.cgroup(host.role), self.layout)
        top.create()
        top.limit(host.cpus, host.memory_mb * _MIB)
        # v2 allows processes in leaves only: sshd and its sessions live beside the containers, not above.
        sessions = Cgroup(f"{top.path}/host", self.layout)
        sessions.create()
        if self.layout.version == "v1":
            self._allow_realtime(host.role, top, sessions)
        sessions.add(self.hosts[host.role].pid)

    def _go_first(self) -> str:
        """Let the hosts go first on this machine, so that other work on it hardly shows; say whether they do.

        Without it all of them weigh as much as one process: one compiler beside them, even of the lowest priority,
        made the cloud's start take five times as long.
        """
        try:
            cgroup_cpu.favour(Cgroup("/neukonfig", self.layout))
        except (WorkerError, OSError) as error:
            return f"no: {error}"
        return "yes"

    def _allow_realtime(self, role: str, *groups: Cgroup) -> None:
        quotas = [(Cgroup("/neukonfig", self.layout), _RT_RUNTIME_US["/neukonfig"])]
        quotas += [(Cgroup(cgroup(self.plan.name), self.layout), _RT_RUNTIME_US["testbed"])]
        quotas += [(group, _RT_RUNTIME_US[role]) for group in groups]
        for group, quota_us in quotas:
            with suppress(OSError):  # kernels without group scheduling of RT tasks need none of this
                (group.directory("cpu") / "cpu.rt_runtime_us").write_text(str(quota_us))

    def _write_shadow(self) -> None:
        text = Path("/etc/shadow").read_text()
        unlocked = "".join(
            line.replace("root:!", "root:*", 1) if line.startswith("root:!") else line
            for line in text.splitlines(keepends=True)
        )
        if unlocked != text:
            for host in self.plan.hosts:
                file = self.plan.run_dir / host.role / "shadow"
                file.touch(mode=0o600)
                file.write_text(unlocked)

    def _last_words(self, host: HostPlan) -> str:
        status = self.hosts[host.role].poll()
        ended = "its sshd does not answer" if status is None else f"its setup ended with status {status}"
        log = self.plan.run_dir / host.role / "sshd.log"
        words = log.read_text(errors="replace").strip() if log.exists() else "what it printed stands above"
        return f"{ended}: {words[-500:]}"


def _greets(host: HostPlan) -> bool:
    try:
        with socket.create_connection((host.address, host.port), timeout=1.0) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def hold(world: World) -> str | None:
    """Wait for the end of the lifeline or a signal; return why the testbed broke, None if it did not.

    As process 1 it inherits every orphan of the hosts and buries it. podman waits for that.
    """
    wake, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    ends: list[int] = []
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: ends.append(number))
    poller = select.poll()
    poller.register(sys.stdin, select.POLLIN | select.POLLHUP)
    poller.register(wake, select.POLLIN)
    while not ends:
        dead = world.dead_host(_bury())
        if dead:
            return f"sshd of {dead.label} ended"
        ready = dict(poller.poll())
        if sys.stdin.fileno() in ready and not os.read(sys.stdin.fileno(), 4096):
            return None
        with suppress(BlockingIOError):
            os.read(wake, 4096)
    return None


def _bury() -> set[int]:
    dead = set()
    with suppress(ChildProcessError):
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            dead.add(pid)
    return dead


def main() -> int:
    """Build the testbed of the plan on stdin, report on the FIFO named in argv, hold it, take it down."""
    status = os.open(sys.argv[1], os.O_WRONLY | os.O_CLOEXEC)
    plan, lock_fd = _receive()
    world = World(plan)
    broken: str | None = None
    try:
        world.build()
        world.wait_ready()
        _report(status, {"ready": True, "cgroup": world.layout.version, "preferred": world.preferred})
        broken = hold(world)
    except (TestbedError, WorkerError, OSError) as error:
        broken = str(error)
    finally:
        world.remove()
        if not _report(status, {"error": broken} if broken else {"down": True}):
            Lock(plan.name, lock_fd).release()  # the supervisor is gone, and with it who would have
    return 1 if broken else 0


def _receive() -> tuple[Plan, int]:
    """Receive the plan and the supervisor's lock; the lock comes as a message so that unshare does not hold it."""
    with socket.socket(fileno=os.dup(sys.stdin.fileno())) as lifeline:
        text, descriptors, _, _ = socket.recv_fds(lifeline, _PLAN_BYTES, 1)
    if not text:
        sys.exit(0)  # the supervisor was gone before it could say what to build
    os.set_inheritable(descriptors[0], False)
    return msgspec.json.decode(text, type=Plan), descriptors[0]


def _report(status: int, message: dict[str, object]) -> bool:
    """Tell the supervisor; False where it is gone."""
    try:
        os.write(status, msgspec.json.encode(message) + b"\n")
    except BrokenPipeError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
