"""Tensors on the wire: a small msgpack header and the raw bytes, every bound checked before use."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from workers.errors import ProtocolError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_TENSOR_BYTES = 64 << 20
MAX_DIMENSIONS = 8


class FrameHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says what the tensor behind it is, which cut serves it and how far it has come.

    `point` and `container` are set by the edge's router for each frame, so that head and tail agree about the
    cut without a handshake. The stamps are those of `workers.records.EdgeFrame`.
    """

    run: int
    frame: int
    dtype: Literal["uint8", "float16", "float32"]
    shape: tuple[int, ...]
    point: int = 0
    container: str = ""
    error: str | None = None
    head_ms: float | None = None
    head_done_ns: int | None = None
    cut_bytes: int | None = None
    cloud_received_ns: int | None = None
    tail_ms: float | None = None
    tail_done_ns: int | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(FrameHeader)


def pack(header: FrameHeader, tensor: NDArray[np.generic]) -> tuple[bytes, memoryview]:
    """Return the two parts of a frame. `tensor` must be what the header says and C-contiguous."""
    return _encoder.encode(header), np.ascontiguousarray(tensor).data


def unpack(parts: list[bytes]) -> tuple[FrameHeader, NDArray[np.generic]]:
    """Return header and tensor (a read-only view of the bytes).

    Raises:
        ProtocolError: wrong number of parts, a header that does not decode, or bytes that do not fit it.
    """
    header = unpack_header(parts)
    tensor = np.frombuffer(parts[1], dtype=header.dtype).reshape(header.shape)
    return header, tensor


def unpack_header(parts: list[bytes]) -> FrameHeader:
    """Return the header after checking that the bytes behind it fit; see `unpack`."""
    if len(parts) != 2:  # noqa: PLR2004 - header and tensor
        raise ProtocolError(f"frame of {len(parts)} parts refused: a frame is a header and a tensor")
    try:
        header = _decoder.decode(parts[0])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"frame header refused: {error}") from error
    if len(header.shape) > MAX_DIMENSIONS or any(size < 0 for size in header.shape):
        raise ProtocolError(f"frame shape {header.shape} refused")
    item_bytes = np.dtype(header.dtype).itemsize
    if math.prod(max(size, 1) for size in header.shape) * item_bytes > MAX_TENSOR_BYTES:  # a 0 must not hide the rest
        raise ProtocolError(f"frame shape {header.shape} refused: larger than {MAX_TENSOR_BYTES} bytes")
    expected = math.prod(header.shape) * item_bytes
    if expected != len(parts[1]):
        raise ProtocolError(
            f"frame of {len(parts[1])} bytes refused: {header.dtype} {header.shape} takes {expected} bytes"
        )
    return header
