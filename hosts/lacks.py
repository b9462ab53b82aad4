"""What a host lacks for its role, and what mends it. Pure."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hosts.facts import Facts
    from hosts.inventory import Host, Role

OLDEST_PYTHON: Final = (3, 11)
LEAST_DISK_MB: Final = 2048
# Import name -> distribution, as in pyproject.toml.
_WORKER_PACKAGES: Final = {"msgspec": "msgspec", "zmq": "pyzmq", "numpy": "numpy", "av": "av", "psutil": "psutil"}
_TIER_PACKAGES: Final = {**_WORKER_PACKAGES, "tensorflow": "tensorflow-cpu"}
_DEBIAN_PACKAGES: Final = {"tc": "iproute2", "ip": "iproute2", "flock": "util-linux"}
_FEDORA_PACKAGES: Final = {"tc": "iproute-tc", "ip": "iproute", "flock": "util-linux"}


def lacks(role: Role, host: Host, facts: Facts, *, edge_netem: bool = True, leased: bool = False) -> list[str]:
    """Return a sentence for each lack: what is missing, then what mends it; empty where all is fine.

    `edge_netem` is False where the edge's kernel has no netem, which gives the cloud the delay line to run.
    While the testbed is `leased` its ports are rightly in use.
    """
    tools = {"device": (), "edge": ("tc", "ip", "stress-ng", "flock"), "cloud": ()}[role]
    needs_delay_line = role == "cloud" and not edge_netem
    found: list[Iterable[str]] = [
        _sudo(host, facts),
        _python(role, host, facts),
        () if role == "device" else _kernel(facts),
        _tools((*tools, "iptables") if needs_delay_line else tools, facts),
        _engine(host, facts) if host.runtime else (),
        _net_admin(host, facts) if role == "edge" or needs_delay_line else (),
        _addresses(facts),
        () if leased else _ports(role, facts),
        _disk(host, facts),
    ]
    return list(itertools.chain.from_iterable(found))


def install_command(tools: Iterable[str], facts: Facts) -> str:
    """Return the command that installs programs on the host's distribution."""
    sudo = "" if facts.uid == 0 else "sudo "
    if {"debian", "ubuntu"} & set(facts.family):
        return f"{sudo}apt-get install -y {_names(tools, _DEBIAN_PACKAGES)}"
    if {"fedora", "rhel", "centos"} & set(facts.family):
        return f"{sudo}dnf install -y {_names(tools, _FEDORA_PACKAGES)}"
    return f"the distribution's packages of {', '.join(tools)}"


def _names(tools: Iterable[str], packages: dict[str, str]) -> str:
    return " ".join(dict.fromkeys(packages.get(tool, tool) for tool in tools))


def _sudo(host: Host, facts: Facts) -> Iterator[str]:
    if host.sudo and not facts.sudo_works:
        yield (
            f"`sudo -n` is refused to {facts.user}. Run there: echo '{facts.user} ALL=(ALL) NOPASSWD: ALL' | "
            f"sudo tee /etc/sudoers.d/neukonfig; or log in as root (`hosts.{host.role}.user`)"
        )


def _python(role: Role, host: Host, facts: Facts) -> Iterator[str]:
    mend = (
        f"Run `hosts/setup.sh --role {role}` in a checkout there and set `hosts.{role}.python` to its .venv/bin/python"
    )
    if facts.python and tuple(int(part) for part in facts.python.split(".")[:2]) < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        yield f"`{host.python}` is Python {facts.python}, older than {oldest}. {mend}"
    elif facts.python_error or not facts.python:
        yield f"`{host.python}` does not work ({facts.python_error or 'it printed nothing'}). {mend}"
    else:
        wanted = _WORKER_PACKAGES if role == "device" else _TIER_PACKAGES
        missing = [module for module in wanted if module not in facts.packages]
        if missing:
            names = " ".join(_distribution(wanted[module], facts) for module in missing)
            yield (
                f"`{host.python}` has no {', '.join(missing)}. {mend}, or install: {host.python} -m pip install {names}"
            )


def _kernel(facts: Facts) -> Iterator[str]:
    if facts.proc_children is False:
        yield (
            f"Linux {facts.kernel} has no /proc/<pid>/task/<tid>/children, without which the memory of a pipeline's "
            "processes cannot be read. Boot a kernel with CONFIG_PROC_CHILDREN, as those of the distributions are"
        )


def _distribution(name: str, facts: Facts) -> str:
    """TensorFlow's CPU build has wheels for x86-64 only."""
    return "tensorflow" if name == "tensorflow-cpu" and facts.machine != "x86_64" else name


def _tools(wanted: Iterable[str], facts: Facts) -> Iterator[str]:
    missing = [tool for tool in wanted if tool not in facts.tools]
    if missing:
        names = ", ".join(f"`{tool}`" for tool in missing)
        yield f"{names} not found. Install: {install_command(missing, facts)}"


def _engine(host: Host, facts: Facts) -> Iterator[str]:
    engine = host.runtime
    if engine is None or engine == "process" or engine in facts.engines:
        return
    others = [name for name in facts.engines if name != engine]
    instead = f"set `hosts.{host.role}.runtime: {(others or ['process'])[0]}`"
    if engine in facts.engine_errors:
        start = "start its daemon (systemctl start docker), or " if engine == "docker" else "mend that, or "
        yield f"`{engine}` does not work ({facts.engine_errors[engine]}). {start[0].upper()}{start[1:]}{instead}"
    else:
        package = "docker.io" if engine == "docker" and "debian" in facts.family else engine
        yield f"`{engine}` not found. Install: {install_command([package], facts)}; or {instead}"


def _net_admin(host: Host, facts: Facts) -> Iterator[str]:
    if "CAP_NET_ADMIN" not in facts.capabilities:
        mend = (
            "In a container, start it with --cap-add=NET_ADMIN"
            if facts.uid == 0
            else f"Set `hosts.{host.role}.sudo: true`, or log in as root (`hosts.{host.role}.user`)"
        )
        yield f"{facts.user} lacks CAP_NET_ADMIN, so traffic cannot be shaped. {mend}"


def _addresses(facts: Facts) -> Iterator[str]:
    for address in facts.missing_addresses:
        yield (
            f"{address} is no address of this host. Set `data_address` (and on the edge `cloud_side_address`) to one "
            "that `ip -brief address` lists there"
        )


def _ports(role: Role, facts: Facts) -> Iterator[str]:
    by_holder: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for busy in facts.busy_ports:
        by_holder[busy.address, busy.holder or "a process that only root sees"].append(busy.port)
    for (address, holder), ports in by_holder.items():
        numbers = ", ".join(map(str, sorted(ports)))
        yield (
            f"data ports {numbers} on {address} are taken by {holder}. End it, or set `hosts.{role}.data_ports` to "
            "the first of 20 free ports"
        )


def _disk(host: Host, facts: Facts) -> Iterator[str]:
    if not facts.workdir_writable:
        yield (f"{facts.user} cannot write {facts.workdir}. Mend its owner, or set `hosts.{host.role}.workdir`")
    elif facts.free_disk_mb < LEAST_DISK_MB:
        yield (
            f"{facts.free_disk_mb} MB free in {facts.workdir}, {LEAST_DISK_MB} MB needed. Free space there, or set "
            f"`hosts.{host.role}.workdir`"
        )
