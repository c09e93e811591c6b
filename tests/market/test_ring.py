"""The ring: what a stream sent lately is there, exactly, and memory is bounded."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.bus import StreamEvent
from tickwire.market import kept
from tickwire.market import ring as room
from tickwire.market.ring import Ring
from tickwire.market.streams import Stream, Streams
from tickwire.model import Direction, Instrument, Trade
from tickwire.store import load_catalogue

CATALOGUE = load_catalogue()
GOLD, BTC = CATALOGUE["GOLD"], CATALOGUE["BTCUSDT"]
EPOCH = 1_000
MANY = 2**30


class Desk:
    """A ring of its own, whose clock is set by hand."""

    def __init__(self, *, seconds: float = 60.0, limit: int = MANY) -> None:
        self.now = 0.0
        self.streams = Streams(EPOCH)
        self.ring = Ring(self.streams, seconds, limit, clock=lambda: self.now)
        self.sent: dict[str, list[Trade]] = {}

    def publish(self, instrument: Instrument, number: int = 1) -> Stream:
        for _ in range(number):
            sent = self.sent.setdefault(instrument.code, [])
            price = Decimal(len(sent)).scaleb(-instrument.price_decimals) + 4_100
            trade = Trade(
                instrument.code, len(sent), price, Decimal("0.10"), None, Direction.BUY, len(sent) * 3
            )
            sent.append(trade)
            self.streams.publish(instrument, trade)
        return self.streams.trades(instrument)

    def pages(self, stream: Stream, after: int) -> list[list[tuple[int, StreamEvent]]]:
        """What there is after that, as it is read; nothing is lacking."""
        found = []
        while (page := self.ring.missed(stream, after)).events:
            assert page.whole
            found.append([*zip(page.seqs, page.events, strict=True)])
            after = page.seqs[-1]
        return found

    def missed(self, stream: Stream, after: int) -> list[tuple[int, StreamEvent]]:
        return [one for page in self.pages(stream, after) for one in page]

    def reaches(self, stream: Stream, after: int) -> bool:
        return self.ring.missed(stream, after).whole

    def expected(self, instrument: Instrument, after: int) -> list[tuple[int, Trade]]:
        return [*enumerate(self.sent[instrument.code], EPOCH)][max(0, after + 1 - EPOCH) :]


def test_what_follows_a_position_is_there_across_blocks() -> None:
    desk = Desk()
    for number in (100, 30, 1, 70):
        stream = desk.publish(GOLD, number)
        desk.publish(BTC, 5)
        desk.now += 5
        desk.ring.cut()
    desk.publish(GOLD, 9)
    for after in (EPOCH - 1, EPOCH, EPOCH + 99, EPOCH + 100, EPOCH + 130, EPOCH + 205, EPOCH + 208):
        assert desk.missed(stream, after) == desk.expected(GOLD, after)
    assert desk.missed(stream, stream.seq) == []


def test_much_is_read_back_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "SLICE", 40)
    desk = Desk()
    stream = desk.publish(GOLD, 100)
    desk.ring.cut()
    desk.publish(GOLD, 30)
    assert [len(page) for page in desk.pages(stream, EPOCH + 9)] == [30, 40, 20, 20, 10]
    assert [len(page) for page in desk.pages(stream, EPOCH + 39)] == [40, 20, 20, 10]


def test_where_what_was_missed_begins_is_told_without_reading_it() -> None:
    desk = Desk()
    stream = desk.publish(GOLD, 100)
    desk.ring.cut()
    desk.publish(GOLD, 100)
    first = [desk.ring.first(stream, EPOCH + seq) for seq in (-1, 9, 98, 99, 198, 199)]
    assert first == [*(EPOCH + seq for seq in (0, 10, 99, 100, 199)), 0]


def test_what_is_too_old_goes_with_its_block() -> None:
    desk = Desk(seconds=10.0)
    stream = desk.publish(GOLD, 10)
    for _ in range(3):
        desk.now += 5
        desk.ring.cut()
        desk.publish(GOLD, 10)
    assert desk.reaches(stream, EPOCH - 1)
    desk.now += 5
    desk.ring.cut()
    assert not desk.reaches(stream, EPOCH - 1)
    assert not desk.reaches(stream, EPOCH + 8)
    assert desk.missed(stream, EPOCH + 9) == desk.expected(GOLD, EPOCH + 9)


def test_what_is_not_kept_costs_nothing_and_is_not_reached_until_it_is_kept_again() -> None:
    desk = Desk()
    stream = desk.publish(GOLD, 10)
    desk.ring.bound(0, MANY)
    assert not desk.reaches(stream, EPOCH + 8)
    desk.publish(GOLD, 10)
    assert not stream.kept.size
    assert not desk.reaches(stream, EPOCH + 18)
    assert desk.reaches(stream, EPOCH + 19)
    desk.ring.bound(60, MANY)
    desk.publish(GOLD, 10)
    assert not desk.reaches(stream, EPOCH + 18)
    assert desk.missed(stream, EPOCH + 19) == desk.expected(GOLD, EPOCH + 19)


def test_what_is_too_much_goes_with_its_block() -> None:
    desk = Desk(limit=20_000)
    for _ in range(100):
        stream = desk.publish(GOLD, 200)
        desk.ring.cut()
        assert desk.ring.size <= 20_000
    assert not desk.reaches(stream, EPOCH - 1)
    reached = next(at for at in range(EPOCH, stream.seq + 1) if desk.reaches(stream, at))
    assert stream.seq - reached > 20_000 / 50 - 200  # a trade takes less than 50 bytes
    assert desk.missed(stream, reached) == desk.expected(GOLD, reached)


def test_a_position_that_was_never_given_is_not_reached_from_an_epoch_before() -> None:
    desk = Desk(seconds=1.0)
    stream = desk.publish(GOLD, 3)
    assert not desk.reaches(stream, EPOCH - 2)
    assert desk.reaches(stream, EPOCH - 1)


async def test_blocks_are_made_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """By size, since this clock stands."""
    monkeypatch.setattr(room, "MOST_LOOSE", 10_000)
    desk = Desk()
    while (stream := desk.publish(GOLD, 100)).kept.size < room.MOST_LOOSE:
        pass
    task = asyncio.create_task(desk.ring.run())
    async with asyncio.timeout(120):
        while stream.kept.size:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    task.cancel()
    desk.publish(GOLD)
    assert desk.missed(stream, stream.seq - 2) == desk.expected(GOLD, stream.seq - 2)


@given(
    sizes=st.lists(st.integers(0, 12), min_size=1, max_size=12),
    limit=st.integers(0, 30_000),
    behind=st.integers(0, 160),
)
def test_it_says_what_it_reaches_and_gives_all_of_that(sizes: list[int], limit: int, behind: int) -> None:
    desk = Desk(limit=limit, seconds=30)
    stream = desk.publish(GOLD)
    for size in sizes:
        desk.publish(GOLD, size)
        desk.publish(BTC, size * 3)
        desk.now += 5
        desk.ring.cut()
    after = stream.seq - behind
    if desk.reaches(stream, after):
        assert desk.missed(stream, after) == desk.expected(GOLD, after)
    else:
        first = min(desk.ring.missed(stream, after).seqs, default=stream.seq + 1)
        assert first > after + 1
        assert desk.missed(stream, first - 1) == desk.expected(GOLD, first - 1)
    assert desk.reaches(stream, stream.seq)
