"""Columns of a table as little JSON: each text once, equal neighbours together, numbers to four digits.

A packed column is ``{"values": [...]}``. With ``words`` the values are places in that list, -1 for none; with
``lengths`` each value stands for so many rows. Truth is 1 or 0. ``templates/explore.js`` unpacks it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIGITS = 4  # significant ones, of numbers that are not whole
_WHOLE_PART = re.compile(r"\.0\b")


def packed(column: pd.Series[Any]) -> str:
    """Return a column as JSON in the shorter of two ways: value by value, or equal neighbours together."""
    if pd.api.types.is_string_dtype(column.dtype):
        places, words = pd.factorize(column)
        return f'{{"words":{as_json(words.tolist())},{_shorter(places.astype(float))}}}'
    return f"{{{_shorter(rounded(column.to_numpy(dtype=float, na_value=np.nan)))}}}"


def numbers(values: NDArray[np.float64]) -> str:
    """Return numbers as a JSON list: whole ones without a point, null for what is not known."""
    text = json.dumps(values.tolist(), separators=(",", ":"))
    return _WHOLE_PART.sub("", text).replace("NaN", "null")


def rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return numbers with so many significant digits; whole ones stay as they are, infinite ones are not known."""
    values = np.where(np.isinf(values), np.nan, values)
    fine = ~np.isnan(values) & (values != np.floor(values))
    some = values[fine]
    decimals = DIGITS - 1 - np.floor(np.log10(np.abs(some)))
    scale = 10.0 ** np.abs(decimals)
    shorter = np.where(decimals >= 0, np.round(some * scale) / scale, np.round(some / scale) * scale)
    result = values.copy()
    result[fine] = shorter
    return result


def as_json(value: Any) -> str:
    """Return JSON that may stand in a ``<script>``: nothing in it can end that, or begin a comment or a tag."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _shorter(values: NDArray[np.float64]) -> str:
    one_by_one = f'"values":{numbers(values)}'
    known = np.where(np.isnan(values), np.inf, values)  # NaN differs from itself
    starts = np.flatnonzero(np.append(True, known[1:] != known[:-1])[: len(known)])
    if 2 * len(starts) > len(values):
        return one_by_one
    lengths = np.diff(np.append(starts, len(values))).astype(float)
    together = f'"values":{numbers(values[starts])},"lengths":{numbers(lengths)}'
    return min(one_by_one, together, key=len)
