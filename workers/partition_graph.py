"""Where a graph of operations can be cut in two: pure logic, no model library."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Mapping, Sequence


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


def find_cuts(
    operations: Sequence[Operation], output: Hashable, sendable: Callable[[Hashable], bool] = lambda _: True
) -> list[Cut]:
    """Return every cut of a graph whose operations are all needed and stand in an order in which they can run.

    A cut is valid after operation i if exactly one tensor made at or before i is used after it, and i made it:
    otherwise the cut before is the same. `output` is used after the last operation. A cut whose tensor is not
    `sendable` is none.
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
        if len(alive) == 1 and alive.issubset(operation.makes) and sendable(*alive):
            cuts.append(Cut(position, first, *alive))
            first = position + 1
    return cuts


class Flow(NamedTuple):
    """What of a graph of nodes leads from its source to its target, and to which call each node belongs.

    `owner` has the nodes that the target needs and that a call owns; `calls` are those that own any, `operations` the
    same with the tensors that go from one to another.
    """

    needed: set[str]
    owner: dict[str, int]
    calls: tuple[int, ...]
    operations: tuple[Operation, ...]


def trace_flow(
    inputs: Mapping[str, Sequence[str]], source: str, target: str, call_of: Callable[[str], int | None]
) -> Flow:
    """Return the flow from node `source` to node `target`; where there is none, it has no call.

    Args:
        inputs: what each node reads, in an order in which the nodes can run: ``node``, ``node:1``, ``^node``.
        source: node without a call, from which all that is sent comes. What does not depend on it (weights,
            constants) is there on every side of a cut.
        target: node whose output is the result.
        call_of: number of the call in which a node was made, None for one made between calls: it belongs to the
            latest call that it depends on.
    """
    needed = _ancestors(inputs, target)
    if source not in needed:  # made of constants alone, the target may belong to no call at all
        return Flow(needed, {}, (), ())
    owner: dict[str, int] = {}
    moving = {source}  # the nodes whose values depend on the source
    for name, read in inputs.items():
        if name not in needed:
            continue
        nodes = [node_of(tensor) for tensor in read]
        if moving.intersection(nodes):
            moving.add(name)
        call = call_of(name)
        if call is None:
            call = max((owner[node] for node in nodes if node in owner), default=None)
        if call is not None:
            owner[name] = call
    calls = tuple(sorted(set(owner.values())))
    return Flow(needed, owner, calls, _operations(inputs, owner, moving, calls, target))


def _operations(
    inputs: Mapping[str, Sequence[str]],
    owner: Mapping[str, int],
    moving: Collection[str],
    calls: Sequence[int],
    target: str,
) -> tuple[Operation, ...]:
    reads: dict[int, dict[str, None]] = {call: {} for call in calls}
    makes: dict[int, dict[str, None]] = {call: {} for call in calls}
    makes[owner[target]][target] = None
    for name, call in owner.items():
        for tensor in inputs[name]:
            maker = node_of(tensor)
            if maker in moving and owner.get(maker, call) != call:
                reads[call][_plain(tensor)] = None
                makes[owner[maker]][_plain(tensor)] = None
    return tuple(Operation(tuple(reads[call]), tuple(makes[call])) for call in calls)


def _ancestors(inputs: Mapping[str, Sequence[str]], target: str) -> set[str]:
    found: set[str] = set()
    waiting = [target]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += map(node_of, inputs[name])
    return found


def node_of(tensor: str) -> str:
    """Return the node that an input such as ``^conv``, ``conv`` or ``conv:1`` names."""
    return tensor.removeprefix("^").partition(":")[0]


def _plain(tensor: str) -> str:
    """Return one spelling of a tensor's name: ``conv`` for ``conv:0``. ``^conv`` is no tensor, and stays apart."""
    return tensor.removesuffix(":0")
