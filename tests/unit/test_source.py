"""The synthetic camera, the schedule of frames, and refusals of what is no video."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.errors import SourceError
from workers.source import LOOP_FRAMES, Pacer, SyntheticCamera, VideoFile, open_source

SECOND = 1_000_000_000


def take(source, count):
    return list(itertools.islice(source.frames(), count))


# --- synthetic camera ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(224, 224), (1, 1), (33, 47), (3, 500)])
def test_frames_have_the_asked_size(size):
    for frame in take(SyntheticCamera(1, *size), 3):
        assert frame.shape == (*size, 3)
        assert frame.dtype == np.uint8


def test_the_same_seed_gives_the_same_frames():
    assert np.array_equal(take(SyntheticCamera(7, 40, 60), 40), take(SyntheticCamera(7, 40, 60), 40))


def test_another_seed_gives_other_frames():
    assert not np.array_equal(take(SyntheticCamera(7, 40, 60), 1), take(SyntheticCamera(8, 40, 60), 1))


def test_the_content_moves_in_every_frame_and_has_contrast():
    frames = take(SyntheticCamera(1, 64, 64), LOOP_FRAMES + 1)
    for before, after in itertools.pairwise(frames):
        assert np.mean(before != after) > 0.1
    assert frames[0].std() > 30


def test_the_loop_has_no_seam():
    frames = [frame.astype(int) for frame in take(SyntheticCamera(1, 64, 64), LOOP_FRAMES + 1)]
    steps = [np.abs(after - before).mean() for before, after in itertools.pairwise(frames)]
    assert np.array_equal(frames[-1], frames[0])
    assert steps[-1] < 2 * np.median(steps)


def test_frames_cannot_be_spoiled_for_the_next_round():
    with pytest.raises(ValueError, match="read-only"):
        take(SyntheticCamera(1, 4, 4), 1)[0][0] = 0


def test_a_frame_is_cheap():
    frames = SyntheticCamera(1, 224, 224).frames()
    began = time.process_time_ns()
    for _ in range(1000):
        next(frames)
    assert (time.process_time_ns() - began) / 1000 < 200_000  # a tenth of the 2 ms that a slow device may spend


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5)])
def test_a_size_of_nothing_is_refused(size):
    with pytest.raises(SourceError, match="by"):
        open_source("synthetic", 1, *size)


# --- refusals -----------------------------------------------------------------------------------------------


def test_the_synthetic_camera_by_name():
    assert isinstance(open_source("synthetic", 1, 4, 4), SyntheticCamera)


def test_a_missing_file_is_named_with_the_way_out(tmp_path):
    with pytest.raises(SourceError, match=r"no\.mp4 is not there; give a file, or `source: synthetic`"):
        open_source(str(tmp_path / "no.mp4"), 1, 4, 4)


def test_a_folder_is_no_video(tmp_path):
    with pytest.raises(SourceError, match="is not there"):
        VideoFile(tmp_path, 4, 4)


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 5000, bytes(range(256)) * 100])
def test_what_is_no_video_is_refused(tmp_path, content):
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(SourceError, match=r"x\.mp4"):
        VideoFile(tmp_path / "x.mp4", 4, 4)


# --- pacer --------------------------------------------------------------------------------------------------

rates = st.one_of(st.floats(0.1, 1000), st.integers(1, 1000).map(float))


@settings(deadline=None)  # machines of CI stall
@given(rates, st.integers(0, 10**18), st.integers(0, 10**6))
def test_frames_are_due_on_the_grid_without_drift(fps, start_ns, frame):
    due_ns = Pacer(fps, start_ns).due_ns(frame)
    assert abs((due_ns - start_ns) - frame * SECOND / fps) <= 1


@settings(deadline=None)  # machines of CI stall
@given(rates, st.integers(0, 10**18))
def test_frames_are_due_one_after_the_other(fps, start_ns):
    pacer = Pacer(fps, start_ns)
    dues = [pacer.due_ns(frame) for frame in range(50)]
    assert dues[0] == start_ns
    assert dues == sorted(set(dues))


def test_thirty_frames_a_second_for_an_hour_end_on_the_nanosecond():
    assert Pacer(30, 0).due_ns(30 * 3600) == 3600 * SECOND
    assert Pacer(29.97, 0).due_ns(2997) == 100 * SECOND


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_a_pace_of_nothing_is_refused(fps):
    with pytest.raises(ValueError, match="no pace"):
        Pacer(fps, 0)


def test_what_is_early_waits_and_what_is_late_does_not():
    pacer = Pacer(10, 5 * SECOND)
    assert pacer.wait_s(1, 5 * SECOND) == 0.1
    assert pacer.wait_s(1, pacer.due_ns(1)) == 0
    assert pacer.wait_s(1, 100 * SECOND) == 0


class Clock:
    """A clock that only moves when someone waits or works."""

    def __init__(self):
        self.now_ns = 0

    def offer(self, pacer, frames, work_ns):
        """Offer frames as the device does; `work_ns` maps a frame to how long it holds the device up."""
        sent = []
        for frame in range(frames):
            self.now_ns += round(pacer.wait_s(frame, self.now_ns) * SECOND)
            sent.append(self.now_ns)
            self.now_ns += work_ns.get(frame, 0)
        return sent


def test_a_quick_device_offers_on_the_grid():
    pacer = Pacer(20, 0)
    sent = Clock().offer(pacer, 100, dict.fromkeys(range(100), 10000000))
    assert max(abs(at - pacer.due_ns(frame)) for frame, at in enumerate(sent)) <= 1


def test_a_stall_is_caught_up_at_once_and_no_frame_is_left_out():
    pacer = Pacer(10, 0)
    sent = Clock().offer(pacer, 30, {4: SECOND})  # held up after frame 4, at 0.4 s, until 1.4 s
    assert sent[5:15] == [1_400_000_000] * 10
    assert sent[15] == pacer.due_ns(15)
    assert len(sent) == 30


@settings(deadline=None)  # machines of CI stall
@given(st.dictionaries(st.integers(0, 49), st.integers(0, 2 * SECOND)), rates)
def test_no_stall_moves_the_schedule(stalls, fps):
    pacer = Pacer(fps, 0)
    clock = Clock()
    sent = clock.offer(pacer, 50, stalls)
    busy_until = 0
    for frame, at in enumerate(sent):
        assert abs(at - max(pacer.due_ns(frame), busy_until)) <= 1
        busy_until = at + stalls.get(frame, 0)
