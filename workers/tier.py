"""One tier's containers: starts, rebuilds and removes them as ordered, and notices when one dies."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from workers import headroom, transport
from workers import messages as m
from workers.answers import Answers
from workers.deathwatch import DeathWatch
from workers.errors import ContainerError, LastingError, WorkerError
from workers.last_words import ending, last_words
from workers.runner import RunnerConfig
from workers.runtime.base import ContainerSpec, Mount

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.cgroup import Cgroup
    from workers.guard import Guard
    from workers.runtime.base import Runtime

RUNNER_TIMEOUT_S = 150.0
PROFILE_TIMEOUT_S = 600.0  # a model of seconds a frame on a quarter of a CPU, twenty parts, five samples of each
PYTHON_ENV = {
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "CUDA_VISIBLE_DEVICES": "",
}


class TierSetup(NamedTuple):
    """What a tier must know to run containers. `folder` holds sockets and configs, `log_folder` the logs."""

    role: str
    session: str
    folder: Path
    log_folder: Path
    cgroup: Cgroup
    place: m.ModelPlace
    model_state: str
    keys: m.KeyPair
    peer_public: str
    tail_address: str
    results_endpoint: str


class Tier:
    """Obeys tier orders on this host.

    Args:
        on_died: called with a `Died` when a container ends that was not told to.
    """

    def __init__(
        self,
        setup: TierSetup,
        runtime: Runtime,
        plane: transport.DataPlane,
        guard: Guard,
        on_died: Callable[[m.Died], None],
    ) -> None:
        self._setup = setup
        self._runtime = runtime
        self._guard = guard
        self._on_died = on_died
        self._control_path = str(setup.folder / "control")
        self.frames_path = str(setup.folder / "frames")
        self._control = plane.in_loop(plane.bind_local(transport.ROUTER, self._control_path))
        self._codec = m.Codec(m.RunnerReply)
        self.cgroup = setup.cgroup
        self._answers = Answers()
        self._watch = DeathWatch(self._gone)
        self.refusals: dict[str, dict[str, int]] = {}
        self._grown_bytes: dict[str, int] = {}  # container -> the most that building a part in it took
        self.containers: dict[str, int] = {}  # container -> PID of its first process
        self.cgroups: dict[str, str | None] = {}
        self._autopsies: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        """Take in what the runners say, until cancelled."""
        await self._control.serve(self._hear)

    async def obey(self, order: m.TierOrder) -> m.TierReply:
        """Carry out one order; failures come back as `Refused`."""
        try:
            match order:
                case m.Launch():
                    parts_ms = await self._launch(order)
                case m.Build():
                    parts_ms = await self._build(order)
                case m.Drop(_, container, point):
                    await self._ask(container, m.DropPart(point))
                    parts_ms = {}
                case m.Rebuild():
                    parts_ms = await self._rebuild(order)
                case m.Remove(_, container):
                    parts_ms = await self._remove(container)
                case m.Profile(number, container, points, repetitions):
                    reply = await self._ask(container, m.ProfileModel(points, repetitions), PROFILE_TIMEOUT_S)
                    return m.Profiled(number, reply.timings)
                case _:
                    return m.Refused(order.order, f"{type(order).__name__} is not for a tier")
        except LastingError as error:
            return m.Refused(order.order, f"{self._setup.role}: {error}", lasting=True)
        except (WorkerError, transport.SendFailed, OSError, ValueError, KeyError) as error:  # a tier always answers
            return m.Refused(order.order, f"{self._setup.role}: {error}")
        return m.Fulfilled(order.order, parts_ms)

    # --- orders ---------------------------------------------------------------------------------------------

    async def _launch(self, order: m.Launch) -> dict[str, float]:
        name, launched_ns = order.container, time.monotonic_ns()
        spec = self._spec(order, launched_ns)
        for undo, argv in self._undo(spec.name):
            self._guard.add(undo, argv)
        answer = self._answers.expect(name)
        try:
            await self._start(spec)
            engine_ms = (time.monotonic_ns() - launched_ns) / 1e6
            await self._adopt(name)
            reply = await self._answers.wait(name, answer, RUNNER_TIMEOUT_S)
        except BaseException:
            self._watch.drop(name)
            self._forget(name)
            # The guard keeps its undo: whether all is gone is not known here.
            await asyncio.shield(asyncio.to_thread(self._runtime.remove, spec.name))
            raise
        self._grown_bytes[name] = reply.grown_bytes
        return {"container": min(engine_ms, reply.parts_ms["start"]), **started_after(engine_ms, reply.parts_ms)}

    async def _build(self, order: m.Build) -> dict[str, float]:
        grown_bytes = self._grown_bytes.get(order.container, 0)
        if order.sparing and (lacking := headroom.lacking(self.cgroup, grown_bytes)):
            raise LastingError(lacking)
        reply = await self._ask(order.container, m.BuildPart(order.point, order.urgent, order.sparing))
        self._grown_bytes[order.container] = max(grown_bytes, reply.grown_bytes)
        parts_ms: dict[str, float] = reply.parts_ms
        return parts_ms

    async def _start(self, spec: ContainerSpec) -> None:
        """Start a container; where that is cancelled, wait for the engine first, or it would finish unseen."""
        starting = asyncio.ensure_future(asyncio.to_thread(self._runtime.start, spec))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait({starting})
            raise

    async def _adopt(self, name: str) -> None:
        state = await asyncio.to_thread(self._runtime.state, self._full_name(name))
        if not (state.running and state.pids and self._watch.add(name, state.pids[0])):
            raise ContainerError(await self._post_mortem(name))
        self.containers[name] = state.pids[0]
        self.cgroups[name] = state.cgroup

    async def _rebuild(self, order: m.Rebuild) -> dict[str, float]:
        name, full = order.container, self._full_name(order.container)
        answer = self._answers.expect(name)
        marks = [time.monotonic_ns()]
        await asyncio.to_thread(self._runtime.pause, full)
        marks.append(time.monotonic_ns())
        path = self._config_path(name)
        before = RunnerConfig.read(path)
        config = replace(before, points=(order.point,), urgent=True, launched_ns=time.monotonic_ns())
        config.write(path)
        self._control.send([name.encode(), m.encode(m.Reload(order.point, restart=order.restart))])
        marks.append(time.monotonic_ns())
        await asyncio.to_thread(self._runtime.unpause, full)
        marks.append(time.monotonic_ns())
        reply = await self._answers.wait(name, answer, RUNNER_TIMEOUT_S)
        pause, handover, unpause = ((after - before) / 1e6 for before, after in itertools.pairwise(marks))
        resumed_ms = (marks[-1] - config.launched_ns) / 1e6
        return {"pause": pause, "handover": handover, "unpause": unpause, **started_after(resumed_ms, reply.parts_ms)}

    async def _remove(self, name: str) -> dict[str, float]:
        started_ns = time.monotonic_ns()
        self._watch.drop(name)
        self._answers.hear(name, m.RunnerTrouble(f"container {name} was removed before it was ready"))
        await self._put_away(name)
        return {"remove": (time.monotonic_ns() - started_ns) / 1e6}

    async def _put_away(self, name: str) -> None:
        full = self._full_name(name)
        self._forget(name)
        await asyncio.to_thread(self._runtime.remove, full)
        for undo, _ in self._undo(full):
            self._guard.withdraw(undo)
        self._config_path(name).unlink(missing_ok=True)

    def _forget(self, name: str) -> None:
        self.containers.pop(name, None)
        self._grown_bytes.pop(name, None)
        self.cgroups.pop(name, None)

    # --- talking to runners ---------------------------------------------------------------------------------

    async def _ask(self, name: str, order: m.RunnerOrder, timeout_s: float = RUNNER_TIMEOUT_S) -> Any:
        if name not in self.containers:
            raise ContainerError(f"container {name} is not running")
        answer = self._answers.expect(name)
        self._control.send([name.encode(), m.encode(order)])
        return await self._answers.wait(name, answer, timeout_s)

    def _hear(self, parts: list[bytes]) -> None:
        name = parts[0].decode()
        reply = self._codec.decode(parts[1])
        if isinstance(reply, m.RunnerRefusals):
            self.refusals[name] = reply.counts
            return
        self._answers.hear(name, reply)

    # --- death ----------------------------------------------------------------------------------------------

    def _gone(self, name: str) -> None:
        self._forget(name)
        task = asyncio.get_running_loop().create_task(self._autopsy(name))
        self._autopsies.add(task)
        task.add_done_callback(self._autopsies.discard)

    async def _autopsy(self, name: str) -> None:
        self._answers.hear(name, m.RunnerTrouble(await self._post_mortem(name)))

    async def _post_mortem(self, name: str) -> str:
        """Find out how a container ended, tell of its death, and return the reason."""
        exit_code, oom_kills = None, 0
        with contextlib.suppress(WorkerError, OSError, ValueError):
            exit_code, oom_kills = await asyncio.to_thread(self._exited_state, name)
        reason = self._last_words(name, exit_code, oom_kills)
        self._on_died(m.Died(name, exit_code, oom_kills, reason))
        return reason

    def _exited_state(self, name: str) -> tuple[int | None, int]:
        deadline = time.monotonic() + 5.0
        state = self._runtime.state(self._full_name(name))
        while state.running and time.monotonic() < deadline:  # the engine notices a little after the kernel
            time.sleep(0.02)
            state = self._runtime.state(self._full_name(name))
        return state.exit_code, state.oom_kills

    def _last_words(self, name: str, exit_code: int | None, oom_kills: int) -> str:
        if oom_kills:
            return f"container {name} was killed by the kernel: the memory that this host has for pipelines is used up"
        log = self._log_path(name)
        text = log.read_text(errors="replace") if log.exists() else ""
        return f"container {name} ended ({ending(exit_code)}): {last_words(text)}; see {log.name}"

    # --- names and files ------------------------------------------------------------------------------------

    def _full_name(self, name: str) -> str:
        return f"nk-{self._setup.session}-{self._setup.role}-{name}"

    def _config_path(self, name: str) -> Path:
        return self._setup.folder / f"{name}.json"

    def _log_path(self, name: str) -> Path:
        return self._setup.log_folder / f"{self._setup.role}-{name}-{self._setup.session}.log"

    def _undo(self, full_name: str) -> list[tuple[str, list[str]]]:
        return [(f"{full_name}#{index}", argv) for index, argv in enumerate(self._runtime.undo(full_name))]

    def _spec(self, order: m.Launch, launched_ns: int) -> ContainerSpec:
        setup = self._setup
        path = self._config_path(order.container)
        RunnerConfig(
            tier=setup.role,
            container=order.container,
            model_folder=setup.place.folder,
            model_state=setup.model_state,
            weights_memory=setup.place.weights_memory,
            points=order.points,
            urgent=order.urgent,
            control_path=self._control_path,
            frames_path=self.frames_path,
            tail_endpoint=f"tcp://{setup.tail_address}:{order.tail_port}",
            results_endpoint=setup.results_endpoint,
            keys=setup.keys,
            peer_public=setup.peer_public,
            launched_ns=launched_ns,
        ).write(path)
        code = Path(__file__).resolve().parent.parent
        return ContainerSpec(
            name=self._full_name(order.container),
            session=setup.session,
            argv=(sys.executable, "-m", "workers.runner", str(path)),
            env={**PYTHON_ENV, "PYTHONPATH": str(code)},
            mounts=(Mount(str(setup.folder), writable=True), Mount(str(code)), Mount(setup.place.folder)),
            log_path=str(self._log_path(order.container)),
            cgroup=setup.cgroup.path,
            oom_score_adj=1000,
        )


def started_after(begun_ms: float, parts_ms: dict[str, float]) -> dict[str, float]:
    """Return a runner's parts with a ``start`` that counts from when it could start, `begun_ms` after the order.

    The runner counts from the order itself, so what the engine did until then would count twice.
    """
    return {**parts_ms, "start": max(0.0, parts_ms["start"] - begun_ms)}
