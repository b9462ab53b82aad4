"""The workflow as Snakemake runs it: which blocks, in which order, and what is left when some of them fail.

Jobs run with a folder of their own first on Python's path, where commands of the same names only take notes: they
are what Snakemake schedules, nothing is measured.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import yaml

from hosts.config import load, parse
from hosts.grid import blocks, levels, profiled_levels
from tests.e2e.conftest import inventory as e2e_inventory
from tests.e2e.traces import traces, wait_until
from tests.unit.past_records import past_of, past_profile_of

NAME = "flow"
SUBNETS = ("198.19.50.", "198.19.51.", "198.19.52.")
REPOSITORY = Path(__file__).parents[2]
SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))
SHIPPED = sorted((REPOSITORY / "config").glob("*.yaml"))
GRID = {
    "models": {"mobilenetv2": {}, "vgg19": {}},
    "strategies": ["pause-resume", "switch-a1"],
    "cpu_pct": [100, 50],
    "repeats": 1,
}
WITHOUT_TESTBED = """
include: "{repository}/rules/common.smk"
include: "{repository}/rules/profile.smk"
include: "{repository}/rules/grid.smk"
rule all:
    default_target: True
    input: [f"{{RESULTS}}/runs/{{block.folder}}/run.json" for block in BLOCKS] + PROFILES
"""
STORE = "print('{}')\n"
MEASURE = """
import argparse, fcntl, pathlib, sys, time
parser = argparse.ArgumentParser()
for flag in ("config", "model", "strategy", "cpu", "mem", "stored", "out", "profile"):
    parser.add_argument(f"--{flag}")
job = parser.parse_args()
if job.profile:
    pathlib.Path(job.profile).read_text()
folder = f"{job.model}/{job.strategy}/cpu{job.cpu}-mem{job.mem}"
with open("one-at-a-time", "w") as lock, open("order", "a") as order:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # two at once: the testbed is shared, and this fails
    print(folder, file=order, flush=True)
    if job.strategy in pathlib.Path("broken").read_text().split():
        sys.exit("edge: no such host")
    if job.strategy in pathlib.Path("endless").read_text().split():
        try:
            time.sleep(300)
        except KeyboardInterrupt:
            print("put back", file=order)
            sys.exit(130)
    record = pathlib.Path("records", folder.replace("/", "_")).read_text()
    pathlib.Path(job.out, "run.json").write_text(record)
"""
PROFILE = """
import argparse, fcntl, pathlib, sys
parser = argparse.ArgumentParser()
for flag in ("config", "model", "cpu", "mem", "stored", "out"):
    parser.add_argument(f"--{flag}")
job = parser.parse_args()
folder = f"{job.model}/cpu{job.cpu}-mem{job.mem}"
with open("one-at-a-time", "w") as lock, open("order", "a") as order:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    print(f"profile {folder}", file=order, flush=True)
    if "profile" in pathlib.Path("broken").read_text().split():
        sys.exit("edge: no such host")
    record = pathlib.Path("records", "profile_" + folder.replace("/", "_")).read_text()
    pathlib.Path(job.out, "profile.json").write_text(record)
"""
REPORT = """
import argparse, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--results")
parser.add_argument("--out")
job = parser.parse_args()
runs = pathlib.Path(job.results, "runs")
found = sorted(str(path.parent.relative_to(runs)) for path in runs.rglob("run.json"))
pathlib.Path(job.out).parent.mkdir(exist_ok=True)
pathlib.Path(job.out).write_text("\\n".join(found))
"""


class Flow:
    """A working directory whose commands only take notes."""

    def __init__(self, folder, snakefile, inventory, **changed):
        self.folder, self.snakefile, self.inventory = folder, snakefile, inventory
        self._started = []
        self.config_file = folder / "config.yaml"
        self.configure(**changed)
        for name, text in {
            "workers/store": STORE,
            "hosts/measure": MEASURE,
            "hosts/profile": PROFILE,
            "report/__main__": REPORT,
        }.items():
            path = folder / f"{name}.py"
            path.parent.mkdir(exist_ok=True)
            path.with_name("__init__.py").touch()
            path.write_text(text)
        self.behave()

    def configure(self, **changed):
        self.config_file.write_text(yaml.safe_dump({"inventory": str(self.inventory), **GRID, **changed}))
        config = load(self.config_file)
        for block in blocks(config):
            record = self.folder / "records" / block.folder.replace("/", "_")
            record.parent.mkdir(exist_ok=True)
            record.write_bytes(msgspec.json.encode(past_of(config, block)))
        for level in levels(config):
            record = self.folder / "records" / f"profile_{level.folder.replace('/', '_')}"
            record.write_bytes(msgspec.json.encode(past_profile_of(config, level)))

    def behave(self, broken="", endless=""):
        """Say of which strategies the blocks fail, and of which they take until they are interrupted."""
        (self.folder / "broken").write_text(broken)
        (self.folder / "endless").write_text(endless)

    def command(self, *more):
        # Whatever runs these tests may ignore Ctrl-C, as a shell lets its background jobs; the workflow must not.
        return [
            "env", "--default-signal=INT",
            SNAKEMAKE, "--snakefile", str(self.snakefile), "--directory", str(self.folder),
            "--workflow-profile", str(REPOSITORY / "profiles/default"),
            "--configfile", str(self.config_file), "--cores", "2", "--resources", "testbed=1", *more,
        ]  # fmt: skip

    def start(self, *more):
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        flow = subprocess.Popen(
            self.command(*more),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._started.append(flow)
        return flow

    def end(self):
        """End what a test that failed left running."""
        for flow in self._started:
            if flow.poll() is None:
                os.killpg(flow.pid, signal.SIGKILL)
                flow.communicate(timeout=60)

    def run(self, *more):
        flow = self.start(*more)
        said, _ = flow.communicate(timeout=120)
        return flow.returncode, said

    @property
    def order(self):
        path = self.folder / "order"
        return path.read_text().split("\n")[:-1] if path.exists() else []

    @property
    def blocks_order(self):
        return [folder for folder in self.order if not folder.startswith("profile ")]

    def profiles(self):
        return [f"profile {level.folder}" for level in profiled_levels(load(self.config_file))]

    def expected(self):
        return [block.folder for block in blocks(load(self.config_file))]


@pytest.fixture
def scheduled(tmp_path):
    """The rules without the testbed."""
    work = tmp_path / "work"
    work.mkdir()
    (tmp_path / "Snakefile").write_text(WITHOUT_TESTBED.format(repository=REPOSITORY))
    flow = Flow(work, tmp_path / "Snakefile", REPOSITORY / "hosts/local.yaml")
    yield flow
    flow.end()


@pytest.fixture
def workflow(tmp_path):
    """The whole workflow, on a testbed of its own."""
    (tmp_path / "lab.yaml").write_text(yaml.safe_dump(own_inventory()))
    flow = Flow(tmp_path, REPOSITORY / "Snakefile", tmp_path / "lab.yaml", cpu_pct=[100])
    yield flow
    flow.end()


def own_inventory():
    """Return the tests' inventory under another name and other addresses."""
    text = yaml.safe_dump(e2e_inventory("process"))
    return yaml.safe_load(text.replace("e2e", NAME).replace("198.19.4", "198.19.5"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_snakemake_plans_the_blocks_of_every_config_that_comes_along(path, tmp_path):
    values = [f"inventory={REPOSITORY / 'hosts/local.yaml'}", "results=here"]
    command = [SNAKEMAKE, "-n", "--snakefile", str(REPOSITORY / "Snakefile"), "--directory", str(tmp_path)]
    command += ["--configfile", str(path), "--config", *values]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    config = load(path)
    counts = dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2)
    assert counts["measure"] == str(len(blocks(config)))
    assert counts.get("profile", "0") == str(len(profiled_levels(config)))


def test_models_are_profiled_and_then_blocks_measured_one_at_a_time_in_the_order_of_the_grid(scheduled):
    status, said = scheduled.run()
    assert status == 0, said
    assert scheduled.order == [*scheduled.profiles(), *scheduled.expected()]
    assert len(scheduled.order) == 2 + 8


def test_levels_that_are_asked_for_are_profiled_and_nothing_else_is_done_anew(scheduled):
    assert scheduled.run()[0] == 0
    before = scheduled.order
    scheduled.configure(profile={"levels": "all"})
    status, said = scheduled.run()
    assert status == 0, said
    assert scheduled.order[len(before) :] == ["profile mobilenetv2/cpu50-mem100", "profile vgg19/cpu50-mem100"]


def test_a_profile_that_cannot_be_made_costs_the_blocks_that_it_decides_and_no_others(scheduled):
    scheduled.configure(models={"mobilenetv2": {"partition": "optimal"}, "vgg19": {}})
    scheduled.behave(broken="profile")
    status, _ = scheduled.run()
    assert status != 0
    assert scheduled.blocks_order == [folder for folder in scheduled.expected() if folder.startswith("vgg19")]
    scheduled.behave()
    before = len(scheduled.order)
    assert scheduled.run()[0] == 0
    again = scheduled.order[before:]
    assert set(again[:2]) == set(scheduled.profiles())
    assert again[2:] == [folder for folder in scheduled.expected() if folder.startswith("mobilenetv2")]


def test_blocks_that_are_measured_already_leave_the_others_in_their_order(scheduled):
    wanted = scheduled.expected()
    done = wanted[1::3]
    targets = [f"results/runs/{folder}/run.json" for folder in done]
    status, said = scheduled.run("--", *targets)
    assert status == 0, said
    assert scheduled.order == done
    assert scheduled.run()[0] == 0
    assert scheduled.blocks_order[len(done) :] == [folder for folder in wanted if folder not in done]
    scheduled.configure(strategies=[*GRID["strategies"], "switch-b1"])
    assert scheduled.run()[0] == 0
    assert scheduled.blocks_order[8:] == [folder for folder in scheduled.expected() if "switch-b1" in folder]


def test_a_block_or_profile_that_is_removed_from_a_finished_grid_is_made_again_and_nothing_else(scheduled):
    assert scheduled.run()[0] == 0
    before, (first, *_) = scheduled.order, scheduled.expected()
    (scheduled.folder / f"results/runs/{first}/run.json").unlink()
    status, said = scheduled.run()
    assert status == 0, said
    assert scheduled.order[len(before) :] == [first]
    profile = scheduled.profiles()[0]
    (scheduled.folder / f"results/profiles/{profile.removeprefix('profile ')}/profile.json").unlink()
    before = scheduled.order
    assert scheduled.run()[0] == 0
    assert scheduled.order[len(before) :] == [profile]


def test_a_block_that_fails_is_tried_twice_and_the_others_keep_their_order(scheduled):
    scheduled.behave(broken="switch-a1")
    status, said = scheduled.run()
    assert status != 0, said
    once = list(dict.fromkeys(scheduled.blocks_order))
    assert once == scheduled.expected()
    assert [folder for folder in once if scheduled.order.count(folder) == 2] == [
        folder for folder in once if "switch-a1" in folder
    ]


def test_another_seed_is_another_order_of_the_same_blocks():
    one, other = (blocks(parse({**GRID, "seed": seed}, "c")) for seed in (1, 2))
    assert one != other
    assert set(one) == set(other)


def page(flow):
    return (flow.folder / "results/report/index.html").read_text().splitlines()


@pytest.mark.root
def test_blocks_that_fail_leave_a_report_of_the_others_and_a_rerun_measures_only_them(workflow):
    workflow.behave(broken="switch-a1")
    status, said = workflow.run()
    assert status != 0
    assert said.index("4 blocks, 8 runs: 2 models × 2 strategies") < said.index(
        "Execute 2 jobs"
    )  # the plan comes first
    missing = [folder for folder in workflow.expected() if "switch-a1" in folder]
    assert f"2 of 4 blocks are not measured: {', '.join(missing)}" in said
    assert "run the same command again" in said
    assert page(workflow) == sorted(set(workflow.expected()) - set(missing))
    assert traces(NAME, SUBNETS) == []
    workflow.behave()
    before = len(workflow.order)
    status, said = workflow.run("--until", "measure")
    assert status == 0, said
    assert workflow.order[before:] == missing


@pytest.mark.root
def test_one_ctrl_c_ends_the_job_puts_the_machine_back_and_leaves_a_report(workflow):
    workflow.behave(endless="switch-a1")
    flow = workflow.start()
    first = next(place for place, folder in enumerate(workflow.expected()) if "switch-a1" in folder)
    wait_until(lambda: len(workflow.blocks_order) > first or flow.poll() is not None)
    os.killpg(flow.pid, signal.SIGINT)
    said, _ = flow.communicate(timeout=60)
    assert flow.returncode not in (0, None)
    assert workflow.blocks_order == [*workflow.expected()[: first + 1], "put back"]
    assert f"{4 - first} of 4 blocks are not measured" in said
    assert page(workflow) == sorted(workflow.expected()[:first])
    assert "Traceback" not in said
    assert traces(NAME, SUBNETS) == []
