"""How many changes a burst makes, which they are, and what is left of one that breaks."""

import itertools

import pytest

from hosts.burst import Limits, run_burst, there_and_back
from hosts.errors import AgentError
from hosts.session import RunSpec
from workers import messages as m
from workers.records import Status

LAST = RunSpec(4, 2, 10.0, 5.0, 20.0, 21, 16)  # the session is at 20 Mbit/s and point 16 now


class FakeBurstSession:
    """Makes changes that take so long each, by a clock of its own."""

    def __init__(self, took_s, fates=()):
        self.now_s = 100.0
        self._took_s = itertools.cycle(took_s)
        self._fates = dict(fates)  # number of the change -> exception or reason
        self.log = []

    def start_frames(self, run, fps):
        self.log.append(("start", run, fps))

    def stop_frames(self, run):
        self.log.append(("stop", run))
        return m.FramesStopped(run, 10, 9, 10.0)

    def change(self, change):
        fate = self._fates.get(change.run)
        if isinstance(fate, Exception):
            raise fate
        self.now_s += next(self._took_s)
        self.log.append(change)
        return m.Repartitioned(change.run, change.to_point, moved=True, ok=not fate, reason=fate)

    def burst(self, limits):
        return run_burst(self, LAST, 900.0, limits, lambda: self.now_s)


@pytest.mark.parametrize(
    ("took_s", "limits", "another"),
    [
        ([], Limits(8.0, 500), True),
        ([], Limits(0.0, 500), False),  # no burst is wanted
        ([], Limits(8.0, 0), False),
        ([6.0], Limits(8.0, 500), False),  # the baseline: a second one would end at 12 s
        ([3.0, 1.0], Limits(8.0, 500), True),  # 4 s, and 3 s more at the worst
        ([3.0, 2.5], Limits(8.0, 500), False),  # 8.5 s at the worst
        ([20.0], Limits(8.0, 500), False),
        ([0.01] * 499, Limits(8.0, 500), True),
        ([0.01] * 500, Limits(8.0, 500), False),
    ],
)
def test_another_change_is_made_where_the_longest_so_far_would_end_in_time(took_s, limits, another):
    assert limits.allow_another(took_s) is another


def test_changes_go_back_first_and_are_numbered_after_the_burst_s_frames():
    first, second, third = itertools.islice(there_and_back(LAST), 3)
    assert (first.run, first.from_mbps, first.to_mbps, first.from_point, first.to_point) == (6, 20.0, 5.0, 16, 21)
    assert (second.run, second.from_mbps, second.to_mbps, second.from_point, second.to_point) == (7, 5.0, 20.0, 21, 16)
    assert (third.run, third.to_point) == (8, 21)


def test_a_burst_offers_frames_from_before_its_first_change_until_after_its_last():
    session = FakeBurstSession([2.0])
    burst = session.burst(Limits(8.0, 500))
    assert session.log[0] == ("start", 5, 10.0)
    assert session.log[-1] == ("stop", 5)
    assert tuple(session.log[1:-1]) == burst.changes
    assert len(burst.changes) == 4
    assert (burst.run, burst.status, burst.reason, burst.took_s) == (5, Status.OK, None, 8.0)


def test_a_slow_strategy_makes_one_change_and_a_fast_one_the_most_allowed():
    assert len(FakeBurstSession([6.0]).burst(Limits(8.0, 500)).changes) == 1
    assert len(FakeBurstSession([0.001]).burst(Limits(8.0, 500)).changes) == 500


def test_a_change_that_failed_ends_the_burst_with_its_reason_and_is_none_of_its_changes():
    session = FakeBurstSession([1.0], {8: "no memory"})
    burst = session.burst(Limits(8.0, 500))
    assert [change.run for change in burst.changes] == [6, 7]
    assert (burst.status, burst.reason) == (Status.FAILED, "change 8: no memory")
    assert session.log[-1] == ("stop", 5)


def test_an_agent_that_dies_leaves_the_changes_before_it():
    burst = FakeBurstSession([1.0], {7: AgentError("edge: gone")}).burst(Limits(8.0, 500))
    assert [change.run for change in burst.changes] == [6]
    assert (burst.status, burst.reason) == (Status.FAILED, "edge: gone")
