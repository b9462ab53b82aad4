"""Every registered strategy keeps every promise; a new one is checked here without another line."""

import itertools

import pytest

from tests.contract.strategy_world import PROMISES, World
from workers.strategies import STRATEGIES
from workers.strategies import base as s


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
@pytest.mark.parametrize("name", STRATEGIES)
def test_promise(name, promise):
    promise(STRATEGIES[name])


# --- the checks themselves ----------------------------------------------------------------------------------


class Spoilt:
    """A strategy that keeps its promises, but for what `spoil` does to its steps."""

    def __init__(self, name, spoil):
        self._strategy, self._spoil = STRATEGIES[name], spoil

    def handle(self, state, event):
        return self._spoil(*self._strategy.handle(state, event))


def keep_all(strategy):
    for promise in PROMISES:
        promise(strategy)


def without(kind):
    return lambda state, actions: (state, tuple(action for action in actions if not isinstance(action, kind)))


def twice(kind):
    return lambda state, actions: (
        state,
        tuple(itertools.chain.from_iterable([one, one] if isinstance(one, kind) else [one] for one in actions)),
    )


def hushed(state, actions):
    """Say nothing of what went wrong."""
    told = tuple(
        s.Conclude(action.point, action.moved) if isinstance(action, s.Conclude) and action.ok else action
        for action in actions
    )
    return state, told


@pytest.mark.parametrize(
    ("name", "spoil", "complaint"),
    [
        ("switch-b1", without(s.Route), "frames go elsewhere|the cut that serves is put away"),
        ("switch-b1", without(s.ResumeIntake), "armed with the intake stopped"),
        ("switch-b1", without(s.RemoveContainers), "neither refused nor ignored"),
        ("switch-b2", without(s.DropInside), "neither refused nor ignored"),
        ("switch-a1", without(s.RemoveContainers), "neither refused nor ignored"),
        ("switch-a1", twice(s.LaunchContainers), "two pieces of work at a time"),
        ("switch-a1", hushed, "not said"),
        ("pause-resume", without(s.StopIntake), "is not paused"),
        ("pause-resume", without(s.ResumeIntake), "armed with the intake stopped"),
        ("switch-b2", without(s.Conclude), "one Conclude"),
        ("switch-b2", without(s.StopIntake), "nothing serves"),
    ],
)
def test_a_strategy_that_breaks_a_promise_is_found_out(name, spoil, complaint):
    with pytest.raises(AssertionError, match=complaint):
        keep_all(Spoilt(name, spoil))


def test_the_world_starts_empty():
    world = World(STRATEGIES["switch-b1"])
    assert (world.prepared, world.containers, world.remains, world.route) == (set(), set(), set(), None)
