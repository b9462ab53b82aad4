"""What every strategy is made of: its state, the events it hears, the actions it asks for.

A strategy knows no clock, no socket and no container: `handle(state, event) -> (state, actions)`. The pipeline
manager carries out the actions and feeds the outcomes back as events. While a strategy is at work on one change
the manager holds further changes back and hands over the newest once the strategy has re-armed.
"""

from __future__ import annotations

import enum
from typing import Protocol

import msgspec


class Cut(msgspec.Struct, frozen=True):
    """A pipeline: a head and a tail in a pair of containers of the same name, cut at `point`."""

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
    """Begin to serve at `point`; `standby_point` is the cut for the other network speed."""

    point: int
    standby_point: int


class Change(msgspec.Struct, frozen=True):
    """The network speed changed: `point` is the cut to serve at, `standby_point` that for the other speed."""

    point: int
    standby_point: int


class Prepared(msgspec.Struct, frozen=True):
    """What a Launch, Build or Rebuild asked for is ready on both tiers."""

    cut: Cut


class PutAway(msgspec.Struct, frozen=True):
    """What a Drop or Remove asked for is done."""

    cut: Cut


class WorkFailed(msgspec.Struct, frozen=True):
    """A Launch, Build, Rebuild, Drop or Remove failed; nothing of `cut` is left in use."""

    cut: Cut
    reason: str


class ContainerLost(msgspec.Struct, frozen=True):
    """A container died by itself, on either tier; its partner on the other tier still runs, of no use to anyone."""

    container: str
    reason: str


StrategyEvent = Start | Change | Prepared | PutAway | WorkFailed | ContainerLost


# --- actions ------------------------------------------------------------------------------------------------


class LaunchContainers(msgspec.Struct, frozen=True):
    """Start a container on each tier that serves `cut`."""

    cut: Cut


class BuildInside(msgspec.Struct, frozen=True):
    """Build `cut` inside the containers that already run."""

    cut: Cut


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


class State(msgspec.Struct, frozen=True):
    """State of a strategy.

    `containers` counts those named so far, so that names never repeat. `broken` holds pairs of which one container
    died and the other is still to be removed. `amiss` is what went wrong since the last change without ending the
    service: the next Conclude says it.
    """

    phase: Phase = Phase.NEW
    active: Cut | None = None
    standby: Cut | None = None
    target: Cut | None = None
    standby_point: int | None = None
    containers: int = 0
    broken: tuple[Cut, ...] = ()
    amiss: str | None = None


Step = tuple[State, tuple[Action, ...]]


class Strategy(Protocol):
    """How a repartition is done."""

    def handle(self, state: State, event: StrategyEvent) -> Step:
        """Return the next state and what is to be done.

        Raises:
            IllegalTransition: the event is not expected in this state, which stays as it is.
        """
