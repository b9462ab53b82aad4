"""Videos of several codecs and containers, whole and damaged, made on the spot."""

import itertools
import threading
import time
from fractions import Fraction

import av
import numpy as np
import pytest

from workers.errors import SourceError
from workers.source import AHEAD_FRAMES, VideoFile, open_source

LENGTH = 12
LOSS = 16  # how far the codecs may take a colour (0..255) from what it was; frames differ by 20
COLOURS = [(20 * index, 255 - 20 * index, 128) for index in range(LENGTH)]
FORMATS = [
    ("mp4", "libx264", "yuv420p"),
    ("mp4", "libx265", "yuv420p"),
    ("mkv", "mpeg4", "yuv420p"),
    ("mkv", "ffv1", "yuv444p"),
    ("webm", "libvpx-vp9", "yuv420p"),
    ("webm", "libvpx", "yuv420p"),
    ("avi", "mjpeg", "yuvj420p"),
    ("ts", "mpeg2video", "yuv420p"),
    ("gif", "gif", "rgb8"),
]


def available(codec):
    try:
        av.Codec(codec, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def record(path, codec="mpeg4", pixels="yuv420p", size=(64, 96), times=None):
    """Write a video whose frame k is filled with COLOURS[k]; `times` (ms) makes the rate a variable one."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = *size, pixels
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, colour in enumerate(COLOURS):
            picture = np.full((*size, 3), colour, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
            if times:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def fresh(source, count):
    """Take `count` frames, leaving out those repeated because the decoder had not come so far."""
    taken, repeated = [], source.repeated_frames
    for frame in source.frames():
        if source.repeated_frames == repeated:
            taken.append(frame)
        else:
            repeated = source.repeated_frames
            time.sleep(0.001)
        if len(taken) == count:
            return taken
    raise AssertionError("frames() ended")


def colour_of(frame):
    return frame.reshape(-1, 3).mean(axis=0)


@pytest.mark.parametrize(("suffix", "codec", "pixels"), FORMATS, ids=[f"{f[1]}-{f[0]}" for f in FORMATS])
def test_a_video_is_decoded_scaled_and_looped(tmp_path, suffix, codec, pixels):
    if not available(codec):
        pytest.skip(f"this PyAV cannot write {codec}")
    path = record(tmp_path / f"video.{suffix}", codec, pixels)
    with VideoFile(path, 32, 48) as source:
        frames = fresh(source, 2 * LENGTH + 5)
    assert {frame.shape for frame in frames} == {(32, 48, 3)}
    assert {frame.dtype for frame in frames} == {np.dtype(np.uint8)}
    tolerance = 40 if codec == "gif" else LOSS  # it has 256 colours
    for frame, colour in zip(frames, itertools.cycle(COLOURS), strict=False):
        assert np.abs(colour_of(frame) - colour).max() < tolerance
    assert source.damaged_packets == 0


@pytest.mark.parametrize("asked", [(1, 1), (33, 47), (301, 17), (64, 96)])
@pytest.mark.parametrize("stored", [(64, 96), (66, 98)])
def test_odd_sizes(tmp_path, asked, stored):
    path = record(tmp_path / "video.mkv", size=stored)
    with VideoFile(path, *asked) as source:
        for frame in fresh(source, 3):
            assert frame.shape == (*asked, 3)
            assert frame.flags.c_contiguous
            assert not frame.flags.writeable


def test_a_variable_frame_rate_changes_no_content(tmp_path):
    times = [index**2 * 7 for index in range(LENGTH)]
    path = record(tmp_path / "video.mkv", times=times)
    with av.open(str(path)) as container:
        gaps = {int(b.pts - a.pts) for a, b in itertools.pairwise(container.decode(video=0))}
    assert len(gaps) > 3  # it is one indeed
    with VideoFile(path, 8, 8) as source:
        for frame, colour in zip(fresh(source, LENGTH), COLOURS, strict=True):
            assert np.abs(colour_of(frame) - colour).max() < LOSS


def test_a_video_of_one_frame_goes_on_for_ever(tmp_path):
    path = tmp_path / "one.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=1)
        stream.height = stream.width = 16
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((16, 16, 3), 200, np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    with VideoFile(path, 4, 4) as source:
        for frame in fresh(source, 50):
            assert np.abs(frame.astype(int) - 200).max() < 5


def test_a_file_cut_off_in_the_middle_gives_what_it_has(tmp_path):
    whole = record(tmp_path / "whole.ts", "mpeg2video").read_bytes()
    (tmp_path / "half.ts").write_bytes(whole[: len(whole) // 2])
    with VideoFile(tmp_path / "half.ts", 8, 8) as source:
        frames = fresh(source, LENGTH)
    assert np.abs(colour_of(frames[0]) - COLOURS[0]).max() < LOSS
    firsts = [index for index, frame in enumerate(frames) if np.array_equal(frame, frames[0])]
    assert len(firsts) >= 2  # it began anew before the length of the whole


def test_a_file_without_its_index_is_refused(tmp_path):
    whole = record(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"half\.mp4 cannot be read \(Invalid data.*cut off"):
        VideoFile(tmp_path / "half.mp4", 8, 8)


def packets_of(path):
    with av.open(str(path)) as container:
        return [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]


def damage(path, indices):
    data = bytearray(path.read_bytes())
    for position, size in (packets_of(path)[index] for index in indices):
        data[position + 12 : position + size] = b"\x55" * (size - 12)
    path.write_bytes(data)


def test_damage_in_the_middle_is_skipped_and_counted(tmp_path):
    path = record(tmp_path / "video.avi", "ffv1", "yuv444p")
    damage(path, [5, 6, 7])
    with VideoFile(path, 8, 8) as source:
        frames = fresh(source, LENGTH - 3)
        assert source.damaged_packets >= 3
    colours = COLOURS[:5] + COLOURS[8:]
    for frame, colour in zip(frames[:5], colours[:5], strict=True):
        assert np.abs(colour_of(frame) - colour).max() < LOSS


def test_nothing_but_damage_is_refused(tmp_path):
    path = record(tmp_path / "video.avi", "ffv1", "yuv444p")
    damage(path, range(LENGTH))
    with pytest.raises(SourceError, match=r"video\.avi holds no frame that can be decoded \(12 damaged packets\)"):
        VideoFile(path, 8, 8)


def test_sound_alone_is_refused(tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(SourceError, match="no video stream"):
        VideoFile(path, 8, 8)


def test_a_video_without_frames_is_refused(tmp_path):
    path = tmp_path / "empty.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height = stream.width = 16
        container.start_encoding()
    with pytest.raises(SourceError, match=r"empty\.mkv"):
        VideoFile(path, 8, 8)


def test_a_file_that_goes_away_is_an_error_at_the_next_round(tmp_path):
    path = record(tmp_path / "video.mkv")
    source = VideoFile(path, 8, 8)
    path.unlink()
    with pytest.raises(SourceError, match=r"video\.mkv cannot be read"):
        fresh(source, AHEAD_FRAMES + 10 * LENGTH)
    assert not source._decoder.is_alive()


def test_taking_a_frame_never_waits_for_the_decoder(tmp_path):
    """Open loop: where the decoder is too slow, the last frame is offered again."""
    path = record(tmp_path / "video.mkv")
    with VideoFile(path, 600, 800) as source:
        frames, took_ns = source.frames(), []
        for _ in range(2000):
            began = time.perf_counter_ns()
            next(frames)
            took_ns.append(time.perf_counter_ns() - began)
        assert source.repeated_frames > 0
        assert np.median(took_ns) < 1_000_000


def test_a_second_iterator_goes_on_where_the_first_one_is(tmp_path):
    path = record(tmp_path / "video.mkv", "ffv1", "yuv444p")
    with VideoFile(path, 8, 8) as source:
        fresh(source, 5)
        (after,) = fresh(source, 1)
    assert np.abs(colour_of(after) - COLOURS[5]).max() < LOSS


def test_it_decodes_no_more_than_its_buffer_ahead_and_stops_at_once(tmp_path):
    path = record(tmp_path / "video.mkv")
    before = threading.active_count()
    source = open_source(str(path), 1, 8, 8)
    assert threading.active_count() == before + 1
    deadline = time.monotonic() + 10
    while not source._ahead.full():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert source._ahead.qsize() == AHEAD_FRAMES
    began = time.monotonic()
    source.close()
    source.close()
    assert time.monotonic() - began < 1
    assert threading.active_count() == before
