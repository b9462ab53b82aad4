"""Nobody tells the edge: it notices each change of the link by itself, by its frames or by trains, and nothing else."""

import itertools
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest

from hosts import config as configs
from hosts import inventory as inventories
from hosts.block import run_specs
from hosts.grid import Block
from hosts.inventory import ROLES
from hosts.notice import detection
from hosts.session import Session
from hosts.setup_orders import Site
from hosts.ssh import connect
from hosts.testbed import Testbed
from tests.e2e.conftest import NAME, REPOSITORY
from tests.e2e.traces import traces, wait_until
from workers import messages as m
from workers.partition import resolve
from workers.records import BlockRecord, Event, EventKind, Status, read_lines
from workers.store import Stored, StoredModel, put

pytestmark = [pytest.mark.root, pytest.mark.tensorflow, pytest.mark.timeout(400)]
SUBNETS = ("198.19.40.", "198.19.41.", "198.19.42.")
SIDE = 224
PARTITION = {20: "input", 5: "output"}  # 602 kB a frame, which tells of the speed, and 20 bytes, which tell nothing


def wide():
    """Return a model with a large input, little to compute and a small output."""
    from workers.partition_keras import keras  # noqa: PLC0415 - imports TensorFlow

    layers = [keras.Input((SIDE, SIDE, 3)), keras.layers.AveragePooling2D(28), keras.layers.Flatten()]
    return keras.Sequential([*layers, keras.layers.Dense(5)], name="wide")


@pytest.fixture
def estimated(workspace, tmp_path):
    """Return a workspace of the model, with what keys of the config are given, and the file of the stored model."""

    def make(**overrides):
        models = {"wide": {"source": "tests.e2e.test_detection:wide", "partition": PARTITION}}
        made = workspace(**{"models": models, "detection": "estimated", "repeats": 2} | overrides)
        stored = put("tests.e2e.test_detection:wide", "random", 1, tmp_path / "store")
        path = tmp_path / "wide.json"
        path.write_bytes(msgspec.json.encode(stored))
        return made, path

    yield make
    assert wait_until(lambda: not traces(NAME, SUBNETS)), traces(NAME, SUBNETS)


def measured(made, stored):
    """Measure the block; return its record and the edge's events by run."""
    out = made.folder / "results/runs/wide/switch-a2/cpu100-mem100"
    command = [sys.executable, "-m", "hosts.measure", "--config", str(made.folder / "config.yaml"), "--model", "wide"]
    command += ["--strategy", "switch-a2", "--stored", str(stored), "--out", str(out)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    record = msgspec.json.decode((out / "run.json").read_bytes(), type=BlockRecord)
    events = sorted(read_lines(out / "edge-events.jsonl", Event), key=lambda event: (event.run, event.at_ns))
    return record, {run: list(of_run) for run, of_run in itertools.groupby(events, key=lambda event: event.run)}


def at_ns(events, kind):
    """Return when each event of a kind was."""
    return [event.at_ns for event in events if event.kind is kind]


def test_every_change_is_noticed_once_and_soon(estimated):
    record, events = measured(*estimated())
    assert [(run.status, run.reason) for run in record.runs] == [(Status.OK, None)] * 4
    assert record.choices["detection"] == "estimated"
    for run in record.runs:
        (set_ns,), (noticed_ns,), (learned_ns,) = (
            at_ns(events[run.run], kind)
            for kind in (EventKind.LINK_SET, EventKind.SPEED_NOTICED, EventKind.CHANGE_LEARNED)
        )
        assert set_ns < noticed_ns == learned_ns < set_ns + 6e9
        (noticed,) = (event.detail for event in events[run.run] if event.kind is EventKind.SPEED_NOTICED)
        assert noticed["mbps"] == pytest.approx(run.to_mbps, rel=0.2)
        assert noticed["point"] == run.to_point
        assert noticed["evidence"] >= 3


def test_a_change_too_small_to_matter_is_not_noticed_and_the_row_says_so(estimated):
    """Faster by what a config just about allows: a train every 2 s adds next to nothing, so that 20 s are too short."""
    record, events = measured(
        *estimated(
            repeats=1,
            network={"speeds_mbps": [16.2, 20], "delay_ms": 20},
            models={"wide": {"source": "tests.e2e.test_detection:wide", "partition": {20: "input", 16.2: "output"}}},
        )
    )
    run = record.runs[0]
    assert run.status is Status.FAILED
    assert "did not notice within 20 s that the link went from 16.2 to 20 Mbit/s" in run.reason
    assert "its last estimate is " in run.reason
    assert not at_ns(events[run.run], EventKind.SPEED_NOTICED)


class JitteryLink(Session):
    """A session in which the link's rate is set anew all the time while frames are offered."""

    def jitter(self, fps, rates_mbps, every_s):
        """Return the decisions that the edge tells of."""
        self._agents["device"].send(m.StartFrames(1, fps))
        for mbps in rates_mbps:
            self._shape(1, mbps)
            self.wait(every_s)
        self.stop_frames(1)
        return self._agents["edge"].take(m.SpeedNoticed)


@contextmanager
def session(made, stored):
    """Open a session at the first run's speed and cut."""
    config, inventory = configs.load(made.folder / "config.yaml"), inventories.load(made.folder / "lab.yaml")
    place = msgspec.json.decode(stored.read_bytes(), type=Stored).path
    points = StoredModel.read(Path(place)).points
    specs = run_specs(config, {speed: resolve(points, name).index for speed, name in PARTITION.items()})
    block = Block("wide", "switch-a2", 100.0, 100.0)
    with Testbed(made.folder / "lab.yaml"), ExitStack() as stack:
        connections = {host.role: stack.enter_context(connect(host)) for host in inventory.hosts}
        logs = str(made.folder / "logs")
        sites = {
            role: Site(getattr(inventory, role), connections[role], str(REPOSITORY), logs, place) for role in ROLES
        }
        by_itself = detection(config, "wide", points)
        with JitteryLink(config, inventory, sites, block, (SIDE, SIDE), by_itself) as opened:
            opened.deploy(specs[0])
            yield opened


def test_a_link_that_keeps_its_speed_but_for_jitter_is_left_alone(estimated):
    """20 Mbit/s ± 10 %, set anew five times a second for twenty seconds."""
    made, stored = estimated()
    rates_mbps = [18.0, 21.0, 22.0, 19.0, 20.0] * 20
    with session(made, stored) as opened:
        assert opened.jitter(10.0, rates_mbps, every_s=0.2) == []
    events = list(read_lines(made.folder / "logs/edge-events.jsonl", Event))
    assert len(at_ns(events, EventKind.LINK_SET)) == len(rates_mbps) + 1
    assert not at_ns(events, EventKind.SPEED_NOTICED)
