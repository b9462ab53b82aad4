"""What every strategy owes its users, whoever wrote it: random walks through a small world of containers.

The world carries out actions as the pipeline manager does, one piece of work at a time, and checks every action
on the spot. A strategy that is registered in `STRATEGIES` is walked here without another line.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.errors import IllegalTransition
from workers.strategies import STRATEGIES
from workers.strategies import base as s

POINTS = (0, 16, 21, 30)
STOPS_INTAKE = {name for name in STRATEGIES if name.startswith("pause-resume")}
PUTS_AWAY = (s.DropInside, s.RemoveContainers)


class World:
    """Two tiers seen as one: which cuts are prepared, where frames go, which work is under way."""

    def __init__(self, name):
        self._strategy = STRATEGIES[name]
        self._may_stop = name in STOPS_INTAKE
        self.state = s.State()
        self.prepared = set()
        self.containers = set()
        self.lost = set()
        self.work = None
        self.route = None
        self.open = True
        self.asked = None
        self.changes = 0
        self.conclusions = []
        self.armed = 0
        self._disturbed = False

    # --- what happens ---------------------------------------------------------------------------------------

    def start(self, point, standby_point):
        self.asked = point
        self._feed(s.Start(point, standby_point))

    def change(self, point, standby_point):
        """As the manager does, hand a change over only to a strategy that serves."""
        if self.state.phase is s.Phase.SERVING:
            self.asked, self._disturbed, self.armed = point, False, 0
            self.changes += 1
            self._feed(s.Change(point, standby_point))

    def finish_work(self, *, well):
        if self.work is None:
            return
        action, self.work = self.work, None
        cut = action.cut
        alive = cut.container not in self.lost
        if isinstance(action, PUTS_AWAY):
            self.prepared.discard(cut)
            if isinstance(action, s.RemoveContainers):
                self.containers.discard(cut.container)
            self._feed(s.PutAway(cut) if well else s.WorkFailed(cut, "refused"))
            return
        if well and alive:
            self.prepared.add(cut)
        if not well and isinstance(action, s.LaunchContainers):
            self.containers.discard(cut.container)
        self._feed(s.Prepared(cut) if well else s.WorkFailed(cut, "refused"))

    def lose(self, container):
        self._disturbed = True
        self.lost.add(container)
        self.containers.discard(container)
        self.prepared = {cut for cut in self.prepared if cut.container != container}
        self._feed(s.ContainerLost(container, "it ended"))

    # --- what the strategy asks for -------------------------------------------------------------------------

    def _feed(self, event):
        before = self.state
        self.state, actions = self._strategy.handle(before, event)
        assert self._strategy.handle(before, event) == (self.state, actions)
        for action in actions:
            self._carry_out(action)
        self._refuses_what_it_does_not_expect()

    def _carry_out(self, action):
        match action:
            case s.Route(cut):
                assert cut in self.prepared, f"routed to {cut}, which is not prepared"
                self.route = cut
            case s.StopIntake():
                assert self._may_stop or not self._could_serve(), "intake stopped though something can serve"
                self.open = False
            case s.ResumeIntake():
                self.open = True
            case s.Conclude():
                self.conclusions.append(action)
            case s.Armed():
                self._check_at_rest()
                self.armed += 1
            case _:
                self._begin(action)

    def _begin(self, action):
        assert self.work is None, "two pieces of work at a time"
        self.work = action
        cut = action.cut
        match action:
            case s.LaunchContainers():
                assert cut.container not in self.containers | self.lost, f"the name {cut.container} was used before"
                self.containers.add(cut.container)
            case s.BuildInside():
                assert any(cut.container == other.container for other in self.prepared)
                assert cut not in self.prepared
            case s.RebuildPaused():
                assert not self.open, "a pipeline that takes frames is not paused"
                self.prepared = {other for other in self.prepared if other.container != cut.container}
            case _:
                assert cut in self.prepared or cut.container in self.lost, f"{cut} is not there to be put away"
                assert cut != self.route, "the cut that serves is put away"

    # --- what must hold -------------------------------------------------------------------------------------

    def _could_serve(self):
        going = self.work.cut if isinstance(self.work, PUTS_AWAY) else None
        return bool(self.prepared - {going})

    def _check_at_rest(self):
        assert self.work is None
        assert self.open
        assert self.route in self.prepared
        assert self.prepared == {cut for cut in (self.state.active, self.state.standby) if cut is not None}
        assert self.containers == {cut.container for cut in self.prepared}
        assert self.route == self.state.active
        failed = any(not conclusion.ok for conclusion in self.conclusions[-1:])
        if not failed and not self._disturbed:
            assert self.route.point == self.asked

    def _refuses_what_it_does_not_expect(self):
        unexpected = [s.Start(16, 21)] if self.state.phase is not s.Phase.NEW else []
        if self.state.phase is not s.Phase.SERVING:
            unexpected.append(s.Change(16, 21))
        if self.work is None:
            unexpected += [s.PutAway(s.Cut("p1", 16)), s.Prepared(s.Cut("p1", 16))]
        for event in unexpected:
            try:
                state, actions = self._strategy.handle(self.state, event)
            except IllegalTransition:
                continue
            assert (state, actions) == (self.state, ()), f"{event} is neither refused nor ignored"

    def check_end(self):
        """Check what holds once nothing is under way."""
        assert self.work is None
        assert self.state.phase in {s.Phase.SERVING, s.Phase.DOWN}
        start_failed = self.route is None
        assert len(self.conclusions) == self.changes + start_failed, "every change ends in one Conclude"
        if self.state.phase is s.Phase.SERVING:
            assert self.armed >= 1
            self._check_at_rest()
        else:
            assert not self.open
            assert start_failed or self._may_stop or not self._could_serve() or self._disturbed


POINT = st.sampled_from(POINTS)
CHANGE = st.tuples(st.just("change"), POINT, POINT)
SUCCESS = st.tuples(st.just("work"), st.just(True))
FAILURE = st.tuples(st.just("work"), st.just(False))
LOSS = st.tuples(st.just("lose"), st.integers(0, 3))
SMOOTH = st.lists(st.one_of(CHANGE, SUCCESS), max_size=25)
ROUGH = st.lists(st.one_of(CHANGE, SUCCESS, SUCCESS, FAILURE), max_size=25)
FATAL = st.lists(st.one_of(CHANGE, SUCCESS, SUCCESS, FAILURE, LOSS), max_size=25)


def walk(world, start, steps):
    world.start(*start)
    for step, *values in steps:
        if step == "change":
            world.change(*values)
        elif step == "work":
            world.finish_work(well=values[0])
        elif world.containers:
            names = sorted(world.containers)
            world.lose(names[values[0] % len(names)])
    for _ in range(10):
        world.finish_work(well=True)


@pytest.fixture(params=STRATEGIES)
def name(request):
    return request.param


def test_a_walk_without_mishaps(name):
    @given(start=st.tuples(POINT, POINT), steps=SMOOTH)
    @settings(max_examples=80)
    def holds(start, steps):
        world = World(name)
        walk(world, start, steps)
        world.check_end()
        assert world.state.phase is s.Phase.SERVING
        assert all(conclusion.ok for conclusion in world.conclusions)
        assert world.route.point == world.asked

    holds()


def test_a_walk_on_which_work_fails(name):
    @given(start=st.tuples(POINT, POINT), steps=ROUGH)
    @settings(max_examples=150)
    def holds(start, steps):
        world = World(name)
        walk(world, start, steps)
        world.check_end()
        if name not in STOPS_INTAKE and world.route is not None:
            assert world.open, "dynamic switching serves on"

    holds()


def test_a_walk_on_which_containers_die(name):
    @given(start=st.tuples(POINT, POINT), steps=FATAL)
    @settings(max_examples=200)
    def holds(start, steps):
        world = World(name)
        walk(world, start, steps)
        world.check_end()

    holds()


def test_a_change_that_moves_nothing_says_so_and_touches_nothing(name):
    world = World(name)
    walk(world, (16, 21), [])
    before = (world.route, set(world.prepared), world.state)
    world.change(16, 21)
    assert world.work is None
    assert world.conclusions == [s.Conclude(16, moved=False)]
    assert (world.route, world.prepared, world.state) == before


def test_there_and_back_many_times_leaves_nothing_behind(name):
    world = World(name)
    walk(world, (16, 21), [])
    at_rest = len(world.prepared)
    for turn in range(50):
        there, back = ((21, 16), (16, 21))[turn % 2]
        world.change(there, back)
        while world.work is not None:
            world.finish_work(well=True)
        assert world.route.point == there
        assert len(world.prepared) == at_rest
        assert world.armed == 1
    assert [conclusion.moved for conclusion in world.conclusions] == [True] * 50
