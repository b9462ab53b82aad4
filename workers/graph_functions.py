"""The functions of a TensorFlow graph (bodies of loops, branches), named by their content.

TensorFlow numbers functions through a process and knows one function by each name: of two models that were stored by
different processes and are loaded by one, the second would run the first one's loops.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


def name_functions(definition: Any) -> None:
    """Rename the functions of a GraphDef in place, in the order of their calls; drop those that nothing calls."""
    made = {function.signature.name: function for function in definition.library.function}
    called = list(dict.fromkeys(_called(definition.node, made)))
    for name in called:  # grows while it is read: functions call others
        called += [other for other in _called(made[name].node_def, made) if other not in called]
    functions = [made[name] for name in called]
    numbered = {name: f"function_{number}" for number, name in enumerate(called, start=1)}
    _rename(definition.node, functions, numbered)
    contents = hashlib.sha256(b"".join(function.SerializeToString(deterministic=True) for function in functions))
    _rename(definition.node, functions, {name: f"{name}_{contents.hexdigest()[:16]}" for name in numbered.values()})
    library = type(definition.library)(function=functions)
    definition.library.CopyFrom(library)


def _rename(nodes: Iterable[Any], functions: Iterable[Any], names: Mapping[str, str]) -> None:
    bodies = [function.node_def for function in functions]
    for calling in (nodes, *bodies):
        for reference in _references(calling):
            reference.name = names.get(reference.name, reference.name)
        for node in calling:
            node.op = names.get(node.op, node.op)
    for function in functions:
        function.signature.name = names[function.signature.name]


def _called(nodes: Iterable[Any], made: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the functions that nodes call, by an attribute or, in old graphs, as their operation."""
    for node in nodes:
        names = [node.op, *(reference.name for reference in _references([node]))]
        yield from (name for name in names if name in made)


def _references(nodes: Iterable[Any]) -> Iterator[Any]:
    for node in nodes:
        for key in sorted(node.attr):
            value = node.attr[key]
            if value.HasField("func"):
                yield value.func
            yield from value.list.func
