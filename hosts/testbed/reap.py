"""Take down whatever is left of a testbed: processes (frozen ones too), cgroups, devices, routes, files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from typing import Any

from hosts.errors import TestbedError
from hosts.testbed import lock, network
from hosts.testbed.plan import RUN, cgroup, guard_metric, run_dir, status_fifo
from workers.cgroup import Cgroup, detect

_END_TIMEOUT_S = 5.0


def remove(name: str) -> list[str]:
    """Remove everything of the testbed `name` and return one line for each thing that was there.

    The caller holds the lock of that name. Idempotent, and indifferent to how far a build had come.

    Raises:
        WorkerError: a process does not die, even of SIGKILL.
        TestbedError: ``ip`` does not work.

    """
    removed = _remove_cgroup(name)
    removed += _remove_network(name)
    if run_dir(name).exists():
        shutil.rmtree(run_dir(name))
        removed.append(f"files {run_dir(name)}")
    status_fifo(name).unlink(missing_ok=True)
    return removed


def reap(name: str, *, force: bool = False) -> list[str]:
    """Remove the leftovers of the testbed `name`; one line for each thing removed.

    A testbed that is running is no leftover: it is left alone and the line says so, unless `force` ends it.
    """
    if force:
        _end(name)
    try:
        held = lock.Lock.take(name)
    except TestbedError as error:
        return [f"left alone: {error} (or end it: --reap --force)"]
    try:
        return remove(name)
    finally:
        held.release()


def reap_all(*, force: bool = False) -> list[str]:
    """Remove the leftovers of every testbed of this project on the machine."""
    removed = [f"{name}: {line}" for name in sorted(names()) for line in reap(name, force=force)]
    mine = {guard_metric(name) for name in names()}  # of those that run on
    stray = network.guard_metrics(show("route", "show", "table", "all")) - mine
    if stray:
        _run_undo(network.undo_batch([], stray))
        removed += [f"guard route with metric {metric}" for metric in stray]
    return removed


def names() -> set[str]:
    """Return the names of all testbeds that run or left something."""
    found = network.names_in(show("link", "show"))
    if RUN.is_dir():
        found |= {place.stem for place in RUN.glob("*.lock")}
    for place in Cgroup("/neukonfig", detect()).directories():
        if place.is_dir():
            found |= {child.name for child in place.iterdir() if child.is_dir()}
    return found


def show(*what: str) -> list[dict[str, Any]]:
    """Return the output of ``ip -j <what>``."""
    done = subprocess.run(["ip", "-j", *what], capture_output=True, check=False)
    if done.returncode:
        raise TestbedError(f"ip -j {' '.join(what)} failed: {done.stderr.decode(errors='replace').strip()}")
    entries: list[dict[str, Any]] = json.loads(done.stdout or b"[]")
    return entries


def run_ip(batch: str) -> None:
    """Run a batch of ``ip`` commands.

    Raises:
        TestbedError: one of them failed; the message holds ip's own words.

    """
    done = subprocess.run(["ip", "-batch", "-"], input=batch.encode(), capture_output=True, check=False)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip()
        raise TestbedError(f"The network of the testbed could not be changed: {words}\nin\n{batch}")


def _remove_cgroup(name: str) -> list[str]:
    group = Cgroup(cgroup(name), detect())
    if not group.exists():
        return []
    killed = group.remove()
    for place in group.directories():
        with suppress(OSError):  # another testbed lives there
            place.parent.rmdir()
    return [f"cgroup {group.path} with {killed} processes"]


def _remove_network(name: str) -> list[str]:
    devices = network.devices_of(name, show("link", "show"))
    metrics = {guard_metric(name)} & network.guard_metrics(show("route", "show", "type", "unreachable"))
    if devices or metrics:
        _run_undo(network.undo_batch(devices, metrics))
    return [f"device {device}" for device in devices] + [f"guard route with metric {m}" for m in metrics]


def _run_undo(batch: str) -> None:
    """Run a batch of removals; a device may vanish by itself meanwhile, with the namespace at its far end."""
    subprocess.run(["ip", "-force", "-batch", "-"], input=batch.encode(), capture_output=True, check=False)


def _end(name: str) -> None:
    """End a running testbed: politely, then not."""
    with suppress(TestbedError):
        lock.Lock.take(name).release()
        return  # nobody runs it; the process ids of a stale file may be others' by now
    who = lock.holder(name)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in who.pids if who else []:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        with suppress(TestbedError):
            lock.Lock.take(name, timeout_s=_END_TIMEOUT_S).release()
            return
