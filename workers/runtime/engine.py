"""Containers of podman or docker, through the part of the command line that both have in common."""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from workers.cgroup import Cgroup, detect
from workers.errors import ContainerError, RuntimeUnavailable, WorkerError
from workers.runtime import skeleton
from workers.runtime.base import ContainerState, Mount, make_ready, removal
from workers.runtime.inspected import Inspected, cgroup_of, limit_was_hit, parse_inspect

if TYPE_CHECKING:
    from workers.runtime.base import ContainerSpec

LABEL = "neukonfig"
TIMEOUT_S = 60.0
OOM_EXIT_CODE = 137  # 128 + SIGKILL
_NOWHERE = "/proc"  # podman's conmon leaves a file `oom` where it was started; here it cannot
# The shell appends to the mounted file, so that the log holds the program's bytes as they are and outlives
# the container with every engine; their own log drivers differ.
_INTO_LOG = 'exec "$@" >>"$0" 2>&1'


class Dialect(NamedTuple):
    """What differs between the engines' command lines."""

    program: str
    # Our cgroups are plain paths, which the systemd manager does not take. podman is told so; docker's daemon
    # is set up one way or the other, and asked.
    options: tuple[str, ...]
    version_field: str
    cgroup_driver_field: str | None


PODMAN = Dialect("podman", ("--cgroup-manager", "cgroupfs"), "{{.Client.Version}}", None)
DOCKER = Dialect("docker", (), "{{.Server.Version}}", "{{.CgroupDriver}}")

# What to do about refusals that hosts are known for; the keys are looked for in the engine's words, lowered.
REMEDIES = {
    "hybrid mode not supported": (
        "crun does not take this host's cgroups: umount /sys/fs/cgroup/unified in its mount namespace, "
        'or set runtime = "runc" in containers.conf'
    ),
    "rlimit": 'set default_ulimits = ["nofile=1024:4096", "nproc=10000:10000"] in containers.conf',
    "cannot connect to the docker daemon": "start it: systemctl start docker",
    "docker.sock": "start it (systemctl start docker) or join its group (usermod -aG docker USER)",
}


class EngineRuntime:
    """The `Runtime` of a container engine. Thread-safe; a method takes one to three commands of it."""

    def __init__(self, dialect: Dialect) -> None:
        self.name = dialect.program
        self._dialect = dialect
        self._tar = skeleton.build_tar()
        self._image = skeleton.image_name(self._tar)

    def version(self) -> str:
        """See `Runtime.version`."""
        done = self._run("version", "--format", self._dialect.version_field)
        if done.returncode or not done.stdout.strip():
            raise RuntimeUnavailable(f"{self.name} does not answer: {_words(done)}")
        return f"{self.name} {done.stdout.decode().strip()}"

    def prepare(self) -> None:
        """See `Runtime.prepare`."""
        self._check_cgroup_driver()
        if self._run("image", "inspect", self._image).returncode == 0:
            return
        done = self._run("import", "-", self._image, stdin=self._tar)
        if done.returncode:
            raise RuntimeUnavailable(f"{self.name} cannot make the image {self._image}: {_words(done)}")

    def start(self, spec: ContainerSpec) -> None:
        """See `Runtime.start`."""
        make_ready(spec)
        if spec.cgroup is not None:
            _create(Cgroup(own_cgroup(spec.cgroup, spec.name)), spec.name)
        done = self._run(*run_arguments(spec, self._image))
        if done.returncode == 0:
            return
        if b"already in use" not in done.stderr:  # else the container of that name is somebody else's
            self._run("rm", "--force", spec.name)
            if spec.cgroup is not None:
                Cgroup(own_cgroup(spec.cgroup, spec.name)).remove()
        raise ContainerError(f"{self.name} could not start container {spec.name}: {_words(done)}")

    def pause(self, name: str) -> None:
        """See `Runtime.pause`."""
        self._control("pause", name)

    def unpause(self, name: str) -> None:
        """See `Runtime.unpause`."""
        self._control("unpause", name)

    def state(self, name: str) -> ContainerState:
        """See `Runtime.state`."""
        seen = self._inspect(name)
        if seen is None:
            raise ContainerError(f"{self.name} knows no container {name}; it was never started, or removed")
        path = cgroup_of(seen)
        others = sorted(Cgroup(path).pids() - {0, seen.pid}) if path else []
        return ContainerState(
            running=seen.running,
            paused=seen.paused,
            exit_code=None if seen.running else seen.exit_code,
            pids=(seen.pid, *others) if seen.running else (),
            cgroup=path,
            oom_kills=_oom_kills(seen, path),
        )

    def remove(self, name: str) -> None:
        """See `Runtime.remove`."""
        seen = self._inspect(name)
        if seen is None:
            return
        done = self._run("rm", "--force", name)
        if done.returncode and self._inspect(name) is not None:
            # Some versions refuse a paused container; others have lost one that is half gone.
            self._run("unpause", name)
            done = self._run("rm", "--force", name)
            if done.returncode and self._inspect(name) is not None:
                raise ContainerError(f"{self.name} could not remove container {name}: {_words(done)}")
        if seen.cgroup_parent.rpartition("/")[2] == name:
            Cgroup(seen.cgroup_parent).remove()

    def undo(self, name: str) -> list[list[str]]:
        """See `Runtime.undo`."""
        return [removal(self.name, name)]

    # --- the command line -----------------------------------------------------------------------------------

    def _control(self, verb: str, name: str) -> None:
        done = self._run(verb, name)
        if done.returncode:
            raise ContainerError(f"{self.name} could not {verb} container {name}: {_words(done)}")

    def _inspect(self, name: str) -> Inspected | None:
        done = self._run("container", "inspect", name)
        if done.returncode == 0:
            return parse_inspect(json.loads(done.stdout))
        if b"no such container" in done.stderr.lower():
            return None
        raise ContainerError(f"{self.name} could not inspect container {name}: {_words(done)}")

    def _check_cgroup_driver(self) -> None:
        if self._dialect.cgroup_driver_field is None:
            return
        done = self._run("info", "--format", self._dialect.cgroup_driver_field)
        driver = done.stdout.decode().strip()
        if done.returncode or not driver:
            raise RuntimeUnavailable(f"{self.name} does not answer: {_words(done)}")
        if driver != "cgroupfs":
            raise RuntimeUnavailable(
                f"{self.name} manages cgroups through {driver}, which cannot put a container into the host's "
                'budget; set "exec-opts": ["native.cgroupdriver=cgroupfs"] in /etc/docker/daemon.json and '
                "restart it, or use `runtime: podman` or `runtime: process`"
            )

    def _run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [self._dialect.program, *self._dialect.options, *arguments]
        try:
            return subprocess.run(
                command, input=stdin, capture_output=True, timeout=TIMEOUT_S, check=False, cwd=_NOWHERE
            )
        except FileNotFoundError:
            raise RuntimeUnavailable(
                f"{self.name} is not installed on this host. Install podman or docker, or set `runtime: process`"
            ) from None
        except subprocess.TimeoutExpired:
            raise ContainerError(
                f"`{self.name} {' '.join(arguments[:3])} …` did not end in {TIMEOUT_S:g} s; "
                f"see whether `{self.name} ps` still answers on this host"
            ) from None


def own_cgroup(parent: str, name: str) -> str:
    """Return the cgroup made for a container; it outlives the engine's own below it, counters included."""
    return f"{parent.rstrip('/')}/{name}"


def run_arguments(spec: ContainerSpec, image: str) -> list[str]:
    """Return the arguments of the engine's command line that starts `spec` from `image`."""
    mounts = skeleton.merge(
        [
            *skeleton.system_mounts(),
            *skeleton.python_mounts(spec.argv[0]),
            *spec.mounts,
            Mount(spec.log_path, writable=True),
        ]
    )
    arguments = ["run", "--detach", "--pull=never", f"--name={spec.name}", f"--label={LABEL}={spec.session}"]
    arguments += ["--network=host", "--log-driver=none"]
    # A forced removal then kills at once, which podman otherwise does ten seconds after a plea.
    arguments += ["--stop-timeout=0"]
    arguments += ["--security-opt=label=disable"]  # else SELinux keeps a container from the host's /usr
    if spec.cgroup is not None:
        arguments += [f"--cgroup-parent={own_cgroup(spec.cgroup, spec.name)}"]
    if spec.oom_score_adj:
        arguments += [f"--oom-score-adj={spec.oom_score_adj}"]
    arguments += [f"--env={key}={value}" for key, value in spec.env.items()]
    arguments += [f"--mount={mount_option(mount)}" for mount in mounts]
    return [*arguments, image, "/bin/sh", "-c", _INTO_LOG, spec.log_path, *spec.argv]


def mount_option(mount: Mount) -> str:
    """Return the value of ``--mount``, a line of CSV: a path may hold commas and quotes."""
    fields = ["type=bind", f"source={mount.path}", f"target={mount.path}"]
    fields += [] if mount.writable else ["readonly"]
    return ",".join(_csv(field) for field in fields)


def _csv(field: str) -> str:
    return '"' + field.replace('"', '""') + '"' if set(field) & set(',"\n') else field


def _create(group: Cgroup, name: str) -> None:
    try:
        group.create()
    except OSError as error:
        raise ContainerError(
            f"container {name} was not started: its cgroup {group.path} could not be made ({error}); run as root"
        ) from error


def _oom_kills(seen: Inspected, path: str | None) -> int:
    """Count the kernel's OOM kills, also when the container's own cgroup has gone with its counter.

    cgroup v2 counts upwards, so that the parent still knows. On v1 the count is lost with a program that was
    itself the victim: it is then told by its exit code and a budget that ran out.
    """
    counted = 0
    for place in filter(None, (path, seen.cgroup_parent)):
        with suppress(OSError, WorkerError, ValueError):
            counted = max(counted, Cgroup(place).memory().oom_kills)
    if counted or seen.running:
        return counted
    killed = seen.exit_code == OOM_EXIT_CODE
    return int(seen.oom_killed or (killed and limit_was_hit(seen.cgroup_parent, detect())))


def _words(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return the engine's own words, and what to do about them where that is known."""
    words = (done.stderr or done.stdout).decode(errors="replace").strip()
    words = words or f"it ended with status {done.returncode} and no words"
    remedy = next((remedy for sign, remedy in REMEDIES.items() if sign in words.lower()), None)
    return f"{words[-2000:]}. {remedy}" if remedy else words[-2000:]
