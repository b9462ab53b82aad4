"""Where a graph of operations can be cut in two: pure logic, no model library."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence


class Operation(NamedTuple):
    """One operation: the tensors that it reads and those that it makes, by any ids."""

    reads: tuple[Hashable, ...]
    makes: tuple[Hashable, ...]


class Cut(NamedTuple):
    """A place where one tensor alone connects what lies before with what comes after.

    `position` is that of the last operation of the head; `first` that of the first operation after the cut
    before it, so that ``first..position`` is a block: one operation, or a parallel region. Both count from 1.
    """

    position: int
    first: int
    tensor: Hashable

    @property
    def block(self) -> str:
        """The block's label: ``17``, or ``19-27`` for a parallel region."""
        return str(self.position) if self.first == self.position else f"{self.first}-{self.position}"


def find_cuts(operations: Sequence[Operation], output: Hashable) -> list[Cut]:
    """Return every cut of a graph whose operations stand in an order in which they can run.

    A cut is valid after operation i if exactly one tensor made at or before i is used after it; `output` is
    used after the last operation.
    """
    last_use = {tensor: i for i, operation in enumerate(operations, start=1) for tensor in operation.reads}
    last_use[output] = len(operations) + 1
    cuts: list[Cut] = []
    alive: set[Hashable] = set()
    first = 1
    for position, operation in enumerate(operations, start=1):
        alive.update(operation.makes)
        ended = (*operation.reads, *operation.makes)
        alive.difference_update(tensor for tensor in ended if last_use.get(tensor, 0) <= position)
        if len(alive) == 1:
            cuts.append(Cut(position, first, next(iter(alive))))
            first = position + 1
    return cuts
