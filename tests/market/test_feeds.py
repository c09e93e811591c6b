"""Several sources at once: which of them a code comes from, and that they never mix."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from tickwire.market.feeds import Rivals
from tickwire.model import Kind, Kline, KlineType
from tickwire.sources import Began, Broke, Snapshot, Status

from ..serving import DEPTH, OTHER_HTTP, TRADE, Link, Script, Served, book, serving, trade, until
from .rivals import Live, Named

AT = 1_788_529_064_027


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def prices(link: Link, count: int) -> list[str]:
    return [(await link.push())["data"]["price"] for _ in range(count)]


async def test_each_source_has_the_codes_that_it_owns(tmp_path: Path) -> None:
    one, two = Named("one", "BTCUSDT", "ETHUSDT"), Named("two", "BTCUSDT", "ETHUSDT", "GOLD")
    sources = [(one, ["BTCUSDT"]), (two, ())]
    async with serving(tmp_path, sources, fallback_after=0) as served, served.link() as link:
        assert (await link.subscribe(TRADE, "BTCUSDT", "ETHUSDT", "GOLD", "SOLUSDT"))["ret"] == 200
        assert (set(one.wanted), set(two.wanted)) == ({"BTCUSDT"}, {"ETHUSDT", "GOLD"})
        two.emit(trade("BTCUSDT", "2"), trade("ETHUSDT", "22"), trade("GOLD", "23"))
        one.emit(trade("BTCUSDT", "1"), trade("ETHUSDT", "11"))
        pushes = [(await link.push())["data"] for _ in "123"]
        found = {(push["code"], push["price"]) for push in pushes}
        assert found == {("BTCUSDT", "1.00"), ("ETHUSDT", "22.00"), ("GOLD", "23.00")}
        await link.nothing()
        assert (await link.subscribe(TRADE, "SOLUSDT"))["ret"] == 600


async def test_a_silent_source_is_stood_in_for_until_it_is_back(tmp_path: Path) -> None:
    clock = Clock()
    one, two = Named("one", "BTCUSDT"), Named("two", "BTCUSDT")
    async with (
        serving(tmp_path, [(one, ()), (two, ())], clock=clock, fallback_after=10) as served,
        served.link() as link,
    ):
        await link.subscribe(TRADE, "BTCUSDT")
        feeds = served.engine.market.feeds
        bitcoin = served.engine.catalogue["BTCUSDT"]

        def heard(count: int) -> Callable[[], bool]:
            return lambda: served.engine.market.events == count

        one.emit(trade(price="1"))
        two.emit(trade(price="2"))
        assert await prices(link, 1) == ["1.00"]
        await until(heard(2))
        clock.now += 9
        two.emit(trade(price="2.1"))
        await until(heard(3))
        clock.now += 2
        await until(lambda: feeds.of(bitcoin).source is two)
        two.emit(trade(price="2.2"))
        assert await prices(link, 1) == ["2.20"]
        one.emit(trade(price="1.1"))  # one event says little
        await until(heard(5))
        two.emit(trade(price="2.3"))
        assert await prices(link, 1) == ["2.30"]
        one.emit(trade(price="1.2"))
        assert await prices(link, 1) == ["1.20"]
        two.emit(trade(price="2.4"))
        await until(heard(8))
        await link.nothing()
        bars = [feed.bars.forming(bitcoin, KlineType.MINUTE) for feed in feeds]
        assert [(bar.low, bar.high) for bar in bars if bar] == [
            (Decimal(1), Decimal("1.2")),
            (Decimal(2), Decimal("2.4")),
        ]
        assert [push["data"]["seq"] for push in link.pushes] == [
            link.pushes[0]["data"]["seq"] + n for n in range(len(link.pushes))
        ]


def test_the_best_source_that_is_heard_stands_in() -> None:
    feeds = [object(), object(), object()]
    rivals = Rivals(feeds, 10.0, 0.0)  # type: ignore[arg-type]
    rivals.look(9.9)
    assert rivals.active == 0
    assert not rivals.passes(feeds[2], 5.0)  # type: ignore[arg-type]
    rivals.look(11.0)
    assert rivals.active == 2
    assert not rivals.passes(feeds[1], 12.0)  # type: ignore[arg-type]
    assert rivals.passes(feeds[1], 13.0)  # type: ignore[arg-type]
    rivals.look(100.0)
    assert rivals.active == 1, "where all are silent nothing is better"


async def test_a_source_that_has_a_code_no_more_gives_way_at_once(tmp_path: Path) -> None:
    """As a venue that turns out not to trade it, once its markets are loaded."""
    one, two = Named("one", "BTCUSDT"), Named("two", "BTCUSDT")
    async with (
        serving(tmp_path, [(one, ()), (two, ())], fallback_after=0) as served,
        served.link() as link,
    ):
        await link.subscribe(TRADE, "BTCUSDT")
        one.emit(trade(price="1"))
        assert await prices(link, 1) == ["1.00"]
        one.codes = ()
        two.emit(trade(price="2"))
        assert await prices(link, 1) == ["2.00"]
        assert served.engine.market.feeds.of(served.engine.catalogue["BTCUSDT"]).source is two


async def test_reading_makes_no_topics(tmp_path: Path, script: Script) -> None:
    async with serving(tmp_path, script) as served:
        hub = served.engine.gateway.hub
        await served.request("GET", "/v1/instruments")
        await served.get(f"{OTHER_HTTP}/depth-tick", {"data": {"symbol_list": [{"code": "GOLD"}]}})
        assert hub.topics == 0
        async with served.link() as link:
            await link.subscribe(TRADE, "BTCUSDT")
            assert hub.topics == 1
            assert [one.code for one in hub.wanted()[Kind.TRADE]] == ["BTCUSDT"]
        await until(lambda: not hub.wanted()[Kind.TRADE])


async def test_a_snapshot_is_shown_and_not_counted(tmp_path: Path, script: Script) -> None:
    async with serving(tmp_path, script) as served, served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        await link.subscribe(DEPTH, "BTCUSDT")
        shown = trade(price="5")
        script.emit(Snapshot(Kind.TRADE, "BTCUSDT", shown), Snapshot(Kind.DEPTH, "BTCUSDT", book()))
        assert (await link.push())["data"]["price"] == "5.00"
        assert "bids" in (await link.push())["data"]
        script.emit(
            Snapshot(Kind.TRADE, "BTCUSDT", msgspec.structs.replace(shown, source_seq=7)),
            Snapshot(Kind.TRADE, "BTCUSDT", trade(price="4", at=shown.time - 1)),
            Snapshot(Kind.DEPTH, "BTCUSDT", book()),
            Snapshot(Kind.TRADE, "BTCUSDT", None),
            trade(price="6"),
        )
        assert (await link.push())["data"]["price"] == "6.00"
        answer = await served.get(f"{OTHER_HTTP}/kline", {"data": {"code": "BTCUSDT", "kline_type": 1}})
        (bar,) = answer.json()["data"]["kline_list"]
        assert (bar["open_price"], bar["volume"]) == ("6.00", "0.50000")


def flat(at: int, price: int) -> Kline:
    """A minute at one price."""
    number = Decimal(price)
    return Kline("BTCUSDT", KlineType.MINUTE, at, number, number, number, number, Decimal(1), number)


async def kline(served: Served, **more: int) -> list[dict[str, str]]:
    query = {"data": {"code": "BTCUSDT", "kline_type": 1, "query_kline_num": 9} | more}
    found: list[dict[str, str]] = (await served.get(f"{OTHER_HTTP}/kline", query)).json()["data"][
        "kline_list"
    ]
    return found


async def test_an_outage_is_in_the_ledger_and_filled(tmp_path: Path) -> None:
    source, minute = Live(), AT // 60_000 * 60
    source.now = minute * 1000 - 70_000
    async with serving(tmp_path, source) as served, served.link() as link:
        source.emit(Began(("BTCUSDT",), minute * 1000 - 90_000), trade(price="1", at=minute * 1000 - 70_000))
        await link.subscribe(TRADE, "BTCUSDT")
        await until(lambda: served.engine.market.events == 1)
        source.now = minute * 1000
        await kline(served)
        assert source.past_bars.asked[0] is KlineType.MINUTE
        await until(lambda: {*source.past_bars.asked} == {KlineType.MINUTE, KlineType.HOUR, KlineType.DAY})
        source.emit(Broke(("BTCUSDT",), minute * 1000 + 1_000, "connection lost"))
        await until(lambda: served.engine.market.gaps.page(None, 0, None, 9))
        (gap,) = served.engine.market.gaps.page(None, 0, None, 9)
        assert (gap.source, gap.market, gap.codes) == ("script", "crypto", ("BTCUSDT",))
        assert (gap.begin, gap.end, gap.reason, gap.filled) == (
            minute * 1000 + 1_000,
            None,
            "connection lost",
            None,
        )
        source.now = (minute + 200) * 1000
        source.past_bars.bars = [flat(minute + 60 * n, 7 + n) for n in range(3)]
        source.emit(Began(("BTCUSDT",), (minute + 130) * 1000), trade(price="8", at=(minute + 190) * 1000))
        await until(lambda: served.engine.market.gaps.page(None, 0, None, 9)[0].filled)
        (gap,) = served.engine.market.gaps.page(None, 0, None, 9)
        assert gap.end == (minute + 130) * 1000
        closes = [(int(bar["timestamp"]) - minute, bar["close_price"]) for bar in await kline(served)]
        assert closes == [(-120, "1.00"), (0, "7.00"), (60, "8.00"), (120, "9.00"), (180, "8.00")]
        answer = await served.get("/v1/gaps")
        assert answer.json()["data"]["gap_list"][0]["reason"] == "connection lost"


@pytest.mark.parametrize("status", [Status.DOWN, Status.STALE])
async def test_the_log_says_each_change_once(
    tmp_path: Path, script: Script, status: Status, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(tmp_path, script):
        for _ in "123":
            script.health.tell(status, "because")
        script.health.tell(Status.UP)
    said = [line for line in capsys.readouterr().out.splitlines() if "source changed" in line]
    assert len(said) == 2
    assert "because" in said[0]
    assert str(status) in said[0]
