"""The shell script that starts a plain process, and the state that it keeps."""

import os
import shlex
import subprocess
import sys

import pytest

from workers.cgroup import Cgroup
from workers.errors import ContainerError, RuntimeUnavailable
from workers.runtime.base import ContainerSpec, make_ready
from workers.runtime.process import ProcessRuntime, launch_script


def make_spec(tmp_path, *argv, oom_score_adj=0):
    return ContainerSpec("nk-x", "1", argv, {}, (), str(tmp_path / "a log"), oom_score_adj=oom_score_adj)


@pytest.fixture
def place(tmp_path):
    """A folder that takes the PID as a cgroup would; no process is moved."""
    folder = tmp_path / "group"
    folder.mkdir()
    return folder


def launch(spec, place, state):
    state.mkdir()
    script = launch_script(spec, [str(place)], str(state))
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=False, start_new_session=True)
    return done.stdout.decode()


def wait_for(path):
    while not path.exists():
        os.sched_yield()
    return path.read_text().strip()


def test_it_reports_the_start_joins_the_cgroup_and_keeps_the_exit_code(tmp_path, place):
    (place / "cgroup.procs").write_text("")
    spec = make_spec(tmp_path, "/bin/sh", "-c", 'echo out; echo "$1" >&2; exit 7', "sh", 'it\'s "hard"')
    assert launch(spec, place, tmp_path / "state") == "started\n"
    assert wait_for(tmp_path / "state/exit") == "7"
    assert (place / "cgroup.procs").read_text() == "0\n"
    assert (tmp_path / "a log").read_text() == 'out\nit\'s "hard"\n'


def test_its_pid_is_the_programs(tmp_path, place):
    assert launch(make_spec(tmp_path, "/bin/sh", "-c", "echo $$"), place, tmp_path / "state") == "started\n"
    wait_for(tmp_path / "state/exit")
    assert (tmp_path / "state/pid").read_text() == (tmp_path / "a log").read_text()


def test_a_signal_gives_128_more(tmp_path, place):
    launch(make_spec(tmp_path, "/bin/sh", "-c", "kill -9 $$"), place, tmp_path / "state")
    assert wait_for(tmp_path / "state/exit") == "137"


def test_a_cgroup_that_cannot_be_joined_stops_the_start(tmp_path):
    said = launch(make_spec(tmp_path, "/bin/echo", "ran"), tmp_path / "missing", tmp_path / "state")
    assert "started" not in said
    wait_for(tmp_path / "state/exit")
    assert not (tmp_path / "a log").exists()


def test_others_left_in_the_cgroup_are_killed_but_never_its_own_group(tmp_path, place):
    """The kernel writes 0 for a process of another PID namespace, and ``kill 0`` means one's own group."""
    with subprocess.Popen(["sleep", "60"]) as other:
        spec = make_spec(tmp_path, "/bin/sh", "-c", f"printf '0\\n{other.pid}\\n' > {place}/cgroup.procs; exit 3")
        launch(spec, place, tmp_path / "state")
        assert wait_for(tmp_path / "state/exit") == "3"
        assert other.wait(10) == -9


def test_the_oom_score_is_set_only_where_one_is_asked_for(tmp_path):
    assert "oom_score_adj" not in launch_script(make_spec(tmp_path, "/bin/true"), ["/c"], "/s")
    assert "echo 500 > /proc/self/oom_score_adj" in launch_script(
        make_spec(tmp_path, "/bin/true", oom_score_adj=500), ["/c"], "/s"
    )


def test_every_hierarchy_is_joined_and_names_are_quoted(tmp_path):
    script = launch_script(make_spec(tmp_path, "/bin/true"), ["/c 1", "/c 2"], "/s t")
    for folder in ("/c 1", "/c 2"):
        assert f"echo 0 > {shlex.quote(folder + '/cgroup.procs')}" in script
    assert "'/s t/exit'" in script


@pytest.mark.parametrize("method", ["state", "pause", "unpause"])
def test_an_unknown_container_is_named(tmp_path, method):
    with pytest.raises(ContainerError, match="there is no container nk-x"):
        getattr(ProcessRuntime(tmp_path), method)("nk-x")


def test_removing_an_unknown_container_does_nothing(tmp_path):
    ProcessRuntime(tmp_path).remove("nk-x")


def test_a_host_where_no_cgroup_can_be_made_is_told_what_to_do(tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Cgroup, "create", refuse)
    with pytest.raises(RuntimeUnavailable, match="run as root, or install podman or docker"):
        ProcessRuntime(tmp_path).prepare()


@pytest.mark.parametrize("program", ["python3", "/", "/etc/passwd", "/no/python"])
def test_only_an_executable_by_its_full_path_is_started(tmp_path, program):
    with pytest.raises(ContainerError, match=f"{program} is no executable file"):
        make_ready(make_spec(tmp_path, program))


def test_a_new_container_empties_its_log(tmp_path):
    (tmp_path / "a log").write_text("old")
    make_ready(make_spec(tmp_path, sys.executable))
    assert (tmp_path / "a log").read_text() == ""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="making cgroups needs root")
def test_without_a_budget_it_gets_a_cgroup_at_the_top_and_takes_it_away(tmp_path):
    runtime = ProcessRuntime(tmp_path / "state")
    name = f"nk-test-{os.getpid()}"
    spec = ContainerSpec(name, "1", (sys.executable, "-c", "input()"), {}, (), str(tmp_path / "log"))
    runtime.start(spec)
    assert runtime.state(name).cgroup == f"/{name}"
    runtime.remove(name)
    assert not Cgroup(f"/{name}").exists()
    assert not (tmp_path / "state").exists()
