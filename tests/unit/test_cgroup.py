import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers import cgroup, cgroup_cpu
from workers.cgroup import Cgroup, Layout, Memory, parse_keyed, parse_mounts
from workers.cgroup_layout import parse_cpus
from workers.errors import WorkerError

PURE_V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
HYBRID = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""


class TestLayout:
    def test_pure_v2(self):
        assert parse_mounts(PURE_V2) == Layout("v2", {"unified": Path("/sys/fs/cgroup")})

    def test_hybrid_counts_as_v1(self):
        layout = parse_mounts(HYBRID)
        assert layout.version == "v1"
        assert set(layout.controllers) == {"cpu", "cpuacct", "memory", "freezer", "name=systemd", "unified"}

    def test_controllers_may_share_a_mount(self):
        layout = parse_mounts(HYBRID)
        assert layout.controllers["cpu"] == layout.controllers["cpuacct"] == Path("/sys/fs/cgroup/cpu,cpuacct")
        assert len(layout.roots()) == 5

    def test_spaces_in_mount_points_are_unescaped(self):
        layout = parse_mounts("30 23 0:26 / /mnt/a\\040b rw - cgroup2 none rw\n")
        assert layout.controllers["unified"] == Path("/mnt/a b")

    def test_no_cgroups_at_all_says_what_mends_it(self):
        with pytest.raises(WorkerError, match="mount -t cgroup2"):
            parse_mounts("27 1 254:0 / / rw - ext4 /dev/vda rw\n")


def make(place, files):
    place.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (place / name).write_text(text)


@pytest.fixture
def v2(tmp_path):
    layout = Layout("v2", {"unified": tmp_path})
    for place in (tmp_path, tmp_path / "neukonfig", tmp_path / "neukonfig" / "edge"):
        make(
            place,
            {
                "cgroup.controllers": "cpuset cpu memory hugetlb\n",
                "cgroup.subtree_control": "",
                "cgroup.procs": "",
                "cpuset.cpus": "",
                "memory.max": "max\n",
                "memory.swap.max": "max\n",
                "cgroup.freeze": "0\n",
            },
        )
    return layout


@pytest.fixture
def v1(tmp_path):
    controllers = {name: tmp_path / name for name in ("cpuset", "memory", "freezer")}
    controllers["unified"] = tmp_path / "unified"
    for root in controllers.values():
        make(root, {"cgroup.procs": ""})
    make(controllers["cpuset"], {"cpuset.cpus": "0-3\n", "cpuset.mems": "0\n"})
    return Layout("v1", controllers)


@pytest.mark.parametrize("path", ["", "/", "neukonfig", "/a/../b", ".."])
def test_paths_that_name_no_cgroup_are_refused(path, v2):
    with pytest.raises(ValueError, match="no path of a cgroup"):
        Cgroup(path, v2)


@given(st.lists(st.from_regex(r"[a-z0-9-]{1,8}", fullmatch=True), min_size=1, max_size=4))
def test_a_cgroup_never_leaves_its_hierarchy(names):
    layout = Layout("v2", {"unified": Path("/root")})
    (place,) = Cgroup("/" + "/".join(names), layout).directories()
    assert place.is_relative_to("/root")
    assert place.name == names[-1]


class TestV2:
    def test_every_controller_is_one_directory(self, v2, tmp_path):
        group = Cgroup("/neukonfig/edge", v2)
        assert group.directory("memory") == group.directory("cpuset") == tmp_path / "neukonfig" / "edge"

    def test_creating_delegates_the_controllers_on_the_way(self, v2, tmp_path):
        Cgroup("/neukonfig/edge", v2).create()
        for place in (tmp_path, tmp_path / "neukonfig"):  # the file keeps the last write only; the kernel adds up
            assert (place / "cgroup.subtree_control").read_text() == "+memory"
        # A cgroup with controllers for its children may hold no processes itself.
        assert (tmp_path / "neukonfig" / "edge" / "cgroup.subtree_control").read_text() == ""

    def test_limits(self, v2, tmp_path):
        Cgroup("/neukonfig/edge", v2).limit([1, 3], 5_000_000)
        place = tmp_path / "neukonfig" / "edge"
        assert (place / "cpuset.cpus").read_text() == "1,3"
        assert (place / "memory.max").read_text() == "5000000"
        assert (place / "memory.swap.max").read_text() == "0"

    def test_a_limit_of_none_changes_nothing(self, v2, tmp_path):
        Cgroup("/neukonfig/edge", v2).limit(None, None)
        assert (tmp_path / "neukonfig" / "edge" / "memory.max").read_text() == "max\n"

    def test_a_controller_that_is_not_delegated_is_named(self, v2, tmp_path):
        (tmp_path / "neukonfig" / "edge" / "cpuset.cpus").unlink()
        with pytest.raises(WorkerError, match=r"'cpuset' must be free"):
            Cgroup("/neukonfig/edge", v2).limit([0])

    def test_memory(self, v2, tmp_path):
        files = {
            "memory.current": "3000\n",
            "memory.peak": "4000\n",
            "memory.stat": "anon 1000\nfile 2000\n",
            "memory.events": "low 0\noom 2\noom_kill 1\n",
        }
        make(tmp_path / "neukonfig" / "edge", files)
        assert Cgroup("/neukonfig/edge", v2).memory() == Memory(3000, 1000, 4000, 1)

    def test_memory_peak_is_unknown_to_old_kernels(self, v2, tmp_path):
        make(
            tmp_path / "neukonfig" / "edge",
            {"memory.current": "1\n", "memory.stat": "anon 1\n", "memory.events": "oom_kill 0\n"},
        )
        assert Cgroup("/neukonfig/edge", v2).memory().peak_bytes is None

    def test_memory_limit(self, v2):
        group = Cgroup("/neukonfig/edge", v2)
        assert group.memory_limit_bytes() is None
        group.limit(None, 123)
        assert group.memory_limit_bytes() == 123

    def test_thawing_reaches_everything_below(self, v2, tmp_path):
        child = tmp_path / "neukonfig" / "edge" / "libpod-1"
        make(child, {"cgroup.freeze": "1\n"})
        Cgroup("/neukonfig", v2).thaw()
        assert (child / "cgroup.freeze").read_text() == "0"

    def test_pids_are_those_of_the_whole_tree(self, v2, tmp_path):
        make(tmp_path / "neukonfig" / "edge", {"cgroup.procs": "7\n8\n"})
        make(tmp_path / "neukonfig", {"cgroup.procs": "5\n"})
        assert Cgroup("/neukonfig", v2).pids() == {5, 7, 8}


class TestV1:
    def test_created_below_every_controller_but_not_in_the_empty_v2_tree(self, v1, tmp_path):
        Cgroup("/neukonfig/edge", v1).create()
        assert [(tmp_path / name / "neukonfig" / "edge").is_dir() for name in v1.controllers] == [True] * 3 + [False]

    def test_a_new_cpuset_takes_over_its_parents(self, v1, tmp_path):
        Cgroup("/neukonfig/edge", v1).create()
        for place in (tmp_path / "cpuset" / "neukonfig", tmp_path / "cpuset" / "neukonfig" / "edge"):
            assert (place / "cpuset.cpus").read_text() == "0-3"
            assert (place / "cpuset.mems").read_text() == "0"

    def test_creating_twice_keeps_the_limits(self, v1, tmp_path):
        group = Cgroup("/neukonfig", v1)
        group.create()
        group.limit([2])
        group.create()
        assert (tmp_path / "cpuset" / "neukonfig" / "cpuset.cpus").read_text() == "2"

    def test_a_cpuset_that_somebody_else_has_just_made_is_filled(self, v1, tmp_path):
        parent = tmp_path / "cpuset" / "neukonfig"
        parent.mkdir()
        for name in ("cpuset.cpus", "cpuset.mems"):
            (parent / name).write_text("\n")
        Cgroup("/neukonfig/edge", v1).create()
        assert (parent / "cpuset.cpus").read_text() == (parent / "edge" / "cpuset.cpus").read_text() == "0-3"

    def test_a_controller_that_is_not_mounted_is_named(self, v1):
        with pytest.raises(WorkerError, match="'pids' is not mounted"):
            Cgroup("/neukonfig", v1).directory("pids")

    def test_kills_are_summed_over_the_tree(self, v1, tmp_path):
        place = tmp_path / "memory" / "neukonfig"
        files = {
            "memory.usage_in_bytes": "900\n",
            "memory.max_usage_in_bytes": "950\n",
            "memory.stat": "rss 1\ntotal_rss 800\n",
            "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
        }
        make(place, files)
        make(place / "libpod-1", {"memory.oom_control": "oom_kill 2\n"})
        assert Cgroup("/neukonfig", v1).memory() == Memory(900, 800, 950, 3)

    def test_the_kernels_word_for_no_limit(self, v1, tmp_path):
        make(tmp_path / "memory" / "neukonfig", {"memory.limit_in_bytes": "9223372036854771712\n"})
        assert Cgroup("/neukonfig", v1).memory_limit_bytes() is None


def test_keyed_files_skip_what_is_no_number():
    assert parse_keyed("anon 12\nhierarchical_memory_limit max\nodd\n\n") == {"anon": 12}


class TestBudget:
    def test_the_hosts_own_cgroup_comes_first(self, monkeypatch):
        monkeypatch.setenv("NEUKONFIG_CGROUP", "/neukonfig/local/edge")
        monkeypatch.setattr(cgroup, "detect", lambda: parse_mounts(PURE_V2))
        assert cgroup.own() == "/neukonfig/local/edge"
        assert cgroup.budget("7f3a", [0], 100).path == "/neukonfig/local/edge"

    def test_elsewhere_one_is_made_with_the_given_sizes(self, monkeypatch, v2, tmp_path):
        monkeypatch.delenv("NEUKONFIG_CGROUP", raising=False)
        monkeypatch.setattr(cgroup, "detect", lambda: v2)
        make(tmp_path / "neukonfig-7f3a", {"cgroup.controllers": "", "cpuset.cpus": "", "memory.max": "max"})
        made = cgroup.budget("7f3a", [0, 1], 100)
        assert cgroup.own() is None
        assert made.path == "/neukonfig-7f3a"
        assert (tmp_path / "neukonfig-7f3a" / "cpuset.cpus").read_text() == "0,1"
        assert made.memory_limit_bytes() == 100 * 1024 * 1024


def test_the_command_refuses_what_is_no_cgroup(capsys):
    assert cgroup.main(["remove", "/"]) == 1
    assert "no path of a cgroup" in capsys.readouterr().err


@pytest.mark.root
class TestForReal:
    @pytest.fixture
    def group(self):
        made = Cgroup(f"/neukonfig-unit-{id(self):x}")
        made.create()
        yield made
        made.remove()

    @pytest.fixture
    def sleeper(self, group):
        process = subprocess.Popen(["sleep", "infinity"])
        group.add(process.pid)
        yield process
        process.kill()
        process.wait()

    def test_holds_its_processes(self, group, sleeper):
        assert group.pids() == {sleeper.pid}

    def test_frozen_processes_are_removed_with_it(self, group, sleeper):
        group.freeze()
        assert group.remove() == 1
        assert sleeper.wait(5) == -9
        assert not group.exists()

    def test_freezing_stops_and_thawing_goes_on(self, group, sleeper):
        group.freeze()
        group.thaw()
        sleeper.terminate()
        assert sleeper.wait(5) == -15

    def test_removing_by_command_takes_children_first(self, group, sleeper):
        child = Cgroup(f"{group.path}/below")
        child.create()
        child.add(sleeper.pid)
        assert cgroup.main(["remove", group.path]) == 0
        assert sleeper.wait(5) == -9
        assert not group.exists()

    def test_removing_nothing_is_no_error(self):
        assert Cgroup("/neukonfig-unit-absent").remove() == 0


@pytest.mark.parametrize(("text", "cpus"), [("0", [0]), ("0-3", [0, 1, 2, 3]), ("1,4-5,9", [1, 4, 5, 9]), ("7-7", [7])])
def test_lists_of_cpus(text, cpus):
    assert parse_cpus(text) == cpus


def test_a_command_enters_every_hierarchy_before_it_becomes_itself(tmp_path):
    layout = Layout("v1", {"cpu": tmp_path / "cpu", "memory": tmp_path / "memory", "freezer": tmp_path / "freezer"})
    for name in ("cpu", "memory"):
        make(tmp_path / name / "nk", {"cgroup.procs": ""})
    argv = Cgroup("/nk", layout).entered_by(["echo", "--", "a b"])
    assert subprocess.run(argv, capture_output=True, check=True).stdout == b"-- a b\n"
    assert [(tmp_path / name / "nk/cgroup.procs").read_text() for name in ("cpu", "memory")] == ["0\n", "0\n"]


def test_a_command_that_cannot_enter_does_not_run(tmp_path):
    layout = Layout("v1", {"cpu": tmp_path / "cpu"})
    (tmp_path / "cpu/nk/cgroup.procs").mkdir(parents=True)
    done = subprocess.run(Cgroup("/nk", layout).entered_by(["echo", "ran"]), capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (125, b"")


class TestCpu:
    def test_v1_reads_the_accounts_and_favours_by_shares(self, tmp_path):
        layout = Layout("v1", {"cpu": tmp_path / "cpu", "cpuacct": tmp_path / "acct"})
        make(tmp_path / "acct", {"cpuacct.usage_percpu": "100 200 300 \n"})
        make(tmp_path / "acct/nk", {"cpuacct.usage": "123456\n"})
        make(tmp_path / "cpu/nk", {"cpu.shares": "1024\n"})
        group = Cgroup("/nk", layout)
        assert cgroup_cpu.usage_ns(group) == 123456
        assert cgroup_cpu.machine_usage_ns(group, [0, 2]) == 400
        cgroup_cpu.favour(group)
        assert (tmp_path / "cpu/nk/cpu.shares").read_text() == "262144"

    def test_v2_counts_microseconds_and_knows_no_single_cpu(self, tmp_path):
        make(tmp_path / "nk", {"cpu.stat": "usage_usec 12\nuser_usec 10\n", "cpu.weight": "100\n"})
        group = Cgroup("/nk", Layout("v2", {"unified": tmp_path}))
        assert cgroup_cpu.usage_ns(group) == 12_000
        assert cgroup_cpu.machine_usage_ns(group, [0]) is None
        cgroup_cpu.favour(group)
        assert (tmp_path / "nk/cpu.weight").read_text() == "10000"

    def test_a_controller_that_is_not_there_is_named(self, tmp_path):
        make(tmp_path / "nk", {"cpu.stat": "nr_periods 0\n"})
        group = Cgroup("/nk", Layout("v2", {"unified": tmp_path}))
        with pytest.raises(WorkerError, match=r"cpu\.weight"):
            cgroup_cpu.favour(group)
        with pytest.raises(WorkerError, match="usage_usec"):
            cgroup_cpu.usage_ns(group)
