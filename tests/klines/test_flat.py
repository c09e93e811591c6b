"""Flat bars: open minutes without a trade, where they are asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec

from tickwire.klines import filled
from tickwire.model import Kline, KlineType
from tickwire.store import load_catalogue

from ..serving import OTHER_HTTP, TRADE, Script, serving, trade

CATALOGUE = load_catalogue()
BTC, GOLD, TENCENT = CATALOGUE["BTCUSDT"], CATALOGUE["GOLD"], CATALOGUE["700.HK"]


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def bar(time: int, code: str = "BTCUSDT", kline_type: KlineType = KlineType.MINUTE) -> Kline:
    price = Decimal(time % 1000)
    return Kline(
        code, kline_type, time, price, price, price, price, Decimal(1), price, time * 1000, time * 1000
    )


def times(bars: list[Kline]) -> list[int]:
    return [one.time for one in bars]


def test_a_gap_is_filled_at_the_price_before_it() -> None:
    made = filled(BTC, KlineType.MINUTE, [bar(600), bar(780)], None)
    assert times(made) == [600, 660, 720, 780]
    assert made[0] == bar(600)
    assert (made[1].open, made[1].high, made[1].low, made[1].close) == (Decimal(600),) * 4
    assert made[1].volume.is_zero()
    assert made[1].turnover.is_zero()


def test_it_goes_on_to_the_end_that_was_asked_for() -> None:
    assert times(filled(BTC, KlineType.MINUTE, [bar(600)], 720)) == [600, 660, 720]
    assert times(filled(BTC, KlineType.MINUTE, [bar(600)], 719)) == [600, 660]
    assert times(filled(BTC, KlineType.MINUTES_5, [bar(600, kline_type=KlineType.MINUTES_5)], 1200)) == [
        600,
        900,
        1200,
    ]


def test_nothing_is_invented_behind_an_incomplete_bar() -> None:
    silent = msgspec.structs.replace(bar(600), incomplete=True)
    assert times(filled(BTC, KlineType.MINUTE, [silent, bar(780)], None)) == [600, 780]


def test_a_closed_market_has_no_flat_bars() -> None:
    friday, sunday = at("2026-11-20 21:58"), at("2026-11-22 23:01")
    made = filled(GOLD, KlineType.MINUTE, [bar(friday, "GOLD"), bar(sunday, "GOLD")], None)
    assert times(made) == [friday, friday + 60, sunday - 60, sunday]


def test_the_closing_auction_of_hong_kong_is_one_minute() -> None:
    auction, morning = at("2026-11-19 08:00"), at("2026-11-20 01:30")
    made = filled(TENCENT, KlineType.MINUTE, [bar(auction, "700.HK"), bar(morning, "700.HK")], None)
    assert times(made) == [auction, morning]


def test_no_bars_stay_none() -> None:
    assert filled(BTC, KlineType.MINUTE, [], 720) == []


async def test_a_server_answers_them_where_it_is_told_to(tmp_path: Path) -> None:
    minute = 1_788_529_020  # where a minute begins
    for flat, expected in ((True, 4), (False, 2)):
        script = Script()
        async with serving(tmp_path / str(flat), script, flat_bars=flat) as served, served.link() as link:
            await link.subscribe(TRADE, "BTCUSDT")
            script.emit(trade(at=minute * 1000), trade(at=(minute + 180) * 1000))
            for _ in range(2):
                await link.push()
            query = {"code": "BTCUSDT", "kline_type": 1, "query_kline_num": 10}
            bars = (await served.get(f"{OTHER_HTTP}/kline", {"data": query})).json()["data"]["kline_list"]
            assert len(bars) == expected
            if flat:
                page = query | {"kline_timestamp_end": minute + 120, "query_kline_num": 2}
                earlier = (await served.get(f"{OTHER_HTTP}/kline", {"data": page})).json()["data"][
                    "kline_list"
                ]
                assert earlier == bars[1:3]
                assert earlier[0]["volume"] == "0.00000"
