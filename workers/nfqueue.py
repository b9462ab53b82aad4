"""The kernel's packet queue (NFQUEUE, linux/netfilter/nfnetlink_queue.h) over raw netlink.

No payload is copied, only the ids of packets; one verdict lets all packets up to an id go.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, Final

from workers.errors import ShapingError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NETLINK_NETFILTER: Final = 12
_SUBSYSTEM: Final = 3 << 8  # NFNL_SUBSYS_QUEUE
_PACKET, _CONFIG, _VERDICT_BATCH = _SUBSYSTEM, _SUBSYSTEM | 2, _SUBSYSTEM | 3
_NLMSG_ERROR: Final = 2
_REQUEST, _ACK = 1, 4
_ATTR_COMMAND, _ATTR_PARAMS, _ATTR_MAXLEN = 1, 2, 3
_BIND: Final = 1
_COPY_META: Final = 1
_ATTR_PACKET_HEADER, _ATTR_VERDICT_HEADER = 1, 2
_ACCEPT: Final = 1
_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_FAMILY = struct.Struct(">BBH")  # nfgenmsg: family, version, queue
_ATTRIBUTE = struct.Struct("=HH")  # nlattr: length, type
_QUEUE_PACKETS: Final = 10_000
_RECEIVE_BUFFER_BYTES: Final = 4 * 1024 * 1024


def attribute(kind: int, payload: bytes) -> bytes:
    """Return a netlink attribute, padded to four bytes."""
    length = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + b"\0" * (-length % 4)


def message(kind: int, queue: int, attributes: bytes, *, acknowledge: bool = False) -> bytes:
    """Return a netfilter netlink message to `queue`."""
    length = _HEADER.size + _FAMILY.size + len(attributes)
    flags = _REQUEST | (_ACK if acknowledge else 0)
    return _HEADER.pack(length, kind, flags, 0, 0) + _FAMILY.pack(socket.AF_UNSPEC, 0, queue) + attributes


def verdict_up_to(queue: int, packet_id: int) -> bytes:
    """Return the message that accepts every packet of `queue` up to `packet_id`."""
    return message(_VERDICT_BATCH, queue, attribute(_ATTR_VERDICT_HEADER, struct.pack(">II", _ACCEPT, packet_id)))


def packet_ids(datagram: bytes) -> Iterator[int]:
    """Yield the ids of the packets that the kernel announces in a datagram.

    Raises:
        ShapingError: the kernel reports an error instead.

    """
    at = 0
    while at + _HEADER.size <= len(datagram):
        length, kind, _, _, _ = _HEADER.unpack_from(datagram, at)
        body = datagram[at + _HEADER.size : at + length]
        if kind == _NLMSG_ERROR:
            _check(body)
        elif kind == _PACKET:
            yield from _ids(body[_FAMILY.size :])
        at += max(_HEADER.size, length + -length % 4)


def _ids(attributes: bytes) -> Iterator[int]:
    at = 0
    while at + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, at)
        if kind == _ATTR_PACKET_HEADER:
            yield struct.unpack_from(">I", attributes, at + _ATTRIBUTE.size)[0]
        at += max(_ATTRIBUTE.size, length + -length % 4)


def _check(body: bytes) -> None:
    (code,) = struct.unpack_from("=i", body)
    if code:
        raise ShapingError(
            f"The kernel refuses the delay line's queue: {os.strerror(-code)}; "
            "another delay line may hold it (see /proc/net/netfilter/nfnetlink_queue)"
        )


def bind(queue: int) -> socket.socket:
    """Open `queue`: what arrives at the returned socket is for `packet_ids`.

    Raises:
        ShapingError: the kernel refuses, for example because the queue is taken.

    """
    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    link.bind((0, 0))
    for kind, value in (
        (_ATTR_COMMAND, struct.pack(">BBH", _BIND, 0, 0)),
        (_ATTR_PARAMS, struct.pack(">IB", 0, _COPY_META)),
        (_ATTR_MAXLEN, struct.pack(">I", _QUEUE_PACKETS)),
    ):
        link.send(message(_CONFIG, queue, attribute(kind, value), acknowledge=True))
        list(packet_ids(link.recv(65536)))  # the acknowledgement, or the error it raises
    return link
