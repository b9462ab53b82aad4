"""The shape of a table on the page."""

from __future__ import annotations

from dataclasses import dataclass

from report.theme import names_a_colour


@dataclass(frozen=True)
class Cell:
    """Text of a cell with a smaller second line; `tone` is ``good``, ``bad`` or ``quiet``.

    `see` is a place on the page (anchor) and the words that lead there, on a line of their own.
    """

    text: str
    note: str = ""
    tone: str = ""
    swatch: str = ""  # strategy whose colour stands before the text
    see: tuple[str, str] | None = None

    @property
    def colour(self) -> str:
        """The name of the swatch's colour; that of no strategy where it cannot be the name of one."""
        return self.swatch if names_a_colour(self.swatch) else "muted"


@dataclass(frozen=True)
class Column:
    """A column's heading, its explanation, and whether it holds numbers."""

    label: str
    note: str = ""
    numeric: bool = False


@dataclass(frozen=True)
class Group:
    """Rows under a common heading; an empty heading shows none. The first cell of a row is its heading."""

    label: str
    rows: list[list[Cell]]


@dataclass(frozen=True)
class Grid:
    """A table with its caption."""

    name: str
    caption: str
    columns: list[Column]
    groups: list[Group]

    @property
    def is_empty(self) -> bool:
        """Whether no group has a row."""
        return not any(group.rows for group in self.groups)


def numeric(label: str, note: str = "") -> Column:
    """Return a column of numbers."""
    return Column(label, note, numeric=True)


def group_by_first(pairs: list[tuple[str, list[Cell]]]) -> list[Group]:
    """Gather rows that share a heading, in order."""
    groups: dict[str, list[list[Cell]]] = {}
    for label, row in pairs:
        groups.setdefault(label, []).append(row)
    return [Group(label, rows) for label, rows in groups.items()]
