"""The program inside a container: loads the model and serves heads (edge) or tails (cloud).

``python -m workers.runner CONFIG`` where CONFIG is a JSON file holding a `RunnerConfig`. One thread obeys the
tier's orders, another infers; building a part therefore does not stop the one that serves.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec.structs import replace

from workers import messages as m
from workers import transport
from workers.errors import ProtocolError, WorkerError
from workers.frames import FrameHeader, pack, unpack
from workers.inference import LoadedModel, import_runtime
from workers.loop_socket import send
from workers.memory import Growth

if TYPE_CHECKING:
    import zmq

    from workers.inference import Part
    from workers.records import TierTimings

POLL_MS = 50
PART_DTYPE: Literal["float32"] = "float32"  # of what every `Part` returns
CONNECT_TIMEOUT_S = 60.0


class RunnerConfig(msgspec.Struct, frozen=True):
    """What a runner must know; the file is rewritten to hand over a new cut. `launched_ns`: when that was.

    `model_state`: of the stored model's files when they were compared with its digest, see `workers.store_check`.
    Without a point the runner loads no model before it is told to build one. `urgent`: see `workers.messages.Build`.
    """

    tier: str
    container: str
    model_folder: str
    model_state: str
    weights_memory: m.WeightsMemory
    points: tuple[int, ...]
    urgent: bool
    control_path: str
    frames_path: str  # edge: where the agent hands frames over
    tail_endpoint: str  # the cloud's runner listens here, the edge's connects
    results_endpoint: str  # cloud: where the edge takes results
    keys: m.KeyPair
    peer_public: str
    launched_ns: int

    @staticmethod
    def read(path: Path) -> RunnerConfig:
        """Read the config file."""
        return msgspec.json.decode(path.read_bytes(), type=RunnerConfig)

    def write(self, path: Path) -> None:
        """Write the config file atomically, readable by its owner alone: it holds a secret key."""
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(msgspec.json.encode(self))
        fresh.replace(path)


class Stopwatch:
    """Splits time into named parts (ms)."""

    def __init__(self, since_ns: int) -> None:
        self._last_ns = since_ns
        self.parts_ms: dict[str, float] = {}

    def split(self, name: str) -> None:
        """Add the time since the last split to part `name`."""
        now_ns = time.monotonic_ns()
        self.parts_ms[name] = self.parts_ms.get(name, 0.0) + (now_ns - self._last_ns) / 1e6
        self._last_ns = now_ns

    def add(self, parts_ms: dict[str, float]) -> None:
        """Add parts that were measured elsewhere and lie between the last split and now."""
        for name, took_ms in parts_ms.items():
            self.parts_ms[name] = self.parts_ms.get(name, 0.0) + took_ms
        self._last_ns = time.monotonic_ns()


class Runner:
    """One runner process."""

    def __init__(self, config_path: Path) -> None:
        self._path = config_path
        self._config = RunnerConfig.read(config_path)
        self._watch = Stopwatch(self._config.launched_ns)
        self._watch.split("start")
        self._plane = transport.DataPlane(self._config.keys)
        self._control = self._plane.connect_local(transport.DEALER, self._config.control_path, self._config.container)
        self._parts: dict[int, Part] = {}
        self._model: LoadedModel | None = None
        self._grown_bytes = 0
        self._stop = threading.Event()
        self._inference: threading.Thread | None = None
        self._codec = m.Codec(m.RunnerOrder)
        self._refusals: dict[str, int] = {}

    def run(self) -> None:
        """Serve until killed."""
        self._load()
        ready: Future[None] = Future()
        self._inference = threading.Thread(target=self._infer, args=(ready,), daemon=True)
        self._inference.start()
        ready.result()
        self._watch.split("connect")
        self._say(m.RunnerUp(self._config.points, self._watch.parts_ms, self._grown_bytes))
        while True:
            if self._control.poll(POLL_MS * 10):
                self._obey(self._codec.decode(self._control.recv()))
            self._report_refusals()
            if not self._inference.is_alive():
                raise WorkerError("the inference thread has ended; its traceback stands above")

    # --- orders ---------------------------------------------------------------------------------------------

    def _obey(self, order: m.RunnerOrder) -> None:
        match order:
            case m.BuildPart(point, urgent, sparing):
                try:
                    loaded_ms = self._load_model() if self._model is None else {}
                    built_ms = self._build(point, urgent=urgent, sparing=sparing)
                    self._say(m.PartBuilt(point, {**loaded_ms, **built_ms}, self._grown_bytes))
                except WorkerError as error:
                    self._say(m.RunnerTrouble(str(error), lasting=True))
            case m.DropPart(point):
                self._parts = {index: part for index, part in self._parts.items() if index != point}
                gc.collect()
                self._say(m.PartDropped(point))
            case m.Reload(point, restart):
                self._reload(point, restart=restart)
            case m.ProfileModel(points, repetitions):
                try:
                    self._say(m.ModelProfiled(self._profile(points, repetitions)))
                except WorkerError as error:
                    self._say(m.RunnerTrouble(str(error)))

    def _reload(self, point: int, *, restart: bool) -> None:
        if restart:
            self._stop.set()
            if self._inference is not None:
                self._inference.join()
            os.execv(sys.executable, [sys.executable, "-m", "workers.runner", str(self._path)])  # noqa: S606
        self._config = RunnerConfig.read(self._path)
        self._watch = Stopwatch(self._config.launched_ns)
        self._watch.split("start")
        self._parts = {}
        self._model = None
        gc.collect()
        self._load()
        self._say(m.RunnerUp((point,), self._watch.parts_ms, self._grown_bytes))

    def _load(self) -> None:
        if not self._config.points:
            self._watch.add({"import": import_runtime()})
            return
        self._watch.add(self._load_model())
        for point in self._config.points:
            self._watch.add(self._build(point, urgent=self._config.urgent))

    def _load_model(self) -> dict[str, float]:
        self._model = LoadedModel.load(
            Path(self._config.model_folder), self._config.weights_memory, self._config.model_state
        )
        return self._model.timings_ms

    def _build(self, point: int, *, urgent: bool, sparing: bool = False) -> dict[str, float]:
        if self._model is None:
            raise WorkerError("no model is loaded")
        growth = Growth()
        make = self._model.build_head if self._config.tier == "edge" else self._model.build_tail
        part = make(point, self._parts.values() if sparing else ())
        if not urgent:
            part.warm_up()
        self._grown_bytes = max(self._grown_bytes, growth.bytes())
        self._parts = {**self._parts, point: part}
        return part.timings_ms

    def _profile(self, points: tuple[int, ...], repetitions: int) -> TierTimings:
        from workers.profiling import profile_model  # noqa: PLC0415 - of no use to a runner that serves

        if self._model is None:
            raise WorkerError("no model is loaded")
        return profile_model(self._model, Path(self._config.model_folder), self._config.tier, points, repetitions)

    # --- inference ------------------------------------------------------------------------------------------

    def _infer(self, ready: Future[None]) -> None:
        """Open the sockets, then serve until told to stop."""
        try:
            intake, onward = self._open_sockets()
        except BaseException as error:  # noqa: BLE001 - whatever it was, the main thread waits for it
            ready.set_exception(error)
            return
        intake.rcvtimeo = POLL_MS
        ready.set_result(None)
        edge = self._config.tier == "edge"
        serve, failed = (self._serve_head, intake) if edge else (self._serve_tail, onward)
        while not self._stop.is_set():
            came = transport.receive(intake)
            if came is None:
                continue
            received_ns, parts = came
            try:
                header, tensor = unpack(parts)
            except ProtocolError:
                self._plane.count(self._config.tier, "malformed")
                continue
            try:
                send(onward, pack(*serve(header, tensor, received_ns)), copy=False)
            except (WorkerError, transport.Again, ValueError) as error:
                self._send_error(failed, header, error)

    def _open_sockets(self) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
        """Return where frames come in and where they go on to; a head is connected once its tail answers.

        Raises:
            TimeoutError: the tail did not answer.
            WorkerError: the tail's port is in use.
        """
        config, plane = self._config, self._plane
        if config.tier == "edge":
            intake = plane.connect_local(transport.DEALER, config.frames_path, config.container)
            tail = (config.tail_endpoint, config.peer_public)
            return intake, plane.connected(transport.PUSH, *tail, CONNECT_TIMEOUT_S)
        intake = plane.server("tail", transport.PULL, config.tail_endpoint, {config.peer_public})
        return intake, plane.client(transport.PUSH, config.results_endpoint, config.peer_public)

    def _serve_head(self, header: FrameHeader, pixels: Any, received_ns: int) -> tuple[FrameHeader, Any]:
        tensor = self._part(header.point)(pixels)
        done_ns = time.monotonic_ns()
        return replace(
            header,
            dtype=PART_DTYPE,
            shape=tensor.shape,
            head_ms=(done_ns - received_ns) / 1e6,
            head_done_ns=done_ns,
            cut_bytes=tensor.nbytes,
        ), tensor

    def _serve_tail(self, header: FrameHeader, tensor: Any, received_ns: int) -> tuple[FrameHeader, Any]:
        logits = self._part(header.point)(tensor)
        done_ns = time.monotonic_ns()
        return replace(
            header,
            dtype=PART_DTYPE,
            shape=logits.shape,
            cloud_received_ns=received_ns,
            tail_ms=(done_ns - received_ns) / 1e6,
            tail_done_ns=done_ns,
        ), logits

    def _part(self, point: int) -> Part:
        part = self._parts.get(point)
        if part is None:
            raise WorkerError(f"{self._config.tier}: no part is built for a cut at {point}")
        return part

    def _send_error(self, socket: zmq.Socket[bytes], header: FrameHeader, error: Exception) -> None:
        lost = replace(header, dtype="uint8", shape=(0,), error=f"{self._config.tier}: {error}")
        with suppress(transport.Again):  # who reads no results reads of no errors; the edge gives the frame up
            send(socket, (msgspec.msgpack.encode(lost), b""))

    # --- reports --------------------------------------------------------------------------------------------

    def _say(self, message: m.RunnerReply) -> None:
        self._control.send(m.encode(message))

    def _report_refusals(self) -> None:
        counts = self._plane.collect_refusals()
        if counts != self._refusals:
            self._refusals = counts
            self._say(m.RunnerRefusals(counts))


def main(argv: list[str]) -> int:
    """Run one runner until it is killed."""
    try:
        Runner(Path(argv[0])).run()
    except (WorkerError, TimeoutError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
