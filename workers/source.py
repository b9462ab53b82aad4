"""Where the device's frames come from, and when each is due."""

from __future__ import annotations

import math
import queue
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import av
import numpy as np

from workers.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Frame = npt.NDArray[np.uint8]

SYNTHETIC = "synthetic"
LOOP_FRAMES = 32
AHEAD_FRAMES = 16
_DISCS = 6
_STOP_POLL_S = 0.05
_NS = 1_000_000_000


class Source(Protocol):
    """Frames without end, each uint8 of shape (height, width, 3), RGB, read-only."""

    def frames(self) -> Iterator[Frame]:
        """Yield frames for ever. Taking one never waits for the source, so that the pace is the taker's own."""

    def close(self) -> None:
        """Stop whatever works in the background. Idempotent."""


class SyntheticCamera:
    """Discs that move over a textured, slowly changing ground; the same for the same seed and size.

    A loop of `LOOP_FRAMES` frames without a seam is made once, so that a frame costs nothing while a run is measured.
    """

    def __init__(self, seed: int, height: int, width: int) -> None:
        _check_size(height, width)
        self._loop = _render_loop(np.random.default_rng(seed), height, width)

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`."""
        while True:
            yield from self._loop

    def close(self) -> None:
        """See `Source.close`."""


class VideoFile:
    """A video, scaled to the asked size (without keeping its proportions), from the start again at its end.

    A thread decodes up to `AHEAD_FRAMES` frames ahead. Where it falls behind, the last frame is repeated, as the
    device offers its load whatever happens; `repeated_frames` counts these, `damaged_packets` what could not be
    decoded and was left out.

    Raises:
        SourceError: the file is missing, no video, or holds no frame that can be decoded. `frames` raises it, too,
            when the file is no longer readable at the start of another round.

    """

    def __init__(self, path: Path, height: int, width: int) -> None:
        _check_size(height, width)
        if not path.is_file():
            raise SourceError(f"The device's video {path} is not there; give a file, or `source: {SYNTHETIC}`")
        self.damaged_packets = 0
        self.repeated_frames = 0
        self._path, self._height, self._width = path, height, width
        self._ahead: queue.Queue[Frame | SourceError] = queue.Queue(AHEAD_FRAMES)
        self._stop = threading.Event()
        self._decoder = threading.Thread(target=self._decode_ahead, name="decoder", daemon=True)
        self._decoder.start()
        self._last = self._take(wait=True)
        self._is_fresh = True

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`; a second iterator goes on where the first one is."""
        while True:
            if self._is_fresh:
                self._is_fresh = False
            else:
                self._last = self._take(wait=False)
            yield self._last

    def close(self) -> None:
        """See `Source.close`."""
        self._stop.set()
        self._decoder.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, *, wait: bool) -> Frame:
        try:
            taken = self._ahead.get(block=wait)
        except queue.Empty:
            self.repeated_frames += 1
            return self._last
        if isinstance(taken, SourceError):
            self.close()
            raise taken
        return taken

    # --- the decoder's thread -------------------------------------------------------------------------------

    def _decode_ahead(self) -> None:
        try:
            while not self._stop.is_set():
                self._decode_once()
        except SourceError as error:
            self._put(error)
        except (av.FFmpegError, OSError) as error:
            self._put(SourceError(f"The device's video {self._path} cannot be decoded: {error.strerror}"))

    def _decode_once(self) -> None:
        decoded = 0
        with _open_video(self._path) as container:
            stream = container.streams.video[0]
            for packet in self._packets(container, stream):
                for frame in self._decode(packet):
                    if not self._put(self._scale(frame)):
                        return
                    decoded += 1
        if not decoded:
            raise SourceError(
                f"The device's video {self._path} holds no frame that can be decoded "
                f"({self.damaged_packets} damaged packets); record it anew or convert it: ffmpeg -i OLD NEW.mp4"
            )

    def _packets(self, container: Any, stream: Any) -> Iterator[Any]:
        """Yield the stream's packets; damage to the container itself ends the round early."""
        try:
            yield from container.demux(stream)
        except av.FFmpegError:
            self.damaged_packets += 1

    def _decode(self, packet: Any) -> list[Any]:
        if packet.is_corrupt:
            self.damaged_packets += 1
            return []
        try:
            return list(packet.decode())
        except av.FFmpegError:
            self.damaged_packets += 1
            return []

    def _scale(self, frame: Any) -> Frame:
        # FFmpeg pads lines to its own liking; frames go out as one block of bytes.
        picture: Frame = np.ascontiguousarray(frame.reformat(self._width, self._height, "rgb24").to_ndarray())
        picture.flags.writeable = False
        return picture

    def _put(self, item: Frame | SourceError) -> bool:
        """Hand over as soon as there is room; False once nobody wants any more."""
        while not self._stop.is_set():
            try:
                self._ahead.put(item, timeout=_STOP_POLL_S)
            except queue.Full:
                continue
            return True
        return False


def open_source(spec: str, seed: int, height: int, width: int) -> Source:
    """Return the source that `spec` names: ``synthetic``, or the path of a video.

    Raises:
        SourceError: the video cannot be read; see `VideoFile`.

    """
    if spec == SYNTHETIC:
        return SyntheticCamera(seed, height, width)
    return VideoFile(Path(spec), height, width)


def _check_size(height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise SourceError(f"A frame of {height} by {width} pixels is none; ask for at least 1 by 1")


def _open_video(path: Path) -> Any:
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise SourceError(
            f"The device's video {path} cannot be read ({error.strerror}); it may be cut off or no video at all"
        ) from error
    if not container.streams.video:
        container.close()
        raise SourceError(f"The device's video {path} has no video stream; choose a file with pictures in it")
    return container


def _render_loop(random: np.random.Generator, height: int, width: int) -> list[Frame]:
    """Render one loop; every motion in it takes a whole number of turns, so that it has no seam."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = y / height, x / width
    texture = random.normal(0, 12, (height, width, 1)).astype(np.float32)
    waves = random.uniform(1, 4, (3, 2))
    colours = random.uniform(0, 255, (_DISCS, 3))
    starts, radii = random.uniform(0, 2 * np.pi, (_DISCS, 2)), random.uniform(0.05, 0.15, _DISCS)
    turns = random.integers(1, 4, (_DISCS, 2))
    frames = []
    for time in np.linspace(0, 2 * np.pi, LOOP_FRAMES, endpoint=False):
        phases = waves[:, :1, None] * x * 6 + waves[:, 1:, None] * y[None] * 6 + time
        picture = np.moveaxis(128 + 80 * np.sin(phases), 0, -1) + texture
        for colour, start, radius, turn in zip(colours, starts, radii, turns, strict=True):
            centre_y, centre_x = 0.5 + 0.4 * np.sin(start + turn * time)
            picture[(y - centre_y) ** 2 + (x - centre_x) ** 2 < radius**2] = colour
        frame = np.clip(picture, 0, 255).astype(np.uint8)
        frame.flags.writeable = False
        frames.append(frame)
    return frames


class Pacer:
    """An open-loop schedule: frame k is due at ``start_ns + k / fps``, however late the frames before it were.

    Whoever offers the frames waits for each one's due time and sends at once where it has passed, so that a stall is
    caught up and no number is left out. Stamps are ``monotonic_ns`` of one host.
    """

    def __init__(self, fps: float, start_ns: int) -> None:
        if not (fps > 0 and math.isfinite(fps)):
            raise ValueError(f"{fps} frames per second are no pace; ask for a finite number above 0")
        self.fps = fps
        self.start_ns = start_ns

    def due_ns(self, frame: int) -> int:
        """Return when frame `frame`, counted from 0, is due. Rounded once, so that errors do not add up."""
        return self.start_ns + round(frame * _NS / self.fps)

    def wait_s(self, frame: int, now_ns: int) -> float:
        """Return how long to wait for frame `frame`; 0 where it is late."""
        return max(0, self.due_ns(frame) - now_ns) / _NS
