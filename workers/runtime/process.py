"""Plain processes in cgroups, for hosts without a container engine.

A "container" is a program with a cgroup of its own: paused with the freezer, killed and measured through the
cgroup. It sees the host's files as they are; the report says that no engine was in use. A shell waits for the
program outside of its cgroup, so that neither the freezer nor the kernel's search for memory keeps it from
writing down the exit code. All state is in a folder, so that any process can look at and remove a container
by its name:

=======  =====================================
cgroup   path of the cgroup
pid      of the program itself
exit     its exit code, once it has ended
=======  =====================================
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from workers.cgroup import Cgroup, detect
from workers.errors import ContainerError, RuntimeUnavailable, WorkerError
from workers.runtime.base import ContainerState, make_ready, removal

if TYPE_CHECKING:
    from workers.runtime.base import ContainerSpec

STATE_FOLDER = Path("/run/neukonfig/processes")
_STARTED = "started"
_EXIT_TIMEOUT_S = 2.0
_POLL_S = 0.005


class ProcessRuntime:
    """The `Runtime` of plain processes. Thread-safe; needs the right to make cgroups."""

    name = "process"

    def __init__(self, folder: Path = STATE_FOLDER) -> None:
        self._folder = folder

    def version(self) -> str:
        """See `Runtime.version`."""
        try:
            layout = detect()
        except WorkerError as error:
            raise RuntimeUnavailable(f"`runtime: process` needs cgroups. {error}") from error
        return f"process (no container engine; Linux {platform.release()}, cgroup {layout.version})"

    def prepare(self) -> None:
        """See `Runtime.prepare`."""
        probe = Cgroup(f"/neukonfig-probe-{os.getpid()}-{threading.get_ident()}")
        try:
            probe.create()
            probe.remove()
        except OSError as error:
            raise RuntimeUnavailable(
                f"`runtime: process` cannot make a cgroup on this host ({error}); "
                "run as root, or install podman or docker"
            ) from error

    def start(self, spec: ContainerSpec) -> None:
        """See `Runtime.start`."""
        make_ready(spec)
        state = self._state_folder(spec.name)
        try:
            state.mkdir(parents=True)
        except FileExistsError:
            raise ContainerError(
                f"container {spec.name} was not started: the name is already in use; remove that one first"
            ) from None
        group = Cgroup(f"{(spec.cgroup or '').rstrip('/')}/{spec.name}")
        (state / "cgroup").write_text(group.path, encoding="utf-8")
        try:
            group.create()
            self._launch(spec, group, state)
        except (OSError, ContainerError) as error:
            self.remove(spec.name)
            raise ContainerError(f"container {spec.name} could not be started: {error}") from error

    def pause(self, name: str) -> None:
        """See `Runtime.pause`."""
        self._set_frozen(name, frozen=True)

    def unpause(self, name: str) -> None:
        """See `Runtime.unpause`."""
        self._set_frozen(name, frozen=False)

    def state(self, name: str) -> ContainerState:
        """See `Runtime.state`."""
        group = self._group(name)
        folder = self._state_folder(name)
        first = int((folder / "pid").read_text())
        pids = group.pids()
        exit_code = _exit_code(folder, wait=first not in pids)
        running = exit_code is None and first in pids
        return ContainerState(
            running=running,
            paused=running and _is_frozen(group),
            exit_code=exit_code,
            pids=(first, *sorted(pids - {0, first})) if running else (),
            cgroup=group.path,
            oom_kills=_oom_kills(group),
        )

    def remove(self, name: str) -> None:
        """See `Runtime.remove`."""
        folder = self._state_folder(name)
        with suppress(ContainerError):  # removed already, or never started
            self._group(name).remove()
            # The waiting shell must be done with the folder before another container gets the name.
            _exit_code(folder, wait=(folder / "pid").exists())
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # others still have their folders there
            self._folder.rmdir()
            self._folder.parent.rmdir()

    def undo(self, name: str) -> list[list[str]]:
        """See `Runtime.undo`."""
        return [removal(self.name, name)]

    def _launch(self, spec: ContainerSpec, group: Cgroup, state: Path) -> None:
        """Start the program; return once it is in its cgroup and its PID is written."""
        kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        places = [str(place) for place in group.directories() if place.is_dir()]
        shell = subprocess.run(
            ["/bin/sh", "-c", launch_script(spec, places, str(state))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=kept | spec.env,
            cwd="/",
            start_new_session=True,  # the SSH session's end is no signal to the container
            check=False,
        )
        words = shell.stdout.decode(errors="replace").strip()
        if words != _STARTED:
            raise ContainerError(words or f"the shell ended with status {shell.returncode} and no words")

    def _set_frozen(self, name: str, *, frozen: bool) -> None:
        group, verb = self._group(name), "pause" if frozen else "unpause"
        state = self.state(name)
        if not state.running or state.paused == frozen:
            now = "has ended" if not state.running else "is paused" if state.paused else "is not paused"
            raise ContainerError(f"could not {verb} container {name}: it {now}")
        try:
            group.freeze() if frozen else group.thaw()
        except OSError as error:
            raise ContainerError(f"could not {verb} container {name}: {error}") from error

    def _state_folder(self, name: str) -> Path:
        return self._folder / name

    def _group(self, name: str) -> Cgroup:
        try:
            return Cgroup((self._state_folder(name) / "cgroup").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ContainerError(
                f"there is no container {name} on this host; it was never started, or removed"
            ) from None


def launch_script(spec: ContainerSpec, cgroup_folders: list[str], state: str) -> str:
    """Return the shell script that starts `spec` and leaves a shell behind to write down its exit code.

    It prints ``started``, or what went wrong, and ends at once.
    """
    quote, state = shlex.quote, state.rstrip("/")
    join = "\n    ".join(f"echo 0 > {quote(folder + '/cgroup.procs')}" for folder in cgroup_folders)
    adjust = f"echo {spec.oom_score_adj} > /proc/self/oom_score_adj" if spec.oom_score_adj else ":"
    rest = quote(cgroup_folders[0] + "/cgroup.procs")
    return f"""\
(
  (
    set -e
    {join}
    {adjust}
    sh -c 'echo $PPID' > {quote(state + "/pid")}
    echo {_STARTED}
    exec {shlex.join(spec.argv)} >> {quote(spec.log_path)} 2>&1
  ) &
  exec > /dev/null 2>&1
  wait $!
  code=$?
  # As in a container, the others go with the first. 0 stands for a process of another PID namespace.
  while read -r pid; do [ "$pid" = 0 ] || kill -9 "$pid"; done < {rest}
  echo $code > {quote(state + "/exit.new")}
  mv {quote(state + "/exit.new")} {quote(state + "/exit")}
) &
"""


def _exit_code(folder: Path, *, wait: bool) -> int | None:
    """Read the exit code; where the program is `wait`-ed for, the shell is just about to write it down."""
    deadline = time.monotonic() + (_EXIT_TIMEOUT_S if wait else 0.0)
    while True:
        with suppress(FileNotFoundError):
            return int((folder / "exit").read_text())
        if time.monotonic() >= deadline:
            return None
        time.sleep(_POLL_S)


def _is_frozen(group: Cgroup) -> bool:
    place = group.directory("freezer")
    if group.layout.version == "v2":
        return (place / "cgroup.freeze").read_text().strip() == "1"
    return (place / "freezer.state").read_text().strip() != "THAWED"


def _oom_kills(group: Cgroup) -> int:
    with suppress(OSError, WorkerError):  # a v2 host that does not hand the memory controller down
        return group.memory().oom_kills
    return 0
