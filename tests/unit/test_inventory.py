"""The inventory file."""

from __future__ import annotations

import copy
import getpass
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts import inventory
from hosts.errors import ConfigError

REPOSITORY = Path(__file__).parents[2]
SMALL: dict[str, Any] = {
    "hosts": {
        "device": {"address": "192.0.2.1"},
        "edge": {"address": "192.0.2.2"},
        "cloud": {"address": "cloud.example.org", "data_address": "192.0.2.3"},
    }
}


def with_keys(role: str, **keys: Any) -> dict[str, Any]:
    data = copy.deepcopy(SMALL)
    data["hosts"][role] |= keys
    return data


def refusal(data: object, path: Path = Path("/etc/nk/hosts.yaml")) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        inventory.parse(data, path)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def test_the_local_testbed_of_the_repository():
    found = inventory.load(REPOSITORY / "hosts/local.yaml")
    assert found.testbed == "local"
    assert [host.role for host in found.hosts] == ["device", "edge", "cloud"]
    assert found.edge.python == sys.executable
    assert found.edge.workdir == "~/.cache/neukonfig/hosts/edge"
    assert found.edge.label == "edge (198.18.0.12)"
    assert (found.device.runtime, found.edge.runtime) == (None, "podman")
    assert found.edge.cloud_side_address == "198.18.2.12"


def test_defaults_of_real_hosts():
    found = inventory.parse(SMALL, Path("/etc/nk/hosts.yaml"))
    edge, cloud = found.edge, found.cloud
    assert found.testbed is None
    assert (edge.port, edge.user, edge.key, edge.python) == (22, getpass.getuser(), None, "python3")
    assert edge.known_hosts == Path("~/.ssh/known_hosts").expanduser()
    assert (edge.workdir, edge.runtime, edge.sudo) == ("~/.cache/neukonfig", "podman", False)
    assert edge.data_address == edge.cloud_side_address == "192.0.2.2"
    assert edge.data_ports == 5600
    assert (cloud.address, cloud.data_address, cloud.cloud_side_address) == (
        "cloud.example.org",
        "192.0.2.3",
        None,
    )
    assert (cloud.cpus, cloud.memory_mb) == (None, None)
    assert cloud.endpoint == "cloud (cloud.example.org:22)"


def test_local_paths_start_at_the_inventory_or_home(tmp_path):
    (tmp_path / "key").write_text("")
    data = with_keys("edge", key="key", known_hosts="sub/known")
    edge = inventory.parse(data, tmp_path / "hosts.yaml").edge
    assert (edge.key, edge.known_hosts) == (tmp_path / "key", tmp_path / "sub/known")
    home = inventory.parse(with_keys("edge", known_hosts="~/known"), tmp_path / "hosts.yaml").edge
    assert home.known_hosts == Path.home() / "known"


@pytest.mark.parametrize(
    ("role", "keys", "problem"),
    [
        ("edge", {"adress": "x"}, "hosts.edge.adress: unknown key; did you mean `address`?"),
        ("edge", {"port": "22"}, "hosts.edge.port: expected `int`, got `str`, found '22'"),
        ("edge", {"port": 0}, "hosts.edge.port: 0 is no port; use 1 to 65535"),
        ("edge", {"port": 65536}, "hosts.edge.port: 65536 is no port; use 1 to 65535"),
        ("edge", {"sudo": "yes"}, "hosts.edge.sudo: expected `bool`, got `str`, found 'yes'"),
        ("edge", {"runtime": "dcoker"}, "hosts.edge.runtime: cannot be 'dcoker'; did you mean `docker`?"),
        ("edge", {"python": "~/venv/python"}, "hosts.edge.python: '~/venv/python': give an absolute path"),
        ("edge", {"workdir": "here"}, "hosts.edge.workdir: 'here': must start with / or ~/"),
        ("edge", {"cpus": 0}, "hosts.edge.cpus: 0 is too small; use 1 or more"),
        ("edge", {"memory_mb": 1.5}, "hosts.edge.memory_mb: expected `int"),
        ("edge", {"data_ports": 80}, "hosts.edge.data_ports: 80 cannot be the first of 20 ports"),
        ("edge", {"data_ports": 65517}, "hosts.edge.data_ports: 65517 cannot be the first of 20 ports"),
        ("edge", {"cloud_side_address": "eth1"}, "hosts.edge.cloud_side_address: 'eth1' is no IP address"),
        ("cloud", {"cloud_side_address": "192.0.2.9"}, "hosts.cloud.cloud_side_address: unknown key"),
        ("device", {"runtime": "podman"}, "hosts.device.runtime: unknown key"),
        ("device", {"address": "no host"}, "hosts.device.address: 'no host' is neither an IP address nor"),
        ("device", {"address": ""}, "hosts.device.address: '' is neither an IP address nor a host name"),
        ("device", {"address": "pi.local"}, "hosts.device.data_address: 'pi.local' is no IP address"),
        ("device", {"data_address": "eth0"}, "hosts.device.data_address: 'eth0' is no IP address"),
        ("device", {"key": "none"}, "hosts.device.key: there is no file /etc/nk/none"),
        ("edge", {"address": "192.0.2.1"}, "hosts.edge.address: 192.0.2.1:22 is already hosts.device"),
        (
            "cloud",
            {"data_address": "192.0.2.2"},
            "hosts.cloud.data_address: 192.0.2.2 is already that of hosts.edge",
        ),
    ],
)
def test_what_is_refused(role, keys, problem):
    lines = refusal(with_keys(role, **keys))
    assert len(lines) == 1
    assert lines[0].startswith(problem)


@pytest.mark.parametrize("role", inventory.ROLES)
def test_a_missing_role(role):
    data = copy.deepcopy(SMALL)
    del data["hosts"][role]
    assert refusal(data) == [f"hosts.{role}: is missing"]


@pytest.mark.parametrize("data", [None, [], "text", {"hosts": None}])
def test_what_is_no_inventory_at_all(data):
    assert re.search("expected a mapping|holds nothing; write a mapping", refusal(data)[0])


def test_all_problems_come_at_once():
    data = with_keys("edge", port=0, workdir="x")
    data["hosts"]["device"]["address"] = "a b"
    assert len(refusal(data)) == 3


def test_hosts_behind_one_address_differ_by_port():
    data = with_keys("edge", address="192.0.2.1", port=2222, data_address="192.0.2.2")
    assert inventory.parse(data, Path("x")).edge.port == 2222


def test_a_testbed_needs_sizes_and_no_key_yet():
    data = SMALL | {"testbed": "local"}
    lines = refusal(data)
    assert sorted(line.split(":")[0] for line in lines) == sorted(
        f"hosts.{role}.{key}" for role in inventory.ROLES for key in ("cpus", "memory_mb")
    )
    sized = copy.deepcopy(data)
    for host in sized["hosts"].values():
        host |= {"cpus": 1, "memory_mb": 512, "key": "/nonexistent/key"}
    assert inventory.parse(sized, Path("x")).edge.key == Path("/nonexistent/key")


def test_bad_yaml_names_file_and_line(tmp_path):
    path = tmp_path / "hosts.yaml"
    path.write_text("hosts:\n  edge: {address: 192.0.2.2\n  cloud: {}\n")
    with pytest.raises(ConfigError, match=rf"^{path}:3:\d+: not valid YAML"):
        inventory.load(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file.*inventory"):
        inventory.load(tmp_path / "none.yaml")


@given(st.integers(1024, 65535 - 19))
def test_every_first_port_that_leaves_room_for_the_others_is_taken(port):
    assert inventory.parse(with_keys("edge", data_ports=port), Path("x")).edge.data_ports == port


def test_the_documentation_explains_every_key():
    text = (REPOSITORY / "docs/inventory.md").read_text()
    fields = [field.name for field in msgspec.structs.fields(inventory.Host) if field.name != "role"]
    assert [name for name in fields if f"`{name}`" not in text] == []
