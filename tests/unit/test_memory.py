"""Proportional set size, pinned to the kernel's own text, and the tree of processes."""

import mmap
import os
import subprocess
import sys

import pytest

from workers.memory import Growth, Pss, descendants, parse_smaps_rollup, pss

ROLLUP = """\
55d5c1a00000-7fff6a7fe000 ---p 00000000 00:00 0                          [rollup]
Rss:               11152 kB
Pss:                7171 kB
Pss_Dirty:          5768 kB
Pss_Anon:           5000 kB
Pss_File:           2163 kB
Pss_Shmem:             8 kB
Shared_Clean:       5380 kB
Private_Dirty:      5768 kB
SwapPss:               0 kB
Locked:                0 kB
"""
OLD_ROLLUP = """\
00400000-7ffd1e9c8000 ---p 00000000 00:00 0                              [rollup]
Rss:                 884 kB
Pss:                 385 kB
Shared_Clean:        696 kB
"""


def test_a_rollup_of_today():
    assert parse_smaps_rollup(ROLLUP) == Pss(7171 * 1024, 5000 * 1024, 2163 * 1024, 8 * 1024, 1)


def test_a_rollup_of_an_old_kernel_has_no_parts():
    assert parse_smaps_rollup(OLD_ROLLUP) == Pss(385 * 1024, 0, 0, 0, 1)


@pytest.mark.parametrize("text", ["", "Rss: 1 kB\n", "head\nRss:  884 kB\n", "head\nPss: many\n"])
def test_text_without_a_size_is_refused(text):
    with pytest.raises(ValueError, match="without a Pss line"):
        parse_smaps_rollup(text)


def write_proc(folder, pid, text):
    (folder / str(pid)).mkdir()
    (folder / str(pid) / "smaps_rollup").write_text(text)


def test_processes_add_up_and_a_vanished_one_adds_nothing(tmp_path):
    write_proc(tmp_path, 10, ROLLUP)
    write_proc(tmp_path, 11, OLD_ROLLUP)
    assert pss([10, 11, 12], tmp_path) == Pss((7171 + 385) * 1024, 5000 * 1024, 2163 * 1024, 8 * 1024, 2)
    assert pss([], tmp_path) == Pss(0, 0, 0, 0, 0)


def test_a_process_that_only_waits_for_its_parent_adds_nothing():
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and not yet collected
        assert pss([child.pid]).processes == 0


def test_memory_that_is_taken_shows():
    size = 64 * 1024 * 1024
    before = pss([os.getpid()])
    taken = bytearray(os.urandom(4096)) * (size // 4096)
    after = pss([os.getpid()])
    assert size * 0.95 < after.anon_bytes - before.anon_bytes < size * 1.2
    assert len(taken) == size


def test_growth_is_that_at_its_height_without_the_pages_of_files(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * (32 << 20))
    growth = Growth()
    with (tmp_path / "file").open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert sum(mapped[::4096]) > 0
        block = bytearray(os.urandom(4096)) * (16 << 8)  # 16 MiB
        del block
        grown = growth.bytes()
    assert (16 << 20) * 0.9 < grown < (16 << 20) * 1.5


def test_shared_pages_are_counted_once_over_all():
    """What PSS is for: a forked child adds little to the sum, though its resident set is as large."""
    size = 64 * 1024 * 1024
    code = (
        f"import os, sys; x = b'x' * {size}; pid = os.fork()\n"
        "if pid: print(pid, flush=True)\n"
        "sys.stdin.read(); os._exit(0)"
    )
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        both = pss([parent.pid, child])
        assert both.processes == 2
        assert size < both.pss_bytes < 1.5 * size
        assert size * 0.4 < pss([child]).pss_bytes < size * 0.7
        parent.stdin.close()


def write_children(proc, pid, *of_threads):
    for number, children in enumerate(of_threads):
        task = proc / f"{pid}/task/{pid + 1000 * number}"
        task.mkdir(parents=True)
        (task / "children").write_text("".join(f"{child} " for child in children))


def test_descendants_come_nearest_first_whichever_thread_started_them(tmp_path):
    write_children(tmp_path, 1, [2], [4])
    write_children(tmp_path, 2, [3])
    write_children(tmp_path, 3, [5])
    write_children(tmp_path, 4, [])  # 5 has vanished
    found = descendants(1, tmp_path)
    assert (set(found[:2]), found[2:]) == ({2, 4}, [3, 5])


def test_descendants_end_and_are_told_once_where_a_pid_is_used_again_meanwhile(tmp_path):
    write_children(tmp_path, 1, [2, 3], [3])
    write_children(tmp_path, 2, [3])
    write_children(tmp_path, 3, [1, 2])
    assert sorted(descendants(1, tmp_path)) == [2, 3]


def test_descendants_of_a_real_tree():
    code = "import subprocess, sys; subprocess.Popen(['sleep', '60']); print(flush=True); sys.stdin.read()"
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        (grandchild,) = descendants(child.pid)
        assert {child.pid, grandchild} <= set(descendants(os.getpid()))
        os.kill(grandchild, 9)
        child.stdin.close()
    assert descendants(2**22 + 1) == []
