"""What is wanted, and for how long."""

from __future__ import annotations

from tickwire.model import Kind
from tickwire.sources.exchange.wants import Wants, keys_of
from tickwire.sources.source import ASKED, SUBSCRIBED

KEPT, ONE, TWO = (Kind.TRADE, "BTCUSDT"), (Kind.TRADE, "ETHUSDT"), (Kind.DEPTH, "ETHUSDT")


def test_what_is_kept_is_always_wanted() -> None:
    wants = Wants([KEPT])
    wants.want([KEPT], 0.0, subscribed=True)
    assert set(wants.wanted(1e9)) == {KEPT}


def test_others_lapse_and_the_longer_want_counts() -> None:
    wants = Wants([])
    wants.want([ONE, TWO], 0.0, subscribed=True)
    wants.want([TWO], 0.0, subscribed=False)
    wants.want([TWO], 1.0, subscribed=True)
    assert set(wants.wanted(SUBSCRIBED - 0.1)) == {ONE, TWO}
    assert set(wants.wanted(SUBSCRIBED)) == {TWO}
    wants.want([ONE], 100.0, subscribed=True)
    assert set(wants.wanted(ASKED)) == set()
    wants.want([ONE], 100.0, subscribed=True)
    assert set(wants.wanted(101.0)) == {ONE}


def test_bars_need_trades_and_not_everything_has_a_book() -> None:
    levels = {"BTCUSDT": 5, "X": 0}
    assert keys_of(Kind.KLINE, ["BTCUSDT", "GOLD"], levels) == [(Kind.TRADE, "BTCUSDT")]
    assert keys_of(Kind.TRADE, ["X"], levels) == [(Kind.TRADE, "X")]
    assert keys_of(Kind.DEPTH, ["BTCUSDT", "X", "GOLD"], levels) == [(Kind.DEPTH, "BTCUSDT")]
