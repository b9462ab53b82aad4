"""What the history holds: a line of JSON a record, appended, never changed.

A `Night` is what a grid measured, with the verdict on it as it stood then. Another `Verdict` follows when its suspects
were measured again. An `Acceptance` says that somebody takes an alarm's level for the new normal one.
"""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

HISTORY_SCHEMA = 1  # raise it when what a field or a number means changes; a new field with a default is no change
GRID = "grid"  # whose number it is that no block and no strategy has to itself


_LARGEST = 1e15  # no number of a night is larger; a line that has one is no record of ours
Number = Annotated[float, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)]
BlockName = Annotated[str, msgspec.Meta(pattern="^[^/]+/[^/]+/[^/]+$")]


class Kind(enum.Enum):
    """What a series tells of. Each kind has its thresholds and its share of the false alarms."""

    DOWNTIME = "downtime"  # ms
    PART = "part"  # ms: components of the downtime, and what the tiers spend on parts of the work
    DROPS = "drops"  # % of the frames offered
    FAILURES = "failures"  # % of the runs asked for that are not ok
    MEMORY = "memory"  # MB
    CONDITION = "condition"  # % of what was asked for; availabilities in %
    WALL_TIME = "wall time"  # s


TIMES = frozenset({Kind.DOWNTIME, Kind.PART, Kind.WALL_TIME})


class Series(msgspec.Struct, frozen=True):
    """Names one number that every night measures.

    `of` is a block's folder (``vgg19/switch-b2/cpu100-mem100``), a strategy, all blocks of which it summarises, or
    `GRID`. `scenario` is empty where frame rates and directions are together.
    """

    kind: Kind
    name: str
    of: str
    scenario: str = ""

    @property
    def text(self) -> str:
        """How to print it."""
        return ", ".join(part for part in (self.of, self.scenario, self.name) if part)

    def blocks(self, known: dict[str, str]) -> list[str]:
        """Return the blocks it rests on, of those `known`, which are to be measured again to measure it again."""
        if self.of in known:
            return [self.of]
        return [block for block in known if block.split("/")[1] == self.of]


class Value(msgspec.Struct, frozen=True):
    """A night's number: median with its interval, where there is one, over `n` runs (or frames, for a rate)."""

    series: Series
    median: Number
    n: int
    low: Number | None = None
    high: Number | None = None


class Night(msgspec.Struct, frozen=True, tag="night", tag_field="record"):
    """The summary of one night.

    `hosts` are the facts that make its class of hosts, `environment` those that an update may change. `blocks` maps
    each block that was measured to the hash of its config, `missing` are those that were not. `short` says why it
    measured too little: such a night is neither judged nor compared with. `verdict` is in the same record, so that no
    kill and no full disk parts them: a night whose suspects wait is never a baseline.
    """

    id: str
    started_utc: str
    commit: str
    dirty: bool
    protocol: int
    hosts: dict[str, str]
    environment: dict[str, str]
    blocks: dict[BlockName, str]
    runs_asked: int
    runs_measured: int
    values: tuple[Value, ...]
    short: str | None = None
    missing: tuple[str, ...] = ()
    verdict: Verdict | None = None
    schema: int = HISTORY_SCHEMA


class Finding(msgspec.Struct, frozen=True):
    """A series that a night found changed: its `value` against the `expected` of the window's nights.

    `p` is the chance of a change at least this large if nothing changed. `again` is what the second measurement
    found, None where there was none. `last_good` is the commit of the last night that was as expected, `since` that
    of the first that was not.
    """

    series: Series
    value: Number
    expected: Number
    p: Number
    nights: int
    since: str
    last_good: str
    again: Number | None = None


class Verdict(msgspec.Struct, frozen=True, tag="verdict", tag_field="record"):
    """What became of a night's changes.

    `alarms` were borne out by a second measurement, `standing` were alarms before and are still there, `refuted` were
    not borne out, `waiting` were not measured again, those that no block stands for because they cannot be; `better`
    are no trouble. An `open` verdict stands until the suspects are measured again; the last of a night counts.
    """

    night: str
    alarms: tuple[Finding, ...] = ()
    standing: tuple[Finding, ...] = ()
    refuted: tuple[Finding, ...] = ()
    waiting: tuple[Finding, ...] = ()
    better: tuple[Finding, ...] = ()
    open: bool = False
    schema: int = HISTORY_SCHEMA


class Acceptance(msgspec.Struct, frozen=True, tag="acceptance", tag_field="record"):
    """Somebody takes the level of standing alarms for the new normal one; all of them where `series` is empty."""

    at_utc: str
    note: str
    series: tuple[Series, ...] = ()
    schema: int = HISTORY_SCHEMA


Record = Night | Verdict | Acceptance
