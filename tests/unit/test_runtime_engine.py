"""Command lines and messages of the engines' runtime; what the engines do with them is the contract tests' part."""

import csv
import io
import shutil
import stat
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.errors import ContainerError, RuntimeUnavailable
from workers.runtime import DOCKER, PODMAN, RUNTIMES, EngineRuntime, open_runtime
from workers.runtime.base import ContainerSpec, Mount
from workers.runtime.engine import REMEDIES, mount_option, own_cgroup, run_arguments
from workers.runtime.remove import main

SPEC = ContainerSpec(
    name="nk-1-edge-p1",
    session="1",
    argv=("/usr/bin/python3", "-m", "workers.runner", "a b"),
    env={"A": "1", "B": "x y"},
    mounts=(Mount("/srv/model"), Mount("/srv/run", writable=True)),
    log_path="/srv/logs/x.log",
    cgroup="/neukonfig/edge",
    oom_score_adj=1000,
)


def options(arguments):
    return arguments[: arguments.index("image")]


def test_the_command_line_of_a_container():
    given_options = options(run_arguments(SPEC, "image"))
    assert given_options[:2] == ["run", "--detach"]
    for expected in (
        "--name=nk-1-edge-p1",
        "--label=neukonfig=1",
        "--network=host",
        "--pull=never",
        "--cgroup-parent=/neukonfig/edge/nk-1-edge-p1",
        "--oom-score-adj=1000",
        "--env=A=1",
        "--env=B=x y",
        "--mount=type=bind,source=/usr,target=/usr,readonly",
        "--mount=type=bind,source=/srv/model,target=/srv/model,readonly",
        "--mount=type=bind,source=/srv/run,target=/srv/run",
        "--mount=type=bind,source=/srv/logs/x.log,target=/srv/logs/x.log",
    ):
        assert given_options.count(expected) == 1, expected


def test_the_program_follows_the_image_word_for_word():
    arguments = run_arguments(SPEC, "image")
    program = arguments[arguments.index("image") + 1 :]
    assert program[:2] == ["/bin/sh", "-c"]
    assert program[3:] == ["/srv/logs/x.log", *SPEC.argv]


def test_what_is_left_open_is_left_to_the_engine():
    spec = ContainerSpec("n", "1", ("/usr/bin/python3",), {}, (), "/x.log")
    text = " ".join(run_arguments(spec, "image"))
    assert "--cgroup-parent" not in text
    assert "--oom-score-adj" not in text


@settings(deadline=None)  # machines of CI stall
@given(st.text(min_size=1).filter(lambda text: not set(text) & {"\0", "\r"}), st.booleans())
def test_a_mount_survives_the_engines_csv_parser(path, writable):
    (fields,) = csv.reader(io.StringIO(mount_option(Mount(path, writable=writable)), newline=""))
    assert fields == ["type=bind", f"source={path}", f"target={path}", *([] if writable else ["readonly"])]


@pytest.mark.parametrize("parent", ["/neukonfig/edge", "/neukonfig/edge/"])
def test_the_cgroup_of_a_container(parent):
    assert own_cgroup(parent, "x") == "/neukonfig/edge/x"


def engine(tmp_path, monkeypatch, script, dialect=PODMAN):
    """Put a program of the engine's name first in PATH; it answers as `script` says."""
    program = tmp_path / dialect.program
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return EngineRuntime(dialect)


@pytest.mark.parametrize("dialect", [PODMAN, DOCKER])
@pytest.mark.parametrize("method", ["version", "prepare"])
def test_a_missing_engine_is_named_with_the_way_out(monkeypatch, tmp_path, dialect, method):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeUnavailable, match=r"Install podman or docker, or set `runtime: process`") as caught:
        getattr(EngineRuntime(dialect), method)()
    assert str(caught.value).startswith(dialect.program)


@pytest.mark.parametrize("method", ["version", "prepare"])
def test_a_dead_daemon_is_unavailable_with_its_own_words(tmp_path, monkeypatch, method):
    words = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
    runtime = engine(tmp_path, monkeypatch, f"echo '{words}' >&2; exit 1", DOCKER)
    with pytest.raises(RuntimeUnavailable, match=r"Is the docker daemon running\?.*systemctl start docker"):
        getattr(runtime, method)()


def test_docker_under_systemd_cannot_use_our_cgroups(tmp_path, monkeypatch):
    with pytest.raises(RuntimeUnavailable, match=r"native.cgroupdriver=cgroupfs"):
        engine(tmp_path, monkeypatch, "echo systemd", DOCKER).prepare()


def test_an_image_that_is_there_is_not_made_again(tmp_path, monkeypatch):
    engine(tmp_path, monkeypatch, f'echo "$@" >> {tmp_path}/calls').prepare()
    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert call.startswith("--cgroup-manager cgroupfs image inspect localhost/neukonfig-skeleton:")


def test_a_missing_image_is_imported_from_stdin(tmp_path, monkeypatch):
    script = f'case "$*" in *inspect*) exit 125;; *import*) cat > {tmp_path}/image.tar;; esac'
    runtime = engine(tmp_path, monkeypatch, script)
    runtime.prepare()
    listing = subprocess.run(["tar", "-tf", tmp_path / "image.tar"], capture_output=True, check=True)
    assert b"usr/" in listing.stdout


def test_an_image_that_cannot_be_made_is_unavailable(tmp_path, monkeypatch):
    with pytest.raises(RuntimeUnavailable, match="no space left on device"):
        engine(tmp_path, monkeypatch, "echo no space left on device >&2; exit 125").prepare()


@pytest.mark.parametrize("verb", ["pause", "unpause", "state", "remove"])
def test_a_failure_has_verb_name_and_the_engines_words(tmp_path, monkeypatch, verb):
    runtime = engine(tmp_path, monkeypatch, "echo 'Error: the moon is full' >&2; exit 125")
    with pytest.raises(ContainerError, match=r"podman could not .* container nk-x: Error: the moon is full"):
        getattr(runtime, verb)("nk-x")


def test_a_failure_without_words_tells_its_status(tmp_path, monkeypatch):
    with pytest.raises(ContainerError, match="status 3"):
        engine(tmp_path, monkeypatch, "exit 3").pause("nk-x")


@pytest.mark.parametrize(
    ("words", "sign"),
    [
        ("Error: OCI runtime error: crun: cgroups in hybrid mode not supported, drop all controllers", "hybrid"),
        ("runc create failed: error setting rlimits for ready process: error setting rlimit type 7", "rlimit"),
    ],
)
def test_known_refusals_come_with_a_remedy(tmp_path, monkeypatch, words, sign):
    with pytest.raises(ContainerError) as caught:
        engine(tmp_path, monkeypatch, f"echo '{words}' >&2; exit 126").pause("nk-x")
    (remedy,) = (remedy for key, remedy in REMEDIES.items() if sign in key)
    assert str(caught.value).endswith(remedy)


def test_an_engine_that_hangs_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("workers.runtime.engine.TIMEOUT_S", 0.2)
    with pytest.raises(ContainerError, match=r"`podman pause nk-x …` did not end in 0\.2 s"):
        engine(tmp_path, monkeypatch, f"exec {shutil.which('sleep')} 30").pause("nk-x")


def test_a_container_that_is_not_there_is_removed_already(tmp_path, monkeypatch):
    engine(tmp_path, monkeypatch, "echo 'Error: No such container: nk-x' >&2; exit 1").remove("nk-x")


def test_undo_needs_no_folder_and_no_state():
    (argv,) = EngineRuntime(PODMAN).undo("nk-x")
    assert argv[-4:] == ["-m", "workers.runtime.remove", "podman", "nk-x"]
    assert sys.executable in argv


def test_the_runtimes_by_name():
    assert list(RUNTIMES) == ["podman", "docker", "process"]
    for name in RUNTIMES:
        assert open_runtime(name).name == name


def test_an_unknown_runtime_is_refused_with_the_choice():
    with pytest.raises(RuntimeUnavailable, match=r"'lxc'.*podman, docker, process"):
        open_runtime("lxc")


def test_the_remover_says_what_it_could_not_remove(tmp_path, monkeypatch, capsys):
    engine(
        tmp_path,
        monkeypatch,
        'case "$*" in *bad*) echo "Error: stuck" >&2;; *) echo "no such container" >&2;; esac; exit 1',
    )
    assert main(["podman", "bad", "good"]) == 1
    assert "Error: stuck" in capsys.readouterr().err
    assert main(["podman", "good"]) == 0
