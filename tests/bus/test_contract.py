"""What every bus promises: tickwire.bus.contract. Another implementation is another `make`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest
from structlog.testing import capture_logs

from tickwire.bus import Lack, Sayings, Supplier, contract
from tickwire.errors import InputError, SourceError, StoreError
from tickwire.machine import REAL
from tickwire.market import intake, side
from tickwire.market.side import MarketSide
from tickwire.model import Event, Family, Kind, KlineType, Market, Position, Reach
from tickwire.sandbox import Scenario, scenario_of
from tickwire.sandbox.steps import Halt
from tickwire.sources import Published, Status
from tickwire.store import SqliteFile, database

from ..serving import book, trade, until
from .sides import CATALOGUE, Bus, Client, InProcess, OverNats, OverUnix, Sides, Wanted, sides

BTC, GOLD = CATALOGUE["BTCUSDT"], CATALOGUE["GOLD"]
AT = 1788529064027
LEASE = 60.0
Make: TypeAlias = Callable[[MarketSide], Bus]


@pytest.fixture(params=[InProcess, OverUnix, OverNats])
def make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


def prices(client: Client, code: str = "BTCUSDT") -> list[str]:
    """Without the decimals that are written between processes."""
    taken = client.taken(Kind.TRADE, code)
    return [f"{event.price.normalize():f}" for event, _ in taken]  # type: ignore[union-attr]


async def send(at: Sides, *events: Event) -> None:
    """Lets a source yield these, and waits until the market has them."""
    before = at.engine.market.events
    at.source.emit(*events)
    await until(lambda: at.engine.market.events == before + len(events))


# Down.
async def test_each_stream_counts_by_one_from_the_epoch_and_keeps_its_order(
    make: Make, tmp_path: Path
) -> None:
    async with sides(make, tmp_path) as at:
        client = Client()
        market = await at.bus.join(client)
        await market.wish_bars(client, [("BTCUSDT", KlineType.MINUTE)], lease=LEASE)
        some = [trade(price=str(n), at=AT + 40_000 * n) for n in range(1, 9)]
        await send(at, *some, trade("GOLD"), book(), book("GOLD"), book())
        await until(lambda: len(client.taken(Kind.DEPTH, "BTCUSDT")) == 2)
        epoch = at.engine.market.streams.epoch
        assert [seq for _, seq in client.taken(Kind.TRADE, "BTCUSDT")] == [*range(epoch, epoch + 8)]
        assert prices(client) == [str(n) for n in range(1, 9)]
        for key in ((Kind.TRADE, "GOLD"), (Kind.DEPTH, "BTCUSDT"), (Kind.DEPTH, "GOLD")):
            found = [seq for _, seq in client.taken(*key)]
            assert found == [*range(epoch, epoch + len(found))] != []
        bars = client.taken(Kind.KLINE, "BTCUSDT", KlineType.MINUTE)
        assert [seq for _, seq in bars] == [*range(epoch, epoch + len(bars))] != []


async def test_a_late_client_side_gets_each_open_stream_with_its_last_event(
    make: Make, tmp_path: Path
) -> None:
    async with sides(make, tmp_path) as at:
        await send(at, trade(price="1"), trade(price="2"), book("GOLD"))
        late = Client()
        await at.bus.join(late)
        epoch = at.engine.market.streams.epoch
        await until(lambda: len(late.inlets) == 2)
        assert (prices(late), late.taken(Kind.TRADE, "BTCUSDT")[0][1]) == (["2"], epoch + 1)
        assert [seq for _, seq in late.taken(Kind.DEPTH, "GOLD")] == [epoch]
        await send(at, trade(price="3"))
        await until(lambda: prices(late) == ["2", "3"])


async def test_one_that_left_gets_nothing_and_the_others_go_on(make: Make, tmp_path: Path) -> None:
    async with sides(make, tmp_path) as at:
        one, two, three = Client(), Client(), Client()
        for client in (one, two, three):
            await at.bus.join(client)
        await send(at, trade(price="1"))
        await until(lambda: [prices(client) for client in (one, two, three)] == [["1"]] * 3)
        await at.bus.leave(two)
        await send(at, trade(price="2"), trade("GOLD", price="3"))
        await until(lambda: prices(one, "GOLD") == prices(three, "GOLD") == ["3"])
        assert [prices(client) for client in (one, two, three)] == [["1", "2"], ["1"], ["1", "2"]]
        assert prices(two, "GOLD") == []


async def test_other_numbers_states_of_sources_and_steps_of_scenarios_are_told(
    make: Make, tmp_path: Path
) -> None:
    async with sides(make, tmp_path) as at:
        client = Client()
        market = await at.bus.join(client)
        await send(at, trade())
        at.source.health.tell(Status.DOWN, "gone")
        await until(lambda: [one.status for one in client.statuses] == ["down"])
        assert [(one.source, one.status, one.reason) for one in market.statuses()] == [
            ("script", "down", "gone")
        ]
        wide = msgspec.structs.replace(BTC, price_decimals=6)
        at.engine.market.streams.redefine(wide)
        await until(lambda: client.redefined == [wide])
        halt = scenario_of({"name": "stop", "step": [{"do": "halt", "codes": ["BTCUSDT"]}]}, "test")
        run = await market.run_scenario(halt)
        await until(lambda: [type(step) for step in client.begun] == [Halt])
        assert [one.number for one in await market.running()] == [run.number]
        assert await market.states([BTC, GOLD]) == ["halted", "open"]
        assert [await market.stop_scenario(run.number) for _ in range(2)] == [True, False]
        assert await market.running() == []
        clock = scenario_of({"name": "move", "step": [{"do": "clock", "speed": 2}]}, "test")
        with pytest.raises(InputError):
            await market.run_scenario(clock)


@pytest.mark.parametrize("call", ["open", "take", "redefine", "source_changed", "scenarios_changed"])
async def test_one_that_raises_harms_nobody_else(make: Make, tmp_path: Path, call: str) -> None:
    async with sides(make, tmp_path) as at:
        first, broken, last = Client(), Client(call), Client()
        with capture_logs() as logs:
            for client in (first, broken, last):
                market = await at.bus.join(client)
            await send(at, *(trade(price=str(n)) for n in range(1, 6)))
            at.source.health.tell(Status.DOWN, "gone")
            at.engine.market.streams.redefine(BTC)
            await market.run_scenario(Scenario(steps=(Halt(codes=("GOLD",)),), name="stop"))
            for client in (first, last):
                await until(partial(bool, client.begun))
                assert prices(client) == ["1", "2", "3", "4", "5"]
                assert [one.status for one in client.statuses] == ["down"]
                assert client.redefined == [BTC]
            await until(lambda: any(one["log_level"] == "error" for one in logs))
        assert len([one for one in logs if one["log_level"] == "error"]) == 1
        assert at.source.health.status is Status.DOWN  # as it said itself
        await send(at, trade(price="6"))


@pytest.mark.parametrize("patient", [False, True])
async def test_one_that_is_slow_holds_only_a_source_that_can_wait(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patient: bool
) -> None:
    monkeypatch.setattr(intake, "RELIEF_WAIT", 3600.0)
    async with sides(make, tmp_path, Wanted(patient=patient)) as at:
        slow, quick = Client(), Client()
        market = await at.bus.join(slow)
        await at.bus.join(quick)
        await market.pace({"one of its clients": True})
        at.source.emit(trade(price="1"), trade(price="2"))
        await until(lambda: len(prices(quick)) == (1 if patient else 2))
        await asyncio.sleep(0)
        assert len(prices(quick)) == (1 if patient else 2)
        await market.pace({"one of its clients": False})
        await until(lambda: prices(quick) == prices(slow) == ["1", "2"])


# Wishes.
async def test_a_wish_ends_with_its_lease_and_others_stay(make: Make, tmp_path: Path) -> None:
    async with sides(make, tmp_path) as at:
        one, two = Client(), Client()
        mine, theirs = await at.bus.join(one), await at.bus.join(two)
        await mine.wish(one, Kind.TRADE, [BTC], whole=True, lease=LEASE)
        await theirs.wish(two, Kind.TRADE, [GOLD], whole=True, lease=2 * LEASE)
        await until(lambda: {*at.source.told[Kind.TRADE]} == {"BTCUSDT", "GOLD"})
        at.clock.now += LEASE
        await theirs.wish(two, Kind.TRADE, [GOLD], whole=True, lease=LEASE)
        await until(lambda: at.source.told[Kind.TRADE] == ["GOLD"])
        await mine.wish(one, Kind.TRADE, [BTC], whole=False, lease=LEASE)
        await until(lambda: at.source.told[Kind.TRADE] == ["BTCUSDT"])  # too
        await theirs.wish(two, Kind.TRADE, [GOLD], whole=True, lease=LEASE)
        await until(lambda: at.source.told[Kind.TRADE] == ["GOLD", "BTCUSDT"])
        await at.bus.leave(one)
        await theirs.wish(two, Kind.TRADE, [GOLD], whole=True, lease=LEASE)
        await until(lambda: at.source.told[Kind.TRADE] == ["GOLD"])


@pytest.mark.parametrize("end", ["lease", "word", "leave"])
async def test_bars_come_as_long_as_somebody_wishes_them(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(side, "UPKEEP", 0.01)
    async with sides(make, tmp_path, ring_seconds=0) as at:
        one, two, bar = Client(), Client(), ("BTCUSDT", KlineType.MINUTE)
        mine, theirs = await at.bus.join(one), await at.bus.join(two)
        await mine.wish_bars(one, [bar], lease=LEASE)
        await theirs.wish_bars(two, [bar], lease=LEASE)
        await send(at, trade(price="1"))
        await until(lambda: two.taken(Kind.KLINE, *bar))
        match end:
            case "lease":
                at.clock.now += LEASE
                await theirs.wish_bars(two, [bar], lease=LEASE)
                await until(lambda: len(at.engine.market.bars._wanted[bar]) == 1)
            case "word":
                await mine.wish_bars(one, [bar], lease=0)
            case _:
                await at.bus.leave(one)
        await send(at, trade(price="2"))
        await until(lambda: len(two.taken(Kind.KLINE, *bar)) == 2)
        await theirs.wish_bars(two, [bar], lease=0)
        await send(at, trade(price="3"))
        assert await theirs.show_bar(BTC, KlineType.MINUTE)  # all that was under way is there
        closes = [event.kline.close for event, _ in two.taken(Kind.KLINE, *bar)]  # type: ignore[union-attr]
        assert closes == [Decimal(1), Decimal(2), Decimal(3)]
        await send(at, trade(price="4"))
        assert not at.engine.market.bars._wanted
        assert len(two.taken(Kind.KLINE, *bar)) == 3


async def test_bars_go_on_for_who_was_cut_and_comes_back(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side, "UPKEEP", 0.01)
    async with sides(make, tmp_path, ring_seconds=30) as at:
        client, bar = Client(), ("BTCUSDT", KlineType.MINUTE)
        market = await at.bus.join(client)
        await market.wish_bars(client, [bar], lease=LEASE)
        await send(at, trade(price="1"))
        await until(lambda: client.taken(Kind.KLINE, *bar))
        (_, seq), epoch = client.taken(Kind.KLINE, *bar)[-1], market.epoch
        await market.wish_bars(client, [bar], lease=0)
        await send(at, *(trade(price=str(n), at=AT + 60_000 * n) for n in range(2, 5)))

        async def missed() -> Any:
            return await market.missed(Kind.KLINE, "BTCUSDT", Position(epoch, seq), KlineType.MINUTE)

        found = await missed()
        assert [event.kline.close for event in found.events] == [Decimal(1), Decimal(2), Decimal(3)]
        assert (found.whole, [*found.seqs]) == (True, sorted(found.seqs))
        at.clock.now += 31
        await until(lambda: not at.engine.market.bars._wanted)
        at.engine.market.ring.cut()
        at.clock.now += 31
        at.engine.market.ring.cut()
        found = await missed()
        assert (found.whole, [*found.events]) == (False, [])


async def test_whoever_seeks_a_code_is_told_in_any_case(make: Make, tmp_path: Path) -> None:
    async with sides(make, tmp_path) as at:
        client = Client()
        market = await at.bus.join(client)
        assert not market.can_seek("NEW.US")  # nobody can be asked
        await market.seek(Family.STOCK, "NEW.US")
        await market.seek(BTC.family, "BTCUSDT")  # which has become known meanwhile
        await market.find(Family.STOCK, ["NEW.US"])
        await until(lambda: client.answers == [("NEW.US", False), ("BTCUSDT", False), ("NEW.US", False)])
        assert not market.is_sought(Family.STOCK, "NEW.US")
        assert market.refusal(Family.STOCK, "NEW.US") is not None


# Reads.
async def test_what_was_missed_is_given_and_whether_that_is_all(make: Make, tmp_path: Path) -> None:
    async with sides(make, tmp_path, ring_seconds=10.0) as at:
        client = Client()
        market = await at.bus.join(client)
        ring, epoch = at.engine.market.ring, at.engine.market.streams.epoch

        async def missed(after: int, code: str = "BTCUSDT", kind: Kind = Kind.TRADE) -> Any:
            """All of it, some at a time."""
            some: list[Any] = []
            while (found := await market.missed(kind, code, Position(epoch, epoch + after))) is not None:
                assert found.whole
                if not found.seqs:
                    return some
                some += zip(found.seqs, found.events, strict=True)
                after = found.seqs[-1] - epoch
            return None

        assert await missed(-1) == []  # no such stream yet
        assert await missed(0) is None
        await send(at, *(trade(price=str(n)) for n in range(10)), book())
        ring.cut()
        await send(at, *(trade(price=str(n)) for n in range(10, 15)))
        await until(lambda: len(prices(client)) == 15)
        taken = [(seq, event) for event, seq in client.taken(Kind.TRADE, "BTCUSDT")]
        for after in (-epoch, -2, -1, 0, 8, 9, 10, 13):
            assert await missed(after) == taken[max(0, after + 1) :]
        assert await missed(14) == []
        assert await missed(15) is None, "it never stood there"
        assert await missed(0, "GOLD") is None
        assert await missed(-1, "BTCUSDT", Kind.DEPTH) is None  # its last state is all there is to know
        for other in (epoch - 1, epoch + 1):
            assert await market.missed(Kind.TRADE, "BTCUSDT", Position(other, epoch + 3)) is None
        at.clock.now += 20
        ring.cut()  # the older block goes
        await send(at, trade(price="99"))
        found = await market.missed(Kind.TRADE, "BTCUSDT", Position(epoch, epoch + 3))
        assert found is not None
        assert not found.whole
        assert found.seqs[0] == epoch + 10


async def test_what_was_recorded_is_read_to_its_end_and_goes_on(make: Make, tmp_path: Path) -> None:
    async with sides(make, tmp_path / "data", record=tmp_path / "ticks") as at:
        market = await at.bus.join(Client())
        await send(at, *(trade(price=str(n)) for n in range(1, 4)), book())
        epoch, streams = market.epoch, [(Kind.TRADE, "BTCUSDT"), (Kind.DEPTH, "BTCUSDT")]
        playback = await market.recorded(streams, 0, None)
        assert ({*playback.recorded}, playback.begin) == ({*streams}, AT)
        seqs: dict[Kind, list[int]] = {}
        while sum(map(len, seqs.values())) < 4:
            page = await playback.more()
            for kind, table in {} if page is None else page.tables.items():
                seqs.setdefault(kind, []).extend(table["seq"].to_pylist())
        assert seqs == {Kind.TRADE: [epoch, epoch + 1, epoch + 2], Kind.DEPTH: [epoch]}
        assert await playback.more() is None
        assert playback.position(*streams[0]) == Position(epoch, epoch + 2)
        assert playback.instrument("BTCUSDT").code == "BTCUSDT"
        await send(at, trade(price="4"))
        while (page := await playback.more()) is None:
            pass  # it is on its way into the recording
        assert page.tables[Kind.TRADE]["seq"].to_pylist() == [epoch + 3]
        playback.lack()
        playback.close()


async def test_bars_are_given_once_an_edition(make: Make, tmp_path: Path) -> None:
    async with sides(make, tmp_path) as at:
        market = await at.bus.join(Client())

        async def read(edition: Any = None) -> Any:
            return await market.klines(BTC, KlineType.MINUTE, count=9, end=None, edition=edition)

        assert (await read()).bars == []
        await send(at, trade(price="1"))
        assert await market.begin(Kind.TRADE, [BTC]) == {}
        await until(lambda: not at.engine.market.feeds.first.bars.unjoined)
        first = await read()
        assert first.bars == [first.forming]
        await send(at, trade(price="2"))
        again = await read(first.edition)
        assert (again.bars, again.edition, again.lacks) == (None, first.edition, None)
        assert again.forming.close == Decimal(2)
        await send(at, trade(price="3", at=AT + 60_000), trade(price="4", at=AT + 120_000))
        other = await read(first.edition)
        assert [bar.close for bar in other.bars] == [Decimal(2), Decimal(3), Decimal(4)]
        reads = await asyncio.gather(*(read() for _ in range(20)))
        assert [one.bars for one in reads] == [other.bars] * 20


@contextlib.contextmanager
def hanging(engine: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Somebody holds the store."""
    monkeypatch.setattr(database, "READ_WAIT", 0.05)
    with engine.database._file._read_lock:
        yield
    monkeypatch.undo()


@contextlib.contextmanager
def failing(_: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """It cannot be read."""

    def reading(_: SqliteFile) -> Any:
        raise StoreError("The disk cannot be read.")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteFile, "reading", reading)
        yield


@pytest.mark.parametrize("broken", [hanging, failing])
async def test_reads_are_answered_while_the_store_cannot_be_read(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Any
) -> None:
    async with sides(make, tmp_path) as at:
        client = Client()
        market = await at.bus.join(client)
        with broken(at.engine, monkeypatch):
            await send(at, trade(price="1"), book())
            await until(lambda: prices(client) == ["1"])
            async with asyncio.timeout(120):
                found = await market.klines(BTC, KlineType.MINUTE, count=9, end=None)
                assert found.bars is not None
                assert ([bar.close for bar in found.bars], found.lacks) == ([Decimal(1)], Lack.STORE)
                for read in (
                    market.gap_page(None, 0, None, 9),
                    market.open_gaps(),
                    market.klines(GOLD, KlineType.MINUTE, count=9, end=None),
                ):
                    with pytest.raises(StoreError):
                        await read
                told = await market.figures()
                assert {one.call: one.since is None for one in told.store}["read"] is False
                assert (await market.static_info([BTC])).entries["BTCUSDT"].symbol == "BTCUSDT"
                assert await market.states([BTC]) == ["open"]
                await send(at, trade(price="2"))
        await until(lambda: prices(client) == ["1", "2"])
        assert (await market.gap_page(None, 0, None, 9)).gaps == []


async def test_a_read_that_is_given_up_keeps_nobody_from_theirs(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sides(make, tmp_path) as at:
        market = await at.bus.join(Client())
        with hanging(at.engine, monkeypatch):
            monkeypatch.setattr(database, "READ_WAIT", 3600.0)
            await send(at, trade(price="1"))
            ask = market.klines
            one, two = (
                asyncio.ensure_future(ask(BTC, KlineType.MINUTE, count=9, end=None)) for _ in range(2)
            )
            await until(lambda: at.engine.market.feeds.first.pasts._making)
            one.cancel()
            await asyncio.wait([one])
            assert (await market.figures()).events == 1  # who asks for nothing of the store does not wait
        assert (await two).lacks is None


# What all say of themselves.
async def said(
    market: Supplier, what: str = "name", about: str = "", but: str = ""
) -> dict[str, bytes | None]:
    """By name, without the client side that the engine itself has."""
    found = await market.statements(what, about, but)
    assert len({one.name for one in found}) == len(found)
    return {one.name: one.body for one in found if one.name != "gateway"}


async def test_all_say_what_one_asks_and_the_market_side_too(make: Make, tmp_path: Path) -> None:
    async with sides(make, tmp_path) as at:
        one, two, three = clients = [Client() for _ in range(3)]
        mine, theirs, _ = [await at.bus.join(client) for client in clients]
        assert await said(mine, "name", "it") == {
            client.name: f"name it of {client.name}".encode() for client in clients
        }
        assert {*await said(theirs, but=two.name)} == {one.name, three.name}
        sayings = Sayings("market")

        async def hello(about: str) -> bytes:
            return f"hello {about}".encode()

        sayings.by_question["hello"] = hello
        at.engine.market.add_speaker(sayings)
        assert (await said(mine, "hello", "all"))["market"] == b"hello all"
        assert (await said(mine, "what nobody knows"))["market"] is None
        await at.bus.leave(two)
        assert {*await said(mine)} == {one.name, three.name, "market"}


@pytest.mark.parametrize("fault", ["raises", "hangs", "says too much"])
async def test_one_that_does_not_say_it_holds_nobody_up(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    async with sides(make, tmp_path) as at:
        well, broken = Client(), Client(*["statements"] * (fault == "raises"))
        market = await at.bus.join(well)
        await at.bus.join(broken)
        if fault == "hangs":
            broken.holds = asyncio.Event()
            monkeypatch.setattr(contract, "PATIENCE", 0.1)
        if fault == "says too much":
            broken.name += "x" * 100
            monkeypatch.setattr(contract, "MOST_SAID", 100)
        with capture_logs() as logs:
            found = await said(market)
        assert len(found) == 2
        assert found.pop(well.name) == f"name  of {well.name}".encode()
        assert [*found.values()] == [None]
        assert ("error" in {one["log_level"] for one in logs}) is (fault != "hangs")
        await send(at, trade(price="1"))
        await until(lambda: prices(well) == prices(broken) == ["1"])


async def test_one_that_goes_while_it_is_asked_holds_nobody_up(make: Make, tmp_path: Path) -> None:
    async with sides(make, tmp_path) as at:
        stays, goes = Client(), Client()
        market = await at.bus.join(stays)
        await at.bus.join(goes)
        goes.holds = asyncio.Event()
        asking = asyncio.ensure_future(said(market))
        await goes.asked.wait()
        await at.bus.leave(goes)
        goes.holds.set()
        found = await asking
        assert found.pop(stays.name) is not None
        assert {*found} <= {goes.name}
        assert {*await said(market)} == {stays.name}


async def test_who_asks_may_give_up_or_go(make: Make, tmp_path: Path) -> None:
    async with sides(make, tmp_path) as at:
        asks, holds = Client(), Client()
        asker, other = await at.bus.join(asks), await at.bus.join(holds)
        holds.holds = asyncio.Event()
        asking = asyncio.ensure_future(said(asker))
        await holds.asked.wait()
        asking.cancel()
        await asyncio.wait([asking])
        await at.bus.leave(asks)
        holds.holds.set()
        assert {*await said(other)} == {holds.name}


# Commands.
async def test_lines_are_published_and_where_nothing_is_that_is_said(make: Make, tmp_path: Path) -> None:
    async with sides(make, tmp_path / "none") as at:
        market = await at.bus.join(Client())
        assert market.publisher_refusal("desk") == ""
        for call in (market.standing("desk"), market.publish("desk", [])):
            with pytest.raises(SourceError):
                await call
    source: Any = Published(CATALOGUE.copy(), ["BTCUSDT"], wall=REAL.millis)
    async with sides(make, tmp_path / "some", source) as at:
        client = Client()
        market = await at.bus.join(client)
        assert market.publisher_refusal("desk") is None
        line = b'{"type":"trade","code":"BTCUSDT","time":1788529064027,"price":"%d","volume":1,"seq":%d}'
        lines = [line % (n, n) for n in range(1, 4)]
        tally = (await market.publish("desk", lines)).tally
        tally.add((await market.publish("desk", [*lines, line % (4, 4), b"no line"])).tally)
        assert (tally.accepted, tally.duplicates, tally.bad_lines, tally.seq) == (4, 3, 1, 4)
        assert [(one.line, one.reason) for one in tally.bad] == [
            (8, "not JSON: JSON is malformed: invalid character (byte 4)")
        ]
        forex = Reach(markets=frozenset({Market.FOREX}))
        taken = await market.publish("desk", [line % (5, 5)], reach=forex)
        assert (taken.stop, taken.tally.bad_lines, taken.tally.seq) == (None, 1, 4)
        await until(lambda: prices(client)[:4] == ["1", "2", "3", "4"])
        assert (await market.standing("desk")).seq == tally.seq
