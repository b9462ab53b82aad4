"""What every container runtime must do; podman, docker and plain processes pass the same tests.

The engines work in throwaway storage, with a configuration for machines that have hybrid cgroups, no systemd or no
CAP_SYS_RESOURCE. Where docker has no daemon, its command line talks to podman's docker-compatible API.
"""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from workers.cgroup import Cgroup, detect
from workers.errors import ContainerError
from workers.memory import descendants
from workers.runtime import EngineRuntime, ProcessRuntime, open_runtime
from workers.runtime.base import ContainerSpec, Mount, Runtime

pytestmark = pytest.mark.root

SESSION = f"test{os.getpid()}"
COUNT = "import itertools, time\nfor i in itertools.count(): print(i, flush=True); time.sleep(0.002)"
WAIT = "print('up', flush=True)\nimport time\nwhile True: time.sleep(60)"
PAUSE_SEEN_S = 0.2
MEMORY_LIMIT = 64 * 1024 * 1024
NUMBERS = itertools.count()


def until(look: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    """Return what `look` gives as soon as it is true."""
    deadline = time.monotonic() + timeout_s
    while not (seen := look()):
        assert time.monotonic() < deadline, f"nothing came in {timeout_s} s"
        time.sleep(0.005)
    return seen


def write_podman_conf(folder: Path, nofile: str) -> dict[str, str]:
    """Write podman's configuration for throwaway storage; return the environment that selects it."""
    hybrid = detect().version == "v1" and "unified" in detect().controllers
    oci_runtime = 'runtime = "runc"' if hybrid else ""  # crun refuses hybrid cgroups
    engine = ['cgroup_manager = "cgroupfs"', 'events_logger = "file"', oci_runtime]
    engine += [f'{name} = "{folder / name}"' for name in ("static_dir", "tmp_dir", "volume_path")]
    ulimits = f'default_ulimits = ["nofile={nofile}", "nproc=10000:10000"]'
    (folder / "containers.conf").write_text("\n".join(["[containers]", ulimits, "[engine]", *engine]))
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\nrunroot = "{folder}/run"\ngraphroot = "{folder}/root"\n'
    )
    return {
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
    }


def empty_storage(environment: dict[str, str]) -> None:
    """Remove what a failed test may have left, and the mounts of the storage with it."""
    subprocess.run(["podman", "rm", "--all", "--force"], env=os.environ | environment, check=True, capture_output=True)


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    environment = write_podman_conf(tmp_path_factory.mktemp("podman"), "1024:4096")
    with pytest.MonkeyPatch.context() as patch:
        for key, value in environment.items():
            patch.setenv(key, value)
        yield environment
    empty_storage(environment)


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Docker's daemon, or podman in its place."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0:
        yield
        return
    if shutil.which("podman") is None:
        pytest.skip("docker has no daemon, and there is no podman to stand in")
    folder = tmp_path_factory.mktemp("docker")
    environment = write_podman_conf(folder, "1024:1024")  # this API takes the two limits the other way round
    socket = folder / "api.sock"
    service = subprocess.Popen(
        ["podman", "system", "service", "--time=0", f"unix://{socket}"],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,  # where conmon writes of a container that was killed for memory
    )
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DOCKER_HOST", f"unix://{socket}")
            until(socket.exists)
            yield
    finally:
        service.terminate()
        service.wait()
        empty_storage(environment)


@pytest.fixture(scope="module", params=["podman", "docker", "process"])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    if os.geteuid() != 0:
        pytest.skip("making cgroups needs root")
    if request.param != "process":
        request.getfixturevalue(request.param)
    opened = open_runtime(request.param)
    opened.prepare()
    return opened


@pytest.fixture
def group() -> Iterator[Cgroup]:
    """The host's budget."""
    made = Cgroup(f"/neukonfig-{SESSION}-{next(NUMBERS)}")
    made.create()
    yield made
    made.remove()


class Starter:
    """Starts containers and removes them at the end of the test."""

    def __init__(self, runtime: Runtime, folder: Path, group: Cgroup) -> None:
        self.runtime, self.folder, self.group = runtime, folder, group
        self.started: list[str] = []

    def spec(self, code: str, **changes: object) -> ContainerSpec:
        name = f"nk-{SESSION}-{next(NUMBERS)}"
        values = {
            "name": name,
            "session": SESSION,
            "argv": (sys.executable, "-c", code),
            "env": {},
            "mounts": (),
            "log_path": str(self.folder / f"{name}.log"),
            "cgroup": self.group.path,
        }
        return ContainerSpec(**(values | changes))

    def __call__(self, code: str, **changes: object) -> ContainerSpec:
        spec = self.spec(code, **changes)
        self.started.append(spec.name)
        self.runtime.start(spec)
        return spec

    def exit_code(self, spec: ContainerSpec) -> int | None:
        until(lambda: not self.runtime.state(spec.name).running)
        return self.runtime.state(spec.name).exit_code


@pytest.fixture
def start(runtime: Runtime, tmp_path: Path, group: Cgroup) -> Iterator[Starter]:
    starter = Starter(runtime, tmp_path, group)
    yield starter
    for name in starter.started:
        runtime.remove(name)
    assert list(group.directory("memory").glob("*/")) == []  # containers take their cgroups with them


def log(spec: ContainerSpec) -> str:
    return Path(spec.log_path).read_text()


def moves(spec: ContainerSpec) -> bool:
    """Say whether a counting container makes progress."""
    before = log(spec)
    time.sleep(PAUSE_SEEN_S)
    return log(spec) != before


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_version_names_the_runtime(runtime):
    assert runtime.version().startswith(runtime.name)
    assert any(character.isdigit() for character in runtime.version())


def test_prepare_is_idempotent(runtime):
    runtime.prepare()
    runtime.prepare()


def test_a_program_prints_into_the_log_and_ends(start):
    spec = start("import sys; print('out'); print('err', file=sys.stderr)")
    assert start.exit_code(spec) == 0
    assert sorted(log(spec).splitlines()) == ["err", "out"]
    state = start.runtime.state(spec.name)
    assert (state.running, state.paused, state.pids, state.oom_kills) == (False, False, (), 0)


def test_the_log_holds_the_bytes_as_they_are_and_outlives_the_container(start):
    spec = start("import sys; sys.stdout.buffer.write(b'no newline \\xff')")
    assert start.exit_code(spec) == 0
    start.runtime.remove(spec.name)
    assert Path(spec.log_path).read_bytes() == b"no newline \xff"


def test_a_log_of_an_earlier_container_is_emptied(start, tmp_path):
    (tmp_path / "old.log").write_text("old\n" * 100)
    spec = start("print('new')", log_path=str(tmp_path / "old.log"))
    assert start.exit_code(spec) == 0
    assert log(spec) == "new\n"


@pytest.mark.parametrize("code", [1, 3, 255])
def test_an_exit_code_is_told(start, code):
    assert start.exit_code(start(f"raise SystemExit({code})")) == code


def test_the_exit_code_of_a_crash_is_that_of_its_signal(start):
    spec = start("import ctypes; ctypes.string_at(0)")
    assert start.exit_code(spec) == 128 + signal.SIGSEGV
    assert start.runtime.state(spec.name).oom_kills == 0


def test_a_kill_from_outside_is_no_oom_kill(start):
    spec = start(WAIT)
    until(lambda: log(spec))
    os.kill(start.runtime.state(spec.name).pids[0], signal.SIGKILL)
    assert start.exit_code(spec) == 128 + signal.SIGKILL
    assert start.runtime.state(spec.name).oom_kills == 0


def test_a_traceback_ends_up_in_the_log(start):
    spec = start("1 / 0")
    assert start.exit_code(spec) == 1
    assert "ZeroDivisionError" in log(spec)


def test_it_sees_its_own_environment_alone_and_starts_in_the_root(start, monkeypatch):
    monkeypatch.setenv("NEUKONFIG_TEST_SECRET", "hidden")
    spec = start("import os; print(dict(os.environ)); print(os.getcwd())", env={"GIVEN": "a b,c='d'\""})
    assert start.exit_code(spec) == 0
    environment, folder = log(spec).splitlines()
    assert eval(environment)["GIVEN"] == "a b,c='d'\""  # noqa: S307 - our own program's output
    assert "NEUKONFIG_TEST_SECRET" not in environment
    assert {"PATH", "HOME"} <= set(eval(environment))  # noqa: S307
    assert folder == "/"


def test_arguments_pass_unharmed(start):
    hard = ("a b", "$HOME", "'\"", "*", "", "ü\n")
    spec = start("", argv=(sys.executable, "-c", "import sys; print(sys.argv[1:])", *hard))
    assert start.exit_code(spec) == 0
    assert log(spec) == f"{list(hard)}\n"


def test_the_projects_packages_can_be_imported_from_its_mounts(start):
    code = Path(__file__).parents[2]
    spec = start(
        "import numpy, msgspec, workers.messages; print('imported')",
        env={"PYTHONPATH": str(code)},
        mounts=(Mount(str(code)),),
    )
    assert start.exit_code(spec) == 0, log(spec)
    assert log(spec) == "imported\n"


def test_a_writable_mount_is_the_hosts_folder(start, tmp_path):
    shared = tmp_path / "with space"
    shared.mkdir()
    spec = start(f"open({str(shared / 'here')!r}, 'w').write('x')", mounts=(Mount(str(shared), writable=True),))
    assert start.exit_code(spec) == 0, log(spec)
    assert (shared / "here").read_text() == "x"


def test_a_read_only_mount_cannot_be_written(start, tmp_path):
    if isinstance(start.runtime, ProcessRuntime):
        pytest.skip("a plain process sees the host's files as they are")
    spec = start(f"open({str(tmp_path / 'here')!r}, 'w')", mounts=(Mount(str(tmp_path)),))
    assert start.exit_code(spec) == 1
    assert "Read-only file system" in log(spec)


def test_it_shares_the_hosts_network(start):
    spec = start("import os; print(os.readlink('/proc/self/ns/net'))")
    assert start.exit_code(spec) == 0
    assert log(spec).strip() == os.readlink("/proc/self/ns/net")  # noqa: PTH115 - no path but a name


def test_it_runs_in_a_cgroup_below_the_given_one(start):
    spec = start(WAIT)
    state = start.runtime.state(spec.name)
    assert state.cgroup is not None
    assert state.cgroup.startswith(f"{start.group.path}/{spec.name}")
    assert set(state.pids) == Cgroup(state.cgroup).pids()
    assert set(state.pids) <= start.group.pids()


def test_the_first_of_its_pids_is_the_program_and_the_others_are_its_children(start):
    spec = start("import subprocess, time\nfor _ in range(2): subprocess.Popen(['sleep', '60'])\n" + WAIT)
    until(lambda: log(spec))
    first, *others = start.runtime.state(spec.name).pids
    assert b"subprocess.Popen" in Path(f"/proc/{first}/cmdline").read_bytes()
    assert sorted(others) == sorted(descendants(first))
    assert len(others) == 2


def test_children_go_with_the_program(start):
    spec = start("import subprocess, time; subprocess.Popen(['sleep', '60']); print('up', flush=True); input()")
    assert start.exit_code(spec) == 1  # stdin is empty
    until(lambda: not [pid for pid in start.group.pids() if _program(pid) == "sleep"])


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_the_oom_score_is_set(start):
    spec = start("print(open('/proc/self/oom_score_adj').read())", oom_score_adj=700)
    assert start.exit_code(spec) == 0
    assert log(spec).strip() == "700"


def test_a_pause_stops_all_progress_until_the_end_of_it(start):
    spec = start(COUNT)
    until(lambda: log(spec))
    assert moves(spec)
    start.runtime.pause(spec.name)
    assert not moves(spec)
    state = start.runtime.state(spec.name)
    assert (state.running, state.paused, state.exit_code) == (True, True, None)
    assert state.pids
    start.runtime.unpause(spec.name)
    assert moves(spec)
    assert not start.runtime.state(spec.name).paused
    counted = [int(line) for line in log(spec).splitlines()[:-1]]
    assert counted == list(range(len(counted)))  # paused, not restarted


def test_pausing_twice_or_unpausing_a_running_one_is_an_error(start):
    spec = start(WAIT)
    with pytest.raises(ContainerError, match=spec.name):
        start.runtime.unpause(spec.name)
    start.runtime.pause(spec.name)
    with pytest.raises(ContainerError, match=spec.name):
        start.runtime.pause(spec.name)


@pytest.mark.parametrize("paused", [False, True])
def test_removing_kills_and_leaves_nothing(start, paused):
    spec = start("import subprocess; subprocess.Popen(['sleep', '60'])\n" + WAIT)
    until(lambda: log(spec))
    pids = start.runtime.state(spec.name).pids
    if paused:
        start.runtime.pause(spec.name)
    start.runtime.remove(spec.name)
    assert not [pid for pid in pids if is_alive(pid)]
    assert start.group.pids() == set()
    with pytest.raises(ContainerError):
        start.runtime.state(spec.name)


def test_removing_an_ended_one_and_removing_twice(start):
    spec = start("pass")
    assert start.exit_code(spec) == 0
    start.runtime.remove(spec.name)
    start.runtime.remove(spec.name)


def test_removing_what_never_was(runtime):
    runtime.remove(f"nk-{SESSION}-never")


@pytest.mark.parametrize("method", ["state", "pause", "unpause"])
def test_an_unknown_container_is_an_error(runtime, method):
    with pytest.raises(ContainerError, match=f"nk-{SESSION}-never"):
        getattr(runtime, method)(f"nk-{SESSION}-never")


def test_a_name_can_be_used_again_once_it_is_free(start):
    spec = start("print('first')")
    assert start.exit_code(spec) == 0
    start.runtime.remove(spec.name)
    start.runtime.start(spec)
    assert start.exit_code(spec) == 0


def test_a_name_in_use_is_refused_and_its_owner_lives_on(start):
    spec = start(WAIT)
    with pytest.raises(ContainerError, match="already in use"):
        start.runtime.start(spec)
    assert start.runtime.state(spec.name).running


def test_a_program_that_is_not_there_is_refused_by_name(start):
    with pytest.raises(ContainerError, match="/no/python is no executable file"):
        start.runtime.start(start.spec("", argv=("/no/python",)))


def test_a_log_that_cannot_be_written_is_refused_by_name(start, tmp_path):
    with pytest.raises(ContainerError, match=r"no folder/x\.log cannot be written"):
        start.runtime.start(start.spec("", log_path=str(tmp_path / "no folder" / "x.log")))


def test_a_failed_start_leaves_nothing(start):
    if not isinstance(start.runtime, EngineRuntime):
        pytest.skip("a plain process needs no mounts")
    spec = start.spec(WAIT, mounts=(Mount("/proc/missing"),))
    with pytest.raises(ContainerError, match="missing"):
        start.runtime.start(spec)
    with pytest.raises(ContainerError, match="never started"):
        start.runtime.state(spec.name)


def test_the_kernels_oom_kill_of_the_program_is_seen(start):
    start.group.limit(memory_bytes=MEMORY_LIMIT)
    spec = start("print('up', flush=True); x = b'x' * 400_000_000; print('survived')", oom_score_adj=1000)
    assert start.exit_code(spec) == 128 + signal.SIGKILL
    assert log(spec) == "up\n"
    assert start.runtime.state(spec.name).oom_kills >= 1


def test_a_program_that_the_kernel_killed_leaves_no_file_where_it_began(start, tmp_path_factory, monkeypatch):
    here = tmp_path_factory.mktemp("here")
    monkeypatch.chdir(here)
    start.group.limit(memory_bytes=MEMORY_LIMIT)
    assert start.exit_code(start("x = b'x' * 400_000_000", oom_score_adj=1000)) == 128 + signal.SIGKILL
    assert list(here.iterdir()) == []


def test_the_kernels_oom_kill_of_a_child_is_seen(start):
    start.group.limit(memory_bytes=MEMORY_LIMIT)
    eater = "open('/proc/self/oom_score_adj', 'w').write('1000'); x = b'x' * 400_000_000"
    spec = start(
        f"import subprocess, sys; print(subprocess.call([sys.executable, '-c', {eater!r}]), flush=True)\n" + WAIT
    )
    until(lambda: "up" in log(spec))
    assert log(spec).splitlines()[0] == str(-signal.SIGKILL)
    state = start.runtime.state(spec.name)
    assert state.running
    assert state.oom_kills == 1


@pytest.mark.parametrize("paused", [False, True])
def test_the_undo_commands_remove_it_from_another_process(start, paused, tmp_path):
    spec = start(COUNT)
    pids = start.runtime.state(spec.name).pids
    if paused:
        start.runtime.pause(spec.name)
    for argv in start.runtime.undo(spec.name):
        assert subprocess.run(argv, cwd=tmp_path, check=False).returncode == 0
    assert not [pid for pid in pids if is_alive(pid)]
    for argv in start.runtime.undo(spec.name):  # nothing to undo is no failure
        assert subprocess.run(argv, cwd=tmp_path, check=False).returncode == 0


def test_leftovers_can_be_found_by_their_label(start):
    if not isinstance(start.runtime, EngineRuntime):
        pytest.skip("a plain process has no labels")
    spec = start(WAIT)
    listing = [start.runtime.name, "ps", "--all", f"--filter=label=neukonfig={SESSION}", "--format={{.Names}}"]
    assert subprocess.run(listing, capture_output=True, check=True).stdout.decode().split() == [spec.name]


def test_it_outlives_the_process_that_started_it(start):
    """An agent that dies leaves its containers to the guard, which finds them by name."""
    spec = start.spec(COUNT)
    start.started.append(spec.name)
    starter = (
        "import sys, msgspec, workers.runtime.base as base; from workers.runtime import open_runtime\n"
        "open_runtime(sys.argv[1]).start(msgspec.json.decode(sys.argv[2], type=base.ContainerSpec))"
    )
    code = Path(__file__).parents[2]
    argv = [sys.executable, "-c", starter, start.runtime.name, msgspec.json.encode(spec).decode()]
    subprocess.run(argv, env=os.environ | {"PYTHONPATH": str(code)}, check=True, start_new_session=True)
    assert moves(spec)
    assert start.runtime.state(spec.name).running
