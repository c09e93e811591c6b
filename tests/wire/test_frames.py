"""Frames of a client, whole, in pieces and against the rules, and how a connection closes (section 1)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri
from websockets.utils import apply_mask

from tickwire.wire import MAX_MESSAGE
from tickwire.wire.frames import Frames, Message
from tickwire.wire.session import Cancel, Subscribe

from ..serving import masked
from .peer import CANCEL, HEARTBEAT, OTHER, SUBSCRIBE, Peer, answers

UPGRADE = ClientProtocol(parse_uri(f"ws://x{OTHER}?token=t")).connect()


def closed_with(peer: Peer) -> int | None:
    return peer.client.close_rcvd.code if peer.client.close_rcvd else None


@pytest.mark.parametrize("piece", [1, 2, 7])
def test_bytes_may_come_in_any_pieces(piece: int) -> None:
    peer = Peer()
    for message in (SUBSCRIBE, HEARTBEAT):
        peer.client.send_text(message)
    peer.client.send_ping(b"p")
    peer.client.send_text(CANCEL)
    events = peer.exchange(piece=piece)
    assert answers(events) == [200, 200, 200]
    assert Opcode.PONG in [event.opcode for event in events if isinstance(event, Frame)]
    assert [type(decision) for decision in peer.decisions] == [Subscribe, Cancel]


def test_a_ping_between_fragments_is_answered_at_once_and_the_message_is_whole() -> None:
    peer = Peer()
    peer.client.send_text(SUBSCRIBE[:20], fin=False)
    peer.client.send_ping(b"now")
    pongs = [event for event in peer.exchange() if isinstance(event, Frame)]
    assert [(pong.opcode, pong.data) for pong in pongs] == [(Opcode.PONG, b"now")]
    peer.client.send_continuation(b"", fin=False)
    peer.client.send_continuation(SUBSCRIBE[20:], fin=True)
    assert answers(peer.exchange()) == [200]
    assert [type(decision) for decision in peer.decisions] == [Subscribe]


def test_fragments_of_one_message_do_not_reach_the_next() -> None:
    peer = Peer()
    for _ in range(2):
        peer.client.send_text(HEARTBEAT[:9], fin=False)
        peer.client.send_continuation(HEARTBEAT[9:], fin=True)
        peer.client.send_text(HEARTBEAT)
    assert answers(peer.exchange()) == [200] * 4


# Text that is not UTF-8.
TRACE = '{"cmd_id":22000,"trace":"跟"}'.encode()
CUT = TRACE.index("跟".encode()) + 1


def whole(data: bytes) -> Callable[[Peer], None]:
    return lambda peer: peer.client.send_text(data)


def split(data: bytes, at: int) -> Callable[[Peer], None]:
    def send(peer: Peer) -> None:
        peer.client.send_text(data[:at], fin=False)
        peer.client.send_continuation(data[at:], fin=True)

    return send


BROKEN = TRACE[:CUT] + TRACE[CUT + 1 :]


@pytest.mark.parametrize(
    "send",
    [whole(b"\xff"), whole(b"\xed\xa0\x80"), whole(BROKEN), split(BROKEN, CUT), split(b"\xff\xff", 1)],
)
@pytest.mark.parametrize("strict", [False, True])
def test_text_that_is_not_utf_8_closes_with_1007(send: Callable[[Peer], None], strict: bool) -> None:
    peer = Peer(strict=strict)
    send(peer)
    peer.client.send_text(SUBSCRIBE)
    assert answers(peer.exchange()) == []
    assert closed_with(peer) == 1007
    assert not peer.connection.frames.open
    assert peer.decisions == []
    assert peer.out[-1] == b""


def test_a_character_may_be_split_across_fragments() -> None:
    peer = Peer()
    split(TRACE, CUT)(peer)
    assert answers(peer.exchange()) == [200]


# The longest message.
def padded(size: int) -> bytes:
    return HEARTBEAT + b" " * (size - len(HEARTBEAT))


@pytest.mark.parametrize(
    "send", [whole(padded(2**20)), split(padded(2**20), 2**19)], ids=["whole", "fragments"]
)
def test_a_message_of_one_mebibyte_is_taken(send: Callable[[Peer], None]) -> None:
    assert MAX_MESSAGE == 2**20
    peer = Peer()
    send(peer)
    assert answers(peer.exchange()) == [200]


@pytest.mark.parametrize(
    "send", [whole(padded(2**20 + 1)), split(padded(2**20 + 1), 2**19)], ids=["whole", "fragments"]
)
def test_one_byte_more_closes_with_1009(send: Callable[[Peer], None]) -> None:
    peer = Peer()
    send(peer)
    assert answers(peer.exchange()) == []
    assert closed_with(peer) == 1009
    assert not peer.connection.frames.open


@pytest.mark.parametrize("piece", [1_000, 70_000, 2**21])
def test_a_message_too_long_is_read_to_its_end_before_our_side_ends(piece: int) -> None:
    peer = Peer()
    peer.client.send_text(padded(2**20 + 4_097))
    (data,) = peer.client.data_to_send()
    parts = [data[at : at + piece] for at in range(0, len(data), piece)]
    ends = [b"" in peer.connection.receive(part, 1.0) for part in parts]
    assert ends == [False] * (len(parts) - 1) + [True]
    assert peer.connection.frames.closing
    peer.client.send_close(1009)
    assert peer.connection.receive(b"".join(peer.client.data_to_send()), 1.0) == []


def test_the_bound_is_one_message_s_not_the_connection_s() -> None:
    peer = Peer()
    for _ in range(3):
        split(padded(2**20), 2**19)(peer)
    assert answers(peer.exchange()) == [200] * 3


# Binary frames.
def test_binary_is_read_as_text_is_unless_strict() -> None:
    lenient, strict = Peer(), Peer(strict=True)
    for peer in (lenient, strict):
        peer.client.send_binary(SUBSCRIBE)
    assert answers(lenient.exchange()) == [200]
    assert [type(decision) for decision in lenient.decisions] == [Subscribe]
    assert answers(strict.exchange()) == []
    assert closed_with(strict) == 1003
    assert strict.decisions == []


def test_binary_that_is_not_utf_8_is_no_json() -> None:
    peer = Peer()
    peer.client.send_binary(b"\xff")
    assert answers(peer.exchange()) == [400]
    assert peer.connection.frames.open


def test_binary_in_fragments_is_binary_to_the_end() -> None:
    peer = Peer(strict=True)
    peer.client.send_binary(HEARTBEAT[:9], fin=False)
    peer.client.send_continuation(HEARTBEAT[9:], fin=True)
    peer.exchange()
    assert closed_with(peer) == 1003


# Closing.
def test_the_server_closes_with_code_and_reason_once() -> None:
    peer = Peer()
    peer.out += peer.connection.frames.close(1008, "heartbeat timeout")
    peer.read()
    assert peer.client.close_rcvd is not None
    assert (peer.client.close_rcvd.code, peer.client.close_rcvd.reason) == (1008, "heartbeat timeout")
    assert not peer.connection.frames.open
    assert peer.connection.frames.close(1001, "again") == []


def test_after_the_server_s_close_requests_are_not_heard() -> None:
    peer = Peer()
    peer.connection.frames.close(1001, "server shutdown")
    peer.client.send_text(SUBSCRIBE)
    assert answers(peer.exchange()) == []
    assert peer.decisions == []


def test_a_client_s_close_is_echoed_and_ends_the_sending_side() -> None:
    peer = Peer()
    peer.client.send_close(1000, "bye")
    peer.exchange()
    assert closed_with(peer) == 1000
    assert peer.out[-1] == b""
    assert not peer.connection.frames.open


@pytest.mark.parametrize(
    "frame",
    [
        Frame(Opcode.TEXT, HEARTBEAT).serialize(mask=False),
        Frame(Opcode.CONT, b"x").serialize(mask=True),
        b"\xc1\x80\x00\x00\x00\x00",
        b"\x83\x80\x00\x00\x00\x00",
        b"\x09\x80\x00\x00\x00\x00",
    ],
    ids=["not masked", "nothing to continue", "reserved bit", "reserved opcode", "ping in fragments"],
)
def test_a_frame_against_the_rules_closes_with_1002(frame: bytes) -> None:
    peer = Peer()
    peer.out += peer.connection.receive(frame, 1.0)
    peer.read()
    assert closed_with(peer) == 1002
    assert not peer.connection.frames.open


def test_each_code_of_a_close_is_judged() -> None:
    """RFC 6455, 7.4, with what IANA has registered since."""
    valid = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
    for code in range(5001):
        frames = Frames(lambda _: None)
        frames.upgrade(UPGRADE)
        (close, *_) = frames.receive(masked(8, code.to_bytes(2)), 0.0)
        assert isinstance(close, bytes)
        assert int.from_bytes(close[2:4]) == (code if code in valid else 1002), code


def test_outputs_are_never_empty_but_for_the_end() -> None:
    peer = Peer()
    for message in (SUBSCRIBE, HEARTBEAT, b"x"):
        peer.client.send_text(message)
    peer.client.send_close(1000, "")
    peer.exchange()
    ends = [at for at, item in enumerate(peer.out) if item == b""]
    assert ends == [len(peer.out) - 1]


# Frames are cut by code of ours as long as they go by the rules.
FIRST = [0x81] * 4 + [0x82, 0x01, 0x02, 0x00, 0x80, 0x80, 0x89, 0x88, 0x09, 0xC1, 0x83]
SIZES = st.sampled_from([0, 1, 125, 126, 65_535, 65_536, MAX_MESSAGE + 1])


def framed(first: int, data: bytes, masked: bool) -> bytes:
    """A frame, whether the rules allow it or not."""
    size, bit = len(data), 0x80 if masked else 0
    if size < 126:
        head = bytes([first, bit | size])
    elif size < 2**16:
        head = bytes([first, bit | 126]) + size.to_bytes(2)
    else:
        head = bytes([first, bit | 127]) + size.to_bytes(8)
    return head + b"mask" + apply_mask(data, b"mask") if masked else head + data


FRAMES = st.builds(
    framed,
    st.sampled_from(FIRST),
    st.one_of(st.binary(max_size=4), st.just(b"\x03\xe8"), SIZES.map(lambda size: b"x" * size)),
    st.sampled_from([True] * 9 + [False]),
)


def heard(pieces: list[bytes], *, by_library: bool = False) -> tuple[list[object], bool]:
    frames = Frames(lambda _: None)
    frames.upgrade(UPGRADE)
    if by_library:
        frames._between = False
    items: list[object] = []
    for piece in pieces:
        items += frames.receive(piece, 1.0)
    written = b"".join(one for one in items if isinstance(one, bytes))
    said = [one for one in items if not isinstance(one, bytes)]
    return [*said, written, b"" in items, frames.failure, frames.heard], frames.open


@settings(max_examples=300)
@given(st.lists(st.one_of(FRAMES, FRAMES, FRAMES, st.binary(max_size=7)), max_size=6), st.data())
def test_what_is_heard_is_what_websockets_hears_however_it_comes(
    parts: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(parts)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=5).map(sorted))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert heard(pieces) == heard([stream]) == heard(parts, by_library=True)


def test_a_message_waits_for_its_last_byte_and_those_before_it_do_not() -> None:
    frames = Frames(lambda _: None)
    frames.upgrade(UPGRADE)
    stream = b"".join(Frame(Opcode.TEXT, text).serialize(mask=True) for text in (b"a", b"b" * 300, b"c"))
    heard = [one for at in range(len(stream)) for one in frames.receive(stream[at : at + 1], float(at))]
    assert heard == [Message(b"a"), Message(b"b" * 300), Message(b"c")]
    assert frames.heard == len(stream) - 1
