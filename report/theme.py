"""Names, order and colours of strategies: fixed, so that no plot depends on what else is in it.

Colours follow Okabe and Ito's colour-blind-safe palette, moved in lightness until each keeps a contrast of
3:1 against its background, light and dark. Markers differ as well.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

INK = "#1b2027"
MUTED = "#5b6470"
RULE = "#d3d9e0"
BAD = "#b3261e"  # nothing is served, a frame is lost
OPEN = "#8a5a00"  # served, but not as it should be
# How these colours are replaced where a figure stands in the page, which has a light and a dark look.
PAGE_COLOURS = {INK: "var(--ink)", MUTED: "var(--muted)", RULE: "var(--rule)", BAD: "var(--bad)", OPEN: "var(--open)"}


_NAME = re.compile("[a-z0-9-]+")


def names_a_colour(strategy: str) -> bool:
    """Say whether a page's style may name a colour after a strategy."""
    return _NAME.fullmatch(strategy) is not None


@dataclass(frozen=True)
class Style:
    """How a strategy is named and drawn: colour on light and on dark ground, matplotlib marker."""

    name: str
    light: str
    dark: str
    marker: str


STRATEGIES = {
    "pause-resume": Style("Pause and resume", "#c2410c", "#f58a5b", "s"),
    "pause-resume-inprocess": Style("Pause and resume, in process", "#a16207", "#e3b341", "D"),
    "switch-a1": Style("Switching A1: standby, own container", "#0b5fa5", "#5aa9e6", "o"),
    "switch-a2": Style("Switching A2: standby, same container", "#2089c9", "#8fd0ff", "^"),
    "switch-b1": Style("Switching B1: new container", "#0a7a58", "#3ecf9f", "v"),
    "switch-b2": Style("Switching B2: same container", "#a8447f", "#ec8fc4", "P"),
    "switch-hot": Style("Switching, hot points", "#5b4bb5", "#a99cf5", "X"),
    "switch-warm": Style("Switching, warm container", "#57606a", "#b3bdc8", "*"),
}
# Of strategies that are not the paper's, by a number made of their name: the same whatever else is shown.
SPARE = (
    ("#7d4e2d", "#d9a27a", "h"),
    ("#8c2d4f", "#e58aa8", "p"),
    ("#3f6b12", "#a3cf6b", "d"),
    ("#0e6f78", "#5fc9d3", "<"),
    ("#6d6200", "#d6c94a", ">"),
)

# What the latency of a frame consists of (Eq. 1), in the order in which it is spent.
STAGES = {
    "edge": Style("Edge", "#1d6fb8", "#62aeea", "s"),
    "transfer": Style("Transfer", "#87919b", "#8b96a2", "s"),
    "cloud": Style("Cloud", "#c4701b", "#eda356", "s"),
}

# Parts of the work: what the engine does in greys, what the application does in colours; on light and dark alike.
PARTS = {
    "container": "#5f6b78",
    "pause": "#7d8995",
    "handover": "#9aa5b0",
    "unpause": "#b4bdc6",
    "start": "#b8871b",
    "import": "#cf5f22",
    "read": "#8f5f3c",
    "load": "#8f5f3c",
    "assemble": "#2f9270",
    "build": "#7fae3f",
    "trace": "#2f80c2",
    "instantiate": "#2f80c2",
    "first_inference": "#8a6fd1",
    "connect": "#bf4f8f",
}


def part_colour(part: str) -> str:
    """Return the colour of a part of the work; a part that is not known gets a spare one by its name."""
    return PARTS.get(part) or SPARE[zlib.crc32(part.encode()) % len(SPARE)][0]


def style(strategy: str) -> Style:
    """Return a strategy's style; one that the paper does not have gets a spare colour by its name."""
    if strategy in STRATEGIES:
        return STRATEGIES[strategy]
    light, dark, marker = SPARE[zlib.crc32(strategy.encode()) % len(SPARE)]
    return Style(strategy, light, dark, marker)


def ordered(strategies: Iterable[str]) -> list[str]:
    """Sort strategies: the paper's in the order of Table I, then ours by name."""
    rank = {strategy: index for index, strategy in enumerate(STRATEGIES)}
    return sorted(set(strategies), key=lambda strategy: (rank.get(strategy, len(rank)), strategy))
