"""Who publishes: what was taken is not taken again, also after a kill."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from tickwire.errors import SourceError
from tickwire.model import Trade
from tickwire.sources import Resent

from .publishing import a_quote, a_source, a_trade, counts, served, take


# Sequence.
async def test_what_was_taken_is_not_taken_again() -> None:
    source = a_source()
    async with served(source) as taken:
        assert counts(await take(source, a_trade(1), a_trade(5), a_trade(5), a_trade(4))) == (2, 2, 0, 5)
        assert counts(await take(source, a_trade(5), a_trade(6), a_trade())) == (2, 1, 0, 6)
        assert len(await taken.until(4)) == 4
        assert source.standing(source.publishers.named("p")).seq == 6


async def test_each_publisher_counts_alone() -> None:
    source = a_source()
    assert counts(await take(source, a_trade(9), by="one")) == (1, 0, 0, 9)
    assert counts(await take(source, a_trade(2), by="two")) == (1, 0, 0, 2)


async def test_a_bad_line_leaves_its_number_free() -> None:
    source = a_source()
    assert counts(await take(source, a_trade(1), a_trade(2, price="x"))) == (1, 0, 1, 1)
    assert counts(await take(source, a_trade(1), a_trade(2))) == (1, 1, 0, 2)


async def test_what_is_noted_is_what_was_yielded() -> None:
    source = a_source()
    await take(source, *(a_trade(n) for n in range(1, 4)), a_quote(seq=4), a_trade(), by="a")
    assert source.publishers.notes() == {}
    noted = []
    async with aclosing(source.events()) as events:  # type: ignore[type-var]
        for _ in range(6):
            await anext(events)
            noted.append(source.publishers.named("a").applied)
    # The quote is reached with its second event, the trade.
    assert noted == [1, 2, 3, 3, 4, 4]
    assert source.publishers.notes() == {"publisher:a": "4"}
    assert source.publishers.notes() == {}


async def test_it_goes_on_where_it_was() -> None:
    source = a_source()
    source.publishers.restore({"publisher:a": "7"})
    assert counts(await take(source, a_trade(7), a_trade(8), by="a")) == (1, 1, 0, 8)
    assert counts(await take(source, a_trade(7), by="b")) == (1, 0, 0, 7)


async def test_after_a_crash_at_any_event_every_trade_is_counted_once() -> None:
    """Whenever what was kept was kept, going on after it gives all trades, and none twice."""
    lines = [a_trade(seq, volume=seq) if seq % 3 else a_quote(seq=seq, bid=seq) for seq in range(1, 13)]
    for crash in range(1, 17):
        counted: list[int] = []
        first = a_source()
        await take(first, *lines)
        async with aclosing(first.events()) as events:  # type: ignore[type-var]
            for _ in range(crash):
                event = await anext(events)
                if isinstance(event, Trade):
                    counted.append(event.source_seq)
            kept = first.publishers.notes()
        second = a_source()
        second.publishers.restore(kept)
        await take(second, *lines, a_trade(code="AAPL.US"))
        async with aclosing(second.events()) as events:  # type: ignore[type-var]
            while not isinstance(event := await anext(events), Trade) or event.code != "AAPL.US":
                if isinstance(event, Trade):
                    counted.append(event.source_seq)
        assert counted == [*range(1, 13)], crash


async def test_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickwire.sources.publishers.MOST_PUBLISHERS", 2)
    source = a_source()
    assert source.publishers.named("a") is source.publishers.named("a")
    source.publishers.named("b")
    with pytest.raises(SourceError, match="2 publishers"):
        source.publishers.named("c")


# After a kill.
class Recorded:
    """A recording that has reached these."""

    id = "r"

    def __init__(self, **positions: int) -> None:
        self.positions = positions

    def reach(self, publisher: str, seq: int) -> None:
        self.positions[publisher] = max(seq, self.positions.get(publisher, 0))

    def reached(self, publisher: str) -> int:
        return self.positions.get(publisher, 0)


@pytest.mark.parametrize(("counted", "recorded"), [(5, 3), (3, 5), (4, 4), (0, 5)])
async def test_what_only_one_of_the_two_has_is_taken_by_the_other(counted: int, recorded: int) -> None:
    source = a_source()
    notes = {"publisher:p": f"{counted} r"} if counted else {}
    source.publishers.restore(notes, Recorded(p=recorded), "r")
    lower, upper = sorted((counted, recorded))
    assert source.standing(source.publishers.named("p")).seq == lower
    tally = await take(source, *(a_quote(seq=seq) for seq in range(1, 8)))
    assert counts(tally) == (7 - lower, lower, 0, 7)
    assert tally.durable == lower
    async with aclosing(source.events()) as events:  # type: ignore[type-var]
        seen = [await anext(events) for _ in range(2 * (7 - lower))]
    halves, whole = seen[: 2 * (upper - lower)], seen[2 * (upper - lower) :]
    assert not any(isinstance(event, Resent) for event in whole)
    for event in halves:
        assert isinstance(event, Resent)
        assert (event.counted, event.recorded) == (counted > recorded, recorded > counted)


async def test_what_was_recorded_elsewhere_is_not_asked_for() -> None:
    source, recording = a_source(), Recorded(p=3)
    source.publishers.restore({"publisher:p": "5 other", "publisher:q": "7"}, recording, "r")
    assert source.standing(source.publishers.named("p")).durable == 5
    assert source.standing(source.publishers.named("q")).seq == 7
    assert recording.positions == {"p": 5, "q": 7}
    assert source.publishers.notes() == {"publisher:p": "5 r", "publisher:q": "7 r"}


async def test_durable_is_what_both_have() -> None:
    source, recording = a_source(), Recorded()
    source.publishers.restore({}, recording, "r")
    publisher = source.publishers.named("p")
    await take(source, *(a_trade(seq) for seq in range(1, 11)))
    async with served(source) as taken:
        await taken.until(10)
        await asyncio.sleep(0)
    assert source.publishers.durable(publisher) == 0
    source.publishers.kept(source.publishers.notes() | {"alive": "1"})
    assert source.publishers.durable(publisher) == 10
    recording.positions["p"] = 8
    assert source.publishers.durable(publisher) == 8
    recording.id = ""  # it has stopped
    assert source.publishers.durable(publisher) == 8  # the notes do not say so yet
    notes = source.publishers.notes()
    assert notes == {"publisher:p": "10"}
    source.publishers.kept(notes)
    assert source.publishers.durable(publisher) == 10
