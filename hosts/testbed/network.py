"""The links of a testbed as batches for ``ip -batch``, and what speaks against making them. Pure.

controller 198.18.0.1 == (a pair for each host) == device, edge, cloud        management: SSH
device 198.18.1.11 == 198.18.1.12 edge 198.18.2.12 == 198.18.2.13 cloud       data

Pairs of virtual Ethernet devices only: they vanish with the network namespace at their far end, whatever
ended it. A bridge would outlive it.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from hosts.testbed.plan import BENCHMARK_NET, GUARD_METRIC, alias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hosts.testbed.plan import HostPlan, Plan

MANAGEMENT = "mgmt"


def machine_batch(plan: Plan, pids: Mapping[str, int]) -> str:
    """Return the commands for the machine's own network namespace; `pids` are processes inside the hosts'."""
    lines = [
        # While the testbed is down a packet for it must not leave through the default route.
        f"route add unreachable {BENCHMARK_NET} metric {plan.guard_metric}",
        _pair("to-edge", pids["device"], "to-device", pids["edge"]),
        _pair("to-cloud", pids["edge"], "to-edge", pids["cloud"]),
    ]
    for host in plan.hosts:
        lines += [
            f"link add name {host.veth} type veth peer name {MANAGEMENT} netns {pids[host.role]}",
            f'link set dev {host.veth} alias "{alias(plan.name)}"',
            f"link set dev {host.veth} addrgenmode none up",
            f"addr add {plan.controller} peer {host.address} dev {host.veth}",
        ]
    return _joined(lines)


def host_batch(plan: Plan, host: HostPlan) -> str:
    """Return the commands for a host's network namespace."""
    lines = [
        "link set dev lo up",
        f"link set dev {MANAGEMENT} addrgenmode none up",
        f"addr add {host.address} peer {plan.controller} dev {MANAGEMENT}",
    ]
    for device, address in _data_links(host):
        # One segment a packet: the shaper's byte limit would drop trains of them at a change of rate.
        segments = " gso_max_segs 1" if "cloud" in (device.removeprefix("to-"), host.role) else ""
        lines += [
            f"link set dev {device} addrgenmode none{segments} up",
            f"addr add {address}/24 dev {device}",
        ]
    return _joined(lines)


def undo_batch(devices: Iterable[str], guard_metrics: Iterable[int]) -> str:
    """Return the commands that take a testbed out of the machine's own network namespace."""
    lines = [f"link del dev {device}" for device in devices]
    lines += [f"route del unreachable {BENCHMARK_NET} metric {metric}" for metric in guard_metrics]
    return _joined(lines)


def conflicts(plan: Plan, routes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line for each route (of ``ip -j route show table all``) inside the testbed's subnets.

    Default routes and the guard routes of testbeds are no conflict: they are less specific.
    """
    found = []
    for route in routes:
        network = _network(str(route.get("dst", "default")))
        if network is None or int(route.get("metric", 0)) >= GUARD_METRIC:
            continue
        if network.prefixlen < BENCHMARK_NET.prefixlen:
            continue
        where = f"route to {route['dst']} via {route.get('dev', 'no device')}"
        found += [f"{subnet} is in use: {where}" for subnet in plan.subnets() if network.overlaps(subnet)]
    return found


def devices_of(name: str, links: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the devices of the testbed `name` among ``ip -j link show``."""
    return [str(link["ifname"]) for link in links if link.get("ifalias") == alias(name)]


def names_in(links: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the names of all testbeds that have devices among ``ip -j link show``."""
    labels = (str(link.get("ifalias", "")) for link in links)
    return {label.removeprefix(alias("")) for label in labels if label.startswith(alias(""))}


def guard_metrics(routes: Sequence[Mapping[str, Any]]) -> set[int]:
    """Return the metrics of all guard routes among ``ip -j route show table all``."""
    return {
        int(route["metric"])
        for route in routes
        if route.get("type") == "unreachable"
        and route.get("dst") == str(BENCHMARK_NET)
        and int(route.get("metric", 0)) >= GUARD_METRIC
    }


def _data_links(host: HostPlan) -> list[tuple[str, str]]:
    match host.role:
        case "device":
            return [("to-edge", host.data_address)]
        case "edge":
            return [("to-device", host.data_address), ("to-cloud", str(host.cloud_side_address))]
        case _:
            return [("to-edge", host.data_address)]


def _pair(one: str, one_pid: int, other: str, other_pid: int) -> str:
    return f"link add name {one} netns {one_pid} type veth peer name {other} netns {other_pid}"


def _network(destination: str) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(destination, strict=False)
    except ValueError:  # "default", or IPv6
        return None


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
