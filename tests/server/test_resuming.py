"""Clients that were cut and go on where they were (28016), over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tickwire.market import kept as kept_room
from tickwire.model import Kind
from tickwire.sources import Began, Broke, Mended
from tickwire.wire.items import MOST_ITEMS

from ..serving import DEPTH, TRADE, Link, Script, Served, book, masked, serving, trade, until

HELLO, CHANGE, LIST, RESUME, KLINE_PUSH, GAP = 28000, 28012, 28014, 28016, 28998, 28993
AT = 1_788_529_064_027 // 60_000 * 60_000


def item(kind: str, code: str, epoch: int, seq: int, **more: int) -> dict[str, Any]:
    return {"kind": kind, "code": code, "epoch": epoch, "seq": seq, **more}


async def resume(link: Link, *items: dict[str, Any]) -> Any:
    """The `items` that answer a resume."""
    answer = await link.ask(RESUME, {"items": [*items]})
    assert (answer["ret"], answer["cmd_id"]) == (200, RESUME + 1)
    return answer["data"]["items"]


async def seqs(link: Link, count: int) -> list[int]:
    return [(await link.push())["data"]["seq"] for _ in range(count)]


async def listed(link: Link) -> list[tuple[str, str]]:
    answer = await link.ask(LIST)
    return sorted((one["kind"], one["code"]) for one in answer["data"]["items"])


async def heard(served: Served, count: int) -> None:
    """Returns when the market has had so many events."""
    async with asyncio.timeout(120):
        while served.engine.market.events < count:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def forget(served: Served) -> None:
    """The ring lets go of all that it has."""
    ring = served.engine.market.ring
    limit, ring.limit = ring.limit, 0
    ring.cut()
    ring.limit = limit


@pytest_asyncio.fixture
async def script() -> Script:
    return Script()


@pytest_asyncio.fixture
async def served(tmp_path: Path, script: Script) -> AsyncIterator[Served]:
    async with serving(tmp_path, script, plans={"desk": {"subscriptions": "1000/1s"}}, plan="desk") as served:
        yield served


@pytest.mark.parametrize("kept", ["loose", "in blocks"])
async def test_what_was_missed_comes_once_and_in_order_and_then_what_is_live(
    served: Served, script: Script, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_room, "SLICE", 7)
    ring, epoch = served.engine.market.ring, served.engine.market.epoch
    async with served.link() as link:
        hello = (await link.ask(HELLO))["data"]
        assert hello["resume_seconds"] == 60
        assert RESUME in hello["extensions"]
        await link.subscribe(TRADE, "GOLD", "BTCUSDT")
        script.emit(*(trade(code, str(n)) for n in range(1, 4) for code in ("GOLD", "BTCUSDT")))
        await seqs(link, 6)
    for _ in range(3):
        script.emit(*(trade("GOLD") for _ in range(10)), trade("BTCUSDT"))
        await heard(served, served.engine.market.events + 11)
        if kept != "loose":
            ring.cut()
    async with served.link() as link:
        told = await resume(
            link, item("trade", "GOLD", epoch, epoch + 2), item("trade", "BTCUSDT", epoch, epoch + 2)
        )
        assert [(one["state"], one["epoch"], one["from"]) for one in told] == [
            ("resumed", epoch, epoch + 3)
        ] * 2
        pushed = [(await link.push())["data"] for _ in range(33)]
        for code, last in (("GOLD", 33), ("BTCUSDT", 6)):
            assert [one["seq"] for one in pushed if one["code"] == code] == [*range(epoch + 3, epoch + last)]
        script.emit(trade("BTCUSDT"), trade("GOLD"), trade("GOLD"))
        assert sorted(await seqs(link, 3)) == [epoch + 6, epoch + 33, epoch + 34]
        await link.nothing()
        assert await listed(link) == [("trade", "BTCUSDT"), ("trade", "GOLD")]


async def test_what_cannot_be_had_any_more_is_a_gap_with_its_end(served: Served, script: Script) -> None:
    epoch = served.engine.market.epoch
    async with served.link() as link:
        await link.subscribe(TRADE, "GOLD")
        script.emit(*(trade("GOLD") for _ in range(5)))
        await seqs(link, 5)
        await forget(served)
        script.emit(*(trade("GOLD") for _ in range(3)))
        await seqs(link, 3)
    async with served.link() as link:
        (told,) = await resume(link, item("trade", "GOLD", epoch, epoch + 1))
        assert (told["state"], told["from"]) == ("gap", epoch + 5)
        assert await seqs(link, 3) == [epoch + 5, epoch + 6, epoch + 7]
        await forget(served)
    async with served.link() as link:
        (told,) = await resume(link, item("trade", "GOLD", epoch, epoch + 1))
        assert (told["state"], told["from"]) == ("gap", epoch + 8)
        script.emit(trade("GOLD"))
        assert await seqs(link, 1) == [epoch + 8]
    async with served.link() as link:
        (told,) = await resume(link, item("trade", "GOLD", epoch, epoch + 8))
        assert (told["state"], told["from"]) == ("resumed", epoch + 9)
        await link.nothing()


async def test_a_position_that_was_never_given_is_a_gap(served: Served, script: Script) -> None:
    epoch = served.engine.market.epoch
    script.emit(*(trade("GOLD") for _ in range(3)), book("GOLD"))
    await heard(served, 4)
    cases = [
        (item("trade", "GOLD", epoch, epoch + 3), "gap", epoch + 3, []),  # yet to come
        (item("trade", "GOLD", epoch + 1, epoch + 1), "gap", epoch + 3, []),
        (item("trade", "GOLD", epoch - 5, epoch - 2), "gap", epoch, [epoch, epoch + 1, epoch + 2]),
        (item("trade", "GOLD", epoch, 0), "resumed", epoch, [epoch, epoch + 1, epoch + 2]),
        (item("trade", "GOLD", 0, 0), "gap", epoch, [epoch, epoch + 1, epoch + 2]),
        (item("trade", "BTCUSDT", epoch, 0), "resumed", epoch, []),  # of which nothing has come yet
        (item("trade", "BTCUSDT", epoch, epoch), "gap", epoch, []),
        (item("depth", "GOLD", epoch, epoch + 7), "gap", epoch, [epoch]),
        (item("depth", "GOLD", epoch + 1, epoch), "gap", epoch, [epoch]),
        (item("depth", "GOLD", epoch - 9, epoch - 3), "resumed", epoch, [epoch]),  # a book is a state
        (item("depth", "GOLD", epoch, epoch), "resumed", epoch + 1, []),
    ]
    for asked, state, begin, expected in cases:
        async with served.link() as link:
            (told,) = await resume(link, asked)
            assert (told["state"], told["epoch"], told["from"]) == (state, epoch, begin), asked
            assert await seqs(link, len(expected)) == expected, asked
            await link.nothing()


async def test_of_a_book_the_newest_state_is_enough(served: Served, script: Script) -> None:
    epoch = served.engine.market.epoch
    async with served.link() as link:
        await link.subscribe(DEPTH, "BTCUSDT")
        script.emit(book("BTCUSDT"))
        await seqs(link, 1)
    script.emit(*(book("BTCUSDT") for _ in range(9)))
    await heard(served, 10)
    async with served.link() as link:
        (told,) = await resume(link, item("depth", "BTCUSDT", epoch, epoch, depth_level=2))
        assert (told["state"], told["from"], told["depth_level"]) == ("resumed", epoch + 9, 2)
        pushed = (await link.push())["data"]
        assert (pushed["seq"], len(pushed["bids"])) == (epoch + 9, 2)
        script.emit(book("BTCUSDT"))
        assert await seqs(link, 1) == [epoch + 10]
        await link.nothing()


async def test_of_bars_all_that_closed_and_then_the_one_that_forms(served: Served, script: Script) -> None:
    epoch = served.engine.market.epoch
    async with served.link() as link:
        await link.ask(28004, {"symbol_list": [{"code": "BTCUSDT", "kline_type": 1}]})
        script.emit(trade(at=AT, price="1"))
        last = (await link.push())["data"]
        assert (last["state"], last["close_price"]) == ("forming", "1.00")
    script.emit(*(trade(at=AT + 20_000 * n, price=str(n + 1)) for n in range(1, 8)))
    await heard(served, 8)
    bars = served.engine.market.streams.bars(served.engine.catalogue["BTCUSDT"], 1)
    async with asyncio.timeout(120):
        while (update := bars.last).kline.close != 8:  # type: ignore[union-attr]  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # it is pushed on, though nobody is there
    async with served.link() as link:
        (told,) = await resume(link, item("kline", "BTCUSDT", epoch, last["seq"], kline_type=1))
        assert told["state"] == "resumed"
        pushed = [await link.push() for _ in range(3)]
        assert {one["cmd_id"] for one in pushed} == {KLINE_PUSH}
        data = [one["data"] for one in pushed]
        states = [(one["state"], one["close_price"]) for one in data]
        assert states == [("closed", "3.00"), ("closed", "6.00"), ("forming", "8.00")]
        assert told["from"] == data[0]["seq"]
        assert [one["seq"] for one in data] == sorted(one["seq"] for one in data)
        await link.nothing()
        script.emit(trade(at=AT + 150_000, price="9"))
        assert (await link.push())["data"]["close_price"] == "9.00"
    assert update is not None


async def test_what_is_there_already_stays_as_it_is(served: Served, script: Script) -> None:
    epoch = served.engine.market.epoch
    async with served.link() as link:
        await link.subscribe(TRADE, "GOLD")
        script.emit(*(trade("GOLD") for _ in range(3)))
        await seqs(link, 3)
        wanted = item("trade", "GOLD", epoch, epoch)
        told = await resume(link, wanted, wanted, item("trade", "NOPE", 0, 0), item("trade", "700.HK", 0, 0))
        assert [one["state"] for one in told] == ["already", "already", "unknown", "unknown"]
        assert "from" not in told[0]
        await link.nothing()
        other = item("trade", "BTCUSDT", epoch, 0)
        told = await resume(link, other, other)
        assert [one["state"] for one in told] == ["resumed", "already"]
        (told,) = await resume(link, other)
        assert told["state"] == "already"
        script.emit(trade("GOLD"), trade("BTCUSDT"))
        assert sorted(await seqs(link, 2)) == [epoch, epoch + 3]
        await link.nothing()


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"items": []},
        {"items": [{"kind": "trade", "code": "GOLD"}]},
        {"items": [item("trade", "GOLD", 1, -1)]},
        {"items": [item("kline", "GOLD", 1, 1)]},
        {"items": [item("trade", "GOLD", 2**63, 1)]},
        {"items": [item("trade", "GOLD", 1, 1)] * (MOST_ITEMS + 1)},
    ],
)
async def test_what_is_no_resume_is_told(served: Served, data: Any) -> None:
    async with served.link() as link:
        assert (await link.ask(RESUME, data))["ret"] == 400
        await link.nothing()


async def missed_by_a_sleeper(served: Served, script: Script, number: int) -> None:
    """So many trades that no socket holds them."""
    script.emit(*(trade("GOLD") for _ in range(number)))
    await heard(served, served.engine.market.events + number)
    served.engine.market.ring.cut()


async def narrow(served: Served) -> socket.socket:
    """A socket that holds little."""
    one, address = socket.socket(), httpx.URL(served.url)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.setblocking(False)
    await asyncio.get_running_loop().sock_connect(one, (address.host, address.port))
    return one


async def test_what_a_slow_client_missed_waits_in_the_ring(served: Served, script: Script) -> None:
    """It takes no memory of the server's, and where the ring moves past it that is told."""
    number, epoch = 40_000, served.engine.market.epoch
    await missed_by_a_sleeper(served, script, number)
    async with served.link(sock=await narrow(served)) as link, served.link() as other:
        await link.send({"cmd_id": RESUME, "seq_id": 1, "trace": "t",
                         "data": {"items": [item("trade", "GOLD", epoch, 0)]}})  # fmt: skip
        gateway = served.engine.gateway
        async with asyncio.timeout(120):
            while not gateway._slow:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        (client,) = gateway._slow
        await other.subscribe(TRADE, "GOLD")
        assert client.unread < 1_000_000
        script.emit(*(trade("GOLD") for _ in range(10)))
        await seqs(other, 11)
        await forget(served)
        script.emit(*(trade("GOLD") for _ in range(10)))
        await seqs(other, 10)
        answer = await link.recv()
        assert answer["data"]["items"][0]["state"] == "resumed"
        found: list[int] = []
        gaps: list[tuple[int, int]] = []
        while not found or found[-1] < epoch + number + 19:
            pushed = await link.push()
            if pushed["cmd_id"] == GAP:
                assert pushed["data"] == {"kind": "trade", "code": "GOLD", "epoch": epoch,
                                          "from": epoch + number + 10, "gap": 1}  # fmt: skip
                gaps.append((found[-1] + 1, pushed["data"]["from"]))
            else:
                found.append(pushed["data"]["seq"])
        assert len(gaps) == 1
        lacking = {*range(epoch, epoch + number + 20)} - {*found}
        assert lacking == {*range(*gaps[0])}
        assert found == sorted({*found})
        await link.nothing()
        script.emit(trade("GOLD"))
        assert await seqs(link, 1) == [epoch + number + 20]


@pytest.mark.parametrize("end", ["remove", "replace", "cancel", "leave", "keep"])
async def test_lists_change_while_what_was_missed_is_under_way(
    served: Served, script: Script, end: str
) -> None:
    number, epoch = 40_000, served.engine.market.epoch
    await missed_by_a_sleeper(served, script, number)
    gateway = served.engine.gateway
    async with served.link(sock=await narrow(served)) as link:
        await link.send({"cmd_id": RESUME, "seq_id": 1, "trace": "t",
                         "data": {"items": [item("trade", "GOLD", epoch, 0)]}})  # fmt: skip
        async with asyncio.timeout(120):
            while not gateway._slow:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        if end == "leave":
            link.socket.transport.abort()
        else:
            asked = {
                "remove": (CHANGE, {"remove": [{"kind": "trade", "code": "GOLD"}]}),
                "replace": (TRADE, {"symbol_list": [{"code": "BTCUSDT"}]}),
                "cancel": (22006, {"cancel_type": 0}),
                "keep": (TRADE, {"symbol_list": [{"code": "BTCUSDT"}, {"code": "GOLD"}]}),
            }[end]
            await link.answer()
            answer = await link.ask(*asked)
            assert answer["ret"] == 200
            if end == "keep":
                while (link.pushes[-1]["data"]["seq"]) < epoch + number - 1:
                    await link.push()
                assert [one["data"]["seq"] for one in link.pushes] == [*range(epoch, epoch + number)]
            elif end == "remove":
                assert answer["data"]["removed"][0]["state"] == "ok"
            await served.get("/healthz")
            expected = {"remove": [], "cancel": [], "replace": [("trade", "BTCUSDT")],
                        "keep": [("trade", "BTCUSDT"), ("trade", "GOLD")]}[end]  # fmt: skip
            assert await listed(link) == expected
        async with asyncio.timeout(120):
            while gateway.resuming.clients:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    gold = gateway.hub.topic(Kind.TRADE, served.engine.catalogue["GOLD"])
    async with asyncio.timeout(120):
        while gold.held or gateway.callers:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not gateway.hub._held._of


@pytest.mark.parametrize("begins", [False, True])
async def test_what_cannot_be_read_is_a_gap_and_the_stream_goes_on(
    served: Served, script: Script, begins: bool
) -> None:
    script.emit(*(trade("GOLD") for _ in range(5)))
    await heard(served, 5)
    market = served.engine.market
    epoch = market.epoch

    async def missed(*_: object) -> Any:
        raise OSError("gone")

    vars(market)["missed"] = missed
    if not begins:
        vars(market)["first_missed"] = missed
    async with served.link() as link:
        (told,) = await resume(link, item("trade", "GOLD", epoch, epoch))
        if begins:
            assert (told["state"], told["from"]) == ("resumed", epoch + 1)
            pushed = await link.push()
            assert (pushed["cmd_id"], pushed["data"]["gap"], pushed["data"]["from"]) == (GAP, 1, epoch + 5)
        else:
            assert (told["state"], told["from"]) == ("gap", epoch + 5)
        script.emit(trade("GOLD"))
        assert await seqs(link, 1) == [epoch + 5]
        assert served.engine.gateway.resuming.gaps == 1


async def test_who_resumes_twice_while_he_does_not_read_has_all_in_the_end(
    served: Served, script: Script
) -> None:
    """What is asked for first waits for the client as what is asked for then does."""
    number, epoch, gateway = 40_000, served.engine.market.epoch, served.engine.gateway
    script.emit(*(trade("BTCUSDT") for _ in range(number)))
    await heard(served, number)
    await missed_by_a_sleeper(served, script, number)
    async with served.link(sock=await narrow(served)) as link:
        requests = [
            {"cmd_id": RESUME, "seq_id": 1, "trace": "t", "data": {"items": [item("trade", code, epoch, 0)]}}
            for code in ("GOLD", "BTCUSDT")
        ]
        # At once: what comes later is read when he has taken what he was sent.
        link.socket.transport.write(b"".join(masked(1, json.dumps(one).encode()) for one in requests))
        await until(lambda: gateway._slow and len(next(iter(gateway.resuming._tasks.values()))) == 2)
        while len(link.pushes) < 2 * number:
            await link.recv()
        for code in ("GOLD", "BTCUSDT"):
            found = [one["data"]["seq"] for one in link.pushes if one["data"]["code"] == code]
            assert found == [*range(epoch, epoch + number)]
        await link.nothing()


async def test_what_is_removed_before_the_answer_is_said_to_be_gone(served: Served, script: Script) -> None:
    script.emit(trade("GOLD"), trade("BTCUSDT"))
    await heard(served, 2)
    epoch = served.engine.market.epoch
    async with served.link() as link:
        items = [item("trade", code, epoch, 0) for code in ("GOLD", "BTCUSDT")]
        gateway = served.engine.gateway
        (client,) = gateway.callers
        session = client._connection.session  # type: ignore[attr-defined]
        for cmd_id, data in (
            (RESUME, {"items": items}),
            (CHANGE, {"remove": [{"kind": "trade", "code": "GOLD"}]}),
        ):
            request = json.dumps({"cmd_id": cmd_id, "seq_id": 1, "trace": "t", "data": data}).encode()
            decision = session.receive(request, gateway.clock()).decision
            gateway.hub.push(client, gateway.carry_out(client, decision))
        answers = {one["cmd_id"]: one["data"] for one in (await link.answer(), await link.answer())}
        assert answers[CHANGE + 1]["removed"][0]["state"] == "ok"
        assert [one["state"] for one in answers[RESUME + 1]["items"]] == ["not_subscribed", "resumed"]
        assert await seqs(link, 1) == [epoch]
        await link.nothing()
        assert await listed(link) == [("trade", "BTCUSDT")]


async def test_who_knows_positions_is_told_how_trades_go_on_behind_an_outage_of_the_source(
    served: Served, script: Script
) -> None:
    script.live = True
    epoch = served.engine.market.epoch
    async with served.link() as link, served.link() as plain:
        await link.ask(CHANGE, {"add": [{"kind": "trade", "code": code} for code in ("GOLD", "XAUUSD")]})
        await plain.subscribe(TRADE, "GOLD")
        codes = ("GOLD", "BTCUSDT")
        script.emit(Began(codes, 1), trade("GOLD", "1"), Broke(codes, 2, "cut"), Mended(codes, 3))
        script.emit(trade("GOLD", "2"), Broke(codes, 4, "cut"), Began(codes, 5), trade("GOLD", "3"))
        script.emit(Broke(codes, 6, ""), Began(codes, 7), trade("GOLD", "4"))  # nobody wanted them meanwhile
        found: list[tuple[Any, ...]] = []
        while len(found) < 12:
            push = await link.push()
            data = push["data"]
            found.append((data["code"], data["price"] if "price" in data else (data["from"], data["gap"])))
            assert push["cmd_id"] == (GAP if "gap" in data else 22998)
        for code in ("GOLD", "XAUUSD"):
            assert [told for one, told in found if one == code] == [
                "1.00",
                (epoch + 1, 0),
                "2.00",
                (epoch + 2, 1),
                "3.00",
                "4.00",
            ]
        assert [(await plain.push())["data"]["price"] for _ in range(4)] == ["1.00", "2.00", "3.00", "4.00"]
        await plain.nothing()


async def test_an_outage_of_the_source_that_a_client_was_not_told_of_is_a_gap(
    served: Served, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_room, "SLICE", 7)
    script.live = True
    epoch, market = served.engine.market.epoch, served.engine.market
    script.emit(Began(("GOLD",), 1), *(trade("GOLD") for _ in range(3)))
    await heard(served, 3)
    script.emit(Broke(("GOLD",), 2, "cut"), Began(("GOLD",), 3))
    await until(lambda: market.streams.known(Kind.TRADE, "GOLD").holes)  # type: ignore[union-attr]

    async def told(seq: int) -> tuple[str, int]:
        async with served.link(close_timeout=0.2) as link:  # behind pushes that it leaves it sees no close
            (one,) = await resume(link, item("trade", "GOLD", epoch, seq))
            return one["state"], one["from"] - epoch

    assert await told(epoch + 2) == ("gap", 3)  # nothing has come since
    script.emit(*(trade("GOLD") for _ in range(10)), Broke(("GOLD",), 4, "cut"), Began(("GOLD",), 5))
    script.emit(*(trade("GOLD") for _ in range(10)))
    await heard(served, 23)
    assert await told(epoch + 1) == ("resumed", 2)  # the hole is further on
    assert await told(epoch + 2) == ("gap", 3)
    assert await told(epoch + 13) == ("resumed", 14)
    for _ in range(2):  # the second is given what was made for the first
        async with served.link() as link:
            (one,) = await resume(link, item("trade", "GOLD", epoch, epoch + 2))
            assert (one["state"], one["from"]) == ("gap", epoch + 3)
            pushes = [await link.push() for _ in range(21)]
            gaps = [
                (place, push["data"]["from"]) for place, push in enumerate(pushes) if push["cmd_id"] == GAP
            ]
            assert gaps == [(10, epoch + 13)]
    async with served.link() as link:
        (one,) = await resume(link, item("trade", "GOLD", epoch, epoch + 3))
        assert (one["state"], one["from"]) == ("resumed", epoch + 4)
        pushes = [await link.push() for _ in range(20)]
        assert [place for place, push in enumerate(pushes) if push["cmd_id"] == GAP] == [9]
        assert (pushes[9]["data"]["gap"], pushes[9]["data"]["from"]) == (1, epoch + 13)
        assert [push["data"]["seq"] for push in pushes if "seq" in push["data"]] == [
            *range(epoch + 4, epoch + 23)
        ]
