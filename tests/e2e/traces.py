"""What a testbed could leave behind on this machine, found by its name and addresses."""

import os
import re
import subprocess
import time
from pathlib import Path


def traces(name, subnets):
    """Return every link, address, route, cgroup, mount, process, socket folder and file of the testbed `name`."""
    found = []
    text = "".join(
        subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        for argv in (["ip", "-o", "address"], ["ip", "-o", "link"], ["ip", "route", "show", "table", "all"])
    )
    found += [line for line in text.splitlines() if any(subnet in line for subnet in subnets) or f"nk-{name}" in line]
    # A walk bears with cgroups that vanish meanwhile.
    found += [place for place, _, _ in os.walk("/sys/fs/cgroup") if place.endswith(f"/neukonfig/{name}")]
    found += [str(path) for path in Path("/run/neukonfig").glob(f"{name}*")]
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"/neukonfig/{name}" in line]
    found += processes(rb"NEUKONFIG_CGROUP=/neukonfig/" + name.encode(), "environ")
    return found


def processes(pattern, file="cmdline"):
    """Return the processes whose command line (or environment) matches, as ``pid command``."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            text, command = (proc / file).read_bytes(), (proc / "cmdline").read_bytes()
            state = (proc / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z" and re.search(pattern, text):
            found.append(f"{proc.name} {command.replace(bytes(1), b' ').decode(errors='replace')}")
    return found


def wait_until(condition, timeout_s=30.0):
    """Wait for a condition; return its last value."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return value
