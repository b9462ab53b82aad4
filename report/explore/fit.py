"""Which rows a page carries that cannot carry all: those that need an explanation, and of the others a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SEED = 20260101
_MARGIN = 0.97  # rows differ in size, so that a share of them can come out a little larger than that share


def chosen(marked: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """Return the places of so many rows, in order: the marked ones first, then a sample of the others.

    Where already the marked ones are too many, a sample of them.
    """
    first, others = np.flatnonzero(marked), np.flatnonzero(~marked)
    rng = np.random.default_rng(SEED)
    if count < len(first):
        return np.sort(rng.choice(first, count, replace=False))
    more = rng.choice(others, min(count - len(first), len(others)), replace=False)
    return np.sort(np.concatenate([first, more]))


def fitting(
    marked: NDArray[np.bool_], text_of: Callable[[NDArray[np.int64]], str], most: int
) -> tuple[NDArray[np.int64], str]:
    """Choose as many rows as fit.

    Args:
        marked: for each row, whether it goes first.
        text_of: from the places of rows to how the page carries them.
        most: characters that this may have.

    Returns:
        The places of the rows, and their text.
    """
    rows = np.arange(len(marked), dtype=np.int64)
    text = text_of(rows)
    while len(text) > most and len(rows):
        rows = chosen(marked, int(len(rows) * most / len(text) * _MARGIN))
        text = text_of(rows)
    return rows, text
