"""The local testbed, for real: what its hosts are, and that nothing of it is left, whoever is killed."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hosts.errors import TestbedError
from hosts.testbed import Testbed, lock, plan
from workers.cgroup import Cgroup, detect

pytestmark = pytest.mark.root

NAME = "nk-test"
ROOT = Path(__file__).parents[2]
RUN = Path("/run/neukonfig") / NAME
ADDRESSES = {"device": "198.19.0.11", "edge": "198.19.0.12", "cloud": "198.19.0.13"}
CLOUD_DATA = "198.19.2.13"
MOUNTS = [
    part for path in ("/usr", "/bin", "/lib", "/lib64") if Path(path).exists() for part in ("-v", f"{path}:{path}:ro")
]


@pytest.fixture(scope="module")
def inventory(tmp_path_factory):
    text = (ROOT / "hosts" / "local.yaml").read_text()
    text = text.replace("testbed: local", f"testbed: {NAME}").replace("neukonfig/local/", f"neukonfig/{NAME}/")
    file = tmp_path_factory.mktemp("inventory") / "testbed.yaml"
    file.write_text(text.replace("198.18.", "198.19."))
    return file


def supervisor(inventory, *more):
    return [sys.executable, "-m", "hosts.testbed", "--inventory", str(inventory), *more]


def ssh_argv(role, *command):
    options = f"-F none -i {RUN}/controller_key -o UserKnownHostsFile={RUN}/known_hosts -o BatchMode=yes".split()
    strict = ["-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR"]
    return ["ssh", *options, *strict, f"root@{ADDRESSES[role]}", *command]


def ssh(role, *command):
    done = subprocess.run(ssh_argv(role, *command), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def start_container(role, *, pause=False):
    """Start a container that sleeps, from an SSH session, as the agents do; the image is an empty skeleton."""
    folders = "mkdir -p {0}/usr {0}/bin {0}/lib {0}/lib64 {0}/proc {0}/sys {0}/dev {0}/tmp {0}/etc"
    ssh(
        role,
        "set -e; skeleton=$(mktemp -d);"
        + folders.format("$skeleton")
        + "; tar -C $skeleton -c . | podman import -q - nk:base >&2; rm -r $skeleton;"
        "podman run -d --name sleeper --network host --cgroup-parent $NEUKONFIG_CGROUP "
        f"{' '.join(MOUNTS)} nk:base sleep infinity" + ("; podman pause sleeper" if pause else ""),
    )


@pytest.fixture(scope="class")
def testbed(inventory):
    with Testbed(inventory) as running:
        yield running


@pytest.mark.usefixtures("testbed")
class TestHosts:
    def test_reports_what_it_is(self, testbed):
        facts = testbed.facts
        print(f"up in {facts['up_ms']} ms")
        assert facts["ready"] is True
        assert facts["cgroup"] == detect().version
        assert facts["delay"] in {"netem", "delay line"}
        assert facts["up_ms"] < 2000

    def test_every_host_lets_the_controllers_key_in(self):
        assert {role: ssh(role, "hostname") for role in ADDRESSES} == {role: role for role in ADDRESSES}

    def test_no_other_key_gets_in(self, tmp_path):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
        argv = [part.replace(f"{RUN}/controller_key", f"{tmp_path}/key") for part in ssh_argv("edge", "true")]
        done = subprocess.run([*argv[:1], "-o", "IdentitiesOnly=yes", *argv[1:]], capture_output=True, check=False)
        assert done.returncode == 255
        assert b"Permission denied" in done.stderr

    def test_an_unknown_host_key_is_refused(self, tmp_path):
        (tmp_path / "empty").touch()
        argv = [part.replace(f"{RUN}/known_hosts", f"{tmp_path}/empty") for part in ssh_argv("edge", "true")]
        assert subprocess.run(argv, capture_output=True, check=False).returncode == 255

    def test_keys_are_for_root_alone(self):
        assert RUN.stat().st_mode & 0o777 == 0o700
        assert (RUN / "controller_key").stat().st_mode & 0o777 == 0o600

    def test_sessions_know_their_cgroup_and_are_in_it(self):
        assert ssh("edge", "echo $NEUKONFIG_CGROUP") == f"/neukonfig/{NAME}/edge"
        groups = ssh("edge", "cat /proc/self/cgroup")
        assert f"memory:/neukonfig/{NAME}/edge/host" in groups or f"0::/neukonfig/{NAME}/edge/host" in groups

    def test_sessions_find_system_programs_and_skip_bashrc(self):
        assert ssh("edge", "command -v tc")
        assert ssh("edge", "echo $SHLVL") == "2"

    def test_hosts_are_pinned_and_the_edge_is_alone(self):
        cpus = {role: ssh(role, "grep Cpus_allowed_list /proc/self/status").split()[1] for role in ADDRESSES}
        if (os.cpu_count() or 1) > 1:
            assert cpus["edge"] not in {cpus["device"], cpus["cloud"]}

    def test_memory_is_limited(self, inventory):
        wanted = plan.load(inventory)
        for host in wanted.hosts:
            limit = Cgroup(wanted.cgroup(host.role)).memory_limit_bytes()
            assert limit == host.memory_mb * 1024 * 1024

    def test_the_hosts_go_first_on_this_machine(self, testbed):
        name, most = {"v1": ("cpu.shares", 262144), "v2": ("cpu.weight", 10000)}[detect().version]
        assert testbed.facts["preferred"] == "yes"
        assert int((Cgroup("/neukonfig").directory("cpu") / name).read_text()) == most

    def test_links_reach_their_neighbours_only(self):
        ssh("device", f"bash -c 'exec 3<>/dev/tcp/{ADDRESSES['device']}/22'")  # the probe itself works
        reachable = f"timeout 2 bash -c 'exec 3<>/dev/udp/{CLOUD_DATA}/9'"
        ssh("edge", reachable)
        done = subprocess.run(ssh_argv("device", reachable), capture_output=True, check=False)
        assert done.returncode != 0, "the device has no way to the cloud but through the edge"

    def test_the_link_sends_one_segment_a_packet(self):
        detail = json.loads(ssh("edge", "ip -d -j link show dev to-cloud"))[0]
        assert detail["gso_max_segs"] == 1

    def test_containers_land_in_the_hosts_namespace_and_cgroup(self):
        start_container("edge")
        try:
            assert ssh("edge", "podman exec sleeper cat /sys/class/net/to-cloud/address || true") is not None
            pid = ssh("edge", "podman inspect --format '{{.State.Pid}}' sleeper")
            assert ssh("edge", f"readlink /proc/{pid}/ns/net") == ssh("edge", "readlink /proc/self/ns/net")
            assert ssh("device", "readlink /proc/self/ns/net") != ssh("edge", "readlink /proc/self/ns/net")
            groups = ssh("edge", f"cat /proc/{pid}/cgroup")
            assert re.search(rf"(memory|0:):/neukonfig/{NAME}/edge/libpod-", groups), groups
        finally:
            ssh("edge", "podman rm -f -t 0 sleeper")

    def test_real_time_tasks_may_run_on_the_cloud(self):
        assert ssh("cloud", "chrt -r 1 echo ran") == "ran"

    def test_a_second_one_is_refused_and_told_who_holds_it(self, testbed, inventory):
        done = subprocess.run(
            supervisor(inventory), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert f"in use by process {testbed.pid}" in done.stderr
        assert "Traceback" not in done.stderr

    def test_reaping_leaves_a_running_one_alone(self, inventory):
        done = subprocess.run(supervisor(inventory, "--reap"), capture_output=True, text=True, check=False)
        assert done.returncode == 0
        assert "left alone" in done.stdout
        assert ssh("edge", "echo alive") == "alive"


# --- nothing is left, whoever is killed -------------------------------------------------------------------------------


def ours(text):
    return NAME in text or "198.19." in text or str(plan.guard_metric(NAME)) in text


def snapshot():
    """Return what this machine has of the test's testbed: devices, routes, cgroups, processes, mounts, files."""
    found = set()
    for what in (["-o", "link"], ["-o", "addr"], ["route", "show", "table", "all"]):
        lines = subprocess.run(["ip", *what], capture_output=True, text=True, check=True).stdout.splitlines()
        found |= {" ".join(line.split()) for line in lines if ours(line)}
    for root in detect().roots():
        found |= {str(place) for place in root.glob(f"neukonfig/{NAME}")}
    found |= {line for line in Path("/proc/self/mountinfo").read_text().splitlines() if ours(line)}
    found |= {str(place) for place in Path("/run/neukonfig").glob(f"{NAME}*")}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            groups = (process / "cgroup").read_text()
            if int(process.name) != os.getpid() and (
                f"/neukonfig/{NAME}" in groups
                or str(RUN) in command
                or ("-m hosts.testbed " in command and "testbed.yaml" in command)
            ):
                found.add(f"process {process.name} {command}")
    return found


def wait_for(condition, timeout_s=10.0):
    """Return after how many ms the condition held."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout_s, f"still there: {sorted(snapshot())}"
        time.sleep(0.005)
    return (time.monotonic() - began) * 1e3


class Owned:
    """A testbed held by a process of its own, so that the owner, too, can be killed."""

    OWNER = """
import sys
from pathlib import Path
from hosts.testbed import Testbed
with Testbed(Path(sys.argv[1])) as testbed:
    print(testbed.pid, flush=True)
    sys.stdin.read()
"""

    def __init__(self, inventory):
        self.owner = subprocess.Popen(
            [sys.executable, "-c", self.OWNER, str(inventory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
        )
        self.outer = int(self.owner.stdout.readline())
        self.pids = {"owner": self.owner.pid, "outer": self.outer}
        self.pids["outer"], self.pids["unshare"], self.pids["inner"] = lock.holder(NAME).pids
        listeners = [pid for pid in Cgroup(f"/neukonfig/{NAME}/edge").pids() if _is_listener(pid)]
        (self.pids["sshd"],) = listeners

    def kill(self, *victims):
        for victim in victims:
            os.kill(self.pids[victim], signal.SIGKILL)

    def close(self):
        self.owner.kill()
        self.owner.wait()
        self.owner.stdin.close()
        self.owner.stdout.close()


def _is_listener(pid):
    return b"sshd" in Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.fixture
def owned(inventory):
    assert snapshot() == set()
    made = Owned(inventory)
    yield made
    made.close()
    wait_for(lambda: snapshot() == set())


@pytest.mark.parametrize("victim", ["owner", "outer", "unshare", "inner", "sshd"])
def test_nothing_is_left_when_one_is_killed(owned, victim):
    start_container("edge", pause=True)  # frozen processes of cgroup v1 do not even die of SIGKILL
    assert snapshot() != set()
    owned.kill(victim)
    print(f"killed {victim}: nothing left after {wait_for(lambda: snapshot() == set()):.0f} ms")


def test_what_two_kills_leave_is_reaped_by_command(owned, inventory):
    start_container("edge", pause=True)
    owned.kill("outer", "inner")
    wait_for(lambda: not Path(f"/proc/{owned.outer}").exists() or _is_zombie(owned.outer))
    assert snapshot() != set()
    began = time.monotonic()
    done = subprocess.run(supervisor(inventory, "--reap"), capture_output=True, text=True, check=True)
    print(f"reaped in {(time.monotonic() - began) * 1e3:.0f} ms: {done.stdout.splitlines()}")
    assert f"cgroup /neukonfig/{NAME}" in done.stdout
    wait_for(lambda: snapshot() == set())


def test_what_two_kills_leave_is_reaped_by_the_next_start(owned, inventory):
    owned.kill("outer", "inner")
    wait_for(lambda: not Path(f"/proc/{owned.outer}").exists() or _is_zombie(owned.outer))
    with Testbed(inventory):
        assert ssh("edge", "echo alive") == "alive"


def _is_zombie(pid):
    with contextlib.suppress(FileNotFoundError):
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    return True


@pytest.mark.usefixtures("owned")
def test_force_ends_a_running_one(inventory):
    done = subprocess.run(supervisor(inventory, "--reap", "--force"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wait_for(lambda: snapshot() == set())


def test_reaping_nothing_says_so(inventory):
    done = subprocess.run(supervisor(inventory, "--reap"), capture_output=True, text=True, check=True)
    assert done.stdout == "nothing left to remove\n"


def test_up_and_down_are_quick(inventory):
    ups_ms, downs_ms = [], []
    for _ in range(3):
        testbed = Testbed(inventory).start()
        began = time.monotonic()
        testbed.stop()
        downs_ms.append((time.monotonic() - began) * 1e3)
        ups_ms.append(testbed.facts["up_ms"])
        assert snapshot() == set()
    print(f"up {ups_ms} ms, down {downs_ms} ms")
    assert min(ups_ms) < 1000
    assert min(downs_ms) < 500


def test_a_subnet_in_use_is_named(inventory):
    # In a network namespace of its own, so that the machine's routes stay as they are.
    script = (
        "ip link set lo up && ip link add other type veth peer name end && ip link set other up && "
        f"ip route add 198.19.2.0/24 dev other && exec {' '.join(supervisor(inventory))}"
    )
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "198.19.2.0/24 is in use: route to 198.19.2.0/24 via other" in done.stderr
    assert snapshot() == set()


def test_a_signal_takes_it_down(inventory):
    with subprocess.Popen(supervisor(inventory), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert snapshot() == set()


def test_the_owner_hears_why_it_could_not_be_built(tmp_path):
    broken = tmp_path / "hosts.yaml"
    broken.write_text("hosts: {}\n")
    with pytest.raises(TestbedError, match="these are real hosts"):
        Testbed(broken).start()
