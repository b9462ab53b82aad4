"""A soak's orders: each at its time, whatever became of the last; and what is refused before a host is touched."""

import json
import math
from argparse import Namespace
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from hosts import soak
from hosts.agents import AgentTrouble
from hosts.config import parse
from hosts.errors import AgentError, ConfigError
from hosts.grid import Block
from hosts.soak import Soak, prepare, run
from hosts.soak_options import make_parser
from tests.unit.test_soak_plan import POINTS
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
HOT = {1: "input", 4: "conv", 6: "output"}
ASKED = Soak(CONFIG, Block("tiny", "switch-a2", 100.0, 100.0), Path("stored"), (1, 4, 6), HOT, 0.001, 1.0)  # 60 orders


class FakeSoakSession:
    """Takes orders; dies at the one of that number."""

    choices = {"edge_runtime": "podman"}  # noqa: RUF012 - never changed
    clocks = {"edge": ClockOffset(1, 2)}  # noqa: RUF012

    def __init__(self, dies_at=None, error=None):
        self.log, self.orders = [], []
        self._dies_at, self._error = dies_at, error or AgentError("edge: gone")

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
            raise self._error
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
    assert session.first.to_point == session.orders[0][2]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("hot", "first", "standby"), [((1,), {1}, {1}), ((1, 6), {1, 6}, {1, 6}), ((), {1, 4, 6}, None)]
)
def test_what_serves_and_stands_by_at_the_start_is_to_be_hot(seed, hot, first, standby):
    session = FakeSoakSession()
    asked = ASKED._replace(config=replace(CONFIG, seed=seed), hot={point: HOT[point] for point in hot})
    run(session, asked)
    assert session.first.from_point in first
    assert session.first.to_point in (standby or {session.first.from_point})
    assert {order[2] for order in session.orders} == {1, 4, 6}  # all points are ordered, hot or not


def test_a_soak_that_breaks_keeps_the_orders_before():
    soaked = run(FakeSoakSession(dies_at=7), ASKED)
    assert (soaked.status, soaked.reason) == (Status.FAILED, "edge: gone")
    assert len(soaked.ordered) == 7


@pytest.mark.parametrize(("oom_kills", "status"), [(0, Status.FAILED), (1, Status.INFEASIBLE)])
def test_a_soak_that_lacks_memory_is_infeasible(oom_kills, status):
    soaked = run(FakeSoakSession(dies_at=7, error=AgentTrouble("edge: p1 ended", 137, oom_kills)), ASKED)
    assert (soaked.status, soaked.reason) == (status, "edge: p1 ended")


def arguments(**changed):
    asked = {"config": "c", "model": "tiny", "strategy": "switch-a2", "points": "all", "cpu": 100.0, "mem": 100.0}
    return Namespace(**asked | {"minutes": 1.0, "every_ms": 100.0, "out": Path("out/x")} | changed)


@pytest.fixture(autouse=True)
def nothing_is_made(monkeypatch):
    def make(*_):
        raise AssertionError("a model was made before all was checked")

    monkeypatch.setattr(soak, "store_model", make)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (
            {"model": "resnet50"},
            "c: models: no model is called 'resnet50'; add it there, as config/README.md explains; known: tiny",
        ),
        ({"strategy": "switch-c1"}, "--strategy: no strategy is called 'switch-c1'; did you mean `switch-b1`?"),
        ({"minutes": 0.0}, "--minutes: must lie above 0 and up to 100000, found 0"),
        ({"minutes": math.nan}, "--minutes: must lie above 0 and up to 100000, found nan"),
        ({"minutes": math.inf}, "--minutes: must lie above 0 and up to 100000, found inf"),
        ({"minutes": 1e308}, "--minutes: must lie above 0 and up to 100000, found 1e+308"),
        ({"every_ms": -1.0}, "--every-ms: must lie above 0 and be finite, found -1"),
        ({"every_ms": math.nan}, "--every-ms: must lie above 0 and be finite, found nan"),
        ({"every_ms": 1e9}, "--every-ms: must be no longer than the soak, 60000 ms by --minutes, found 1e+09"),
        (
            {"every_ms": 1e-6},
            "--every-ms: must be at least 0.06 with --minutes 1, as a soak gives 1000000 orders at most, found 1e-06",
        ),
        ({"every_ms": 0.0}, "--every-ms: must lie above 0 and be finite, found 0"),
        ({"cpu": 0.0}, "--cpu: must lie above 0 and up to 100, found 0"),
        ({"cpu": 250.0}, "--cpu: must lie above 0 and up to 100, found 250"),
        ({"mem": -5.0}, "--mem: must lie above 0 and up to 100, found -5"),
        ({"mem": math.nan}, "--mem: must lie above 0 and up to 100, found nan"),
        ({"mem": 100 / 3}, f"--mem: {100 / 3} has more digits than a folder's name keeps; round it"),
        ({"points": ""}, "--points: '' leaves a name out; write pareto, all, or names or indices with commas"),
        ({"points": "1,,4"}, "--points: '1,,4' leaves a name out; write pareto, all, or names or indices with commas"),
    ],
)
def test_what_cannot_be_soaked_is_refused_with_what_is_allowed(changed, line):
    with pytest.raises(ConfigError) as refused:
        prepare(CONFIG, arguments(**changed))
    assert str(refused.value) == line


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ConfigError) as refused:
        prepare(CONFIG, arguments(model="vgg19", cpu=0.0, mem=-1.0))
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == ["c", "--cpu", "--mem"]


@pytest.mark.parametrize("below", ["", "deep/er"])
def test_a_file_is_no_folder_to_write_to(tmp_path, below):
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(ConfigError) as refused:
        prepare(CONFIG, arguments(out=file / below))
    assert str(refused.value) == f"--out: {file} is a file; give a folder"
    assert file.read_text() == "mine"


@pytest.mark.parametrize("other", ["bench.json", "run.json"])
def test_the_folder_of_another_measurement_is_not_written_to(tmp_path, other):
    (tmp_path / other).write_text("{}")
    with pytest.raises(ConfigError, match=rf"{other}\); give one of the soak's own"):
        prepare(CONFIG, arguments(out=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [other]


def test_help_says_what_every_option_is_for():
    assert [action.dest for action in make_parser("")._actions if not action.help] == []


def test_frames_of_a_video_cannot_be_made_again():
    video = parse({"models": {"vgg19": {}}, "strategies": ["switch-a2"], "source": "/srv/a.mp4"}, "c")
    with pytest.raises(ConfigError, match="synthetic"):
        prepare(video, arguments(model="vgg19"))


@pytest.fixture
def store(monkeypatch, tmp_path):
    """Return the folders that models are noted in; every model has the points of test_soak_plan."""
    folders = []

    def note(_config, name, folder):
        folders.append(folder)
        stored = tmp_path / f"{name}.json"
        stored.write_text(json.dumps({"digest": "d", "path": "p", "reused": True}))
        return stored

    monkeypatch.setattr(soak, "store_model", note)
    monkeypatch.setattr(soak.StoredModel, "read", staticmethod(lambda _: Namespace(points=POINTS)))
    return folders


def test_one_point_is_none_to_switch_among(store):
    with pytest.raises(ConfigError, match="at least two points"):
        prepare(CONFIG, arguments(points="pool, 3"))
    assert store == [Path("out/x/models")]  # nothing is written beside the folder of the soak


def configured(**model):
    own = {"source": "tests.models:sequential", "partition": {20: "input", 5: "output"}} | model
    return parse({"models": {"tiny": own}, "strategies": ["switch-hot"]}, "c")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("config", "hot"),
    [(configured(), [2, 3]), (configured(hot=["pool"]), [3]), (configured(hot="pareto"), [1, 4, 6])],
)
def test_all_ordered_points_are_hot_unless_the_config_says_which(config, hot):
    asked = prepare(config, arguments(points="conv,pool"))
    assert asked.points == (2, 3)
    assert list(asked.hot) == hot
    assert asked.hot[3 if 3 in hot else 1] == ("pool" if 3 in hot else "input")


@contextmanager
def empty_stage(*_):
    yield Namespace(sites={}, facts={})


@pytest.mark.usefixtures("store")
def test_nothing_of_the_soak_before_stays_when_one_begins(monkeypatch, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    for name in ("soak.json", "answers.json", "summary.json", "edge-events.jsonl", "edge-answers.bin", "mine.txt"):
        (tmp_path / name).write_text("{}")
    model = Namespace(points=POINTS, input_shape=(8, 8, 3))
    monkeypatch.setattr(soak.StoredModel, "read", staticmethod(lambda _: model))
    monkeypatch.setattr(soak, "staged", empty_stage)
    monkeypatch.setattr(soak, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        soak.soak(ASKED, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt"]
