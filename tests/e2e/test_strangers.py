"""Strangers on the data network: they change nothing, and they are counted."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from hosts import config as configs
from hosts import inventory as inventories
from hosts.block import run_specs
from hosts.grid import Block
from hosts.inventory import ROLES
from hosts.session import Session
from hosts.setup_orders import Site
from hosts.ssh import connect
from hosts.testbed import Testbed
from tests.e2e.conftest import REPOSITORY
from workers.partition import resolve
from workers.store import StoredModel, put

pytestmark = [pytest.mark.root, pytest.mark.tensorflow]

STRANGER = """
import os, socket, sys, time, zmq
address, port, server = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()
context = zmq.Context()
too_large = bytes(70_000_000)  # more than any frame may hold
def peer(kind, key):
    one = context.socket(kind)
    one.linger = 0
    if key:
        one.curve_serverkey = server
        one.curve_publickey, one.curve_secretkey = zmq.curve_keypair()
    one.connect(f"tcp://{address}:{port}")
    for junk in (b"x", too_large):
        try:
            one.send_multipart([junk, b"y"], zmq.NOBLOCK, copy=False)
        except zmq.Again:
            pass
    return one
peers = [peer(kind, key) for kind in (zmq.DEALER, zmq.PUSH) for key in (False, True)]
for junk in (b"GET / HTTP/1.1\\r\\n\\r\\n", os.urandom(4096), b"\\xff" + bytes(8) + b"\\x7f", b""):
    with socket.create_connection((address, port), 5) as raw:
        raw.sendall(junk)
        time.sleep(0.2)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
    for _ in range(3):
        udp.sendto(os.urandom(1440), (address, port))
time.sleep(1.5)
for one in peers:
    one.close(0)
"""


@pytest.fixture
def session(workspace, tmp_path):
    workspace(runtime="process", fps=[20])
    config = configs.load(tmp_path / "config.yaml")
    inventory = inventories.load(tmp_path / "lab.yaml")
    stored = put("tests.models:sequential", "random", 1, tmp_path / "store")
    points = StoredModel.read(tmp_path / "store" / stored.digest).points
    cuts = {20.0: resolve(points, "input").index, 5.0: resolve(points, "output").index}
    with Testbed(tmp_path / "lab.yaml"):
        connections = {host.role: connect(host) for host in inventory.hosts}
        logs = tmp_path / "logs"
        sites = {
            role: Site(getattr(inventory, role), connections[role], str(REPOSITORY), str(logs), stored.path)
            for role in ROLES
        }
        opened = Session(config, inventory, sites, Block("tiny", "switch-a2", 100.0, 100.0), (8, 8))
        with opened:
            specs = run_specs(config, cuts)
            opened.deploy(specs[0])
            yield opened, specs, connections, inventory, logs
        for connection in connections.values():
            connection.close()


def strange(connection, address, port):
    key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"  # a public key, not the server's
    done = connection.run([sys.executable, "-c", STRANGER, address, str(port), key], timeout_s=60)
    assert done.status == 0, done.stderr.decode()


def test_strangers_change_nothing_and_are_counted(session):
    opened, specs, connections, inventory, logs = session
    edge, cloud = inventory.edge, inventory.cloud
    targets = [
        ("device", edge.data_address, edge.data_ports),
        ("cloud", edge.cloud_side_address, edge.data_ports + 1),
        ("edge", cloud.data_address, cloud.data_ports),
        ("edge", cloud.data_address, cloud.data_ports + 2),
    ]
    with ThreadPoolExecutor(len(targets)) as pool:
        strangers = [pool.submit(strange, connections[role], *target) for role, *target in targets]
        measured = [opened.measure(spec) for spec in specs]
        for stranger in strangers:
            stranger.result()
    assert all(one.repartitioned.ok for one in measured)
    assert all(one.frames.answered == one.frames.offered > 0 for one in measured)
    opened.close()
    counted = {}
    for role in ("edge", "cloud"):
        events = [json.loads(line) for line in (logs / f"{role}-events.jsonl").read_text().splitlines()]
        counted |= next(event["detail"] for event in reversed(events) if event["kind"] == "strangers")
    print(counted)
    for socket in ("ingress", "results", "control", "tail"):
        refused = {name: count for name, count in counted.items() if name.startswith(socket)}
        assert sum(refused.values()) >= 3, counted
    assert counted["probe_stranger"] == 3
    offered = sum(one.frames.offered for one in measured)
    device = [json.loads(line) for line in (logs / "device-frames.jsonl").read_text().splitlines()]
    assert [row["outcome"] for row in device if row["run"] > 0] == ["answered"] * offered
