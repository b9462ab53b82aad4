"""The workbench: one workflow at a time on a results folder, and an opening that fails leaves nothing held."""

import os
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from hosts import workbench
from hosts.config import Config, parse
from hosts.errors import CheckFailed, ConfigError, HostsError
from hosts.room import Room
from hosts.workbench import Workbench


class Hosts:
    """Real hosts (no testbed to make) that pass every check, unless a test gives them an error."""

    def __init__(self):
        self.unreadable = None
        self.lacking = None

    def load(self, path):
        del path
        if self.unreadable is not None:
            raise self.unreadable
        return SimpleNamespace(testbed=None)

    def check_or_raise(self, inventory):
        assert inventory.testbed is None
        if self.lacking is not None:
            raise self.lacking


@pytest.fixture
def hosts(monkeypatch):
    hosts = Hosts()
    monkeypatch.setattr(workbench, "inventories", hosts)
    monkeypatch.setattr(workbench, "check", hosts)
    return hosts


@pytest.fixture
def config(tmp_path, hosts):
    del hosts
    return parse({"models": {"vgg19": {}}, "strategies": ["switch-b2"], "results": str(tmp_path / "results")}, "c")


def test_an_open_workbench_says_whose_it_is_and_what_is_measured(config):
    bench = Workbench(config)
    bench.open()
    assert (Path(config.results) / ".lock").read_text() == f"{os.getpid()}\n"
    written = (Path(config.results) / "config.json").read_bytes()
    assert msgspec.json.decode(written, type=Config) == config
    bench.close()


def test_the_plan_is_said_before_anything_is_made(config, hosts, capsys):
    hosts.lacking = CheckFailed("edge: podman is missing")
    with pytest.raises(CheckFailed):
        Workbench(config).open()
    assert capsys.readouterr().err.startswith("1 block, 10 runs: 1 model × 1 strategy")


def test_without_room_nothing_is_made(config, monkeypatch):
    monkeypatch.setattr(workbench, "make_plan", lambda _: SimpleNamespace(rooms=[Room(Path("here"), 10.0, 9.0)]))
    with pytest.raises(HostsError, match="here: the grid needs about 10 MB there"):
        Workbench(config).open()
    assert not Path(config.results).exists()


def test_without_its_testbed_the_workbench_still_holds_the_results(config):
    bench = Workbench(config)
    bench.open()
    bench.close_testbed()
    with pytest.raises(HostsError, match="another workflow"):
        Workbench(config).open()
    bench.close()


def test_a_second_workflow_is_refused_with_the_holders_pid(config):
    first, second = Workbench(config), Workbench(config)
    first.open()
    with pytest.raises(HostsError, match=rf"results: another workflow \(pid {os.getpid()}\) works on these results"):
        second.open()
    second.close()
    with pytest.raises(HostsError, match="another workflow"):  # closing the refused one did not free the first's
        second.open()
    first.close()


def test_closed_results_are_free_and_closing_twice_is_no_error(config):
    bench = Workbench(config)
    for _ in range(2):
        bench.open()
        bench.close()
        bench.close()


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("unreadable", ConfigError("lab.yaml: cannot be read")),
        ("lacking", CheckFailed("edge: podman is missing")),
    ],
)
def test_an_opening_that_fails_holds_nothing(config, hosts, step, error):
    setattr(hosts, step, error)
    with pytest.raises(type(error), match=str(error)):
        Workbench(config).open()
    setattr(hosts, step, None)
    bench = Workbench(config)
    bench.open()
    bench.close()
