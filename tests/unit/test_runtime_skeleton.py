"""The image without a registry, and the mounts that fill it."""

import io
import sys
import tarfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.runtime.base import Mount
from workers.runtime.skeleton import build_tar, image_name, merge, parse_home, python_mounts, system_mounts


@pytest.fixture
def merged_usr(tmp_path):
    """A host like Debian 12."""
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").touch()
    (tmp_path / "etc/shadow").touch()
    return tmp_path


@pytest.fixture
def split_usr(tmp_path):
    """A host that keeps /bin and /lib apart."""
    for name in ("usr", "bin", "lib", "etc"):
        (tmp_path / name).mkdir()
    return tmp_path


def members(tar):
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        return {member.name: member for member in opened.getmembers()}


def test_the_skeleton_repeats_the_links_of_the_host(merged_usr):
    found = members(build_tar(merged_usr))
    assert found["bin"].issym()
    assert found["bin"].linkname == "usr/bin"
    assert found["usr"].isdir()
    assert "lib" not in found


def test_the_skeleton_has_folders_where_the_host_has_them(split_usr):
    found = members(build_tar(split_usr))
    assert found["bin"].isdir()
    assert found["lib"].isdir()


def test_the_skeleton_has_no_files_and_a_sticky_tmp(merged_usr):
    found = members(build_tar(merged_usr))
    assert not any(member.isfile() for member in found.values())
    assert found["tmp"].mode == 0o1777


def test_the_skeleton_is_small_and_the_same_every_time():
    assert build_tar() == build_tar()
    assert len(build_tar()) <= 20480


def test_another_skeleton_has_another_name(merged_usr):
    assert image_name(build_tar(merged_usr)) != image_name(build_tar())
    assert image_name(b"").startswith("localhost/neukonfig-skeleton:")


def test_system_mounts_are_read_only_and_leave_links_and_secrets_out(merged_usr):
    mounts = system_mounts(merged_usr)
    assert {mount.path for mount in mounts} == {"/usr", "/etc/passwd"}
    assert not any(mount.writable for mount in mounts)


def test_system_mounts_of_a_split_host(split_usr):
    assert {mount.path for mount in system_mounts(split_usr)} == {"/usr", "/bin", "/lib"}


@pytest.mark.parametrize(
    ("text", "home"),
    [
        ("home = /usr/bin\nversion = 3.11.7\n", "/usr/bin"),
        ("version = 3.12\nHOME=/opt/py thon/bin\n", "/opt/py thon/bin"),
        ("executable = /home/x\n", None),
        ("", None),
    ],
)
def test_home_of_a_virtual_environment(text, home):
    assert parse_home(text) == home


def make_python(prefix):
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin/python3.11").touch()
    return prefix / "bin/python3.11"


def test_a_plain_interpreter_needs_its_prefix(tmp_path):
    assert python_mounts(str(make_python(tmp_path / "base"))) == [Mount(str(tmp_path / "base"))]


def test_a_virtual_environment_needs_its_base_too(tmp_path):
    base = make_python(tmp_path / "base")
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python3").symlink_to(base)
    (tmp_path / "venv/bin/python").symlink_to("python3")
    paths = {mount.path for mount in python_mounts(str(tmp_path / "venv/bin/python"))}
    assert paths == {str(tmp_path / "venv"), str(tmp_path / "base")}


def test_a_base_behind_a_link_is_mounted_at_both_ends(tmp_path):
    """As uv lays out its interpreters: a folder of the minor version links to that of the patch."""
    make_python(tmp_path / "cpython-3.11.7")
    (tmp_path / "cpython-3.11").symlink_to("cpython-3.11.7")
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").symlink_to(tmp_path / "cpython-3.11/bin/python3.11")
    paths = {mount.path for mount in python_mounts(str(tmp_path / "venv/bin/python"))}
    assert paths == {str(tmp_path / name) for name in ("venv", "cpython-3.11", "cpython-3.11.7")}


def test_home_counts_where_the_interpreter_is_a_copy(tmp_path):
    venv = make_python(tmp_path / "venv")
    (tmp_path / "venv/pyvenv.cfg").write_text(f"home = {tmp_path}/base/bin\n")
    assert {mount.path for mount in python_mounts(str(venv))} == {str(tmp_path / "venv"), str(tmp_path / "base")}


def test_the_root_is_never_mounted():
    assert Mount("/") not in python_mounts("/bin/python3")


def test_a_link_to_itself_ends(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to("python")
    assert python_mounts(str(tmp_path / "bin/python")) == [Mount(str(tmp_path))]


paths = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
mounts = st.lists(st.builds(Mount, paths, writable=st.booleans()), max_size=8)


def mode_of(path, kept):
    """Return how `path` is seen through `kept`: None where it is not, else whether it is writable."""
    around = [mount for mount in kept if PurePosixPath(path).is_relative_to(mount.path)]
    return max(around, key=lambda mount: len(mount.path)).writable if around else None


@settings(deadline=None)  # machines of CI stall
@given(mounts)
def test_merging_changes_nothing_that_can_be_seen(asked):
    strongest = {m.path: any(o.writable for o in asked if o.path == m.path) for m in asked}
    before = [Mount(path, writable=mode) for path, mode in strongest.items()]
    after = merge(asked)
    for path in strongest:
        assert mode_of(path, after) == mode_of(path, before)
        assert mode_of(path + "/below", after) == mode_of(path + "/below", before)


@settings(deadline=None)  # machines of CI stall
@given(mounts)
def test_merged_mounts_are_few_and_in_order(asked):
    kept = merge(asked)
    assert len({mount.path for mount in kept}) == len(kept) <= len({mount.path for mount in asked})
    assert merge(kept) == kept
    for index, mount in enumerate(kept):  # an outer mount would hide an inner one made before it
        assert not any(PurePosixPath(mount.path).is_relative_to(later.path) for later in kept[index + 1 :])


def test_merging_drops_what_is_covered_and_keeps_what_differs():
    asked = [Mount("/usr"), Mount("/usr/lib/python3"), Mount("/usr/log", writable=True), Mount("/usr/")]
    assert merge(asked) == [Mount("/usr"), Mount("/usr/log", writable=True)]


def test_a_neighbour_with_the_same_beginning_is_not_below():
    assert merge([Mount("/usr"), Mount("/usr2")]) == [Mount("/usr"), Mount("/usr2")]


def test_this_interpreter_is_covered():
    kept = merge([*system_mounts(), *python_mounts(sys.executable)])
    for needed in (sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve())):
        assert mode_of(needed, kept) is False
