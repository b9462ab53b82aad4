"""A testbed of several processes: taken down when nobody measures, made anew by a job that waited for it."""

import contextlib
from types import SimpleNamespace

import pytest

from hosts import shared_testbed, stage
from hosts.errors import ConnectError
from hosts.testbed.lock import Lock

NAME = "no-such-testbed"


class World:
    """A testbed of which the other processes' doings are told by the test."""

    def __init__(self, monkeypatch):
        self.told = []
        self.up = False  # by another process
        self.failures = 0  # of attempts to get the lease
        for module in (shared_testbed, stage):
            monkeypatch.setattr(module, "testbed_is_up", lambda _: self.up)
            monkeypatch.setattr(module, "lease", self.lease)
        monkeypatch.setattr(shared_testbed, "Testbed", self.testbed)
        monkeypatch.setattr(shared_testbed, "connect", lambda _: contextlib.nullcontext("edge"))
        monkeypatch.setattr(stage, "_connect", lambda *_: {"edge": "edge"})
        monkeypatch.setattr(stage, "goes_down", self.goes_down)

    @contextlib.contextmanager
    def testbed(self, _):
        self.told.append("made")
        yield SimpleNamespace(stop=lambda: self.told.append("stopped"))

    @contextlib.contextmanager
    def lease(self, *_):
        if self.failures:
            self.failures -= 1
            raise ConnectError("edge: the SSH connection is gone")
        self.told.append("leased")
        yield
        self.told.append("free")

    def goes_down(self, _):
        self.up, was = False, self.up
        return was


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


INVENTORY = SimpleNamespace(testbed=NAME, path="lab.yaml", edge="edge")


def test_it_is_taken_down_while_the_lease_is_held(world):
    with shared_testbed.testbed_for(INVENTORY):
        world.told.append("used")
    assert world.told == ["made", "used", "leased", "stopped", "free"]


def test_it_is_taken_down_also_where_its_hosts_do_not_answer(world):
    world.failures = 1
    with shared_testbed.testbed_for(INVENTORY):
        pass
    assert world.told == ["made", "stopped"]


def test_anothers_is_neither_made_nor_taken_down(world):
    world.up = True
    with shared_testbed.testbed_for(INVENTORY) as made:
        assert made is None
    assert world.told == []


def test_a_job_whose_testbed_goes_while_it_waits_makes_it_anew(world, capsys):
    world.up, world.failures = True, 1
    with contextlib.ExitStack() as stack:
        assert stage._lease(INVENTORY, stack) == {"edge": "edge"}
        assert world.told == ["made", "leased"]
    assert "testbed no-such-testbed was taken down by its owner; it is made anew" in capsys.readouterr().err


def test_a_host_of_ones_own_testbed_that_is_gone_is_an_error(world):
    world.failures = 1
    with pytest.raises(ConnectError), contextlib.ExitStack() as stack:
        stage._lease(INVENTORY, stack)


def test_whether_it_is_up_is_told_by_its_lock():
    assert not shared_testbed.testbed_is_up(NAME)
    held = Lock.take(NAME)
    assert shared_testbed.testbed_is_up(NAME)
    held.release()
    assert shared_testbed.goes_down(NAME)
