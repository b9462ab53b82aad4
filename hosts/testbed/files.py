"""The files of a testbed: keys, sshd's and podman's configuration. Texts are pure; `write` puts them down."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from hosts.errors import TestbedError
from hosts.testbed.network import host_batch
from hosts.testbed.plan import sshd_environment

if TYPE_CHECKING:
    from hosts.testbed.plan import HostPlan, Plan


def sshd_config(plan: Plan, host: HostPlan) -> str:
    """Return a host's sshd_config: keys only, nothing of the machine's own configuration."""
    folder = plan.run_dir / host.role
    environment = " ".join(f'"{name}={value}"' for name, value in sshd_environment(plan, host).items())
    return f"""\
ListenAddress {host.address}:{host.port}
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {plan.run_dir}/authorized_keys
AuthenticationMethods publickey
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
# PAM would move sessions out of the host's cgroup (pam_systemd) and source the machine's profile.
UsePAM no
StrictModes yes
AllowUsers {host.user}
AllowTcpForwarding no
AllowAgentForwarding no
X11Forwarding no
PermitTunnel no
PermitUserEnvironment no
PrintMotd no
PrintLastLog no
UseDNS no
MaxStartups 100
MaxSessions 100
LogLevel INFO
Subsystem sftp internal-sftp
SetEnv {environment}
"""


def storage_conf(folder: Path) -> str:
    """Return podman's storage.conf: throwaway storage that dies with the testbed."""
    return f"""\
[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "{folder}/containers"
"""


def containers_conf(folder: Path, runtime: str) -> str:
    """Return podman's containers.conf: cgroups without systemd, no events, all state below `folder`."""
    return f"""\
[containers]
# Below the limits of a machine that withholds CAP_SYS_RESOURCE; podman's own defaults are above them.
default_ulimits = ["nofile=1024:4096", "nproc=10000:10000"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "{runtime}"
static_dir = "{folder}/libpod"
tmp_dir = "{folder}/engine"
volume_path = "{folder}/volumes"
"""


def known_hosts_line(host: HostPlan, public_key: str) -> str:
    """Return the known_hosts line of a host, from the text of its public key file."""
    name = host.address if host.port == 22 else f"[{host.address}]:{host.port}"  # noqa: PLR2004 - SSH's own
    return f"{name} {' '.join(public_key.split()[:2])}\n"


def write(plan: Plan) -> None:
    """Write every file of the testbed, with fresh keys, into its (private) run folder.

    Raises:
        TestbedError: a key could not be made.

    """
    folders = {host.role: plan.run_dir / host.role for host in plan.hosts}
    plan.run_dir.mkdir(parents=True, mode=0o700)
    for folder in folders.values():
        folder.mkdir(mode=0o700)
        (folder / "tmp").mkdir()
    key = Path(plan.key)
    _make_keys([key, *(folder / "host_key" for folder in folders.values())])
    runtime = "crun" if shutil.which("crun") else "runc"
    for host in plan.hosts:
        folder = folders[host.role]
        (folder / "sshd_config").write_text(sshd_config(plan, host))
        (folder / "ip.batch").write_text(host_batch(plan, host))
        (folder / "storage.conf").write_text(storage_conf(folder))
        (folder / "containers.conf").write_text(containers_conf(folder, runtime))
    shutil.copyfile(f"{key}.pub", plan.run_dir / "authorized_keys")
    lines = (known_hosts_line(host, (folders[host.role] / "host_key.pub").read_text()) for host in plan.hosts)
    Path(plan.known_hosts).write_text("".join(lines))


def _make_keys(paths: list[Path]) -> None:
    """Make one Ed25519 key a path, all at the same time."""
    makers = [
        subprocess.Popen(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "neukonfig", "-f", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for path in paths
    ]
    for path, maker in zip(paths, makers, strict=True):
        _, errors = maker.communicate()
        if maker.returncode:
            raise TestbedError(f"ssh-keygen could not write {path}: {errors.decode(errors='replace').strip()}")
