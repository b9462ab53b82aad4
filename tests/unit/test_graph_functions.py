from __future__ import annotations

import pytest

from workers.graph_functions import name_functions

graph_pb2 = pytest.importorskip("tensorflow.core.framework.graph_pb2", reason="TensorFlow is not installed")

pytestmark = pytest.mark.tensorflow


def graph(number, *, step="AddV2", unused=True):
    """A loop in whose body another function is called, numbered as TensorFlow does through a process."""
    made = graph_pb2.GraphDef()
    loop = made.node.add(name="loop", op="StatelessWhile")
    loop.attr["cond"].func.name = f"cond_{number}"
    loop.attr["body"].func.name = f"body_{number + 1}"
    bodies = {f"body_{number + 1}": f"inner_{number + 2}", f"inner_{number + 2}": step, f"cond_{number}": "Less"}
    if unused:
        bodies[f"nobody_calls_{number}"] = step
    for name, operation in bodies.items():
        function = made.library.function.add()
        function.signature.name = name
        function.node_def.add(name="call", op=operation)
    return made


def renamed(*args, **kwargs):
    definition = graph(*args, **kwargs)
    name_functions(definition)
    return definition


def test_the_same_functions_get_the_same_names_whatever_number_they_had():
    assert renamed(10) == renamed(4711)


def test_other_functions_get_other_names():
    one, other = renamed(10), renamed(10, step="Sub")
    names = [{function.signature.name for function in made.library.function} for made in (one, other)]
    assert names[0].isdisjoint(names[1])


def test_every_reference_is_renamed_and_what_nothing_calls_is_dropped():
    made = renamed(10)
    body, cond, inner = made.library.function
    loop = made.node[0]
    assert (loop.attr["body"].func.name, loop.attr["cond"].func.name) == (body.signature.name, cond.signature.name)
    assert body.node_def[0].op == inner.signature.name
    assert (cond.node_def[0].op, inner.node_def[0].op) == ("Less", "AddV2")


def test_references_in_lists_are_followed():
    made = graph(10)
    del made.node[:]
    made.node.add(name="case", op="StatelessCase").attr["branches"].list.func.add(name="cond_10")
    name_functions(made)
    (function,) = made.library.function
    assert made.node[0].attr["branches"].list.func[0].name == function.signature.name
