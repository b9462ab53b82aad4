from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workers.partition_graph import Cut, Operation, find_cuts


@st.composite
def graphs(draw):
    """Operations that can run in order, all of them reachable from the first and needed for the output."""
    operations = [Operation((), ("t0",))]
    tensors = ["t0"]
    for i in range(1, draw(st.integers(1, 14))):
        # Mostly near predecessors: otherwise nearly every graph is one parallel region.
        near = tensors[-draw(st.sampled_from([1, 1, 2, 3, len(tensors)])) :]
        reads = draw(st.lists(st.sampled_from(near), min_size=1, max_size=3))
        makes = [f"t{i}"] + [f"t{i}b"] * draw(st.booleans())
        operations.append(Operation(tuple(reads), tuple(makes)))
        tensors += makes
    output = tensors[-1]
    needed = {output}
    kept = []
    for operation in reversed(operations):
        if needed.intersection(operation.makes):
            kept.append(operation)
            needed.update(operation.reads)
    return kept[::-1], output


def separates(operations, tensor, output):
    """Whether every path from the first operation to the output leads through `tensor`."""
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
    operations, output = graph
    expected = [
        (position, tensor)
        for position, operation in enumerate(operations, start=1)
        for tensor in operation.makes
        if separates(operations, tensor, output)
    ]
    assert [(cut.position, cut.tensor) for cut in find_cuts(operations, output)] == expected


@given(graphs())
def test_blocks_cover_every_operation_once_and_input_and_output_are_cuts(graph):
    operations, output = graph
    cuts = find_cuts(operations, output)
    covered = [position for cut in cuts for position in range(cut.first, cut.position + 1)]
    assert covered == list(range(1, len(operations) + 1))
    assert cuts[0].position == 1
    assert cuts[-1] == Cut(len(operations), cuts[-1].first, output)


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
