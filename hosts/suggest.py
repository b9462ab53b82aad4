"""The nearest known name to a mistyped one."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the name in `known` that `word` is most likely a typo of, None where none is near."""
    by_folded = {name.casefold(): name for name in known}
    matches = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[matches[0]] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a message, ``; did you mean `name`?``, or what is known where nothing is near."""
    names = list(known)
    name = nearest(word, names)
    if name is not None:
        return f"; did you mean `{name}`?"
    return f"; known: {', '.join(names)}" if names else ""
