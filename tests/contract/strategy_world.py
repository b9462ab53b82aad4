"""What every strategy owes its users, whoever wrote it: random walks through a small world of containers.

The world carries out actions as the pipeline manager does, one piece of work at a time, and checks every action
on the spot. `PROMISES` holds the checks; each takes a strategy and raises AssertionError where a promise is broken.
"""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from workers.errors import IllegalTransition
from workers.strategies import base as s

POINTS = (1, 16, 21, 30)
HOT = (1, 16, 21)
PUTS_AWAY = (s.DropInside, s.RemoveContainers)


class World:
    """Two tiers seen as one: which cuts are prepared, where frames go, which work is under way.

    `containers` are the pairs of which both live, `remains` those of which one has died.
    """

    def __init__(self, strategy):
        self._strategy = strategy
        self.state = s.State()
        self.prepared = set()
        self.containers = set()
        self.remains = set()
        self.work = None
        self.route = None
        self.open = True
        self.asked = None
        self.changes = 0
        self.conclusions = []
        self.armed = 0
        self._names = set()
        self._disturbed = False
        self._unsaid = None  # what went wrong since the last Conclude

    # --- what happens ---------------------------------------------------------------------------------------

    def start(self, point, standby_point):
        self.asked = point
        self._feed(s.Start(point, standby_point, HOT))

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
        cut, concluded = action.cut, len(self.conclusions)
        if isinstance(action, PUTS_AWAY):
            self.prepared.discard(cut)
            if isinstance(action, s.RemoveContainers):
                self._forget(cut.container)
                self._empty(cut.container)
            self._feed(s.PutAway(cut) if well else s.WorkFailed(cut, "refused"))
        else:
            self.prepared.discard(s.Cut(cut.container, s.UNCUT))  # a warm pair is none any more once it was built in
            if well and cut.container in self.containers:
                self.prepared.add(cut)
            if not well and isinstance(action, s.LaunchContainers):
                self._forget(cut.container)
            self._feed(s.Prepared(cut) if well else s.WorkFailed(cut, "refused"))
        if not well and len(self.conclusions) == concluded:
            self._unsaid = f"{action} failed"

    def finish_all_work(self):
        for _ in range(20):
            self.finish_work(well=True)
        assert self.work is None, "the work never ends"

    def lose(self, container):
        """Let one container of a pair die, or the second of a pair that lost one before."""
        going = self.work.cut if isinstance(self.work, PUTS_AWAY) else None
        if any(cut.container == container for cut in self.prepared - {going}):
            self._unsaid = f"{container} was lost"
        self._disturbed = True
        self.containers.discard(container)
        self.remains.add(container)
        self._empty(container)
        self._feed(s.ContainerLost(container, "it ended"))

    def _forget(self, container):
        self.containers.discard(container)
        self.remains.discard(container)

    def _empty(self, container):
        self.prepared = {cut for cut in self.prepared if cut.container != container}

    # --- what the strategy asks for -------------------------------------------------------------------------

    def _feed(self, event):
        before = self.state
        self.state, actions = self._strategy.handle(before, event)
        assert self._strategy.handle(before, event) == (self.state, actions), "it keeps something beside its state"
        rebuilds = any(isinstance(action, s.RebuildPaused) for action in actions)
        for action in actions:
            self._carry_out(action, rebuilds=rebuilds)
        if self.route is not None and self.open:
            assert self.route in self.prepared, f"frames are taken in for {self.route}, which is gone"
        self._refuses_what_it_does_not_expect()

    def _carry_out(self, action, *, rebuilds):
        match action:
            case s.Route(cut):
                assert cut in self.prepared, f"routed to {cut}, which is not prepared"
                assert cut.point != s.UNCUT, f"routed to {cut}, which holds no model"
                self.route = cut
            case s.StopIntake():
                assert rebuilds or not self._could_serve(), "intake stopped though something can serve"
                self.open = False
            case s.ResumeIntake():
                assert not self.open, "intake is not stopped"
                self.open = True
            case s.Conclude():
                assert action.ok or action.reason, "a failure without a reason"
                assert action.reason or not self._unsaid, f"not said: {self._unsaid}"
                self._unsaid = None
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
                assert cut.container not in self._names, f"the name {cut.container} was used before"
                self._names.add(cut.container)
                self.containers.add(cut.container)
            case s.BuildInside():
                assert cut.container in self.containers, f"nothing can be built inside {cut.container}, which is gone"
                assert cut not in self.prepared, f"{cut} is there already"
            case s.RebuildPaused():
                assert not self.open, "a pipeline that takes frames is not paused"
                self.prepared = {other for other in self.prepared if other.container != cut.container}
            case s.DropInside():
                assert cut in self.prepared, f"{cut} is not there to be dropped"
                assert cut != self.route, "the cut that serves is put away"
            case s.RemoveContainers():
                assert cut.container in self.containers | self.remains, f"{cut} is not there to be removed"
                assert not self.open or cut.container != self.route.container, "the cut that serves is put away"

    # --- what must hold -------------------------------------------------------------------------------------

    def _could_serve(self):
        going = self.work.cut if isinstance(self.work, PUTS_AWAY) else None
        return any(cut.point != s.UNCUT for cut in self.prepared - {going})

    def _check_at_rest(self):
        assert self.work is None, "armed while work is under way"
        assert self.open, "armed with the intake stopped"
        assert self.route == self.state.active, "frames go elsewhere than to the active cut"
        assert self.route in self.prepared
        promised = (self.state.active, self.state.standby, *self.state.hot)
        assert self.prepared == {cut for cut in promised if cut is not None}
        assert self.containers == {cut.container for cut in self.prepared}, "containers that serve nothing"
        assert not self.remains, "of a pair that lost a container the other one still runs"
        failed = any(not conclusion.ok for conclusion in self.conclusions[-1:])
        if not failed and not self._disturbed:
            assert self.route.point == self.asked, "frames go to another cut than the change asked for"

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
        assert self.state.phase in {s.Phase.SERVING, s.Phase.DOWN}, "no work is under way, and yet it waits"
        assert len(self.conclusions) == self.changes + (self.route is None), "every change ends in one Conclude"
        if self.state.phase is s.Phase.SERVING:
            assert self.armed >= 1
            self._check_at_rest()
        else:
            assert not self.open, "frames are taken in and nothing serves"
            assert not self._could_serve(), "it gave up though something can serve"


POINT = st.sampled_from(POINTS)
CHANGE = st.tuples(st.just("change"), POINT, POINT)
SUCCESS = st.tuples(st.just("work"), st.just(True))
FAILURE = st.tuples(st.just("work"), st.just(False))
LOSS = st.tuples(st.just("lose"), st.integers(0, 3))
SMOOTH = st.lists(st.one_of(CHANGE, SUCCESS), max_size=25)
ROUGH = st.lists(st.one_of(CHANGE, SUCCESS, SUCCESS, FAILURE), max_size=25)
FATAL = st.lists(st.one_of(CHANGE, SUCCESS, SUCCESS, FAILURE, LOSS), max_size=25)
START = st.tuples(POINT, POINT)


def walk(strategy, start, steps):
    """Return the world after a start, some steps, and the end of all work."""
    world = World(strategy)
    world.start(*start)
    for step, *values in steps:
        if step == "change":
            world.change(*values)
        elif step == "work":
            world.finish_work(well=values[0])
        elif names := sorted(world.containers | world.remains):
            world.lose(names[values[0] % len(names)])
    world.finish_all_work()
    world.check_end()
    return world


# --- the promises -------------------------------------------------------------------------------------------


def without_mishaps_it_serves_where_it_was_asked_to(strategy):
    @given(start=START, steps=SMOOTH)
    @settings(max_examples=80, deadline=None)
    def holds(start, steps):
        world = walk(strategy, start, steps)
        assert world.state.phase is s.Phase.SERVING
        assert all(conclusion.ok for conclusion in world.conclusions)
        assert world.route.point == world.asked

    holds()


def when_work_fails_it_serves_on_with_what_it_has(strategy):
    @given(start=START, steps=ROUGH)
    @settings(max_examples=150, deadline=None)
    def holds(start, steps):
        walk(strategy, start, steps)

    holds()


def when_containers_die_it_serves_on_with_what_it_has(strategy):
    @given(start=START, steps=FATAL)
    @settings(max_examples=250, deadline=None)
    def holds(start, steps):
        walk(strategy, start, steps)

    holds()


def at_any_moment_of_a_change_it_bears_a_loss(strategy):
    """Random walks seldom lose a container just while another is prepared: go through all moments."""
    works = [("work", True)] * 4
    life = [*works, ("change", 21, 16), *works, ("change", 30, 16), *works, ("change", 16, 30), *works]
    for moment, which, well, second in itertools.product(range(len(life)), range(3), (True, False), (None, 0, 1)):
        again = [] if second is None else [("lose", second)]
        walk(strategy, (16, 21), [*life[:moment], ("lose", which), ("work", well), *again])


def after_mishaps_it_is_what_it_was(strategy):
    """The first change after a mishap says so; the next one is served as ever."""

    @given(start=START, steps=FATAL)
    @settings(max_examples=150, deadline=None)
    def holds(start, steps):
        world = walk(strategy, start, steps)
        if world.state.phase is s.Phase.DOWN:
            return
        for point, other in ((21, 16), (16, 21)):
            world.change(point, other)
            world.finish_all_work()
            world.check_end()
            assert world.conclusions[-1].ok
            assert world.route.point == point
        assert world.conclusions[-1] == s.Conclude(16, moved=True)

    holds()


def a_change_that_moves_nothing_says_so_and_touches_nothing(strategy):
    world = walk(strategy, (16, 21), [])
    before = (world.route, set(world.prepared), world.state)
    world.change(16, 21)
    assert world.work is None
    assert world.conclusions == [s.Conclude(16, moved=False)]
    assert (world.route, world.prepared, world.state) == before


def there_and_back_many_times_leaves_nothing_behind(strategy):
    works = [("work", True)] * 4
    world = walk(strategy, (16, 21), [*works, ("change", 21, 16), *works, ("change", 16, 21)])
    at_rest = len(world.prepared)
    for turn in range(50):
        there, back = ((21, 16), (16, 21))[turn % 2]
        world.change(there, back)
        world.finish_all_work()
        assert world.route.point == there
        assert len(world.prepared) == at_rest
        assert world.armed == 1
    assert world.conclusions[-50:] == [s.Conclude(point, moved=True) for point in (21, 16)] * 25


PROMISES = (
    without_mishaps_it_serves_where_it_was_asked_to,
    when_work_fails_it_serves_on_with_what_it_has,
    when_containers_die_it_serves_on_with_what_it_has,
    at_any_moment_of_a_change_it_bears_a_loss,
    after_mishaps_it_is_what_it_was,
    a_change_that_moves_nothing_says_so_and_touches_nothing,
    there_and_back_many_times_leaves_nothing_behind,
)
