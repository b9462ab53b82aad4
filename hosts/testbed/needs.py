"""What the machine must have before a testbed can be built; one line for each lack, with what mends it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hosts.errors import TestbedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_CAPABILITIES: Final = {"CAP_NET_ADMIN": 12, "CAP_SYS_CHROOT": 18, "CAP_SYS_ADMIN": 21}
_PACKAGES: Final = {
    "ip": "iproute2",
    "tc": "iproute2",
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
    "podman": "podman crun",
}


def lacks(
    programs: Iterable[str], uid: int, status: str, find: Callable[[str], str | None] = shutil.which
) -> list[str]:
    """Return what is missing, from the user id and the text of ``/proc/self/status``. Pure but for `find`."""
    found = []
    if uid != 0:
        found.append("it needs root (namespaces and cgroups): run the same command with sudo")
    else:
        held = int(next(line for line in status.splitlines() if line.startswith("CapEff:")).split()[1], 16)
        found += [
            f"root lacks {name} here: in a container add --cap-add={name.removeprefix('CAP_')}"
            for name, bit in _CAPABILITIES.items()
            if not held >> bit & 1
        ]
    found += [
        f"the program {program} is missing: apt-get install {_PACKAGES[program]}"
        for program in programs
        if find(program) is None
    ]
    return found


def check(runtimes: Iterable[str]) -> None:
    """Check this machine.

    Raises:
        TestbedError: it lacks something.

    """
    # /usr/sbin is not on every user's path, and sshd wants to be called by an absolute one.
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"
    # Other engines are a matter of the hosts: hosts.check says what an edge without one can do.
    engines = [runtime for runtime in runtimes if runtime in _PACKAGES]
    programs = ["ip", "tc", "sshd", "ssh-keygen", "unshare", *engines]
    found = lacks(programs, os.geteuid(), Path("/proc/self/status").read_text(encoding="utf-8"))
    if found:
        raise TestbedError("The testbed cannot be built on this machine: " + "; ".join(found))
