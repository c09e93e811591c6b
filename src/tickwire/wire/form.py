"""In which form a client is sent what the server says: text or binary, a push a frame or many, compressed or
not (section 6). Here are also the frames themselves (RFC 6455, 5.2)."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from .messages import to_json

TEXT, BINARY, RSV1 = 0x81, 0x82, 0x40
"""How a message of text, and one of bytes, begins that is one frame, and what says that it is compressed."""
WINDOW_BITS, MEMORY_LEVEL, LEVEL = 10, 4, 6
"""Of zlib: a push is shorter than this window, and a larger one costs more to make than the compressing."""
EMPTY_BLOCK = b"\x00\x00\xff\xff"
"""What ends compressed data and is left out (RFC 7692, 7.2.1)."""
MOST = 256 * 1024
"""Bytes of pushes in one frame, about: clients bound what they take at once."""
FEW, SHORT, LONG = 16, 0x90, 0xDC
"""Below so many entries an array of msgpack begins with one byte, from this one on; else with this and their
number."""

to_msgpack = msgspec.msgpack.Encoder().encode


class Form(NamedTuple):
    """What a client has chosen."""

    deflated: bool = False
    """Whether pushes are compressed for it."""
    marked: bool = False
    """Whether its bars say the last trade that they count."""
    batch: bool = False
    """Whether a frame is an array of pushes."""
    packed: bool = False
    """Whether it is sent msgpack, in binary frames."""
    max_rate: int = 0
    """Pushes a second of each stream at the most; 0: all."""
    times: bool = False
    """Whether pushes say when they came and went, see `timed`."""

    @property
    def first(self) -> Form:
        """The form that what goes through `told` has before it does."""
        return Form(self.deflated and not self.changes, self.marked, times=self.times)

    @property
    def changes(self) -> bool:
        """Whether it is another one than one push a frame, of text."""
        return self.batch or self.packed

    def written(self, message: Any) -> bytes:
        """A message, without a frame."""
        return to_msgpack(message) if self.packed else to_json(message)

    def framer(self) -> Callable[[bytes], bytes]:
        """What makes a push of a written message: nothing, where several stand in a frame."""
        if self.batch:
            return _as_it_is
        return self._frame()

    @property
    def separator(self) -> bytes:
        """What stands between two pushes of a frame, and between two frames."""
        return b"," if self.batch and not self.packed else b""

    def joined(self, pushes: bytes, count: int) -> bytes:
        """Frames that hold so many pushes, each as `framer` makes it, with a separator behind it; no more
        than a frame may hold."""
        return self._frame()(self._array(pushes.removesuffix(b","), count)) if self.batch else pushes

    def timed(self, push: bytes, received: int, published: int, sent: int) -> bytes:
        """What `framer` makes of a push in `BARE` that says when it was received, published and sent, in
        microseconds since the epoch; 0: that is not known, and left out."""
        said = b',"receive_time":%d' % received if received else b""
        if published:
            said += b',"publish_time":%d' % published
        return self.untimed(b'%b%b,"send_time":%d}}' % (push[:-2], said, sent))

    def untimed(self, push: bytes) -> bytes:
        """The same of a push that says no times."""
        return self.framer()(to_msgpack(msgspec.json.decode(push)) if self.packed else push)

    def whole(self, pushes: Iterable[bytes]) -> bytes:
        """Frames that hold these pushes, each as `framer` makes it."""
        if not self.batch:
            return b"".join(pushes)
        frame = self._frame()
        return b"".join(frame(self._array(self.separator.join(some), len(some))) for some in _parts(pushes))

    def told(self, frames: bytes) -> bytes:
        """Frames of text that are not compressed, pushes and answers, in this form."""
        if not self.changes:
            return frames
        found: list[bytes] = []
        pushes: list[bytes] = []
        frame = self._frame()
        for payload in _payloads(frames):
            is_answer = payload.startswith(b'{"ret"')
            written = to_msgpack(msgspec.json.decode(payload)) if self.packed else payload
            if self.batch and not is_answer:
                pushes.append(written)
                continue
            found += (self.whole(pushes), frame(written))
            pushes.clear()
        found.append(self.whole(pushes))
        return b"".join(found)

    def _frame(self) -> Callable[[bytes], bytes]:
        if self.packed:
            return deflated_binary_frame if self.deflated else binary_frame
        return deflated_frame if self.deflated else text_frame

    def _array(self, pushes: bytes, count: int) -> bytes:
        if not self.packed:
            return b"[" + pushes + b"]"
        head = bytes((SHORT + count,)) if count < FEW else bytes((LONG,)) + count.to_bytes(2, "big")
        return head + pushes


PLAIN = Form()
BARE = Form(batch=True)
"""Text without a frame."""


def text_frame(payload: bytes) -> bytes:
    """A whole text frame of a server: not masked, so the same bytes serve every client."""
    size = len(payload)
    return (_HEADS[size] if size < len(_HEADS) else frame_head(TEXT, size)) + payload


def binary_frame(payload: bytes) -> bytes:
    """The same of bytes."""
    return frame_head(BINARY, len(payload)) + payload


def deflated_frame(payload: bytes) -> bytes:
    """The same for clients of permessage-deflate: compressed by itself, so that it needs nothing of what was
    sent before (RFC 7692, 7.1.1.1). What would not become shorter stays as it is, as is allowed (7.2.1)."""
    return _shorter(payload, TEXT) or text_frame(payload)


def deflated_binary_frame(payload: bytes) -> bytes:
    """The same of bytes."""
    return _shorter(payload, BINARY) or binary_frame(payload)


def _shorter(payload: bytes, opcode: int) -> bytes:
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -WINDOW_BITS, MEMORY_LEVEL)
    short = deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH)
    short = short.removesuffix(EMPTY_BLOCK)
    return frame_head(opcode | RSV1, len(short)) + short if len(short) < len(payload) else b""


def _as_it_is(payload: bytes) -> bytes:
    return payload


def _parts(pushes: Iterable[bytes]) -> Iterator[list[bytes]]:
    """As many at a time as one frame may hold."""
    some: list[bytes] = []
    size = 0
    for one in pushes:
        if some and size + len(one) > MOST:
            yield some
            some, size = [], 0
        some.append(one)
        size += len(one)
    if some:
        yield some


def payload_of(frame: bytes) -> bytes:
    """What stands in a frame of text."""
    return next(_payloads(frame))


def _payloads(frames: bytes) -> Iterator[bytes]:
    """What stands in whole frames of text."""
    at = 0
    while at < len(frames):
        size, at = frames[at + 1], at + 2
        if size > 125:  # RFC 6455, 5.2
            more = 2 if size == 126 else 8
            size, at = int.from_bytes(frames[at : at + more], "big"), at + more
        yield frames[at : at + size]
        at += size


def frame_head(first: int, size: int) -> bytes:
    if size < 126:
        return bytes((first, size))
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big")
    return bytes((first, 127)) + size.to_bytes(8, "big")


_HEADS = tuple(frame_head(TEXT, size) for size in range(1024))
"""Of the frames that most pushes are, by size."""
