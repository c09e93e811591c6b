"""Which trades have passed already."""

from __future__ import annotations

from decimal import Decimal

from tickwire.sources.exchange.stream import REMEMBERED, Seen

from .reading import BTC, NOW, TRADE


def fails(error: Exception) -> None:
    raise error


def test_a_trade_with_a_number_is_known_again_for_long() -> None:
    seen = Seen()
    batch = seen.batch(BTC, [TRADE, TRADE, TRADE | {"id": "3062815"}], NOW, None, fails)
    assert [one.source_seq for one in batch.trades] == [3062814, 3062815]
    assert batch.latest == NOW - 17
    assert not seen.batch(BTC, [TRADE], NOW, None, fails).trades
    seen.batch(BTC, (TRADE | {"id": f"x{n}"} for n in range(REMEMBERED)), NOW, None, fails)
    assert seen.batch(BTC, [TRADE], NOW, None, fails).trades


def test_trades_without_a_number_are_known_again_only_when_a_subscription_begins() -> None:
    seen, trade = Seen(), TRADE | {"id": None}
    assert len(seen.batch(BTC, [trade, trade], NOW, None, fails).trades) == 2
    other = trade | {"price": Decimal(1)}
    assert [one.price for one in seen.batch(BTC, [trade, other], NOW, NOW - 100, fails).trades] == [1]
    assert len(seen.batch(BTC, [trade], NOW, None, fails).trades) == 1


def test_what_is_older_than_a_subscription_is_not_new_and_the_unreadable_is_told() -> None:
    bad: list[Exception] = []
    raws = [TRADE, None, TRADE | {"id": "1", "price": "x"}]
    batch = Seen().batch(BTC, raws, NOW, NOW, bad.append)
    assert batch.trades == []
    assert batch.latest == NOW - 17
    assert len(bad) == 2
