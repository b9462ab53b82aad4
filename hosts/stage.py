"""Hosts made ready for a job: connected, leased, with code and model; and their logs fetched at its end."""

from __future__ import annotations

import io
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from hosts.deploy import deploy_tree, deploy_workers
from hosts.errors import HostsError, RemoteError
from hosts.facts import gather
from hosts.inventory import ROLES
from hosts.lease import lease
from hosts.setup_orders import Site
from hosts.shared_testbed import goes_down, testbed_for, testbed_is_up
from hosts.ssh import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from hosts.connection import Connection
    from hosts.inventory import Inventory


class Stage(NamedTuple):
    """The hosts of a job by their roles, and what is known of them."""

    sites: dict[str, Site]
    facts: dict[str, dict[str, Any]]


@contextmanager
def staged(inventory: Inventory, model: Path, began: datetime) -> Iterator[Stage]:
    """Hold the lease of the hosts, with code and the stored model deployed; make the testbed where it is not up.

    Args:
        inventory: the hosts.
        model: the stored model's folder.
        began: names the folder of the job's logs.
    """
    with ExitStack() as stack:
        connections = _lease(inventory, stack)
        with ThreadPoolExecutor(1) as beside:
            gathered = beside.submit(_gather, inventory, connections)
            sites = _deploy(inventory, connections, model, began)
            facts = gathered.result()
        yield Stage(sites, facts)


def _lease(inventory: Inventory, stack: ExitStack) -> dict[str, Connection]:
    """Connect to the hosts and hold their lease, on a testbed made anew where its owner takes it down meanwhile."""
    while True:
        anothers = inventory.testbed if inventory.testbed and testbed_is_up(inventory.testbed) else None
        with ExitStack() as attempt:
            attempt.enter_context(testbed_for(inventory))
            try:
                connections = _connect(inventory, attempt)
                attempt.enter_context(lease(connections["edge"]))
            except HostsError:
                if anothers is None or not goes_down(anothers):
                    raise
                print(f"testbed {anothers} was taken down by its owner; it is made anew", file=sys.stderr, flush=True)
            else:
                stack.enter_context(attempt.pop_all())
                return connections


def _connect(inventory: Inventory, stack: ExitStack) -> dict[str, Connection]:
    with ThreadPoolExecutor(len(ROLES)) as pool:
        opened = pool.map(lambda role: connect(getattr(inventory, role)), ROLES)
        return {role: stack.enter_context(connection) for role, connection in zip(ROLES, opened, strict=True)}


def _deploy(
    inventory: Inventory, connections: Mapping[str, Connection], model: Path, began: datetime
) -> dict[str, Site]:
    def deploy(role: str) -> Site:
        host, connection = getattr(inventory, role), connections[role]
        code = deploy_workers(connection, host)
        base = code.rsplit("/", 1)[0]
        folder = None
        if role != "device":
            folder = f"{base}/models/{model.name}"
            deploy_tree(connection, model, folder)
        logs = f"{base}/logs/{began:%Y%m%dT%H%M%S%f}"
        connection.run(["mkdir", "-p", logs])
        return Site(host, connection, code, logs, folder)

    with ThreadPoolExecutor(len(ROLES)) as pool:
        return dict(zip(ROLES, pool.map(deploy, ROLES), strict=True))


def _gather(inventory: Inventory, connections: Mapping[str, Connection]) -> dict[str, dict[str, Any]]:
    with ThreadPoolExecutor(len(ROLES)) as pool:
        found = pool.map(lambda role: gather(connections[role], getattr(inventory, role)), ROLES)
        return {role: msgspec.to_builtins(facts) for role, facts in zip(ROLES, found, strict=True)}


def fetch_logs(sites: Mapping[str, Site], out: Path, broken: str | None = None) -> None:
    """Fetch what the hosts logged and remove it there.

    Args:
        sites: the hosts.
        out: where the logs go.
        broken: why the job broke down, where it did. That a host no longer answers is often only what followed.

    Raises:
        HostsError: logs could not be read. A record without its logs would be worth nothing: there is none then.
    """
    try:
        _fetch_logs(sites, out)
    except HostsError as error:
        if broken is None:
            raise
        raise RemoteError(f"{broken}. After that {error}") from error


def _fetch_logs(sites: Mapping[str, Site], out: Path) -> None:
    for site in sites.values():
        as_root = ["sudo", "-n"] if site.host.sudo else []
        packed = site.connection.run([*as_root, "tar", "-C", site.log_folder, "-cf", "-", "."])
        if packed.status > 1:  # 1: a file grew while it was read
            words = packed.stderr.decode(errors="replace").strip()
            raise RemoteError(f"{site.host.label}: the logs in {site.log_folder} could not be read: {words}. Run again")
        _save_logs(packed.stdout, out)
        site.connection.run([*as_root, "rm", "-rf", site.log_folder])


def _save_logs(packed: bytes, out: Path) -> None:
    """Write the files of an archive into `out`, each by its bare name: a host does not choose where."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is not None:
                (out / Path(member.name).name).write_bytes(stream.read())
