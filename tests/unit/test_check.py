"""What a host lacks for its role, and the command line that says so."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from hosts import check, facts
from hosts.errors import CheckFailed, ConnectError
from hosts.facts import BusyPort
from hosts.inventory import Inventory
from hosts.lacks import lacks
from tests.contract.connections import LocalConnection, make_host
from tests.raw_facts import BARE, DEBIAN, RASPBERRY

GOOD = facts.parse(DEBIAN)


def lacking(role: str = "edge", host_changes: dict | None = None, **changes) -> list[str]:
    host = make_host(role=role, **(host_changes or {}))
    return lacks(role, host, msgspec.structs.replace(GOOD, **changes))


@pytest.mark.parametrize("role", ["device", "edge", "cloud"])
def test_a_good_host_lacks_nothing(role):
    assert lacking(role) == []


def without(*names: str) -> tuple[str, ...]:
    return tuple(tool for tool in GOOD.tools if tool not in names)


@pytest.mark.parametrize(
    ("changes", "problem", "mend"),
    [
        ({"tools": without("tc", "ip")}, "`tc`, `ip` not found", "apt-get install -y iproute2"),
        ({"tools": without("stress-ng")}, "`stress-ng` not found", "apt-get install -y stress-ng"),
        (
            {"tools": without("tc"), "uid": 1000, "family": ("fedora",)},
            "`tc` not found",
            "sudo dnf install -y iproute-tc",
        ),
        ({"tools": without("tc"), "family": ("void",)}, "`tc` not found", "the distribution's packages of tc"),
        ({"engines": {}}, "`podman` not found", "apt-get install -y podman; or set `hosts.edge.runtime: process`"),
        ({"engines": {"docker": "24"}}, "`podman` not found", "or set `hosts.edge.runtime: docker`"),
        (
            {"engines": {}, "engine_errors": {"podman": "no subuid ranges"}},
            "`podman` does not work (no subuid ranges)",
            "Mend that, or set `hosts.edge.runtime: process`",
        ),
        ({"capabilities": ()}, "root lacks CAP_NET_ADMIN", "--cap-add=NET_ADMIN"),
        ({"capabilities": (), "uid": 1000, "user": "ada"}, "ada lacks CAP_NET_ADMIN", "`hosts.edge.sudo: true`"),
        ({"python": "3.9.2"}, "is Python 3.9.2, older than 3.11", "hosts/setup.sh --role edge"),
        ({"python": None, "python_error": "not found"}, "does not work (not found)", "hosts/setup.sh --role edge"),
        ({"packages": {}}, "has no msgspec, zmq, numpy, av, psutil, tensorflow", "-m pip install msgspec pyzmq"),
        (
            {"packages": {k: v for k, v in GOOD.packages.items() if k != "tensorflow"}, "machine": "aarch64"},
            "has no tensorflow",
            "-m pip install tensorflow",
        ),
        (
            {"proc_children": False},
            "Linux 6.18.44-fc-v595 has no /proc/<pid>/task/<tid>/children",
            "Boot a kernel with CONFIG_PROC_CHILDREN",
        ),
        ({"missing_addresses": ("192.0.2.1",)}, "192.0.2.1 is no address of this host", "Set `data_address`"),
        (
            {"busy_ports": tuple(BusyPort("192.0.2.1", port, "nginx (pid 9)") for port in (5602, 5601))},
            "data ports 5601, 5602 on 192.0.2.1 are taken by nginx (pid 9)",
            "set `hosts.edge.data_ports`",
        ),
        (
            {"busy_ports": (BusyPort("192.0.2.1", 5601, None),)},
            "are taken by a process that only root sees",
            "End it",
        ),
        ({"workdir_writable": False}, "root cannot write /root/.cache", "set `hosts.edge.workdir`"),
        ({"free_disk_mb": 2047}, "2047 MB free in /root/.cache", "2048 MB needed. Free space there"),
    ],
)
def test_each_lack_of_an_edge_says_what_mends_it(changes, problem, mend):
    found = lacking(**changes)
    assert len(found) == 1
    assert problem in found[0]
    assert mend in found[0]


def test_docker_s_daemon():
    found = lacking(host_changes={"runtime": "docker"})
    assert len(found) == 1
    assert "`docker` does not work (Cannot connect" in found[0]
    assert "Start its daemon (systemctl start docker)" in found[0]
    assert "set `hosts.edge.runtime: podman`" in found[0]


def test_docker_s_package_on_debian():
    found = lacking(host_changes={"runtime": "docker"}, engine_errors={}, engines={})
    assert "apt-get install -y docker.io" in found[0]


def test_plain_processes_need_no_engine():
    assert lacking(host_changes={"runtime": "process"}, engines={}) == []


def test_sudo_that_is_refused():
    found = lacking(host_changes={"sudo": True}, sudo_works=False, user="ada")
    assert len(found) == 1
    assert "`sudo -n` is refused to ada" in found[0]
    assert "NOPASSWD" in found[0]
    assert lacking(host_changes={"sudo": True}, sudo_works=True) == []


def test_the_device_needs_neither_engine_nor_tools_nor_tensorflow():
    packages = {name: version for name, version in GOOD.packages.items() if name != "tensorflow"}
    changes = {"engines": {}, "tools": (), "capabilities": (), "packages": packages}
    assert lacking("device", {"runtime": None}, **changes) == []


def test_the_cloud_runs_the_delay_line_where_the_edge_has_no_netem():
    host = make_host(role="cloud")
    bare = msgspec.structs.replace(GOOD, tools=(), capabilities=())
    assert lacks("cloud", host, bare) == []
    found = lacks("cloud", host, bare, edge_netem=False)
    assert ["`iptables`" in found[0], "CAP_NET_ADMIN" in found[1]] == [True, True]


def test_ports_of_a_leased_testbed_are_rightly_in_use():
    busy = msgspec.structs.replace(GOOD, busy_ports=(BusyPort("192.0.2.1", 5600, None),))
    assert len(lacks("edge", make_host(), busy)) == 1
    assert lacks("edge", make_host(), busy, leased=True) == []


def test_a_bare_host_is_told_everything_at_once():
    found = lacks("edge", make_host(), facts.parse(BARE))
    assert len(found) == 5
    assert all(". " in lack for lack in found)  # what is missing, then what mends it


# --- all hosts ----------------------------------------------------------------------------------------------


class Printing(LocalConnection):
    """A host whose facts script prints `output`."""

    def __init__(self, role: str, output: str) -> None:
        super().__init__(Path("/"), role)
        self._output = output

    def run(self, *_, **__):
        return super().run(["printf", "%s", self._output])


def inventory() -> Inventory:
    hosts = {role: make_host(role=role) for role in ("device", "edge", "cloud")}
    return Inventory(**hosts, testbed=None, path=Path("hosts.yaml"))


def dial(**outputs: str):
    def connect(host):
        if host.role not in outputs:
            raise ConnectError(f"{host.endpoint}: nothing listens on port 22. Start sshd there")
        return Printing(host.role, outputs[host.role])

    return connect


def test_findings_come_in_order_and_unreachable_hosts_are_among_them():
    found = check.check(inventory(), dial(device=DEBIAN, cloud=DEBIAN))
    assert [finding.role for finding in found] == ["device", "edge", "cloud"]
    assert found[1].what is None
    assert found[1].lines() == ["edge (127.0.0.1): nothing listens on port 22. Start sshd there"]
    assert found[0].lacks == found[2].lacks == ()
    assert found[0].what.startswith("Debian")


def test_the_edge_s_kernel_decides_what_the_cloud_needs():
    no_tools = "\n".join(line for line in DEBIAN.splitlines() if not line.startswith("tool iptables"))
    found = check.check(inventory(), dial(device=DEBIAN, edge=DEBIAN, cloud=no_tools))
    assert found[2].lacks == ("`iptables` not found. Install: apt-get install -y iptables",)
    with_netem = DEBIAN.replace("netem no", "netem yes")
    assert not check.check(inventory(), dial(device=DEBIAN, edge=with_netem, cloud=no_tools))[2].lacks


def test_a_lease_on_the_edge_excuses_busy_ports_everywhere():
    busy = DEBIAN + "bind 192.0.2.7 5600 EADDRINUSE\n"
    leased = RASPBERRY.replace("engine docker", "engine podman")
    assert check.check(inventory(), dial(device=DEBIAN, edge=DEBIAN, cloud=busy))[2].lacks
    assert not check.check(inventory(), dial(device=DEBIAN, edge=leased, cloud=busy))[2].lacks


def test_a_host_that_gives_no_facts_is_a_finding():
    found = check.check(inventory(), dial(device="nothing useful", edge=DEBIAN, cloud=DEBIAN))
    assert found[0].what is None
    assert "its facts could not be gathered" in found[0].lacks[0]


def test_check_or_raise_has_a_line_for_each_lack(monkeypatch):
    monkeypatch.setattr(check.check, "__defaults__", (dial(device=BARE, edge=DEBIAN),))
    with pytest.raises(CheckFailed) as caught:
        check.check_or_raise(inventory())
    lines = str(caught.value).splitlines()
    assert [line.split(" (")[0] for line in lines] == ["device"] * (len(lines) - 1) + ["cloud"]
    assert "`podman` not found" in lines[1]
    assert lines[-1].startswith("cloud (127.0.0.1): nothing listens")


def test_rendering():
    text = check.render(check.check(inventory(), dial(device=DEBIAN, edge=DEBIAN)))
    lines = text.splitlines()
    assert lines[0].startswith("device (127.0.0.1): Debian GNU/Linux 12 (bookworm), ")
    assert lines[-3] == "cloud (127.0.0.1): cannot be looked at"
    assert lines[-2].startswith("  lacks: nothing listens on port 22")
    assert lines[-1] == "1 to mend"


# --- the command line ---------------------------------------------------------------------------------------

REAL = """
hosts:
  device: {address: 192.0.2.1}
  edge: {address: 192.0.2.2}
  cloud: {address: 192.0.2.3}
"""


@pytest.fixture
def inventory_file(tmp_path):
    path = tmp_path / "hosts.yaml"
    path.write_text(REAL)
    return path


@pytest.mark.parametrize(
    ("outputs", "status"),
    [({"device": DEBIAN, "edge": DEBIAN, "cloud": DEBIAN}, 0), ({"device": DEBIAN, "edge": DEBIAN}, 1)],
)
def test_exit_status_and_json(monkeypatch, capsys, inventory_file, outputs, status):
    monkeypatch.setattr(check.check, "__defaults__", (dial(**outputs),))
    assert check.main(["--inventory", str(inventory_file), "--json"]) == status
    found = json.loads(capsys.readouterr().out)
    assert [finding["role"] for finding in found] == ["device", "edge", "cloud"]
    assert found[0]["facts"]["packages"]["tensorflow"] == "2.21.0"
    assert check.main(["--inventory", str(inventory_file)]) == status
    assert capsys.readouterr().out.splitlines()[-1] == ("1 to mend" if status else "nothing is lacking")


def test_an_unusable_inventory_is_status_2(capsys, inventory_file):
    inventory_file.write_text(REAL.replace("device: {address", "device: {adress"))
    assert check.main(["--inventory", str(inventory_file)]) == 2
    words = capsys.readouterr().err
    assert f"{inventory_file}: hosts.device.adress: unknown key; did you mean `address`?" in words
    assert check.main(["--inventory", str(inventory_file.with_name("none"))]) == 2
