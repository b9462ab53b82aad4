"""What a host is and has: one command that gathers it, and a pure parser."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from hosts import shell
from hosts.errors import RemoteError
from hosts.inventory import DATA_PORTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hosts.connection import Connection
    from hosts.inventory import Host

_SCRIPT: Final = Path(__file__).with_name("facts.sh")
_TIMEOUT_S: Final = 60.0
_CAPABILITIES: Final = {
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_NICE": 23,
    "CAP_SYS_RESOURCE": 24,
}
_NO_LIMIT_BYTES: Final = 1 << 60  # what cgroup v1 writes for "no limit" is near 2**63
_LISTENER: Final = re.compile(
    r'(?P<address>\S+):(?P<port>\d+)\s+\S+(?:\s+users:\(\("(?P<name>[^"]+)",pid=(?P<pid>\d+))?'
)


class BusyPort(msgspec.Struct, frozen=True):
    """A data port that cannot be bound; `holder` names the process (``python3 (pid 12)``) where it is visible."""

    address: str
    port: int
    holder: str | None


class Facts(msgspec.Struct, frozen=True):
    """What a host is and has. None: could not be found out, or is not there.

    `family` are the distribution's id and those it is like (``ubuntu``, ``debian``). `cpus` are those that the
    login may use; `memory_limit_mb` is the cap of the login's cgroup. `capabilities` are the login's (with sudo
    where the inventory says so) among those that matter here. `packages` and `engines` map what is installed
    to its version, `engine_errors` an engine that refuses to work to its words. `missing_addresses` are data
    addresses that the host does not have. With `free_page_reporting` a virtual machine gives memory that lies unused
    for two seconds back to its hypervisor, and is slow to get it again. `leased_by` says who is measuring with this
    (edge) host. `proc_children`: the kernel tells a process's children (CONFIG_PROC_CHILDREN). Hosts
    with the same `boot_id` are one machine.
    """

    user: str
    uid: int
    kernel: str
    machine: str
    distribution: str | None
    family: tuple[str, ...]
    cpu_model: str | None
    cpus: int
    governor: str | None
    clock_source: str | None
    memory_mb: int
    memory_limit_mb: int | None
    cgroup: Literal["v1", "v2"]
    sudo_works: bool | None
    capabilities: tuple[str, ...]
    tools: tuple[str, ...]
    netem: bool | None
    engines: dict[str, str]
    engine_errors: dict[str, str]
    workdir: str
    workdir_writable: bool
    free_disk_mb: int
    python: str | None
    python_error: str | None
    packages: dict[str, str]
    busy_ports: tuple[BusyPort, ...]
    missing_addresses: tuple[str, ...]
    leased_by: str | None = None
    free_page_reporting: bool | None = None
    proc_children: bool | None = None
    boot_id: str | None = None


def gather(connection: Connection, host: Host) -> Facts:
    """Find out what a host is and has, with one command; takes about half a second.

    Raises:
        RemoteError: the host has no usable sh.
        ConnectError: the host is gone.
    """
    done = connection.run(command(host), timeout_s=_TIMEOUT_S)
    output = done.stdout.decode(errors="replace")
    try:
        return parse(output)
    except (KeyError, ValueError) as error:
        words = (done.stderr.decode(errors="replace").strip() or output.strip()).splitlines()
        said = f"; it said: {words[-1]}" if words else ""
        raise RemoteError(
            f"{connection.label}: its facts could not be gathered (status {done.status}{said}). "
            "The host needs Linux with a POSIX sh and coreutils"
        ) from error


def command(host: Host) -> list[str]:
    """Return the command whose output `parse` understands."""
    addresses = dict.fromkeys(address for address in (host.data_address, host.cloud_side_address) if address)
    ports = 0 if host.role == "device" else DATA_PORTS  # the device only connects
    return shell.script(
        _SCRIPT.read_text(encoding="utf-8"),
        host.python,
        host.workdir,
        "yes" if host.sudo else "no",
        str(host.data_ports),
        str(ports),
        *addresses,
    )


def parse(output: str) -> Facts:
    """Turn the script's output into facts. Pure.

    Raises:
        KeyError, ValueError: it is not the script's output.
    """
    lines: defaultdict[str, list[str]] = defaultdict(list)
    for line in output.splitlines():
        key, _, value = line.partition(" ")
        lines[key].append(value.strip())
    first = {key: values[0] for key, values in lines.items()}
    binds = [bind.split() for bind in lines["bind"]]
    limit_bytes = int(first.get("memory_limit_bytes", "max").replace("max", str(_NO_LIMIT_BYTES)))
    return Facts(
        user=first["user"],
        uid=int(first["uid"]),
        kernel=first["kernel"],
        machine=first["machine"],
        distribution=first.get("distribution", "").strip("\"'") or None,
        family=tuple(name for value in lines["family"] for name in value.strip("\"'").split()),
        cpu_model=first.get("cpu_model") or first.get("board"),
        cpus=int(first["cpus"]),
        governor=first.get("governor"),
        clock_source=first.get("clock_source"),
        memory_mb=int(first["memory_kb"]) // 1024,
        memory_limit_mb=limit_bytes // 1024**2 if limit_bytes < _NO_LIMIT_BYTES else None,
        cgroup="v2" if first["cgroup"] == "v2" else "v1",
        sudo_works=_yes(first.get("sudo")),
        capabilities=_capabilities(int(first.get("capabilities", "0"), 16)),
        tools=tuple(lines["tool"]),
        netem=_yes(first.get("netem")),
        engines=_pairs(lines["engine"]),
        engine_errors=_pairs(lines["engine_error"]),
        workdir=first["workdir"],
        workdir_writable="workdir_writable" in lines,
        free_disk_mb=int(first["free_disk_kb"]) // 1024,
        python=first.get("python"),
        python_error=_python_error(output) if "python_error" in lines else None,
        packages=_pairs(lines["package"]),
        busy_ports=_busy_ports(binds, lines["listener"]),
        missing_addresses=tuple(address for address, port, _ in binds if port == "0"),
        leased_by=first.get("lease"),
        free_page_reporting=_yes(first.get("free_page_reporting")),
        proc_children=_yes(first.get("proc_children")),
        boot_id=first.get("boot_id"),
    )


def describe(facts: Facts) -> str:
    """Return what a host is in one line."""
    memory_mb = min(facts.memory_mb, facts.memory_limit_mb or facts.memory_mb)
    engines = [f"{name} {version}" for name, version in facts.engines.items()]
    tensorflow = facts.packages.get("tensorflow")
    parts = [
        facts.distribution or "unknown distribution",
        f"Linux {facts.kernel}",
        f"{facts.cpus} x {facts.cpu_model or facts.machine}",
        f"{memory_mb} MB",
        *(["gives unused memory back to its hypervisor"] if facts.free_page_reporting else []),
        f"cgroup {facts.cgroup}",
        *engines,
        f"Python {facts.python}" if facts.python else "no Python",
        *([f"TensorFlow {tensorflow}"] if tensorflow else []),
        *([f"leased by {facts.leased_by}"] if facts.leased_by else []),
    ]
    return ", ".join(parts)


def _busy_ports(binds: Sequence[Sequence[str]], listeners: Sequence[str]) -> tuple[BusyPort, ...]:
    holders = _holders(listeners)
    return tuple(
        BusyPort(address, int(port), holders.get((address, port)) or holders.get(("", port)))
        for address, port, _ in binds
        if port != "0"
    )


def _holders(listeners: Sequence[str]) -> Mapping[tuple[str, str], str]:
    """Map (address, port) to the listening process; an empty address stands for all."""
    found = {}
    for line in listeners:
        match = _LISTENER.search(line)
        if match and match["name"]:
            address = match["address"].strip("[]").split("%")[0]
            address = "" if address in ("*", "0.0.0.0", "::") else address  # noqa: S104 - compared, not bound
            found[(address, match["port"])] = f"{match['name']} (pid {match['pid']})"
    return found


def _python_error(output: str) -> str:
    """Return what came just before the line that says that Python failed."""
    before = output.split("\npython_error ", maxsplit=1)[0].splitlines()[-1]
    # Where Python said nothing, the line before is that of the fact before.
    return "no such command" if before.startswith("free_disk_kb ") else before


def _capabilities(mask: int) -> tuple[str, ...]:
    return tuple(name for name, bit in _CAPABILITIES.items() if mask >> bit & 1)


def _pairs(values: Sequence[str]) -> dict[str, str]:
    return {name: rest for name, _, rest in (value.partition(" ") for value in values)}


def _yes(value: str | None) -> bool | None:
    return None if value is None else value == "yes"
