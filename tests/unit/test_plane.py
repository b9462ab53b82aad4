"""The data plane's paces: how the ceiling is looked for, and what is offered through which cut."""

import pytest

from hosts.config import parse
from hosts.errors import AgentError
from hosts.plane import MOST_FPS, NULL_MODELS, PlaneMeasurement, held, next_pace, plane_config
from workers import messages as m
from workers.partition import PartitionPoint

POINTS = [PartitionPoint(i, n, n, (1,), b, 0, 0, 0, 0) for i, n, b in ((1, "input", 768), (3, "output", 12))]


def search(ceiling):
    """Return the paces that are tried where so many frames a second are the most that is held."""
    tried = []
    while (fps := next_pace(tried)) is not None:
        tried.append((fps, fps <= ceiling))
    return tried


def test_the_pace_doubles_until_it_is_not_held_and_then_the_gap_is_narrowed():
    tried = search(250)
    assert [fps for fps, _ in tried][:4] == [50, 100, 200, 400]
    kept, failed = max(fps for fps, ok in tried if ok), min(fps for fps, ok in tried if not ok)
    assert kept <= 250 < failed <= 1.2 * kept


def test_a_plane_that_holds_every_pace_is_not_asked_for_more_than_the_device_can_offer():
    assert max(fps for fps, _ in search(1e9)) == MOST_FPS


def test_a_plane_slower_than_the_first_pace_is_found_below_it():
    tried = search(7)
    assert max(fps for fps, ok in tried if ok) <= 7


def test_a_plane_that_answers_nothing_ends():
    assert len(search(0)) < 20


@pytest.mark.parametrize(
    ("offered", "answered", "fps", "is_held"),
    [(100, 100, 50.0, True), (100, 99, 47.5, True), (100, 98, 50.0, False), (100, 100, 47.0, False)],
)
def test_a_pace_is_held_where_it_was_kept_and_nearly_all_frames_were_answered(offered, answered, fps, is_held):
    assert held(50.0, m.FramesStopped(1, offered, answered, fps)) is is_held


def test_no_frame_is_no_pace():
    assert not held(50.0, m.FramesStopped(1, 0, 0, None))


class FakePlane:
    """Answers everything up to a pace; moves cuts or refuses to."""

    def __init__(self, ceiling=120.0, moves=True):
        self._ceiling, self._moves = ceiling, moves
        self._fps = 0.0
        self.log = []

    def start_frames(self, run, fps):
        self._fps = fps
        self.log.append(("frames", run))

    def wait(self, seconds):
        self.log.append(("wait", seconds))

    def stop_frames(self, run):
        answered = 100 if self._fps <= self._ceiling else 50
        return m.FramesStopped(run, 100, answered, self._fps)

    def change(self, change):
        self.log.append(("move", change.run, change.to_point))
        return m.Repartitioned(change.run, change.to_point, moved=self._moves, ok=self._moves, reason=None)


def test_overhead_is_measured_at_both_ends_and_the_ceiling_searched_at_each():
    plane = FakePlane()
    measurement = PlaneMeasurement(plane, POINTS)
    measurement.measure()
    overhead = [(step.point, step.fps) for step in measurement.steps if step.purpose == "overhead"]
    assert overhead == [(3, 20.0), (1, 20.0), (1, 30.0)]
    for point in (1, 3):
        paces = {step.fps: step.held for step in measurement.steps if (step.purpose, step.point) == ("ceiling", point)}
        assert paces[100.0]
        assert not paces[200.0]
    assert {step.point: step.point_bytes for step in measurement.steps} == {1: 768, 3: 12}


def test_every_step_and_move_has_a_number_of_its_own():
    plane = FakePlane()
    PlaneMeasurement(plane, POINTS).measure()
    numbers = [entry[1] for entry in plane.log if entry[0] in {"frames", "move"}]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_cut_that_cannot_be_moved_ends_the_measurement_and_keeps_what_was_measured():
    measurement = PlaneMeasurement(FakePlane(moves=False), POINTS)
    with pytest.raises(AgentError, match="point 1"):
        measurement.measure()
    assert len(measurement.steps) == 1


@pytest.mark.parametrize("name", NULL_MODELS)
def test_the_plane_is_measured_on_the_experiment_s_hosts_over_a_link_that_is_no_limit(name):
    config = parse({"models": {"vgg19": {}}, "strategies": ["switch-b2"], "inventory": "lab.yaml"}, "c")
    free = plane_config(config, name)
    assert free.inventory == "lab.yaml"
    assert list(free.models) == [name]
    assert free.network.delay_ms == 0.0
