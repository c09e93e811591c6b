"""Batches and messages in bytes."""

from __future__ import annotations

import pytest

from tickwire.bus.layout import HEAD, MOST, Batch, Record, Splitter, frame_of, message
from tickwire.errors import BusError

SOME = [Record(1, b"a frame", 7, 1_788_529_064_027, 5), Record(2**32 - 1, b"", 2**63, -1, 0)]


def test_what_comes_in_pieces_of_any_size_is_what_was_sent() -> None:
    batch = Batch()
    for one in SOME:
        batch.add(*one)
    assert (len(batch), batch.size) == (2, 7)
    sent = batch.take(3, 99) + message(b"said") + frame_of([], 4, 0) + frame_of(SOME[:1], 5, 100)
    assert (len(batch), batch.size) == (0, 0)
    for size in (1, 2, 23, 24, 25, len(sent)):
        splitter, found = Splitter(), []
        for at in range(0, len(sent), size):
            for frame in splitter.feed(sent[at : at + size]):
                records = [*frame.records()] if frame.number_of_records else bytes(frame.body)
                found.append((frame.number, frame.sent, records))
        assert found == [(3, 99, SOME), (0, 0, b"said"), (4, 0, b""), (5, 100, SOME[:1])]


@pytest.mark.parametrize(
    "data",
    [
        HEAD.pack(MOST + 1, 0, 0, 0),
        HEAD.pack(2, 1, 1, 0) + b"xx",
        frame_of(SOME[:1], 1, 0).replace(b"\x07\x00\x00\x00", b"\x08\x00\x00\x00"),
        frame_of(SOME[:1], 1, 0).replace(b"\x07\x00\x00\x00", b"\x06\x00\x00\x00"),
    ],
)
def test_what_no_side_of_ours_has_written_is_refused(data: bytes) -> None:
    with pytest.raises(BusError):
        [[*frame.records()] for frame in Splitter().feed(data)]
