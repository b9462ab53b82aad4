"""A soak's orders: each at its time, whatever became of the last; and what is refused before a host is touched."""

import json
from argparse import Namespace
from itertools import pairwise
from pathlib import Path

import pytest

from hosts import soak
from hosts.config import parse
from hosts.errors import AgentError, ConfigError
from hosts.grid import Block
from hosts.soak import Soak, prepare, run
from workers.records import ClockOffset, Status

CONFIG = parse(
    {
        "models": {"tiny": {"source": "tests.models:sequential", "partition": {1000: "input", 500: "output"}}},
        "strategies": ["switch-a2"],
        "network": {"speeds_mbps": [1000, 500]},
        "fps": [20],
    },
    "c",
)
ASKED = Soak(CONFIG, Block("tiny", "switch-a2", 100.0, 100.0), Path("stored"), (1, 4, 6), 0.001, 1.0)  # 60 orders


class FakeSoakSession:
    """Takes orders; dies at the one of that number."""

    choices = {"edge_runtime": "podman"}  # noqa: RUF012 - never changed
    clocks = {"edge": ClockOffset(1, 2)}  # noqa: RUF012

    def __init__(self, dies_at=None):
        self.log, self.orders = [], []
        self._dies_at = dies_at

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.log.append("exit")

    def deploy(self, spec):
        self.log.append("deploy")
        self.first = spec

    def warm_up(self, fps, frames):
        self.log.append(f"warm up {frames} at {fps:g}")

    def start_frames(self, run, fps):
        self.log.append(f"frames {run} at {fps:g}")

    def wait(self, seconds):
        pass

    def order(self, run, mbps, point, standby_point):
        if len(self.orders) == self._dies_at:
            raise AgentError("edge: gone")
        self.orders.append((run, mbps, point, standby_point))

    def settle(self, run):
        self.log.append(f"settle {run}")

    def stop_frames(self, run):
        self.log.append(f"stop {run}")

    def clock_offsets(self):
        return {"edge": ClockOffset(3, 4)}


def test_orders_go_out_while_frames_are_offered_and_the_last_is_waited_for():
    session = FakeSoakSession()
    soaked = run(session, ASKED)
    assert session.log == [
        "deploy",
        "warm up 5 at 20",
        "frames 1 at 20",
        f"settle {session.orders[-1][0]}",
        "stop 1",
        "exit",
    ]
    assert len(session.orders) == 60
    assert [(order.run, order.point) for order in soaked.ordered] == [(order[0], order[2]) for order in session.orders]
    assert (soaked.status, soaked.clock_after) == (Status.OK, {"edge": ClockOffset(3, 4)})


def test_each_order_names_the_next_one_s_point_as_the_standby_s():
    session = FakeSoakSession()
    run(session, ASKED)
    for (_, mbps, point, standby), (_, _, following, _) in pairwise(session.orders):
        assert standby == following != point
        assert mbps == 1000.0


def test_the_first_order_moves_the_cut():
    session = FakeSoakSession()
    run(session, ASKED)
    assert session.first.from_point != session.orders[0][2]
    assert session.first.from_point != session.first.to_point


def test_a_soak_that_breaks_keeps_the_orders_before():
    soaked = run(FakeSoakSession(dies_at=7), ASKED)
    assert (soaked.status, soaked.reason) == (Status.FAILED, "edge: gone")
    assert len(soaked.ordered) == 7


def arguments(**changed):
    asked = {"config": "c", "model": "tiny", "strategy": "switch-a2", "points": "all", "cpu": 100.0, "mem": 100.0}
    return Namespace(**asked | {"minutes": 1.0, "every_ms": 100.0, "out": Path("out/x")} | changed)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"model": "vgg19"}, "vgg19"),
        ({"strategy": "switch-c"}, "switch-c"),
        ({"minutes": 0.0}, "--minutes"),
        ({"every_ms": -1.0}, "--every-ms"),
    ],
)
def test_what_cannot_be_soaked_is_refused_by_name(changed, word):
    with pytest.raises(ConfigError, match=word):
        prepare(CONFIG, arguments(**changed))


def test_frames_of_a_video_cannot_be_made_again():
    video = parse({"models": {"vgg19": {}}, "strategies": ["switch-a2"], "source": "/srv/a.mp4"}, "c")
    with pytest.raises(ConfigError, match="synthetic"):
        prepare(video, arguments(model="vgg19"))


def test_one_point_is_none_to_switch_among(monkeypatch, tmp_path):
    stored = tmp_path / "s.json"
    stored.write_text(json.dumps({"digest": "d", "path": "p", "reused": True}))
    monkeypatch.setattr(soak, "store_model", lambda *_: stored)
    monkeypatch.setattr(soak, "chosen", lambda *_: (4,))
    monkeypatch.setattr(soak.StoredModel, "read", staticmethod(lambda _: Namespace(points=())))
    with pytest.raises(ConfigError, match="at least two points"):
        prepare(CONFIG, arguments())
