"""Tensors keep their values on the wire, and a frame that does not add up is refused before it is used."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from workers.errors import ProtocolError
from workers.frames import MAX_TENSOR_BYTES, FrameHeader, pack, unpack, unpack_header

SHAPES = arrays.array_shapes(min_dims=0, max_dims=8, min_side=0, max_side=3)
TENSORS = st.sampled_from(["uint8", "float16", "float32"]).flatmap(lambda dtype: arrays.arrays(dtype, SHAPES))
HUGE = 2**63 - 1


def wire(tensor, **fields):
    """Return the two parts of a frame as they arrive."""
    header, body = pack(FrameHeader(1, 2, tensor.dtype.name, tensor.shape, **fields), tensor)
    return [header, bytes(body)]


def header_part(shape, dtype="uint8"):
    return msgspec.msgpack.encode(FrameHeader(1, 2, dtype, shape))


@given(TENSORS)
def test_a_tensor_comes_back_bit_for_bit(tensor):
    header, back = unpack(wire(tensor))
    assert header == FrameHeader(1, 2, tensor.dtype.name, tensor.shape)
    assert back.dtype == tensor.dtype
    assert back.shape == tensor.shape
    assert back.tobytes() == tensor.tobytes()


def test_a_tensor_that_is_not_contiguous_is_packed_in_its_own_order():
    tensor = np.arange(12, dtype=np.float32).reshape(3, 4).T
    _, back = unpack(wire(tensor))
    np.testing.assert_array_equal(back, tensor)


def test_an_unpacked_tensor_is_a_read_only_view():
    parts = wire(np.zeros((2, 2), np.uint8))
    _, tensor = unpack(parts)
    assert not tensor.flags.writeable
    assert np.shares_memory(tensor, np.frombuffer(parts[1], np.uint8))


def test_the_stages_travel_with_the_frame():
    stages = {
        "point": 7,
        "container": "p3",
        "error": "no part",
        "head_ms": 1.5,
        "head_done_ns": 10,
        "cut_bytes": 4,
        "cloud_received_ns": 11,
        "tail_ms": 2.5,
        "tail_done_ns": 12,
    }
    header = unpack_header(wire(np.zeros(4, np.uint8), **stages))
    assert {name: getattr(header, name) for name in stages} == stages


def test_an_error_travels_without_a_tensor():
    header, tensor = unpack([header_part((0,)), b""])
    assert header.shape == (0,)
    assert tensor.size == 0


@pytest.mark.parametrize("count", [0, 1, 3, 7])
def test_a_frame_has_two_parts(count):
    parts = (wire(np.zeros(4, np.uint8)) * 4)[:count]
    with pytest.raises(ProtocolError, match=f"frame of {count} parts refused"):
        unpack(parts)


@pytest.mark.parametrize(
    "shape",
    [
        (-1,),
        (-2, -2),
        (2, -1, 0),
        (1,) * 9,
        (HUGE, 0),
        (0, HUGE),
        (2**40, 2**40, 0),
        (0, 2**26, 2**26, 2**26),
        (HUGE,),
        (HUGE, HUGE, HUGE),
        (2**64 - 1, 0),
        (MAX_TENSOR_BYTES + 1,),
    ],
    ids=str,
)
def test_a_shape_that_no_tensor_has_is_refused(shape):
    with pytest.raises(ProtocolError, match="frame shape"):
        unpack([header_part(shape), b""])


@pytest.mark.parametrize(
    ("dtype", "shape", "length"),
    [("uint8", (4,), 3), ("uint8", (4,), 5), ("float32", (4,), 4), ("float16", (), 0), ("uint8", (0, 3), 1)],
)
def test_bytes_that_do_not_fit_the_shape_are_refused(dtype, shape, length):
    with pytest.raises(ProtocolError, match=f"frame of {length} bytes refused: {dtype}"):
        unpack([header_part(shape, dtype), bytes(length)])


def test_the_bound_counts_bytes_not_items():
    items = MAX_TENSOR_BYTES // 4
    with pytest.raises(ProtocolError, match="larger than"):
        unpack_header([header_part((items + 1,), "float32"), b""])
    with pytest.raises(ProtocolError, match=f"takes {MAX_TENSOR_BYTES} bytes"):  # allowed, but it is not all there
        unpack_header([header_part((items,), "float32"), b""])


@pytest.mark.parametrize("dtype", ["float64", "object", "int32", "V8", ""])
def test_a_dtype_that_is_not_on_the_list_is_refused(dtype):
    with pytest.raises(ProtocolError, match="frame header refused"):
        unpack([msgspec.msgpack.encode({"run": 1, "frame": 1, "dtype": dtype, "shape": [1]}), b"x"])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"run": "1", "frame": 1, "dtype": "uint8", "shape": [0]},
        {"run": 1, "frame": 1, "dtype": "uint8", "shape": [0.5]},
        {"run": 1, "frame": 1, "dtype": "uint8", "shape": None},
        {"run": 1, "frame": 1, "dtype": "uint8", "shape": [0], "shape_": [0]},
    ],
)
def test_a_header_that_is_none_is_refused(fields):
    with pytest.raises(ProtocolError, match="frame header refused"):
        unpack([msgspec.msgpack.encode(fields), b""])


def test_a_container_name_that_is_no_utf8_is_refused():
    header = msgspec.msgpack.encode(FrameHeader(1, 2, "uint8", (0,), container="pp")).replace(b"pp", b"\xff\xff")
    with pytest.raises(ProtocolError, match="frame header refused"):
        unpack_header([header, b""])


@given(st.lists(st.binary(max_size=200), max_size=3))
def test_garbage_is_at_worst_a_protocol_error(parts):
    try:
        _, tensor = unpack(parts)
    except ProtocolError:
        return
    assert tensor.nbytes == len(parts[1])


@given(st.lists(st.integers(-(2**63), 2**64 - 1) | st.integers(-2, 4), max_size=10), st.binary(max_size=64))
def test_any_shape_is_used_or_refused(shape, body):
    try:
        _, tensor = unpack([header_part(tuple(shape)), body])
    except ProtocolError:
        return
    assert tensor.shape == tuple(shape)
    assert tensor.nbytes == len(body)


@given(TENSORS, st.data())
def test_one_wrong_byte_in_the_header_is_at_worst_a_protocol_error(tensor, data):
    header, body = wire(tensor)
    changed = bytearray(header)
    changed[data.draw(st.integers(0, len(header) - 1))] = data.draw(st.integers(0, 255))
    try:
        _, back = unpack([bytes(changed), body])
    except ProtocolError:
        return
    assert back.nbytes == len(body)
