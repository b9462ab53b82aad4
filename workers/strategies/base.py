"""What every strategy is made of: its state, the events it hears, the actions it asks for.

A strategy knows no clock, no socket and no container: `handle(state, event) -> (state, actions)`. The pipeline
manager carries out the actions and feeds the outcomes back as events. While a strategy is at work on one change
the manager holds further changes back and hands over the newest once the strategy has re-armed.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from msgspec.structs import replace

from workers.errors import IllegalTransition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

UNCUT = 0  # points count from 1


class Cut(msgspec.Struct, frozen=True):
    """A pipeline: a head and a tail in a pair of containers of the same name, cut at `point`.

    With `UNCUT` for its point it is a *warm* pair: its runners have imported what runs a model and hold none.
    """

    container: str
    point: int


class Phase(enum.Enum):
    """Where a strategy stands."""

    NEW = "new"
    STARTING = "starting"  # the first pipeline is being prepared
    ARMING = "arming"  # serving, and preparing what the strategy promises for the next change
    SERVING = "serving"  # ready for a change
    PREPARING = "preparing"  # serving at the old cut while the new one is prepared
    REBUILDING = "rebuilding"  # not serving
    RETIRING = "retiring"  # serving at the new cut while the old one is put away
    DOWN = "down"  # nothing can serve


# --- events -------------------------------------------------------------------------------------------------


class Start(msgspec.Struct, frozen=True):
    """Begin to serve at `point`; `standby_point` is the cut for the other network speed.

    `hot` are the points to be kept ready by a strategy that keeps any number of them.
    """

    point: int
    standby_point: int
    hot: tuple[int, ...] = ()


class Change(msgspec.Struct, frozen=True):
    """The network speed changed: `point` is the cut to serve at, `standby_point` that for the other speed.

    `name` is the layer after which the point lies, for what is said about it.
    """

    point: int
    standby_point: int
    name: str = ""


class Prepared(msgspec.Struct, frozen=True):
    """What a Launch, Build or Rebuild asked for is ready on both tiers."""

    cut: Cut


class PutAway(msgspec.Struct, frozen=True):
    """What a Drop or Remove asked for is done."""

    cut: Cut


class WorkFailed(msgspec.Struct, frozen=True):
    """A Launch, Build, Rebuild, Drop or Remove failed; nothing of `cut` is left in use.

    `lasting`: it would fail in the same way if it were tried again.
    """

    cut: Cut
    reason: str
    lasting: bool = False


class ContainerLost(msgspec.Struct, frozen=True):
    """A container died by itself, on either tier; its partner on the other tier still runs, of no use to anyone."""

    container: str
    reason: str


StrategyEvent = Start | Change | Prepared | PutAway | WorkFailed | ContainerLost


# --- actions ------------------------------------------------------------------------------------------------


class LaunchContainers(msgspec.Struct, frozen=True):
    """Start a container on each tier that serves `cut`; see `BuildInside` for `urgent`."""

    cut: Cut
    urgent: bool = False


class BuildInside(msgspec.Struct, frozen=True):
    """Build `cut` inside the containers that already run, and in a warm pair load the model first.

    `urgent`: a change waits for it, so that its first frame is its first inference; otherwise it makes one of its own.
    `sparing`: of a cut that covers half of it only the rest is made anew, which each frame pays with a second call into
    TensorFlow; and nothing where what it is known to take would exceed the memory that is left.
    """

    cut: Cut
    urgent: bool = False
    sparing: bool = False


class RebuildPaused(msgspec.Struct, frozen=True):
    """Pause both containers, hand over the new cut, resume them; with a restart of the application or not."""

    cut: Cut
    restart: bool


class DropInside(msgspec.Struct, frozen=True):
    """Forget `cut` inside its containers, once its last frame in flight has settled."""

    cut: Cut


class RemoveContainers(msgspec.Struct, frozen=True):
    """Remove the containers of `cut`, also what is left of a pair, once its last frame in flight has settled."""

    cut: Cut


class Route(msgspec.Struct, frozen=True):
    """Send the next frame to `cut`."""

    cut: Cut


class StopIntake(msgspec.Struct, frozen=True):
    """Accept no frame; those in flight are given up as paused."""


class ResumeIntake(msgspec.Struct, frozen=True):
    """Accept frames again."""


class Conclude(msgspec.Struct, frozen=True):
    """The repartition has ended: serving at `point`. `moved` False: there was nothing to move.

    `ok` False: the change was not served, and `reason` says why. A `reason` with `ok` True names what the strategy
    promises and did not keep, though it served the change: such a run is no measurement of the strategy.
    """

    point: int
    moved: bool
    ok: bool = True
    reason: str | None = None


class Armed(msgspec.Struct, frozen=True):
    """Ready for the next change."""


Action = (
    LaunchContainers
    | BuildInside
    | RebuildPaused
    | DropInside
    | RemoveContainers
    | Route
    | StopIntake
    | ResumeIntake
    | Conclude
    | Armed
)


class Cold(msgspec.Struct, frozen=True):
    """A promised point that could not be built; `lasting`: nor would it be if that were tried again."""

    point: int
    reason: str
    lasting: bool


class State(msgspec.Struct, frozen=True):
    """State of a strategy.

    `containers` counts those named so far, so that names never repeat. `broken` holds pairs of which one container
    died and the other is still to be removed. `amiss` is what went wrong since the last change without ending the
    service: the next Conclude says it. `standbys_lost` counts those that died since
    the last change. `hot` are cuts that are ready beside the active one, `promised` the points that are to be,
    `cold` those of them that cannot, with the reason.
    """

    phase: Phase = Phase.NEW
    active: Cut | None = None
    standby: Cut | None = None
    target: Cut | None = None
    standby_point: int | None = None
    containers: int = 0
    broken: tuple[Cut, ...] = ()
    amiss: str | None = None
    standbys_lost: int = 0
    promised: tuple[int, ...] = ()
    hot: tuple[Cut, ...] = ()
    cold: tuple[Cold, ...] = ()


def note(state: State, what: str) -> State:
    """Note what the next Conclude has to say."""
    return replace(state, amiss=f"{state.amiss}; {what}" if state.amiss else what)


Step = tuple[State, tuple[Action, ...]]


class Strategy(Protocol):
    """How a repartition is done."""

    def handle(self, state: State, event: StrategyEvent) -> Step:
        """Return the next state and what is to be done.

        Raises:
            IllegalTransition: the event is not expected in this state, which stays as it is.
        """


def step_by(
    table: Mapping[tuple[Phase, type[Any]], Callable[[State, Any], Step]], name: str, state: State, event: StrategyEvent
) -> Step:
    """Return the step that a strategy's table has for an event; see `Strategy.handle`.

    Raises:
        IllegalTransition: it has none; `name` says whose table it is.
    """
    handler = table.get((state.phase, type(event)))
    if handler is None:
        raise IllegalTransition(f"{name}: {event} is not expected in {state}")
    return handler(state, event)
