"""SSH connections to hosts: `connect` reaches one and makes sure who it is. Nothing else imports paramiko."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.ssh.connection import SshConnection
from hosts.ssh.login import log_in

if TYPE_CHECKING:
    from hosts.inventory import Host

__all__ = ["SshConnection", "connect"]


def connect(host: Host) -> SshConnection:
    """Connect to a host and log in.

    Raises:
        ConnectError: one line that says which host, what is wrong and what to do.
    """
    return SshConnection(host.label, log_in(host))
