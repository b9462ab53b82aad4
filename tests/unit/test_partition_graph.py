from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from workers.partition_graph import Cut, Operation, find_cuts, node_of, trace_flow


@st.composite
def graphs(draw):
    """Operations that can run in order, as layers are: each may make several tensors and read any made before it.

    All can be reached from the first; some may lead nowhere.
    """
    operations = [Operation((), ("t0",))]
    tensors = ["t0"]
    for i in range(1, draw(st.integers(1, 14))):
        # Mostly near predecessors: otherwise nearly every graph is one parallel region.
        near = tensors[-draw(st.sampled_from([1, 1, 2, 3, len(tensors)])) :]
        reads = draw(st.lists(st.sampled_from(near), min_size=1, max_size=3))
        makes = [f"t{i}{letter}" for letter in "abc"[: draw(st.sampled_from([1, 1, 1, 2, 3]))]]
        operations.append(Operation(tuple(reads), tuple(makes)))
        tensors += makes
    return operations, tensors[-1]


def needed_only(operations, output):
    needed, kept = {output}, []
    for operation in reversed(operations):
        if needed.intersection(operation.makes):
            kept.append(operation)
            needed.update(operation.reads)
    return kept[::-1]


def separates(operations, tensor, output):
    """Whether no path from the first operation to the output is left once `tensor` is removed."""
    makers = {made: operation for operation in operations for made in operation.makes}
    waiting, seen = [output], set()
    while waiting:
        current = waiting.pop()
        if current == tensor or current in seen:
            continue
        seen.add(current)
        if not makers[current].reads:
            return False
        waiting += makers[current].reads
    return True


@given(graphs())
def test_the_cuts_are_the_tensors_that_separate_input_from_output(graph):
    operations, output = needed_only(*graph), graph[1]
    expected = [
        (position, tensor)
        for position, operation in enumerate(operations, start=1)
        for tensor in operation.makes
        if separates(operations, tensor, output)
    ]
    assert [(cut.position, cut.tensor) for cut in find_cuts(operations, output)] == expected


@given(graphs())
def test_blocks_cover_every_operation_once_and_input_and_output_are_cuts(graph):
    operations, output = needed_only(*graph), graph[1]
    cuts = find_cuts(operations, output)
    covered = [position for cut in cuts for position in range(cut.first, cut.position + 1)]
    assert covered == list(range(1, len(operations) + 1))
    assert cuts[0].position == 1
    assert cuts[-1] == Cut(len(operations), cuts[-1].first, output)


@given(graphs(), st.sets(st.integers(1, 14)))
def test_what_cannot_be_sent_is_no_cut_and_its_block_reaches_to_the_next(graph, kept_back):
    operations, output = needed_only(*graph), graph[1]
    every = find_cuts(operations, output)
    found = find_cuts(operations, output, lambda tensor: int(re.findall(r"\d+", tensor)[0]) not in kept_back)
    allowed = [cut for cut in every if int(re.findall(r"\d+", cut.tensor)[0]) not in kept_back]
    assert [(cut.position, cut.tensor) for cut in found] == [(cut.position, cut.tensor) for cut in allowed]
    assert [cut.first for cut in found] == [1, *(cut.position + 1 for cut in found[:-1])][: len(found)]


def call_of(node):
    match = re.match(r"call_(\d+)/", node)
    return int(match[1]) if match else None


@st.composite
def node_graphs(draw):
    """Nodes as a trace leaves them: in calls, between calls, constants; each may make several tensors."""
    inputs, tensors, call = {"frame": (), "call_1/in": ("frame",)}, ["call_1/in"], 1
    for i in range(draw(st.integers(1, 16))):
        call += draw(st.integers(0, 1))
        place = draw(st.sampled_from([f"call_{call}/", f"call_{call}/", f"call_{call}/", ""]))
        near = tensors[-draw(st.sampled_from([1, 1, 2, 3, len(tensors)])) :]
        reads = draw(st.lists(st.sampled_from(near), min_size=draw(st.sampled_from([0, 1, 1, 1])), max_size=3))
        inputs[f"{place}n{i}"] = tuple(reads)
        tensors += draw(st.sampled_from([[f"{place}n{i}"], [f"{place}n{i}:0"], [f"{place}n{i}", f"{place}n{i}:1"]]))
    inputs["target"] = (draw(st.sampled_from(tensors)),)
    return inputs


def reaches(inputs, start, removed):
    """Whether the target depends on `start` when one tensor cannot be read."""
    waiting, seen = ["target"], set()
    while waiting:
        node = waiting.pop()
        if node == start:
            return True
        if node not in seen:
            seen.add(node)
            waiting += [node_of(tensor) for tensor in inputs[node] if tensor.removesuffix(":0") != removed]
    return False


CONSTANT = {"frame": (), "call_1/in": ("frame",), "n0": (), "target": ("n0",)}


@given(node_graphs())
@example(CONSTANT)
def test_the_cuts_of_a_trace_are_the_tensors_between_calls_without_which_nothing_arrives(inputs):
    flow = trace_flow(inputs, "frame", "target", call_of)
    if "frame" not in flow.needed:
        assert (flow.calls, flow.operations) == ((), ())
        return
    position = {call: place for place, call in enumerate(flow.calls, start=1)}
    passed = {  # every tensor that leaves the call that made it, and the target
        tensor.removesuffix(":0"): flow.owner[node_of(tensor)]
        for reader, call in flow.owner.items()
        for tensor in inputs[reader]
        if flow.owner.get(node_of(tensor), call) != call
    } | {"target": flow.owner["target"]}
    expected = {
        (position[call], tensor)
        for tensor, call in passed.items()
        if tensor == "target" or not reaches(inputs, "frame", tensor)
    }
    # Two tensors of one call, one made of the other, can both separate: after the call only the later one is left.
    found = {(cut.position, cut.tensor) for cut in find_cuts(flow.operations, "target")}
    assert found <= expected
    assert {place for place, _ in found} >= {place for place, _ in expected if _alone(flow, place)}


def _alone(flow, place):
    """Whether one tensor alone is made up to this call and read after it; naively, over all pairs of calls."""
    made = {tensor for operation in flow.operations[:place] for tensor in operation.makes}
    read = {tensor for operation in flow.operations[place:] for tensor in operation.reads} | {"target"}
    return len(made & read) == 1 and made & read <= set(flow.operations[place - 1].makes)


CHAIN = {
    "frame": (),
    "weight": (),
    "call_1/in": ("frame",),
    "call_2/mul": ("call_1/in:0", "weight"),
    "call_2/dead": ("call_2/mul",),
    "cast": ("call_2/mul",),
    "call_3/split": ("cast",),
    "call_4/add": ("call_3/split", "call_3/split:1", "^call_3/split"),
    "out": ("call_4/add",),
}


def test_only_what_the_target_needs_and_the_source_feeds_goes_from_call_to_call():
    flow = trace_flow(CHAIN, "frame", "out", call_of)
    assert flow.needed == CHAIN.keys() - {"call_2/dead"}
    assert flow.calls == (1, 2, 3, 4)
    assert [set(operation.makes) for operation in flow.operations] == [
        {"call_1/in"},
        {"cast"},  # made between calls: it belongs to the one that it depends on
        {"call_3/split", "call_3/split:1", "^call_3/split"},
        {"out"},
    ]
    assert [cut.position for cut in find_cuts(flow.operations, "out")] == [1, 2, 4]


def test_a_call_that_leads_nowhere_is_none():
    inputs = {**CHAIN, "call_3/late": ("call_1/in",), "out": ("call_2/mul",)}
    assert trace_flow(inputs, "frame", "out", call_of).calls == (1, 2)


def test_what_does_not_depend_on_the_source_hinders_no_cut():
    inputs = {
        "frame": (),
        "weight": (),
        "call_1/in": ("frame",),
        "call_2/square": ("weight",),
        "call_3/add": ("call_1/in", "call_2/square"),
        "call_4/add": ("call_3/add", "call_2/square"),
    }
    flow = trace_flow(inputs, "frame", "call_4/add", call_of)
    assert [(cut.position, cut.block) for cut in find_cuts(flow.operations, "call_4/add")] == [
        (1, "1"),
        (3, "2-3"),
        (4, "4"),
    ]


def test_a_parallel_region_is_one_block():
    diamond = [
        Operation((), ("x",)),
        Operation(("x",), ("a",)),
        Operation(("a",), ("b",)),
        Operation(("a", "b"), ("sum",)),
    ]
    cuts = find_cuts(diamond, "sum")
    assert [cut.block for cut in cuts] == ["1", "2", "3-4"]


def test_a_tensor_that_skips_everything_leaves_only_the_ends():
    operations = [Operation((), ("x",)), Operation(("x",), ("a",)), Operation(("a", "x"), ("y",))]
    assert [cut.position for cut in find_cuts(operations, "y")] == [1, 3]


def test_a_result_that_nobody_reads_does_not_hinder_a_cut():
    operations = [Operation((), ("x",)), Operation(("x",), ("a", "unused")), Operation(("a",), ("y",))]
    assert [cut.tensor for cut in find_cuts(operations, "y")] == ["x", "a", "y"]
