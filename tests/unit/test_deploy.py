"""Deploying by content."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts import deploy
from hosts.errors import ConnectError, RemoteError
from tests.contract.connections import LocalConnection, make_host

if TYPE_CHECKING:
    from pathlib import Path

HOST = make_host()


class Counting(LocalConnection):
    """Counts the commands and the bytes that go to the host; fails at the file `breaks_at`."""

    commands = 0
    sent_bytes = 0
    breaks_at: str | None = None

    def run(self, argv, *, stdin=b"", timeout_s=30.0):
        self.commands += 1
        self.sent_bytes += len(stdin)
        return super().run(argv, stdin=stdin, timeout_s=timeout_s)

    def put(self, source, remote, *, mode=0o644):
        if self.breaks_at and remote.endswith(self.breaks_at):
            raise ConnectError(f"{self.label}: the SSH connection is gone")
        super().put(source, remote, mode=mode)


@pytest.fixture
def home(tmp_path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def connection(home) -> Counting:
    return Counting(home)


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A small package in the place of the workers."""
    folder = tmp_path / "source" / "workers"
    (folder / "sub" / "__pycache__").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "edge.py").write_text("def fail():\n    raise RuntimeError\n")
    (folder / "sub" / "data.json").write_text("{}")
    (folder / "sub" / "__pycache__" / "x.pyc").write_bytes(b"x")
    (folder / ".hidden").write_text("")
    monkeypatch.setattr(deploy, "WORKERS", folder)
    return folder


# --- the archive --------------------------------------------------------------------------------------------


def test_a_package_is_its_sources_and_data(package):
    assert deploy.read_package(package) == {
        "workers/__init__.py": b"",
        "workers/edge.py": b"def fail():\n    raise RuntimeError\n",
        "workers/sub/data.json": b"{}",
    }


def test_the_workers_of_this_repository_are_all_there():
    files = deploy.read_package(deploy.WORKERS)
    assert {"workers/__init__.py", "workers/edge.py", "workers/strategies/__init__.py"} <= files.keys()
    assert not [name for name in files if "__pycache__" in name]


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8})?", fullmatch=True), st.binary()), st.randoms())
def test_the_archive_depends_on_names_and_contents_alone(files, random):
    shuffled = list(files.items())
    random.shuffle(shuffled)
    assert deploy.pack(files) == deploy.pack(dict(shuffled))


def test_times_and_modes_of_files_do_not_matter(package):
    before = deploy.pack(deploy.read_package(package))
    os.utime(package / "edge.py", (1, 1))
    (package / "edge.py").chmod(0o600)
    assert deploy.pack(deploy.read_package(package)) == before


def test_a_changed_letter_does(package):
    before = deploy.pack(deploy.read_package(package))
    (package / "edge.py").write_text("def fail():\n    raise KeyError\n")
    assert deploy.pack(deploy.read_package(package)) != before


# --- workers ------------------------------------------------------------------------------------------------


def test_workers_can_be_run_from_where_they_were_put(connection, home):
    folder = deploy.deploy_workers(connection, HOST)
    assert folder.startswith(f"{home}/work/workers-")
    code = "import workers.errors, sys; print(workers.errors.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": folder}, cwd="/", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"{folder}/workers/errors.py"


def test_unchanged_workers_cost_one_command_and_no_byte(connection, package):
    first = deploy.deploy_workers(connection, HOST)
    connection.commands = connection.sent_bytes = 0
    os.utime(package / "edge.py", (1, 1))
    assert deploy.deploy_workers(connection, HOST) == first
    assert (connection.commands, connection.sent_bytes) == (1, 0)


@pytest.mark.usefixtures("package")
def test_workers_are_compiled_and_tracebacks_name_their_place(connection):
    folder = deploy.deploy_workers(connection, HOST)
    code = "import workers.edge; print(workers.edge.__cached__); workers.edge.fail()"
    argv = ["env", f"PYTHONPATH={folder}", "PYTHONDONTWRITEBYTECODE=1", sys.executable, "-v", "-c", code]
    done = connection.run(argv)
    words = done.stderr.decode()
    assert f"matches {folder}/workers/edge.py" in words  # the compiled file was used
    assert f'File "{folder}/workers/edge.py", line 2, in fail' in words


def test_the_three_versions_used_last_are_kept(connection, package, home):
    folders = []
    for number in range(5):
        (package / "edge.py").write_text(f"NUMBER = {number}\n")
        folders.append(deploy.deploy_workers(connection, HOST))
        os.utime(folders[-1], (number, number))
        if number == 2:
            (package / "edge.py").write_text("NUMBER = 0\n")
            assert deploy.deploy_workers(connection, HOST) == folders[0]  # used again, hence not the oldest
    left = {str(path) for path in (home / "work").iterdir()}
    assert left == {folders[0], folders[3], folders[4]}


@pytest.mark.usefixtures("package")
def test_leftovers_of_an_interrupted_deployment_are_removed_after_an_hour(connection, home):
    old, new = home / "work" / ".workers-a.1.part", home / "work" / ".workers-b.2.part"
    for folder in (old, new):
        folder.mkdir(parents=True)
    an_hour_ago = time.time() - 3700
    os.utime(old, (an_hour_ago, an_hour_ago))
    deploy.deploy_workers(connection, HOST)
    assert (old.exists(), new.exists()) == (False, True)


@pytest.mark.usefixtures("package")
def test_a_python_that_does_not_work(connection):
    with pytest.raises(RemoteError, match=r"edge \(127\.0\.0\.1\): .*`/no/python` ended with status 127.*hosts\.check"):
        deploy.deploy_workers(connection, make_host(python="/no/python"))


@pytest.mark.usefixtures("package")
def test_a_workdir_that_cannot_be_made(connection, home):
    (home / "work").write_text("a file")
    with pytest.raises(RemoteError, match=r"edge \(127\.0\.0\.1\): ~/work could not be written: .*File exists"):
        deploy.deploy_workers(connection, HOST)


@pytest.mark.root
def test_a_full_disk(connection, home):
    disk = home / "work"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=True)
    try:
        with pytest.raises(RemoteError, match=r"edge \(127\.0\.0\.1\): disk full: ~/work.*Free space there"):
            deploy.deploy_workers(connection, HOST)
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# --- trees --------------------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path) -> Path:
    folder = tmp_path / "model"
    (folder / "weights of it").mkdir(parents=True)
    (folder / "weights of it" / "0.bin").write_bytes(bytes(range(256)) * 1000)
    (folder / "model.json").write_text("{}")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    return folder


def test_a_tree_arrives_whole(connection, model, home):
    assert deploy.deploy_tree(connection, model, "~/models/it's-a1b2") == 256_000 + 2 + 10
    there = home / "models" / "it's-a1b2"
    assert {str(path.relative_to(there)) for path in there.rglob("*")} == {
        str(path.relative_to(model)) for path in model.rglob("*")
    }
    assert (there / "weights of it" / "0.bin").read_bytes() == (model / "weights of it" / "0.bin").read_bytes()
    assert os.access(there / "run.sh", os.X_OK)
    assert not os.access(there / "model.json", os.X_OK)
    assert [path.name for path in (home / "models").iterdir()] == ["it's-a1b2"]


def test_hidden_files_of_a_tree_stay_here(connection, model, home):
    (model / ".checked").write_text("a note on this copy")
    assert deploy.deploy_tree(connection, model, "~/models/a1b2") == 256_000 + 2 + 10
    assert not (home / "models" / "a1b2" / ".checked").exists()


def test_a_tree_that_is_there_costs_one_command_and_no_byte(connection, model):
    deploy.deploy_tree(connection, model, "~/models/a1b2")
    connection.commands = connection.sent_bytes = 0
    assert deploy.deploy_tree(connection, model, "~/models/a1b2") == 0
    assert (connection.commands, connection.sent_bytes) == (1, 0)


def test_a_broken_upload_leaves_nothing_and_the_next_one_works(connection, model, home):
    connection.breaks_at = "0.bin"
    with pytest.raises(ConnectError, match="the SSH connection is gone"):
        deploy.deploy_tree(connection, model, "~/models/a1b2")
    assert list((home / "models").iterdir()) == []
    connection.breaks_at = None
    deploy.deploy_tree(connection, model, "~/models/a1b2")
    assert [path.name for path in (home / "models").iterdir()] == ["a1b2"]


def test_uploads_that_nobody_finished_are_removed_after_an_hour(connection, model, home):
    old, new, other = (home / "models" / name for name in ("a1.x.part", "a1.y.part", "b2.z.part"))
    for folder in (old, new, other):
        folder.mkdir(parents=True)
    an_hour_ago = time.time() - 3700
    for folder in (old, other):
        os.utime(folder, (an_hour_ago, an_hour_ago))
    deploy.deploy_tree(connection, model, "~/models/a1")
    assert {path.name for path in (home / "models").iterdir()} == {"a1", "a1.y.part", "b2.z.part"}


def test_two_uploads_at_once_end_with_one_folder(connection, model, home):
    """The second finds the folder there when it has sent everything."""
    put = connection.put

    def overtaken(source, remote, *, mode=0o644):
        if remote.endswith("run.sh") and not (home / "models" / "a1b2").exists():
            deploy.deploy_tree(LocalConnection(home), model, "~/models/a1b2")
        put(source, remote, mode=mode)

    connection.put = overtaken
    deploy.deploy_tree(connection, model, "~/models/a1b2")
    assert [path.name for path in (home / "models").iterdir()] == ["a1b2"]
    assert {path.name for path in (home / "models" / "a1b2").iterdir()} == {"weights of it", "model.json", "run.sh"}


def test_an_empty_or_missing_folder_is_refused(connection, tmp_path):
    for folder in (tmp_path / "missing", tmp_path / "home"):
        with pytest.raises(FileNotFoundError, match="there is no such folder, or nothing in it"):
            deploy.deploy_tree(connection, folder, "~/models/a1b2")
