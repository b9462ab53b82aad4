"""Whatever is killed, at whatever moment: nothing is left behind, no row is lost, and running again finishes the grid.

NEUKONFIG_KILLS sets how many moments are tried for each victim (default 1).
"""

import json
import os
import random
import signal
import time

import pytest

from tests.e2e.conftest import NAME
from tests.e2e.traces import processes, traces, wait_until

pytestmark = [pytest.mark.root, pytest.mark.tensorflow, pytest.mark.timeout(900)]
SUBNETS = ("198.19.40.", "198.19.41.", "198.19.42.")
MOMENTS = range(int(os.environ.get("NEUKONFIG_KILLS", "1")))
ON_THE_HOSTS = rb"NEUKONFIG_CGROUP=/neukonfig/" + NAME.encode()


def pids(pattern, file="cmdline"):
    return [int(line.split()[0]) for line in processes(pattern, file)]


def agents(role):
    ours = set(pids(ON_THE_HOSTS, "environ"))
    return [pid for pid in pids(rb"workers\." + role.encode() + rb"\0$") if pid in ours]


def sshds():
    return pids(rb"sshd.*/run/neukonfig/" + NAME.encode())


VICTIMS = {
    "snakemake": lambda work: [work.pid],
    "measuring job": lambda _: pids(rb"hosts\.measure\0--config\0results/config.json"),
    "edge agent": lambda _: agents("edge"),
    "cloud agent": lambda _: agents("cloud"),
    "device agent": lambda _: agents("device"),
    "sshd": lambda _: sshds(),
    "testbed": lambda _: pids(rb"hosts\.testbed\0--inventory\0.*lab.yaml")[:1],
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("victim", list(VICTIMS))
def test_nothing_is_left_and_a_rerun_finishes(workspace, victim, moment):
    work = workspace(strategies=["switch-b1", "pause-resume"], cpu_pct=[50], mem_pct=[50])
    chance = random.Random(f"{victim} {moment} {time.time_ns()}")
    running = work.start()
    assert wait_until(lambda: agents("edge"), 90), "the grid did not start"
    delay_s = chance.uniform(0, 12)
    time.sleep(delay_s)
    chosen = VICTIMS[victim](running)
    for pid in chosen:
        os.kill(pid, signal.SIGKILL)
    print(f"killed {victim} {chosen} {delay_s:.1f} s after the first agent")
    running.communicate(timeout=280)
    assert wait_until(lambda: not traces(NAME, SUBNETS)), traces(NAME, SUBNETS)
    done = work.run()
    assert done.returncode == 0, done.stdout + done.stderr
    records = [json.loads(path.read_bytes()) for path in work.results.glob("runs/tiny/*/*/run.json")]
    assert [len(record["runs"]) for record in records] == [2, 2]
    assert (work.results / "report/index.html").exists()
    assert traces(NAME, SUBNETS) == []
