"""The plan of a testbed: the inventory's wishes made concrete for this machine. Pure but for `load`."""

from __future__ import annotations

import ipaddress
import os
import re
import zlib
from pathlib import Path
from typing import Final

import msgspec

from hosts.errors import ConfigError
from hosts.testbed.sizes import pin, size_memory

ROLES: Final = ("device", "edge", "cloud")
RUN: Final = Path("/run/neukonfig")
BENCHMARK_NET: Final = ipaddress.ip_network("198.18.0.0/15")
GUARD_METRIC: Final = 4_000_000
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
_LINK_SUBNET_BITS: Final = 24


class WantedHost(msgspec.Struct, frozen=True):
    """What the testbed needs to know of a host in the inventory; `memory_mb` in MiB."""

    address: str
    key: str
    known_hosts: str
    cpus: int
    memory_mb: int
    data_address: str
    cloud_side_address: str | None = None
    runtime: str | None = None
    port: int = 22
    user: str = "root"


class Wanted(msgspec.Struct, frozen=True):
    """The inventory of a testbed, as far as it is needed to build it."""

    hosts: dict[str, WantedHost]
    testbed: str | None = None


class HostPlan(msgspec.Struct, frozen=True):
    """One host: addresses, its network devices, its share of the machine."""

    role: str
    address: str
    port: int
    user: str
    data_address: str
    cloud_side_address: str | None
    veth: str
    cpus: tuple[int, ...]
    memory_mb: int

    @property
    def label(self) -> str:
        """How messages name this host: ``edge (198.18.0.12)``."""
        return f"{self.role} ({self.address})"


class Plan(msgspec.Struct, frozen=True):
    """A testbed: three hosts and where everything of it lives on this machine.

    `guard_metric` belongs to this testbed alone, so that its guard route can be told from another's. `notes`
    say what was scaled down and why. `runtimes` are the container engines its hosts need.
    """

    name: str
    controller: str
    key: str
    known_hosts: str
    hosts: tuple[HostPlan, ...]
    guard_metric: int
    notes: tuple[str, ...]
    runtimes: tuple[str, ...]

    @property
    def run_dir(self) -> Path:
        """Return the folder of its keys, configuration and throwaway container storage."""
        return run_dir(self.name)

    def host(self, role: str) -> HostPlan:
        """Return the host that plays `role`."""
        return self.hosts[ROLES.index(role)]

    def cgroup(self, role: str) -> str:
        """Return the cgroup that holds everything of a host."""
        return f"{cgroup(self.name)}/{role}"

    def subnets(self) -> list[ipaddress.IPv4Network]:
        """Return the subnets that the testbed occupies: management, device to edge, edge to cloud."""
        places = (self.controller, self.host("device").data_address, self.host("cloud").data_address)
        return [_subnet(place) for place in places]


def run_dir(name: str) -> Path:
    """Return the folder of the testbed `name`."""
    return RUN / name


def status_fifo(name: str) -> Path:
    """Return the FIFO on which the inner process of the testbed `name` reports."""
    return RUN / f"{name}.status"


def cgroup(name: str) -> str:
    """Return the cgroup of the testbed `name`."""
    return f"/neukonfig/{name}"


def alias(name: str) -> str:
    """Return the label on the machine's ends of the links of the testbed `name`: it tells leftovers apart."""
    return f"neukonfig testbed {name}"


def guard_metric(name: str) -> int:
    """Return the metric of the guard route of the testbed `name`."""
    return GUARD_METRIC + zlib.crc32(name.encode()) % 1_000_000


def check_name(name: str) -> str:
    """Return `name` if it can name a testbed.

    Raises:
        ConfigError: it cannot; the name goes into paths, cgroups and labels.

    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"testbed: {name!r} cannot name a testbed; use up to 31 of a-z, 0-9 and -")
    return name


def load(inventory: Path) -> Plan:
    """Read an inventory file and plan its testbed for this machine.

    Raises:
        ConfigError: the file cannot be used, with the path of the key.

    """
    try:
        raw = msgspec.yaml.decode(inventory.read_bytes())
        if isinstance(raw, dict) and not raw.get("testbed"):
            raise ConfigError(
                f"{inventory}: testbed: is missing, so these are real hosts and there is nothing to build or to remove"
            )
        wanted = msgspec.convert(raw, type=Wanted)
    except OSError as error:
        raise ConfigError(f"{inventory}: cannot be read ({error.strerror}); give --inventory FILE") from None
    except msgspec.DecodeError as error:
        raise ConfigError(f"{inventory}: {error}") from None
    machine_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024**2
    try:
        return make_plan(wanted, sorted(os.sched_getaffinity(0)), machine_mb)
    except ConfigError as error:
        raise ConfigError(f"{inventory}: {error}") from None


def make_plan(wanted: Wanted, cpus: list[int], machine_mb: int) -> Plan:
    """Plan the testbed that `wanted` describes on a machine with these CPUs and this much memory (MiB).

    Raises:
        ConfigError: the inventory is no testbed or contradicts itself.

    """
    name = _check(wanted)
    hosts = {role: wanted.hosts[role] for role in ROLES}
    pinning = pin({role: host.cpus for role, host in hosts.items()}, cpus)
    memory = size_memory({role: host.memory_mb for role, host in hosts.items()}, machine_mb)
    prefix = f"nk{zlib.crc32(name.encode()):08x}"
    return Plan(
        name=name,
        controller=str(_subnet(hosts["edge"].address)[1]),
        key=hosts["edge"].key,
        known_hosts=hosts["edge"].known_hosts,
        hosts=tuple(
            HostPlan(
                role=role,
                address=host.address,
                port=host.port,
                user=host.user,
                data_address=host.data_address,
                cloud_side_address=host.cloud_side_address,
                veth=f"{prefix}-{role[0]}",
                cpus=pinning.cpus[role],
                memory_mb=memory.memory_mb[role],
            )
            for role, host in hosts.items()
        ),
        guard_metric=guard_metric(name),
        notes=tuple(reason for reason in (pinning.reason, memory.reason) if reason),
        runtimes=tuple(sorted({host.runtime for host in hosts.values() if host.runtime})),
    )


def sshd_environment(plan: Plan, host: HostPlan) -> dict[str, str]:
    """Return what every session on a host finds in its environment."""
    folder = plan.run_dir / host.role
    return {
        # In a session of sshd bash sources ~/.bashrc (100 ms) unless it believes to be a nested shell.
        "SHLVL": "1",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "NEUKONFIG_CGROUP": plan.cgroup(host.role),
        "TMPDIR": str(folder / "tmp"),  # goes with the testbed, whatever is killed
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
    }


def _check(wanted: Wanted) -> str:
    if wanted.testbed is None:
        raise ConfigError(
            "testbed: is missing, so these are real hosts and there is nothing to build; "
            "hosts/local.yaml shows a testbed"
        )
    name = check_name(wanted.testbed)
    if set(wanted.hosts) != set(ROLES):
        raise ConfigError(f"hosts: a testbed has exactly {', '.join(ROLES)}; found {', '.join(wanted.hosts)}")
    for role, host in wanted.hosts.items():
        _check_host(name, role, host)
    hosts = wanted.hosts
    cloud_side = hosts["edge"].cloud_side_address
    if cloud_side is None:
        raise ConfigError("hosts.edge.cloud_side_address: is missing; it is the edge's end of its link to the cloud")
    for one, other, what in (
        (hosts["device"].data_address, hosts["edge"].data_address, "hosts.edge.data_address"),
        (cloud_side, hosts["cloud"].data_address, "hosts.cloud.data_address"),
        (hosts["device"].address, hosts["edge"].address, "hosts.edge.address"),
        (hosts["device"].address, hosts["cloud"].address, "hosts.cloud.address"),
    ):
        if _subnet(one) != _subnet(other):
            raise ConfigError(f"{what}: {other} and {one} are the two ends of a link and must share a /24")
    return name


def _check_host(name: str, role: str, host: WantedHost) -> None:
    for key in ("address", "data_address", "cloud_side_address"):
        value = getattr(host, key)
        if value is None:
            continue
        try:
            inside = ipaddress.ip_address(value) in BENCHMARK_NET
        except ValueError:
            raise ConfigError(f"hosts.{role}.{key}: {value!r} is no IP address") from None
        if not inside:
            raise ConfigError(
                f"hosts.{role}.{key}: {value} is outside {BENCHMARK_NET}, the range for test networks; "
                "a testbed must not shadow real hosts"
            )
    for key in ("key", "known_hosts"):
        if Path(getattr(host, key)).parent != run_dir(name):
            raise ConfigError(
                f"hosts.{role}.{key}: must be a file in {run_dir(name)}, "
                "where the testbed writes it fresh at each start"
            )
    if host.runtime == "docker":
        raise ConfigError(
            f"hosts.{role}.runtime: docker's daemon would run outside the testbed's host; use podman, or leave it out"
        )
    if min(host.cpus, host.memory_mb) < 1:
        raise ConfigError(f"hosts.{role}: cpus and memory_mb must be at least 1")


def _subnet(address: str) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(f"{address}/{_LINK_SUBNET_BITS}", strict=False)
