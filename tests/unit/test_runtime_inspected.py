"""What is read from the engines and the kernel, pinned to their own words."""

import json

import pytest

from workers.cgroup import Layout
from workers.errors import ContainerError
from workers.runtime.inspected import Inspected, cgroup_of, limit_was_hit, parse_inspect, parse_proc_cgroup

PODMAN = json.loads("""
[{"Id": "6e68", "Name": "a", "State": {"OciVersion": "1.0.2-dev", "Status": "paused", "Running": false,
  "Paused": true, "Restarting": false, "OOMKilled": false, "Dead": false, "Pid": 9163, "ConmonPid": 9161,
  "ExitCode": 0, "Error": "", "CgroupPath": "/ctrtry/edge/libpod-6e68"},
  "HostConfig": {"CgroupManager": "cgroupfs", "CgroupParent": "/ctrtry/edge"}}]
""")
DOCKER = json.loads("""
[{"Id": "6e68", "Name": "/a", "State": {"Status": "exited", "Running": false, "Paused": false,
  "Restarting": false, "OOMKilled": true, "Dead": false, "Pid": 0, "ExitCode": 137, "Error": "",
  "StartedAt": "2025-05-30T12:07:14.0Z"}, "HostConfig": {"NetworkMode": "host", "CgroupParent": ""}}]
""")


def test_podman_does_not_call_a_paused_container_running_but_we_do():
    assert parse_inspect(PODMAN) == Inspected(
        running=True,
        paused=True,
        exit_code=0,
        oom_killed=False,
        pid=9163,
        cgroup="/ctrtry/edge/libpod-6e68",
        cgroup_parent="/ctrtry/edge",
    )


def test_an_exited_container_of_docker():
    assert parse_inspect(DOCKER) == Inspected(
        running=False, paused=False, exit_code=137, oom_killed=True, pid=0, cgroup=None, cgroup_parent=""
    )


@pytest.mark.parametrize("document", [[], [{}], {}, None, [{"State": {}}], PODMAN * 2])
def test_another_form_is_refused(document):
    with pytest.raises(ContainerError, match="form of its own"):
        parse_inspect(document)


V1 = """\
9:name=systemd:/neukonfig/edge/libpod-1
8:pids:/neukonfig/edge/libpod-1
6:freezer:/neukonfig/edge/libpod-1
2:cpuacct,cpu:/elsewhere
0::/
"""


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (V1, "/neukonfig/edge/libpod-1"),
        ("0::/neukonfig/edge/docker-1.scope\n", "/neukonfig/edge/docker-1.scope"),
        ("0::/with:colon\n", "/with:colon"),
        ("0::/\n", None),
        ("", None),
    ],
)
def test_the_cgroup_of_a_process(text, path):
    assert parse_proc_cgroup(text) == path


def inspected(**changes):
    return parse_inspect(PODMAN)._replace(**changes)


def test_an_ended_container_has_no_cgroup():
    assert cgroup_of(inspected(running=False)) is None


def test_podman_names_the_cgroup_itself():
    assert cgroup_of(inspected()) == "/ctrtry/edge/libpod-6e68"


def test_a_process_that_has_vanished_has_no_cgroup():
    assert cgroup_of(inspected(cgroup=None, pid=2**22 + 1)) is None


@pytest.fixture
def layout(tmp_path):
    """The memory hierarchy of cgroup v1, where a budget is two levels above the container."""
    (tmp_path / "host/edge/container").mkdir(parents=True)
    for place in (".", "host", "host/edge", "host/edge/container"):
        (tmp_path / place / "memory.failcnt").write_text("0\n")
    return Layout("v1", {"memory": tmp_path, "freezer": tmp_path.parent / "freezer"})


@pytest.mark.parametrize("place", [".", "host", "host/edge", "host/edge/container"])
def test_a_limit_can_be_hit_at_any_level(layout, place):
    assert not limit_was_hit("/host/edge/container", layout)
    (layout.controllers["memory"] / place / "memory.failcnt").write_text("3\n")
    assert limit_was_hit("/host/edge/container", layout)


def test_a_limit_beside_does_not_count(layout):
    (layout.controllers["memory"] / "host/edge/container/memory.failcnt").write_text("3\n")
    assert not limit_was_hit("/host/edge", layout)
    assert not limit_was_hit("/host/edge/other", layout)


def test_cgroup_v2_and_the_engines_default_have_no_such_count(layout, tmp_path):
    assert not limit_was_hit("/host", Layout("v2", {"unified": tmp_path}))
    assert not limit_was_hit("", layout)
