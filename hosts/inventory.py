"""The inventory: which machines are device, edge and cloud, and how to reach them. `docs/inventory.md` explains it."""

from __future__ import annotations

import getpass
import ipaddress
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from hosts.errors import ConfigError
from hosts.strict import decode, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

Role = Literal["device", "edge", "cloud"]
RuntimeName = Literal["podman", "docker", "process"]

ROLES: Final[tuple[Role, ...]] = ("device", "edge", "cloud")
DATA_PORTS: Final = 20
FIRST_DATA_PORT: Final = 5600
SSH_PORT: Final = 22
_LAST_PORT: Final = 65535
_PRIVILEGED_PORTS: Final = 1024
_NAME = re.compile(r"(?=.{1,253}$)[a-zA-Z0-9]([a-zA-Z0-9_-]{0,62})(\.[a-zA-Z0-9][a-zA-Z0-9_-]{0,62})*\.?")


class Host(msgspec.Struct, frozen=True):
    """One machine and the role it plays; every default is filled in.

    `key` is None where ssh-agent and the user's default keys are to be used. `python` and `workdir` are the
    host's own paths (``~/`` is the user's home there). `cpus` and `memory_mb` are the size of a testbed's host,
    None on real machines. `runtime` is None on the device. The data plane uses `DATA_PORTS` ports from
    `data_ports` on `data_address`; `cloud_side_address` is the edge's end of its link to the cloud.
    """

    role: Role
    address: str
    port: int
    user: str
    key: Path | None
    known_hosts: Path
    python: str
    workdir: str
    runtime: RuntimeName | None
    cpus: int | None
    memory_mb: int | None
    sudo: bool
    data_address: str
    cloud_side_address: str | None
    data_ports: int

    @property
    def label(self) -> str:
        """How messages name this host: ``edge (198.18.0.12)``."""
        return f"{self.role} ({self.address})"

    @property
    def endpoint(self) -> str:
        """The same with the SSH port, for messages about reaching it: ``edge (198.18.0.12:22)``."""
        return f"{self.role} ({self.address}:{self.port})"


class Inventory(msgspec.Struct, frozen=True):
    """The three hosts of a testbed; `testbed` names one that the workflow makes on this machine, else None."""

    device: Host
    edge: Host
    cloud: Host
    testbed: str | None
    path: Path

    @property
    def hosts(self) -> tuple[Host, Host, Host]:
        """The hosts in the order device, edge, cloud."""
        return (self.device, self.edge, self.cloud)


class _DeviceKeys(msgspec.Struct, frozen=True):
    """The keys of a host as the file has them."""

    address: str
    port: int = SSH_PORT
    user: str | None = None
    key: str | None = None
    known_hosts: str = "~/.ssh/known_hosts"
    python: str | None = None
    workdir: str | None = None
    cpus: int | None = None
    memory_mb: int | None = None
    sudo: bool = False
    data_address: str | None = None
    data_ports: int = FIRST_DATA_PORT


class _CloudKeys(_DeviceKeys, frozen=True):
    runtime: RuntimeName = "podman"


class _EdgeKeys(_CloudKeys, frozen=True):
    cloud_side_address: str | None = None


class _HostsKeys(msgspec.Struct, frozen=True):
    device: _DeviceKeys
    edge: _EdgeKeys
    cloud: _CloudKeys


class _FileKeys(msgspec.Struct, frozen=True):
    hosts: _HostsKeys
    testbed: str | None = None


def load(path: Path) -> Inventory:
    """Read and check an inventory file.

    Raises:
        ConfigError: the file is missing or no YAML; or see `parse`.
    """
    return parse(read_yaml(path, "inventory"), path.absolute())


def parse(data: object, path: Path) -> Inventory:
    """Check an inventory that has been read from `path`, to whose folder relative paths refer.

    Raises:
        ConfigError: every problem found, a line each, with the path of its key.
    """
    keys = decode(data, _FileKeys, str(path))
    device, edge, cloud = (_resolve(role, getattr(keys.hosts, role), keys.testbed, path) for role in ROLES)
    inventory = Inventory(device=device, edge=edge, cloud=cloud, testbed=keys.testbed, path=path)
    found = [*_host_problems(inventory), *_shared_problems(inventory)]
    if found:
        raise ConfigError("\n".join(f"{path}: {problem}" for problem in found))
    return inventory


def _resolve(role: Role, keys: _DeviceKeys, testbed: str | None, path: Path) -> Host:
    data_address = keys.data_address or keys.address
    cloud_side = (keys.cloud_side_address or data_address) if isinstance(keys, _EdgeKeys) else None
    return Host(
        role=role,
        address=keys.address,
        port=keys.port,
        user=keys.user or getpass.getuser(),
        key=_local_path(keys.key, path) if keys.key else None,
        known_hosts=_local_path(keys.known_hosts, path),
        python=keys.python or (sys.executable if testbed else "python3"),
        # A testbed's hosts share this machine's files, so that each needs a folder of its own.
        workdir=keys.workdir or (f"~/.cache/neukonfig/hosts/{role}" if testbed else "~/.cache/neukonfig"),
        runtime=keys.runtime if isinstance(keys, _CloudKeys) else None,
        cpus=keys.cpus,
        memory_mb=keys.memory_mb,
        sudo=keys.sudo,
        data_address=data_address,
        cloud_side_address=cloud_side,
        data_ports=keys.data_ports,
    )


def _local_path(text: str, inventory: Path) -> Path:
    return inventory.parent / Path(text).expanduser()


def _host_problems(inventory: Inventory) -> Iterator[str]:
    for host in inventory.hosts:
        at = f"hosts.{host.role}"
        if not _is_address(host.address) and not _NAME.fullmatch(host.address):
            yield f"{at}.address: {host.address!r} is neither an IP address nor a host name"
        elif ":" in host.data_address or ":" in (host.cloud_side_address or ""):
            yield f"{at}.data_address: the data plane speaks IPv4 only; give an IPv4 address"
        elif not _is_address(host.data_address):
            yield (
                f"{at}.data_address: {host.data_address!r} is no IP address; give the one that the data sockets "
                "are to use"
            )
        if host.cloud_side_address not in (None, host.data_address) and not _is_address(host.cloud_side_address):
            yield f"{at}.cloud_side_address: {host.cloud_side_address!r} is no IP address"
        yield from _number_problems(host, at, needs_size=inventory.testbed is not None)
        # A testbed's key is made with the testbed.
        if host.key and inventory.testbed is None:
            yield from _key_problems(host.key, f"{at}.key")
        if host.python.startswith("~"):
            yield f"{at}.python: {host.python!r}: give an absolute path or a name on the host's PATH"
        if not host.workdir.startswith(("/", "~/")):
            yield f"{at}.workdir: {host.workdir!r}: must start with / or ~/"


def _number_problems(host: Host, at: str, *, needs_size: bool) -> Iterator[str]:
    if not 1 <= host.port <= _LAST_PORT:
        yield f"{at}.port: {host.port} is no port; use 1 to {_LAST_PORT}"
    last = _LAST_PORT - DATA_PORTS + 1
    if not _PRIVILEGED_PORTS <= host.data_ports <= last:
        yield (
            f"{at}.data_ports: {host.data_ports} cannot be the first of {DATA_PORTS} ports; "
            f"use {_PRIVILEGED_PORTS} to {last}"
        )
    for name, value in (("cpus", host.cpus), ("memory_mb", host.memory_mb)):
        if value is None and needs_size:
            yield f"{at}.{name}: is missing; a testbed's hosts have a size"
        elif value is not None and value < 1:
            yield f"{at}.{name}: {value} is too small; use 1 or more"


def _key_problems(key: Path, at: str) -> Iterator[str]:
    if not key.is_file():
        yield f"{at}: there is no file {key}; give the path of a private key, or leave it out to use ssh-agent"
    elif not os.access(key, os.R_OK):
        yield f"{at}: {key} cannot be read by {getpass.getuser()}; mend its owner or mode (chmod 600)"


def _shared_problems(inventory: Inventory) -> Iterator[str]:
    """Yield what no two hosts may have in common."""
    by_ssh: dict[object, Role] = {}
    by_data: dict[object, Role] = {}
    for host in inventory.hosts:
        ssh, data = (host.address, host.port), host.data_address
        if ssh in by_ssh:
            yield f"hosts.{host.role}.address: {host.address}:{host.port} is already hosts.{by_ssh[ssh]}"
        elif data in by_data:
            yield f"hosts.{host.role}.data_address: {data} is already that of hosts.{by_data[data]}"
        by_ssh.setdefault(ssh, host.role)
        by_data.setdefault(data, host.role)


def _is_address(text: str | None) -> bool:
    try:
        ipaddress.ip_address(text or "")
    except ValueError:
        return False
    return True
