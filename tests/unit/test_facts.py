"""Raw output of the facts script, and what is read from it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from hosts import facts
from hosts.errors import RemoteError
from hosts.facts import BusyPort
from hosts.inventory import DATA_PORTS
from tests.contract.connections import LocalConnection, free_port, make_host
from tests.raw_facts import BARE, DEBIAN, RASPBERRY


def test_debian():
    found = facts.parse(DEBIAN)
    assert (found.user, found.uid, found.machine) == ("root", 0, "x86_64")
    assert found.distribution == "Debian GNU/Linux 12 (bookworm)"
    assert (found.cpus, found.cpu_model, found.governor, found.clock_source) == (2, "AMD EPYC", None, "tsc")
    assert (found.memory_mb, found.memory_limit_mb, found.free_page_reporting) == (24105, None, True)
    assert found.proc_children is True
    assert (found.cgroup, found.netem, found.sudo_works) == ("v1", False, None)
    assert {"CAP_NET_ADMIN", "CAP_SYS_ADMIN"} <= set(found.capabilities)
    assert "CAP_SYS_RESOURCE" not in found.capabilities  # bit 24 of the mask is clear
    assert found.tools == ("tc", "ip", "iptables", "stress-ng", "flock", "tar")
    assert found.engines == {"podman": "4.3.1"}
    assert found.engine_errors["docker"].startswith("Cannot connect to the Docker daemon")
    assert (found.workdir_writable, found.free_disk_mb) == (True, 71117)
    assert (found.python, found.python_error) == ("3.11.7", None)
    assert found.packages["tensorflow"] == "2.21.0"
    assert (found.busy_ports, found.missing_addresses, found.leased_by) == ((), (), None)


def test_raspberry():
    found = facts.parse(RASPBERRY)
    assert found.family == ("raspbian", "debian")
    assert found.cpu_model == "Raspberry Pi 4 Model B Rev 1.4"
    assert (found.governor, found.cgroup, found.netem, found.sudo_works) == ("ondemand", "v2", True, True)
    assert (found.memory_limit_mb, found.free_page_reporting, found.proc_children) == (None, False, False)
    assert found.busy_ports == (
        BusyPort("192.0.2.7", 5600, "python3 (pid 1234)"),  # it listens on all addresses
        BusyPort("192.0.2.7", 5603, None),  # another user's: ss does not say
    )
    assert found.missing_addresses == ("198.51.100.9",)
    assert found.leased_by == "process 4711 of ada on laptop since 2024-05-01 12:00:00"


def test_bare():
    found = facts.parse(BARE)
    assert (found.distribution, found.cpu_model, found.family) == (None, None, ())
    assert (found.python, found.python_error) == (None, "sh: 53: python3: not found")
    assert (found.memory_mb, found.memory_limit_mb) == (1024, 512)
    assert (found.capabilities, found.tools, found.packages) == ((), (), {})
    assert (found.netem, found.workdir_writable, found.free_disk_mb) == (None, False, 0)


def test_a_host_in_one_line():
    debian, raspberry, bare = (facts.describe(facts.parse(output)) for output in (DEBIAN, RASPBERRY, BARE))
    assert debian == (
        "Debian GNU/Linux 12 (bookworm), Linux 6.18.44-fc-v595, 2 x AMD EPYC, 24105 MB, gives unused memory back to "
        "its hypervisor, cgroup v1, podman 4.3.1, Python 3.11.7, TensorFlow 2.21.0"
    )
    assert raspberry == (
        "Raspbian GNU/Linux 12 (bookworm), Linux 6.6.31+rpt-rpi-v8, 4 x Raspberry Pi 4 Model B Rev 1.4, 3794 MB, "
        "cgroup v2, docker 24.0.7, Python 3.11.2, "
        "leased by process 4711 of ada on laptop since 2024-05-01 12:00:00"
    )
    assert bare == "unknown distribution, Linux 5.10.0, 1 x x86_64, 512 MB, cgroup v2, no Python"


def test_python_that_says_nothing():
    output = BARE.replace("sh: 53: python3: not found\n", "")
    assert facts.parse(output).python_error == "no such command"


def test_output_that_is_not_the_script_s():
    with pytest.raises(KeyError):
        facts.parse("This account is currently not available.\n")


# --- the script itself, on this machine ---------------------------------------------------------------------


@pytest.fixture
def connection(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUKONFIG_CGROUP", "/test-facts")  # nobody else's lease
    with LocalConnection(tmp_path) as local:
        yield local


def test_this_machine(connection, tmp_path):
    host = make_host(workdir="~/not/yet")
    found = facts.gather(connection, host)
    uname = subprocess.run(["uname", "-r"], capture_output=True, text=True, check=True).stdout.strip()
    assert found.kernel == uname
    assert found.python is not None
    assert found.packages.keys() >= {"msgspec", "zmq", "numpy", "av", "psutil", "tensorflow"}
    assert found.workdir == f"{tmp_path}/not/yet"
    assert found.workdir_writable
    assert found.free_disk_mb > 0
    assert not Path(found.workdir).exists()  # looking changes nothing


def test_busy_ports_and_foreign_addresses_of_this_machine(connection):
    first = free_port()
    argv = ["sh", "-c", 'exec "$0" -u -m http.server --bind 127.0.0.1 "$1" 2>&1', make_host().python, str(first)]
    channel = connection.open(argv)
    try:
        assert b"Serving" in channel.receive(100, 10)
        host = make_host(data_ports=first, cloud_side_address="192.0.2.1")
        found = facts.gather(connection, host)
    finally:
        os.killpg(channel._process.pid, signal.SIGKILL)
        channel.close()
    busy = [port for port in found.busy_ports if port.port == first]
    assert [port.address for port in busy] == ["127.0.0.1"]
    assert all(first <= port.port < first + DATA_PORTS for port in found.busy_ports)
    assert found.missing_addresses == ("192.0.2.1",)


def test_the_device_binds_no_ports():
    argv = facts.command(make_host(role="device", cloud_side_address=None))
    assert argv[-2:] == ["0", "127.0.0.1"]


def test_missing_python_is_a_fact(connection):
    found = facts.gather(connection, make_host(python="/no/such/python"))
    assert found.python is None
    assert "/no/such/python" in found.python_error


def test_a_workdir_below_a_file_is_not_writable(connection, tmp_path):
    (tmp_path / "file").write_text("")
    assert not facts.gather(connection, make_host(workdir=f"{tmp_path}/file/below")).workdir_writable


def test_a_host_that_cannot_run_the_script(connection, monkeypatch):
    monkeypatch.setattr(facts, "command", lambda _: ["sh", "-c", "echo no shell for you; exit 1"])
    with pytest.raises(RemoteError, match=r"edge \(127\.0\.0\.1\).*status 1; it said: no shell for you.*POSIX sh"):
        facts.gather(connection, make_host())
