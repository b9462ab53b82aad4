"""Every message of the project, as tagged unions, and their framing on a byte stream.

Three conversations:

- `Order` / `Report`: controller and agent, on the SSH channel's stdin and stdout (length-prefixed msgpack);
- `TierOrder` / `TierReply`: the edge's pipeline manager and a tier (its own, or the cloud's over ZeroMQ);
- `RunnerOrder` / `RunnerReply`: a tier and the runner in its container, over a ZeroMQ ipc socket.

Nothing is ever pickled; a message that does not decode is a ProtocolError.
"""

from __future__ import annotations

import struct
from typing import Any, Literal

import msgspec

from workers.detection import Detection
from workers.errors import ProtocolError
from workers.records import Outcome, TierTimings

PROTOCOL_VERSION = 4
MAX_MESSAGE_BYTES = 1 << 20

_LENGTH = struct.Struct(">I")


class Message(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """Base of all messages."""


# --- shared parts -------------------------------------------------------------------------------------------


class KeyPair(msgspec.Struct, frozen=True):
    """A CURVE key pair, Z85-encoded."""

    public: str
    secret: str

    def __repr__(self) -> str:
        """Leave the secret out of logs and tracebacks."""
        return f"KeyPair(public={self.public!r})"


class ModelPlace(msgspec.Struct, frozen=True):
    """A model in the host's content-addressed store, and where its weights are to lie."""

    model: str
    folder: str
    weights_memory: WeightsMemory


WeightsMemory = Literal["mapped", "private"]  # shared pages of the weights' file, or a copy in each process


class ContainerSetup(msgspec.Struct, frozen=True):
    """How a tier runs its containers. `cgroup` None lets the agent make one of the given size."""

    runtime: str
    cpus: int | None
    memory_mb: int | None


# --- controller -> agent ------------------------------------------------------------------------------------


class Ping(Message, frozen=True):
    """Heartbeat and clock probe; `sent_ns` comes back untouched."""

    sent_ns: int


class SetUpDevice(Message, frozen=True):
    """Make the device ready to offer frames of `height` × `width` × 3 uint8."""

    log_folder: str
    keys: KeyPair
    edge_endpoint: str
    edge_public: str
    source: str
    seed: int
    height: int
    width: int
    deadline_ms: float


class SetUpCloud(Message, frozen=True):
    """Make the cloud ready to take tier orders on `endpoint`."""

    log_folder: str
    session: str
    keys: KeyPair
    probe_token: bytes
    edge_public: str
    endpoint: str
    probe_port: int
    data_address: str
    edge_results_endpoint: str
    edge_address: str
    delay_ms: float | None  # set: hold packets from the edge back here, because the edge has no netem
    containers: ContainerSetup
    place: ModelPlace


class SetUpEdge(Message, frozen=True):
    """Make the edge ready: sockets, link shaping, pipeline manager with its strategy.

    With `detection` the edge finds out by itself that the network speed has changed; otherwise it is told. With
    `keep_answers` it logs the logits of every answer, too (`workers.answer_log`): a soak compares them.
    """

    log_folder: str
    session: str
    keys: KeyPair
    probe_token: bytes
    device_public: str
    cloud_public: str
    ingress_endpoint: str
    results_endpoint: str
    cloud_endpoint: str
    cloud_address: str
    probe_port: int
    first_tail_port: int
    tail_ports: int
    delay_at_cloud: bool
    queue_limit: int
    deadline_ms: float
    strategy: str
    cpu_pct: float  # what a stressor is to leave over for pipelines
    mem_pct: float
    containers: ContainerSetup
    place: ModelPlace
    detection: Detection | None = None
    keep_answers: bool = False


class ShapeLink(Message, frozen=True):
    """Set the edge→cloud link's rate, in place."""

    run: int
    mbps: float
    delay_ms: float


class ProbeLink(Message, frozen=True):
    """Measure the edge→cloud link: round trip of small messages, rate of a packet train."""

    run: int


class ReadSpeed(Message, frozen=True):
    """Ask which speed the link has by the edge's own estimate."""


class ReadAvailability(Message, frozen=True):
    """Measure what was left over for pipelines since this was last asked."""

    run: int


class ProfileTiers(Message, frozen=True):
    """Time the model's layers, heads and tails on both tiers, one tier after the other, in the running containers.

    `points` are those whose heads (edge) and tails (cloud) are timed as a whole, `repetitions` how often each.
    """

    points: tuple[int, ...]
    repetitions: int


class Deploy(Message, frozen=True):
    """Start serving with a cut at `point`, then say Rearmed; `standby_point` is the cut for the other speed.

    `hot` are the points that a strategy that keeps any number of them ready is to keep.
    """

    point: int
    standby_point: int
    hot: tuple[int, ...] = ()


class NetworkChanged(Message, frozen=True):
    """Tell the edge the new network speed and the cuts for this and the other speed (``notified``)."""

    run: int
    mbps: float
    point: int
    standby_point: int


class StartFrames(Message, frozen=True):
    """Offer frames at `fps`, numbered from 0, until StopFrames."""

    run: int
    fps: float


class StopFrames(Message, frozen=True):
    """Stop offering; answer FramesStopped once every frame has settled or is past its deadline."""

    run: int


class Finish(Message, frozen=True):
    """Put the host back as it was found and end."""


Order = (
    Ping
    | SetUpDevice
    | SetUpCloud
    | SetUpEdge
    | ShapeLink
    | ProbeLink
    | ReadSpeed
    | ReadAvailability
    | ProfileTiers
    | Deploy
    | NetworkChanged
    | StartFrames
    | StopFrames
    | Finish
)


# --- agent -> controller ------------------------------------------------------------------------------------


class Hello(Message, frozen=True):
    """First message of an agent."""

    protocol: int
    role: str
    pid: int
    netem: bool


class Pong(Message, frozen=True):
    """Answer to Ping, with the agent's clock."""

    sent_ns: int
    agent_ns: int


class Ready(Message, frozen=True):
    """Set-up is done; `choices` says what is in use where there was a choice.

    `stress` says what was taken away from the host and what a probe found left over before the first pipeline.
    """

    choices: dict[str, str]
    stress: dict[str, float | str]


class AvailabilityRead(Message, frozen=True):
    """Percent of CPU time and memory that others than the pipelines left over since the last reading."""

    run: int
    cpu_pct: float
    mem_pct: float


class TiersProfiled(Message, frozen=True):
    """What each tier timed, by its role."""

    tiers: dict[str, TierTimings]


class LinkShaped(Message, frozen=True):
    """The link has its new rate."""

    mbps: float
    took_ms: float


class LinkMeasured(Message, frozen=True):
    """Rate on the wire in Mbit/s and one round trip in ms (the way back is not shaped)."""

    mbps: float
    delay_ms: float


class SpeedNoticed(Message, frozen=True):
    """The edge has noticed by itself that the link has another speed, and moves the cut to `point` (``estimated``)."""

    run: int
    mbps: float
    point: int


class SpeedRead(Message, frozen=True):
    """The speed that the edge last saw the link have, None where it has seen none."""

    mbps: float | None


class Repartitioned(Message, frozen=True):
    """A repartition has ended; `moved` is False where the cut stayed, `ok` where it did as the strategy says."""

    run: int
    point: int
    moved: bool
    ok: bool
    reason: str | None


class PipelineLost(Message, frozen=True):
    """A container died by itself, and something serves all the same."""

    run: int
    reason: str


class Rearmed(Message, frozen=True):
    """The strategy is ready for the next change.

    Of one that keeps points hot: which are ready, and which are not though they should be, with the reason.
    """

    run: int
    hot: tuple[int, ...] = ()
    cold: tuple[tuple[int, str], ...] = ()


class FramesStopped(Message, frozen=True):
    """All frames of the run have settled; `fps` is the pace that was kept, None for fewer than two frames."""

    run: int
    offered: int
    answered: int
    fps: float | None


class Trouble(Message, frozen=True):
    """Something broke; the run cannot be trusted. `reason` says who, what, why; the others are evidence."""

    reason: str
    exit_code: int | None = None
    oom_kills: int = 0


class Finished(Message, frozen=True):
    """The host is as it was found."""

    undone: tuple[str, ...]


Report = (
    Hello
    | Pong
    | Ready
    | LinkShaped
    | LinkMeasured
    | AvailabilityRead
    | TiersProfiled
    | SpeedNoticed
    | SpeedRead
    | Repartitioned
    | PipelineLost
    | Rearmed
    | FramesStopped
    | Trouble
    | Finished
)


# --- pipeline manager <-> tier ------------------------------------------------------------------------------


class Launch(Message, frozen=True):
    """Start a container whose runner serves cuts at `points`; its tail listens on `tail_port`.

    Without a point the runner imports what runs a model and waits for a `Build`. For `urgent` see there.
    """

    order: int
    container: str
    points: tuple[int, ...]
    tail_port: int
    urgent: bool = False


class Build(Message, frozen=True):
    """Build the part for a cut at `point` inside a running container.

    `urgent`: a change waits for it; otherwise it makes a first inference. `sparing`: upon another part that covers half
    of it, and refused where it would not fit into the memory that is left.
    """

    order: int
    container: str
    point: int
    urgent: bool = False
    sparing: bool = False


class Drop(Message, frozen=True):
    """Forget the part for a cut at `point`."""

    order: int
    container: str
    point: int


class Rebuild(Message, frozen=True):
    """Pause the container, hand over the new cut, resume: with a restart of the application, or in process."""

    order: int
    container: str
    point: int
    restart: bool


class Remove(Message, frozen=True):
    """Remove a container."""

    order: int
    container: str


class ProbePing(Message, frozen=True):
    """A small message to be answered at once."""

    order: int


class CollectTrain(Message, frozen=True):
    """Ask when the packets of the train of this number arrived."""

    order: int


class Profile(Message, frozen=True):
    """Time the layers of the model in a running container, and the tier's parts for cuts at `points`."""

    order: int
    container: str
    points: tuple[int, ...]
    repetitions: int


TierOrder = Launch | Build | Drop | Rebuild | Remove | Profile | ProbePing | CollectTrain


class Fulfilled(Message, frozen=True):
    """A tier did as ordered; `parts_ms` says what took how long, by that tier's clock."""

    order: int
    parts_ms: dict[str, float]


class Refused(Message, frozen=True):
    """A tier could not do as ordered; `lasting`: nor could it if it were told again."""

    order: int
    reason: str
    lasting: bool = False


class Died(Message, frozen=True):
    """A container ended by itself."""

    container: str
    exit_code: int | None
    oom_kills: int
    reason: str


class ProbeReport(Message, frozen=True):
    """Arrival of a train's packets by the cloud's clock; empty for a ProbePing."""

    order: int
    arrivals_ns: tuple[int, ...]


class Profiled(Message, frozen=True):
    """What a tier's container timed."""

    order: int
    timings: TierTimings


TierReply = Fulfilled | Refused | Died | ProbeReport | Profiled


# --- tier <-> runner ----------------------------------------------------------------------------------------


class BuildPart(Message, frozen=True):
    """Build the part for a cut at `point`, and unless it is `urgent` run it once; `sparing`: upon another part."""

    point: int
    urgent: bool
    sparing: bool


class DropPart(Message, frozen=True):
    """Forget it."""

    point: int


class Reload(Message, frozen=True):
    """Load the model again and serve `point` alone: in this process, or after starting it anew."""

    point: int
    restart: bool


class ProfileModel(Message, frozen=True):
    """Time the model's layers, and the parts for cuts at `points`; what was built for it is dropped again."""

    points: tuple[int, ...]
    repetitions: int


RunnerOrder = BuildPart | DropPart | Reload | ProfileModel


class RunnerUp(Message, frozen=True):
    """The runner serves `points`; `grown_bytes` is the most that building one of them took."""

    points: tuple[int, ...]
    parts_ms: dict[str, float]
    grown_bytes: int


class PartBuilt(Message, frozen=True):
    """The part for a cut at `point` serves; `grown_bytes` is the most that building it took."""

    point: int
    parts_ms: dict[str, float]
    grown_bytes: int


class PartDropped(Message, frozen=True):
    """The part for a cut at `point` is gone."""

    point: int


class ModelProfiled(Message, frozen=True):
    """What was timed."""

    timings: TierTimings


class RunnerTrouble(Message, frozen=True):
    """The runner could not do as told; `lasting`: nor could it if it were told again."""

    reason: str
    lasting: bool = False


class RunnerRefusals(Message, frozen=True):
    """How many strangers and malformed frames a runner has refused so far, by reason."""

    counts: dict[str, int]


RunnerReply = RunnerUp | PartBuilt | PartDropped | ModelProfiled | RunnerTrouble | RunnerRefusals


# --- the edge and the device --------------------------------------------------------------------------------


class Settled(Message, frozen=True):
    """What became of a frame."""

    run: int
    frame: int
    outcome: Outcome
    point: int | None
    label: int | None


# --- codec --------------------------------------------------------------------------------------------------

_encoder = msgspec.msgpack.Encoder()


def encode(message: msgspec.Struct) -> bytes:
    """Return the message as msgpack."""
    return _encoder.encode(message)


class Codec:
    """Decodes the messages of one union type."""

    def __init__(self, union: Any) -> None:
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(union)

    def decode(self, data: bytes | memoryview) -> Any:
        """Return the message.

        Raises:
            ProtocolError: not a message of this union.
        """
        try:
            return self._decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ProtocolError(f"message refused: {error}") from error


class StreamDecoder:
    """Cuts a byte stream into length-prefixed messages."""

    def __init__(self, union: Any) -> None:
        self._codec = Codec(union)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """Take what arrived; return the messages that are now whole.

        Raises:
            ProtocolError: a message larger than 1 MiB, or one that does not decode.
        """
        self._buffer += data
        messages = []
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_MESSAGE_BYTES:
                raise ProtocolError(
                    f"message of {length} bytes refused (limit {MAX_MESSAGE_BYTES}): "
                    "something else than an agent writes to this channel"
                )
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                break
            messages.append(self._codec.decode(bytes(self._buffer[_LENGTH.size : end])))
            del self._buffer[:end]
        return messages


def frame_for_stream(message: msgspec.Struct) -> bytes:
    """Return the message with its length in front."""
    body = encode(message)
    return _LENGTH.pack(len(body)) + body
