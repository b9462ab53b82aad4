"""Messages survive their own framing, and nothing else than a message ever comes out of it."""

import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers import messages as m
from workers.errors import ProtocolError
from workers.speed_map import SpeedMap

CONVERSATIONS = {
    "order": m.Order,
    "report": m.Report,
    "tier order": m.TierOrder,
    "tier reply": m.TierReply,
    "runner order": m.RunnerOrder,
    "runner reply": m.RunnerReply,
}
PIECES = st.lists(st.integers(1, 50), min_size=1, max_size=20)

st.register_type_strategy(  # its bounds must fit its points
    SpeedMap, st.dictionaries(st.integers(1, 1000), st.integers(1, 800), min_size=1).map(SpeedMap.from_points)
)


def can_be_sent(message):
    """Tell whether its integers fit msgpack's 64 bits."""
    try:
        m.encode(message)
    except OverflowError:
        return False
    return True


def same(one, other):
    """Tell whether two messages are the same, a NaN being the same as a NaN."""
    return type(one) is type(other) and m.encode(one) == m.encode(other)


def members(union):
    return st.one_of([st.from_type(kind).filter(can_be_sent) for kind in union.__args__])


ORDERS = members(m.Order)
REPORTS = members(m.Report)


def cut(data, lengths):
    """Split `data` into pieces of these lengths, over and over."""
    pieces, at, turn = [], 0, 0
    while at < len(data):
        pieces.append(data[at : at + lengths[turn % len(lengths)]])
        at += lengths[turn % len(lengths)]
        turn += 1
    return pieces


@pytest.mark.parametrize("conversation", CONVERSATIONS)
def test_every_message_of_a_conversation_comes_back_as_it_went(conversation):
    union = CONVERSATIONS[conversation]
    codec = m.Codec(union)

    @given(members(union))
    def comes_back(message):
        assert same(codec.decode(m.encode(message)), message)

    comes_back()


@given(st.lists(ORDERS, max_size=3), PIECES)
def test_a_stream_gives_its_messages_however_it_is_cut(orders, lengths):
    data = b"".join(m.frame_for_stream(order) for order in orders)
    decoder = m.StreamDecoder(m.Order)
    arrived = [order for piece in cut(data, lengths) for order in decoder.feed(piece)]
    assert all(same(*pair) for pair in zip(arrived, orders, strict=True))


@given(REPORTS, st.data())
def test_a_truncated_message_is_waited_for(report, data):
    whole = m.frame_for_stream(report)
    length = data.draw(st.integers(0, len(whole) - 1))
    decoder = m.StreamDecoder(m.Report)
    assert decoder.feed(whole[:length]) == []
    (arrived,) = decoder.feed(whole[length:])
    assert same(arrived, report)


@given(st.binary(max_size=300))
def test_garbage_is_at_worst_a_protocol_error(garbage):
    for union in CONVERSATIONS.values():
        try:
            message = m.Codec(union).decode(garbage)
        except ProtocolError:
            continue
        assert isinstance(message, m.Message)


@given(st.binary(max_size=300), PIECES)
def test_garbage_on_the_stream_is_at_worst_a_protocol_error(garbage, lengths):
    decoder = m.StreamDecoder(m.Order)
    try:
        for piece in cut(garbage, lengths):
            assert all(isinstance(message, m.Order) for message in decoder.feed(piece))
    except ProtocolError:
        pass


@given(ORDERS, st.data())
def test_one_wrong_byte_is_at_worst_a_protocol_error(order, data):
    body = bytearray(m.encode(order))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(m.Codec(m.Order).decode(bytes(body)), m.Order)
    except ProtocolError as error:
        assert "message refused" in str(error)  # noqa: PT017 - most bytes do no harm


def test_text_that_is_no_utf8_is_refused():
    body = m.encode(m.Trouble("why")).replace(b"why", b"\xff\xff\xff")
    with pytest.raises(ProtocolError, match="message refused"):
        m.Codec(m.Report).decode(body)


def test_a_message_of_another_conversation_is_refused():
    with pytest.raises(ProtocolError, match="RunnerUp"):
        m.Codec(m.Order).decode(m.encode(m.RunnerUp((1,), {}, 0)))


def test_an_unknown_field_is_refused():
    body = msgspec.msgpack.encode({"type": "Ping", "sent_ns": 1, "also": 2})
    with pytest.raises(ProtocolError, match="also"):
        m.Codec(m.Order).decode(body)


def test_a_message_at_the_limit_passes_and_a_larger_one_is_refused_before_it_arrives():
    filler = m.MAX_MESSAGE_BYTES - len(m.encode(m.Trouble("x" * 70_000))) + 70_000  # same length of the prefixes
    largest = m.Trouble("x" * filler)
    assert len(m.encode(largest)) == m.MAX_MESSAGE_BYTES
    assert m.StreamDecoder(m.Report).feed(m.frame_for_stream(largest)) == [largest]
    with pytest.raises(ProtocolError, match=f"message of {m.MAX_MESSAGE_BYTES + 1} bytes refused"):
        m.StreamDecoder(m.Report).feed(struct.pack(">I", m.MAX_MESSAGE_BYTES + 1))


def test_a_secret_key_is_in_no_log():
    keys = m.KeyPair("open", "hidden")
    assert "hidden" not in repr(keys)
    assert "hidden" not in str(keys)
    assert "open" in repr(keys)


def test_an_order_that_holds_keys_does_not_print_the_secret():
    order = m.SetUpDevice("/logs", m.KeyPair("open", "hidden"), "tcp://a:1", "edge", "synthetic", 1, 2, 3, 4.0)
    assert "hidden" not in repr(order)
