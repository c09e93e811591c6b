"""Lists that change item by item: 28000, 28012 and 28014, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tickwire.gateway.patterns import MOST_PATTERNS
from tickwire.store import load_catalogue
from tickwire.wire.items import MOST_ITEMS
from tickwire.wire.session import Pattern

from ..market.rivals import Live
from ..serving import DEPTH, TRADE, Link, Script, Served, book, serving, trade, until
from .publishing import a_token

HELLO, CHANGE, LIST, KLINE, CANCEL_KLINES = 28000, 28012, 28014, 28004, 28006
OWN_PLANS = {"few": {"subscriptions": "100/1s", "codes": 2}}


def item(kind: str, code: str, **more: int) -> dict[str, Any]:
    return {"kind": kind, "code": code, **more}


async def change(link: Link, *add: dict[str, Any], remove: tuple[dict[str, Any], ...] = ()) -> Any:
    """The `data` that answers a change."""
    asked = {"add": [*add]} | ({"remove": [*remove]} if remove else {})
    answer = await link.ask(CHANGE, asked)
    assert (answer["ret"], answer["cmd_id"]) == (200, CHANGE + 1)
    return answer["data"]


async def listed(link: Link) -> list[dict[str, Any]]:
    answer = await link.ask(LIST)
    found: list[dict[str, Any]] = answer["data"]["items"]
    return sorted(found, key=lambda one: (one["kind"], one["code"]))


@pytest_asyncio.fixture
async def script() -> Script:
    return Script()


@pytest_asyncio.fixture
async def served(tmp_path: Path, script: Script) -> AsyncIterator[Served]:
    async with serving(tmp_path, script) as served:
        yield served


async def test_items_join_and_leave_and_the_rest_stays(served: Served, script: Script) -> None:
    async with served.link() as link:
        await link.subscribe(TRADE, "GOLD")
        data = await change(link, item("trade", "BTCUSDT"), item("depth", "BTCUSDT", depth_level=2))
        assert [one["state"] for one in data["added"]] == ["ok", "ok"]
        assert data["removed"] == []
        script.emit(trade("GOLD"), trade("BTCUSDT"), book("BTCUSDT"))
        pushed = [(await link.push())["data"] for _ in range(3)]
        assert {one["code"] for one in pushed} == {"GOLD", "BTCUSDT"}
        assert len(next(one for one in pushed if "bids" in one)["bids"]) == 2
        assert await listed(link) == [
            item("depth", "BTCUSDT", depth_level=2),
            item("trade", "BTCUSDT"),
            item("trade", "GOLD"),
        ]
        data = await change(link, remove=(item("trade", "GOLD"), item("trade", "ETHUSDT")))
        assert [one["state"] for one in data["removed"]] == ["ok", "not_subscribed"]
        script.emit(trade("GOLD"), trade("BTCUSDT"))
        assert (await link.push())["data"]["code"] == "BTCUSDT"
        await link.nothing()


async def test_the_answer_says_where_a_stream_goes_on_from(served: Served, script: Script) -> None:
    async with served.link() as link, served.link() as other:
        await other.subscribe(TRADE, "GOLD")
        script.emit(trade("GOLD"), trade("GOLD"))
        last = [(await other.push())["data"]["seq"] for _ in range(2)][-1]
        data = await change(link, item("trade", "GOLD"), item("trade", "BTCUSDT"))
        gold, none = data["added"]
        assert (gold["seq"], gold["epoch"]) == (last, last - 1)
        assert (none["seq"], none["epoch"]) == (0, last - 1)
        assert (await link.push())["data"]["seq"] == last  # the last event of what is new, as after 22004
        script.emit(trade("GOLD"))
        assert (await link.push())["data"]["seq"] == last + 1
        await link.nothing()


async def test_what_is_there_already_stays_and_another_depth_takes_its_place(
    served: Served, script: Script
) -> None:
    async with served.link() as link:
        await change(link, item("trade", "GOLD"), item("depth", "BTCUSDT", depth_level=5))
        script.emit(trade("GOLD"), book("BTCUSDT"))
        for _ in range(2):
            await link.push()
        same = item("trade", "GOLD"), item("depth", "BTCUSDT", depth_level=5)
        data = await change(link, *same)
        assert data["added"] == [one | {"state": "already"} for one in same]
        await link.nothing()
        data = await change(link, item("depth", "BTCUSDT", depth_level=1))
        assert data["added"][0]["state"] == "ok"
        assert len((await link.push())["data"]["bids"]) == 1
        assert await listed(link) == [item("depth", "BTCUSDT", depth_level=1), item("trade", "GOLD")]
        data = await change(link, item("trade", "GOLD"), remove=(item("trade", "GOLD"),))
        assert (data["removed"][0]["state"], data["added"][0]["state"]) == ("ok", "ok")
        assert (await link.push())["data"]["code"] == "GOLD"  # once more, as of what is new
        await link.nothing()


async def test_each_item_has_its_own_state(tmp_path: Path, script: Script) -> None:
    async with serving(tmp_path, script, plans=OWN_PLANS, plan="few") as served, served.link() as link:
        wanted = [item("trade", code) for code in ("NOPE", "GOLD", "700.HK", "BTCUSDT", "ETHUSDT", "GOLD")]
        data = await change(link, *wanted)
        states = [one["state"] for one in data["added"]]
        assert states == ["unknown", "ok", "unknown", "ok", "over_limit", "already"]
        assert [one["code"] for one in data["added"]] == [one["code"] for one in wanted]
        assert all(("epoch" in one) is (one["state"] == "ok") for one in data["added"])
        data = await change(link, item("trade", "ETHUSDT"), remove=(item("trade", "GOLD"),))
        assert data["added"][0]["state"] == "ok"  # what leaves makes room first
        hello = (await link.ask(HELLO))["data"]
        assert hello["plan"] == {"name": "few", "subscriptions": "100/1s", "codes": 2}


async def test_a_plan_that_refuses_takes_nothing_that_upstream_has_no_room_for(tmp_path: Path) -> None:
    source = Live()
    source.taken = 2
    plans = {"strict": {"subscriptions": "100/1s", "codes": 9, "refuse": True}}
    async with serving(tmp_path, source, plans=plans, plan="strict") as served, served.link() as link:
        data = await change(link, *(item("trade", code) for code in ("GOLD", "BTCUSDT", "ETHUSDT")))
        assert [one["state"] for one in data["added"]] == ["ok", "ok", "over_limit"]
        assert await listed(link) == [item("trade", "BTCUSDT"), item("trade", "GOLD")]


async def test_the_forming_bar_follows_once(served: Served, script: Script) -> None:
    async with served.link() as link:
        script.emit(trade("GOLD"))
        data = await change(link, item("kline", "GOLD", kline_type=1))
        assert data["added"][0]["state"] == "ok"
        bar = await link.push()
        assert (bar["cmd_id"], bar["data"]["state"]) == (28998, "forming")
        assert await listed(link) == [item("kline", "GOLD", kline_type=1)]
        await link.ask(CANCEL_KLINES)
        assert await listed(link) == []


async def test_plain_lists_and_changes_are_the_same_lists(served: Served, script: Script) -> None:
    async with served.link() as link:
        await change(link, item("trade", "GOLD"), item("trade", "BTCUSDT"))
        await link.subscribe(TRADE, "ETHUSDT")
        assert await listed(link) == [item("trade", "ETHUSDT")]
        await link.ask(DEPTH, {"symbol_list": [{"code": "GOLD"}]})
        await change(link, remove=(item("trade", "ETHUSDT"),))
        assert await listed(link) == [item("depth", "GOLD")]


BAD: dict[str, Any] = {
    "empty": {},
    "nothing": {"add": [], "remove": []},
    "no list": {"add": item("trade", "GOLD")},
    "no kind": {"add": [{"code": "GOLD"}]},
    "another kind": {"add": [item("news", "GOLD")]},
    "bars without a type": {"add": [item("kline", "GOLD")]},
    "a type of no bars": {"add": [item("trade", "GOLD", kline_type=1)]},
    "levels of no book": {"add": [item("trade", "GOLD", depth_level=1)]},
    "an unknown field": {"add": [item("trade", "GOLD", level=1)]},
    "too many": {"add": [item("trade", "GOLD")] * MOST_ITEMS, "remove": [item("trade", "GOLD")]},
}


@pytest.mark.parametrize("name", BAD)
async def test_what_is_not_well_formed_changes_nothing(served: Served, name: str) -> None:
    async with served.link() as link:
        await link.subscribe(TRADE, "GOLD")
        answer = await link.ask(CHANGE, BAD[name])
        assert (answer["ret"], answer["cmd_id"], answer["data"]) == (400, CHANGE + 1, {})
        assert await listed(link) == [item("trade", "GOLD")]


async def test_hello_says_what_is_on_offer(served: Served) -> None:
    async with served.link() as link:
        answer = await link.ask(HELLO, seq_id=9, trace="h")
    data = answer["data"]
    assert (answer["cmd_id"], answer["seq_id"], answer["trace"]) == (HELLO + 1, 9, "h")
    assert (data["server"], data["encodings"], data["resume_seconds"]) == (
        "tickwire",
        ["json", "msgpack"],
        60,
    )
    assert {HELLO, CHANGE, LIST, KLINE} <= {*data["extensions"]}
    assert data["plan"] == {"name": "unlimited"}


async def codes_pushed(link: Link, count: int) -> list[str]:
    return sorted([(await link.push())["data"]["code"] for _ in range(count)])


async def test_a_pattern_means_what_runs_and_what_begins_later(served: Served, script: Script) -> None:
    async with served.link() as link:
        script.emit(trade("BTCUSDT"), trade("GOLD"), book("ETHUSDT"))
        await until(lambda: served.engine.market.events == 3)
        data = await change(link, item("trade", "*USDT"))
        epoch = served.engine.market.epoch
        assert data["added"] == [item("trade", "*USDT") | {"state": "ok", "epoch": epoch}]
        assert await codes_pushed(link, 1) == ["BTCUSDT"]
        await link.nothing()
        assert "SOLUSDT" not in script.wanted, "a pattern starts nothing"
        script.emit(trade("SOLUSDT"), trade("ETHUSDT"), trade("GOLD"), trade("BTCUSDT"), book("SOLUSDT"))
        assert await codes_pushed(link, 3) == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
        script.emit(trade("SOLUSDT"), trade("Silver"))
        assert await codes_pushed(link, 1) == ["SOLUSDT"]
        await link.nothing()
        assert await listed(link) == [item("trade", "*USDT")]
        data = await change(link, item("trade", "*USDT"))
        assert data["added"][0]["state"] == "already"
        data = await change(link, remove=(item("trade", "*"), item("trade", "*USDT")))
        assert [one["state"] for one in data["removed"]] == ["not_subscribed", "ok"]
        script.emit(trade("SOLUSDT"), trade("BTCUSDT"))
        await until(lambda: served.engine.market.events == 12)
        await link.nothing()
        assert await listed(link) == []


async def test_what_is_named_stays_when_its_pattern_goes(served: Served, script: Script) -> None:
    async with served.link() as link:
        script.emit(trade("BTCUSDT"), trade("ETHUSDT"), trade("GOLD"))
        await until(lambda: served.engine.market.events == 3)
        await change(link, item("trade", "BTCUSDT"), item("trade", "*T"))
        await codes_pushed(link, 2)
        data = await change(link, item("trade", "ETHUSDT"))
        assert data["added"][0]["state"] == "already"
        data = await change(link, remove=(item("trade", "GOLD"), item("trade", "BTCUSDT")))
        assert [one["state"] for one in data["removed"]] == ["not_subscribed", "ok"]
        script.emit(trade("BTCUSDT"), trade("ETHUSDT"))
        assert await codes_pushed(link, 2) == ["BTCUSDT", "ETHUSDT"]  # the pattern means it still
        await change(link, remove=(item("trade", "*T"),))
        assert await listed(link) == [item("trade", "ETHUSDT")]
        script.emit(trade("BTCUSDT"), trade("ETHUSDT"))
        assert await codes_pushed(link, 1) == ["ETHUSDT"]
        await link.nothing()


@pytest.mark.parametrize("end", ["replaced", "cancelled", "gone"])
async def test_a_pattern_ends_with_its_list(served: Served, script: Script, end: str) -> None:
    gateway = served.engine.gateway
    async with served.link() as link:
        await change(
            link, item("trade", "*"), item("kline", "*", kline_type=1), item("depth", "B*T", depth_level=1)
        )
        script.emit(trade("BTCUSDT"), book("BTCUSDT"))
        pushed = [(await link.push())["data"] for _ in range(3)]
        assert sorted(len(one.get("bids", ())) for one in pushed) == [0, 0, 1]
        assert {one.get("kline_type", 0) for one in pushed} == {0, 1}
        if end == "replaced":
            await link.subscribe(TRADE, "GOLD")
            assert await listed(link) == [
                item("depth", "B*T", depth_level=1),
                item("kline", "*", kline_type=1),
                item("trade", "GOLD"),
            ]
        elif end == "cancelled":
            await link.ask(22006, {"cancel_type": 0})
            assert await listed(link) == []
            script.emit(trade("ETHUSDT"))
            await until(lambda: served.engine.market.events == 3)
            await link.nothing()
    await until(lambda: not gateway.callers)
    assert not gateway.patterns._of
    assert not gateway.patterns._implied


async def test_a_pattern_takes_what_there_is_room_for_and_what_may_be_read(
    tmp_path: Path, script: Script
) -> None:
    secret = a_token(tmp_path, codes=("BTCUSDT", "ETHUSDT", "GOLD"), plan="few")
    async with serving(tmp_path, script, plans=OWN_PLANS) as served, served.link(token=secret) as link:
        await change(link, item("trade", "*"))
        script.emit(trade("SOLUSDT"), trade("GOLD"), trade("ETHUSDT"), trade("BTCUSDT"))
        assert await codes_pushed(link, 2) == ["ETHUSDT", "GOLD"]
        await link.nothing()
        data = await change(link, item("trade", "BTCUSDT"))
        assert data["added"][0]["state"] == "over_limit"


async def test_patterns_are_few(served: Served) -> None:
    async with served.link() as link:
        data = await change(link, *(item("trade", f"{n}*" + "*a" * 500) for n in range(MOST_PATTERNS + 1)))
        states = [one["state"] for one in data["added"]]
        assert states == ["ok"] * MOST_PATTERNS + ["over_limit"]


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("*", {"BTCUSDT", "GOLD"}),
        ("G*D", {"GOLD"}),
        ("GO*OLD", set()),
        ("GO*LD", {"GOLD"}),
        ("*T*S*", {"BTCUSDT"}),
        ("*S*T*S*", set()),
        ("B*T", {"BTCUSDT"}),
        ("**", {"BTCUSDT", "GOLD"}),
        ("g*", set()),
        ("*.D", set()),
    ],
)
def test_what_a_pattern_means(name: str, codes: set[str]) -> None:
    catalogue = load_catalogue()
    found = {code for code in ("BTCUSDT", "GOLD") if Pattern(name).means(catalogue[code])}
    assert found == codes
