"""``python -m hosts.check --inventory FILE``: what each host is, what it lacks, and what mends that."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hosts import inventory as inventories
from hosts.errors import CheckFailed, ConfigError, ConnectError, HostsError, RemoteError
from hosts.facts import Facts, describe, gather
from hosts.lacks import lacks
from hosts.shared_testbed import testbed_for
from hosts.ssh import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hosts.connection import Connection
    from hosts.inventory import Host, Inventory

LACKING, UNUSABLE = 1, 2


class Finding(msgspec.Struct, frozen=True):
    """What was found out about a host: what it is (None where it cannot be reached) and what it lacks."""

    role: str
    label: str
    what: str | None
    lacks: tuple[str, ...]
    facts: Facts | None = None

    def lines(self) -> list[str]:
        """Return each lack with the host's name in front."""
        return [f"{self.label}: {lack}" for lack in self.lacks]


def main(argv: Sequence[str] | None = None) -> int:
    """Check the hosts; 0: all fine, 1: something is lacking, 2: the inventory cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m hosts.check", description=__doc__)
    parser.add_argument("--inventory", type=Path, default=Path("hosts/local.yaml"), metavar="FILE")
    parser.add_argument("--json", action="store_true", help="print the findings and all facts as JSON")
    arguments = parser.parse_args(argv)
    try:
        findings = check_with_testbed(inventories.load(arguments.inventory))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    except HostsError as error:
        print(error, file=sys.stderr)
        return LACKING
    print(msgspec.json.format(msgspec.json.encode(findings)).decode() if arguments.json else render(findings))
    return LACKING if any(finding.lacks for finding in findings) else 0


def check_with_testbed(inventory: Inventory) -> list[Finding]:
    """Check the hosts; a local testbed that is not up is made for the duration.

    Raises:
        TestbedError: it could not be made.
    """
    with testbed_for(inventory):
        return check(inventory)


def check_or_raise(inventory: Inventory) -> list[Finding]:
    """Check the hosts and return what they are.

    Raises:
        CheckFailed: a line for each lack, with what mends it.
    """
    findings = check(inventory)
    found = [line for finding in findings for line in finding.lines()]
    if found:
        raise CheckFailed("\n".join(found))
    return findings


def check(inventory: Inventory, dial: Callable[[Host], Connection] = connect) -> list[Finding]:
    """Connect to all hosts at once and look at them; a host that cannot be reached is a finding."""
    with ExitStack() as stack:
        connections: dict[str, Connection] = {}
        findings: dict[str, Finding] = {}
        with ThreadPoolExecutor(len(inventory.hosts)) as pool:
            outcomes = list(pool.map(lambda host: _connect(dial, host), inventory.hosts))
        for host, outcome in zip(inventory.hosts, outcomes, strict=True):
            if isinstance(outcome, ConnectError):
                findings[host.role] = _finding(host, outcome)
            else:
                connections[host.role] = stack.enter_context(outcome)
        findings |= {finding.role: finding for finding in check_all(inventory, connections)}
    return [findings[host.role] for host in inventory.hosts]


def check_all(inventory: Inventory, connections: Mapping[str, Connection]) -> list[Finding]:
    """Look at the connected hosts, all at once."""
    hosts = [host for host in inventory.hosts if host.role in connections]
    with ThreadPoolExecutor(len(inventory.hosts)) as pool:
        gathered = pool.map(lambda host: _gather(connections[host.role], host), hosts)
        found = {host.role: outcome for host, outcome in zip(hosts, gathered, strict=True)}
    edge = found.get("edge")
    edge_netem = not (isinstance(edge, Facts) and edge.netem is False)
    leased = isinstance(edge, Facts) and edge.leased_by is not None
    return [_finding(host, found[host.role], edge_netem=edge_netem, leased=leased) for host in hosts]


def render(findings: Sequence[Finding]) -> str:
    """Return the findings as text: a line for each host and each lack, and a conclusion."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.label}: {finding.what or 'cannot be looked at'}")
        lines += [f"  lacks: {lack}" for lack in finding.lacks]
    number = sum(len(finding.lacks) for finding in findings)
    lines.append(f"{number} to mend" if number else "nothing is lacking")
    return "\n".join(lines)


def _connect(dial: Callable[[Host], Connection], host: Host) -> Connection | ConnectError:
    try:
        return dial(host)
    except ConnectError as error:
        return error


def _gather(connection: Connection, host: Host) -> Facts | HostsError:
    try:
        return gather(connection, host)
    except HostsError as error:
        return error
    except TimeoutError as error:
        return RemoteError(f"{error}. See what keeps it busy")


def _finding(host: Host, found: Facts | HostsError, *, edge_netem: bool = True, leased: bool = False) -> Finding:
    if isinstance(found, Facts):
        lacking = tuple(lacks(host.role, host, found, edge_netem=edge_netem, leased=leased))
        return Finding(host.role, host.label, describe(found), lacking, found)
    words = str(found).removeprefix(f"{host.endpoint}: ").removeprefix(f"{host.label}: ")
    return Finding(host.role, host.label, None, (words,))


if __name__ == "__main__":
    sys.exit(main())
