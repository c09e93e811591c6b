"""How what passes between processes is laid out in bytes. Pure.

A frame is little-endian: 24 bytes say how many bytes follow, how many records those are, the frame's number,
and when it was sent, in microseconds since the epoch. Then come the heads of all records, 32 bytes each, and
behind those what each record carries. A frame of no records is a message: what follows is msgpack.

Frames with records are numbered by one: who misses a number has missed records, and asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import NamedTuple

from ..errors import BusError

HEAD = Struct("<IIQQ")
RECORD = Struct("<IIQqQ")
"""Its stream, the bytes it carries, `seq`, the source's time in milliseconds, and when it was received."""
MOST = 256 * 2**20
"""Bytes of a frame: what is larger was not written by a side of ours."""


class Record(NamedTuple):
    """An event of a stream, by the number that the stream was opened under.

    `time` is the source's, in milliseconds since the epoch; `received` is when it came, in microseconds, 0 if
    that is not known.
    """

    stream: int
    body: bytes
    seq: int
    time: int
    received: int


class Frame(NamedTuple):
    """A frame that came, of so many records; of none it is a message."""

    number_of_records: int
    number: int
    sent: int
    body: memoryview

    def records(self) -> Iterator[Record]:
        """What it carries. Raises BusError if it is cut short."""
        body, at = bytes(self.body), self.number_of_records * RECORD.size
        if at > len(body):
            raise BusError("A frame of the bus has fewer records than it says.")
        make = tuple.__new__  # which takes a third of the time of the record's own
        for stream, size, seq, time, received in RECORD.iter_unpack(self.body[:at]):
            end = at + size
            yield make(Record, (stream, body[at:end], seq, time, received))
            at = end
        if at != len(body):
            raise BusError("The records of a frame of the bus are longer or shorter than it says.")


class Batch:
    """Records that wait to be sent together."""

    __slots__ = ("_bodies", "_heads", "size")

    def __init__(self) -> None:
        self._heads = bytearray()
        self._bodies: list[bytes] = []
        self.size = 0
        """Bytes that the records carry."""

    def __len__(self) -> int:
        return len(self._bodies)

    def add(self, stream: int, body: bytes, seq: int, time: int, received: int) -> None:
        """Another record."""
        size = len(body)
        self._heads += RECORD.pack(stream, size, seq, time, received)
        self._bodies.append(body)
        self.size += size

    def take(self, number: int, sent: int) -> bytes:
        """The frame of all there are; none are left."""
        heads, bodies = self._heads, self._bodies
        head = HEAD.pack(len(heads) + self.size, len(bodies), number, sent)
        made = b"".join((head, heads, *bodies))
        self._heads, self._bodies, self.size = bytearray(), [], 0
        return made


def frame_of(records: Iterable[Record], number: int, sent: int) -> bytes:
    """The frame of these records."""
    batch = Batch()
    for one in records:
        batch.add(*one)
    return batch.take(number, sent)


def message(payload: bytes) -> bytes:
    """The frame of a message."""
    return HEAD.pack(len(payload), 0, 0, 0) + payload


def whole(data: bytes) -> Frame:
    """The one frame that this is. Raises BusError."""
    if len(data) < HEAD.size:
        raise BusError("A frame of the bus is cut short.")
    size, count, number, sent = HEAD.unpack_from(data)
    if size != len(data) - HEAD.size or not count:
        raise BusError("A frame of the bus is longer or shorter than it says.")
    return Frame(count, number, sent, memoryview(data)[HEAD.size :])


class Splitter:
    """Finds the frames in what comes, in pieces of any size."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole now; they are to be used before the next ones are asked for. Raises
        BusError if one is longer than any may be."""
        held = self._rest
        if held:
            held += data
            data = bytes(held)
            held.clear()
        view, at, end = memoryview(data), 0, len(data)
        while end - at >= HEAD.size:
            size, count, number, sent = HEAD.unpack_from(view, at)
            if size > MOST:
                raise BusError(f"A frame of the bus of {size} bytes: the other side is no Tickwire.")
            begin = at + HEAD.size
            if begin + size > end:
                break
            yield Frame(count, number, sent, view[begin : begin + size])
            at = begin + size
        held += view[at:]
