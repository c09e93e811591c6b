"""Replays of a client's own (28018, 28020), over real sockets: what was recorded, and on into live."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from tickwire.market import history
from tickwire.market.history import Playback
from tickwire.model import Market, Trade
from tickwire.store.recordings import Recorder
from tickwire.store.recordings.recordings import ROWS

from ..serving import TRADE, Link, Script, Served, book, serving, trade, until
from .publishing import a_token
from .test_resuming import forget, heard

HELLO, LIST, REPLAY, CONTROL, OPTIONS = 28000, 28014, 28018, 28020, 28022
TRADE_PUSH, BOOK_PUSH, STATE, GAP = 22998, 22999, 28996, 28993
AT = 1_788_529_064_027 // 60_000 * 60_000
FAST: dict[str, Any] = {"speed": 0}
GOLD = {"kind": "trade", "code": "GOLD"}
BOOKS = {"kind": "depth", "code": "GOLD"}
PLANS = {"desk": {"subscriptions": "1000/1s", "replays": 2}}


async def replay(link: Link, *items: dict[str, Any], **more: Any) -> Any:
    """The data that answers a request for a replay."""
    answer = await link.ask(REPLAY, {"items": [*items]} | more)
    assert (answer["ret"], answer["cmd_id"]) == (200, REPLAY + 1)
    return answer["data"]


async def control(link: Link, number: int, action: str, **more: Any) -> int:
    """The `ret` of a request that changes a replay."""
    answer = await link.ask(CONTROL, {"id": number, "action": action} | more)
    assert answer["data"] == {}
    ret: int = answer["ret"]
    return ret


async def state(link: Link) -> dict[str, Any]:
    """The next push, which says where a replay stands."""
    push = await link.push()
    assert push["cmd_id"] == STATE, push
    data: dict[str, Any] = push["data"]
    return data


async def until_state(link: Link, *states: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What is pushed before a replay comes to one of these states, and how it says so."""
    pushes = []
    while (push := await link.push())["cmd_id"] != STATE or push["data"]["state"] not in states:
        pushes.append(push)
    return pushes, push["data"]


async def written(served: Served) -> None:
    """Returns when all that came stands in the recording."""
    recorders = [feed.recorder for feed in served.engine.market.feeds if feed.recorder is not None]
    assert recorders
    await until(lambda: not any(one.status().waiting for one in recorders))


def damage(folder: Path) -> None:
    """Alters some bytes in the middle of all files of a recording."""
    for path in folder.rglob("*.parquet"):
        content = path.read_bytes()
        middle = len(content) // 2
        path.write_bytes(content[:middle] + b"\0" * 64 + content[middle + 64 :])


def ticks(count: int, code: str = "GOLD", *, step: int = 1000, begin: int = 0) -> list[Trade]:
    return [trade(code, f"{n + 1}", at=AT + n * step) for n in range(begin, begin + count)]


@pytest_asyncio.fixture
async def script() -> Script:
    return Script()


@pytest_asyncio.fixture
async def served(tmp_path: Path, script: Script) -> AsyncIterator[Served]:
    async with serving(tmp_path, script, record=tmp_path / "ticks", plans=PLANS, plan="desk") as served:
        yield served


async def play(served: Served, script: Script, *events: Any) -> None:
    """Lets these happen, and waits until they are recorded."""
    before = served.engine.market.events
    script.emit(*events)
    await heard(served, before + len(events))
    await written(served)


def prices(pushes: list[dict[str, Any]], code: str = "GOLD") -> list[int]:
    return [
        int(float(one["data"]["price"]))
        for one in pushes
        if one["cmd_id"] == TRADE_PUSH and one["data"]["code"] == code
    ]


async def test_a_stretch_comes_in_the_recorded_order_across_codes_and_kinds(
    served: Served, script: Script
) -> None:
    events: list[Any] = []
    for n in range(400):
        events += [trade("GOLD", f"{n + 1}", at=AT + n), book("GOLD", at=AT + n), trade("BTCUSDT", at=AT + n)]
    await play(served, script, *events)
    async with served.link() as link:
        items = (GOLD, BOOKS, {"kind": "trade", "code": "BTCUSDT"})
        told = await replay(link, *items, **{"from": AT + 100, "to": AT + 300}, **FAST)
        assert [one["state"] for one in told["items"]] == ["ok"] * 3
        assert (told["begin"], told["end"]) == (AT, AT + 399)
        assert await state(link) == {"id": told["id"], "state": "began", "time": AT + 100}
        pushes, ended = await until_state(link, "complete")
        assert ended == {"id": told["id"], "state": "complete", "time": AT + 299}
        assert {one["data"]["replay"] for one in pushes} == {told["id"]}
        expected = [
            (TRADE_PUSH if isinstance(one, Trade) else BOOK_PUSH, one.code, one.time)
            for one in events
            if AT + 100 <= one.time < AT + 300
        ]
        assert [(one["cmd_id"], one["data"]["code"], one["data"]["tick_time"]) for one in pushes] == expected
        epoch = served.engine.market.epoch
        seqs = [one["data"]["seq"] for one in pushes if one["data"]["code"] == "BTCUSDT"]
        assert seqs == [*range(epoch + 100, epoch + 300)]
        await link.nothing()
        assert (await link.ask(LIST))["data"]["items"] == []


async def test_a_replay_goes_on_into_live_with_no_event_missing_or_twice(
    served: Served, script: Script
) -> None:
    codes, total = ("GOLD", "BTCUSDT"), 3_000
    given = 0

    async def live() -> None:
        nonlocal given
        while given < total:
            script.emit(*(trade(code, at=AT + given) for code in codes))
            given += 1
            if not given % 10:
                await asyncio.sleep(0.001)

    going = asyncio.create_task(live())
    recorder = next(iter(served.engine.market.feeds)).recorder
    assert recorder is not None
    await until(lambda: given > 500 and recorder.status().events > 0)
    epoch = served.engine.market.epoch
    async with served.link() as link:
        told = await replay(link, *({"kind": "trade", "code": code} for code in codes), **FAST)
        pushes, ended = await until_state(link, "live")
        assert [(one["state"], one["epoch"]) for one in ended["items"]] == [("resumed", epoch)] * 2
        froms = {one["code"]: one["from"] for one in ended["items"]}
        seen: dict[str, list[int]] = {code: [] for code in codes}
        for push in pushes:
            if push["cmd_id"] == TRADE_PUSH:
                assert push["data"]["replay"] == told["id"]
                seen[push["data"]["code"]].append(push["data"]["seq"])
        assert {code: some[-1] + 1 for code, some in seen.items()} == froms
        while any(len(some) < total for some in seen.values()):
            data = (await link.push())["data"]
            assert "replay" not in data
            seen[data["code"]].append(data["seq"])
        assert all(some == [*range(epoch, epoch + total)] for some in seen.values())
        await going
        await link.nothing()
        listed = (await link.ask(LIST))["data"]["items"]
        assert sorted(one["code"] for one in listed) == sorted(codes)


async def test_what_an_earlier_server_recorded_comes_first(tmp_path: Path, script: Script) -> None:
    ticks_in, kept = tmp_path / "ticks", tmp_path / "data"
    async with serving(kept, script, record=ticks_in) as served:
        await play(served, script, *ticks(5))
    another = Script()
    async with serving(kept, another, record=ticks_in) as served, served.link() as link:
        await play(served, another, *ticks(3, begin=5))
        epoch = served.engine.market.epoch
        await replay(link, GOLD, **FAST)
        pushes, ended = await until_state(link, "live")
        assert prices(pushes) == [*range(1, 9)]
        assert ended["items"] == [GOLD | {"state": "resumed", "epoch": epoch, "from": epoch + 3}]
        another.emit(*ticks(1, begin=8))
        assert (await link.push())["data"]["seq"] == epoch + 3


async def test_of_what_had_nothing_since_from_only_newer_events_follow(
    served: Served, script: Script
) -> None:
    await play(served, script, *ticks(3), trade("BTCUSDT", at=AT + 60_000))
    async with served.link() as link:
        await replay(link, GOLD, {"kind": "trade", "code": "BTCUSDT"}, **{"from": AT + 30_000}, **FAST)
        pushes, ended = await until_state(link, "live")
        assert [one["state"] for one in ended["items"]] == ["resumed", "resumed"]
        assert [one["data"]["code"] for one in pushes if one["cmd_id"] == TRADE_PUSH] == ["BTCUSDT"]
        await link.nothing()
        script.emit(*ticks(1, begin=70))
        assert prices([await link.push()]) == [71]


async def test_what_was_before_and_is_in_memory_no_more_does_not_follow(
    served: Served, script: Script
) -> None:
    await play(served, script, *ticks(3))
    await forget(served)
    async with served.link() as link:
        await replay(link, GOLD, **{"from": AT + 30_000}, **FAST)
        _, ended = await until_state(link, "live")
        epoch = served.engine.market.epoch
        assert ended["items"] == [GOLD | {"state": "resumed", "epoch": epoch, "from": epoch + 3}]
        await link.nothing()
        script.emit(*ticks(1, begin=70))
        assert prices([await link.push()]) == [71]


async def test_where_something_was_not_recorded_it_is_not_said_that_nothing_was_before(
    served: Served, script: Script
) -> None:
    await play(served, script, *ticks(3))
    recorder = next(iter(served.engine.market.feeds)).recorder
    assert recorder is not None
    limit, recorder._limit = recorder._limit, 0  # it takes nothing
    script.emit(*ticks(5, begin=40))
    await heard(served, 8)
    recorder._limit = limit
    await forget(served)
    async with served.link() as link:
        await replay(link, GOLD, **{"from": AT + 30_000}, **FAST)
        _, ended = await until_state(link, "live")
        assert [one["state"] for one in ended["items"]] == ["gap"]
        await link.nothing()


async def test_what_is_paused_at_the_end_waits_there(served: Served, script: Script) -> None:
    await play(served, script, *ticks(3))
    async with served.link() as link:
        number = (await replay(link, GOLD, step=1))["id"]
        assert (await state(link))["state"] == "paused"
        assert await control(link, number, "seek", time=AT + 1000) == 200
        assert (await state(link))["state"] == "paused"
        for price in (2, 3):
            assert await control(link, number, "step") == 200
            assert prices([await link.push()]) == [price]
        await link.nothing()
        await play(served, script, *ticks(1, begin=3))
        await link.nothing()
        assert await control(link, number, "step") == 200
        assert prices([await link.push()]) == [4]
        assert await control(link, number, "seek", time=AT + 10**9) == 200
        assert (await state(link))["state"] == "paused"
        await link.nothing()
        assert await control(link, number, "resume") == 200
        assert (await state(link))["state"] == "began"
        assert (await state(link))["state"] == "live"


async def test_what_a_client_says_of_its_connection_counts_for_what_is_replayed(
    tmp_path: Path, script: Script
) -> None:
    settings: dict[str, Any] = {"record": tmp_path / "ticks", "permessage_deflate": True}
    async with serving(tmp_path, script, **settings) as served:
        await play(served, script, *ticks(3))
        for options in ({"encoding": "msgpack"}, {"batch": 1}):
            async with served.link(extensions=[ClientPerMessageDeflateFactory()]) as link:
                number = (await replay(link, GOLD, step=1))["id"]
                assert await control(link, number, "step") == 200
                while (await link.push())["cmd_id"] != TRADE_PUSH:
                    pass
                assert (await link.ask(OPTIONS, options))["ret"] == 200
                data = {"id": number, "action": "step"}
                request = {"cmd_id": CONTROL, "seq_id": 1, "trace": "t", "data": data}
                await link.send(request)
                await link.socket.recv()
                message = await link.socket.recv()
                if isinstance(message, bytes):
                    push = msgspec.msgpack.decode(message)
                else:
                    [push] = msgspec.json.decode(message)
                assert prices([push]) == [2]


async def test_a_code_that_is_known_in_more_decimals_since_is_replayed_in_them(
    served: Served, script: Script
) -> None:
    await play(served, script, *ticks(2))
    async with served.link() as link:
        number = (await replay(link, GOLD, step=1))["id"]
        assert (await state(link))["state"] == "paused"
        assert await control(link, number, "step") == 200
        assert prices([await link.push()]) == [1]
        market = served.engine.market
        wider = msgspec.structs.replace(market.catalogue["GOLD"], price_decimals=6)
        market.catalogue.redefine(wider)
        market.streams.redefine(wider)
        await play(served, script, trade("GOLD", "3.123456", at=AT + 2000))
        for price in ("2.000000", "3.123456"):
            assert await control(link, number, "step") == 200
            assert (await link.push())["data"]["price"] == price


async def test_pause_step_seek_speed_and_stop(served: Served, script: Script) -> None:
    await play(served, script, *ticks(100, step=3_600_000))
    async with served.link() as link:
        number = (await replay(link, GOLD, step=1, to=AT + 10**9))["id"]
        assert (await state(link))["state"] == "paused"
        await link.nothing()
        assert await control(link, number, "step") == 200
        assert prices([await link.push()]) == [1]
        await link.nothing()
        assert await control(link, number, "resume") == 200
        assert await state(link) == {"id": number, "state": "began", "time": AT}
        await link.nothing()  # the next one is an hour away
        assert await control(link, number, "seek", time=AT + 50 * 3_600_000) == 200
        assert await state(link) == {"id": number, "state": "began", "time": AT + 50 * 3_600_000}
        assert prices([await link.push()]) == [51]
        await link.nothing()
        assert await control(link, number, "step") == 200
        assert (await state(link))["state"] == "paused"
        assert prices([await link.push()]) == [52]
        assert await control(link, number, "seek", time=AT) == 200
        assert (await state(link))["state"] == "paused"
        await link.nothing()
        assert await control(link, number, "speed", speed=10**6) == 200
        assert await control(link, number, "resume") == 200
        assert (await state(link))["state"] == "began"
        pushes = [await link.push() for _ in range(60)]
        assert prices(pushes) == [*range(1, 61)]
        assert await control(link, number, "stop") == 200
        while (push := await link.push())["cmd_id"] != STATE:
            pass
        assert push["data"]["state"] == "stopped"
        await link.nothing()
        for action in ("pause", "stop"):
            assert await control(link, number, action) == 400
        for wrong in (
            {"action": "seek"},
            {"action": "speed"},
            {"action": "pause", "time": 1},
            {"action": "x"},
        ):
            assert (await link.ask(CONTROL, {"id": number} | wrong))["ret"] == 400


async def test_each_client_has_its_own_clock(served: Served, script: Script) -> None:
    await play(served, script, *ticks(50, step=60_000))
    async with served.link() as one, served.link() as other:
        slow = (await replay(one, GOLD, to=AT + 10**9))["id"]
        await replay(other, GOLD, to=AT + 10**9, **FAST)
        pushes, _ = await until_state(other, "complete")
        assert prices(pushes) == [*range(1, 51)]
        assert (await state(one))["state"] == "began"
        assert prices([await one.push()]) == [1]
        await one.nothing()
        assert await control(one, slow, "speed", speed=0) == 200
        pushes, _ = await until_state(one, "complete")
        assert prices(pushes) == [*range(2, 51)]


async def test_a_code_may_be_live_and_replayed_at_once(served: Served, script: Script) -> None:
    await play(served, script, *ticks(3))
    async with served.link() as link:
        await link.subscribe(TRADE, "GOLD")
        await link.push()
        await replay(link, GOLD, to=AT + 10**9, step=1)
        await state(link)
        script.emit(*ticks(1, begin=3))
        assert "replay" not in (await link.push())["data"]


async def test_what_cannot_be_replayed_is_said_item_by_item(tmp_path: Path, script: Script) -> None:
    token = a_token(tmp_path, plan="desk", codes=("GOLD", "BTCUSDT"))
    items: list[dict[str, Any]] = [
        GOLD,
        {"kind": "trade", "code": "NOPE"},
        {"kind": "trade", "code": "EURUSD"},
    ]
    items += [{"kind": "kline", "code": "GOLD", "kline_type": 1}, {"kind": "trade", "code": "BTCUSDT"}]
    async with serving(tmp_path, script, record=tmp_path / "ticks", plans=PLANS) as served:
        await play(served, script, *ticks(3))
        async with served.link(token=token) as link:
            told = await replay(link, *items, to=AT + 10**9, step=1)
            states = ["ok", "unknown", "unauthorized", "unavailable", "unavailable"]
            assert [one["state"] for one in told["items"]] == states
            second = await replay(link, GOLD)
            assert (second["id"], second["items"]) == (0, [GOLD | {"state": "over_limit"}])
            async with served.link(token=token) as other, served.link(token=token) as third:
                assert (await replay(other, GOLD, step=1))["id"]
                assert (await replay(third, GOLD, step=1))["items"][0]["state"] == "over_limit"
            assert await control(link, told["id"], "stop") == 200
            again = await replay(link, {"kind": "trade", "code": "BTCUSDT"})
            assert again == {
                "id": 0,
                "items": [{"kind": "trade", "code": "BTCUSDT", "state": "unavailable"}],
                "begin": 0,
                "end": 0,
            }
            wrongs: tuple[dict[str, Any], ...] = (
                {},
                {"items": []},
                {"items": [GOLD], "speed": -1},
                {"items": [GOLD], "from": 5, "to": 5},
                {"items": [GOLD], "step": 2},
                {"items": [{"kind": "kline", "code": "GOLD"}]},
            )
            for wrong in wrongs:
                assert (await link.ask(REPLAY, wrong))["ret"] == 400


async def test_a_server_that_does_not_record_has_nothing(tmp_path: Path, script: Script) -> None:
    async with serving(tmp_path, script) as served, served.link() as link:
        script.emit(*ticks(3))
        await heard(served, 3)
        assert (await replay(link, GOLD))["items"] == [GOLD | {"state": "unavailable"}]


async def test_another_recording_joins_live_with_its_boundary_told(tmp_path: Path, script: Script) -> None:
    past, another = tmp_path / "history", Script()
    async with serving(tmp_path / "a", another, record=past) as served:
        await play(served, another, *(trade("GOLD", f"{n}.12345678", at=AT + n) for n in range(1, 4)))
    async with serving(tmp_path / "b", script, history=[past]) as served, served.link() as link:
        script.emit(*ticks(5), book("GOLD"))
        await heard(served, 6)
        epoch = served.engine.market.epoch
        told = await replay(link, GOLD, BOOKS | {"depth_level": 1}, **FAST)
        assert [one["state"] for one in told["items"]] == ["ok", "unavailable"]
        pushes, ended = await until_state(link, "live")
        values = [one["data"]["price"] for one in pushes if one["cmd_id"] == TRADE_PUSH]
        assert values == [f"{n}.12345678" for n in range(1, 4)], "nothing is rounded"
        assert ended["items"] == [GOLD | {"state": "gap", "epoch": epoch, "from": epoch + 5}]
        await link.nothing()
        script.emit(trade("GOLD"))
        assert (await link.push())["data"]["seq"] == epoch + 5


async def test_what_this_server_records_goes_on_live_beside_another_recording(
    tmp_path: Path, script: Script
) -> None:
    past, another = tmp_path / "history", Script()
    async with serving(tmp_path / "a", another, record=past) as served:
        await play(served, another, *ticks(5))
    async with serving(tmp_path / "b", script, history=[past], record=tmp_path / "ticks") as served:
        await play(served, script, *ticks(5, begin=5))
        epoch = served.engine.market.epoch
        async with served.link() as link:
            await replay(link, GOLD, **FAST)
            pushes, ended = await until_state(link, "live")
            assert prices(pushes) == [*range(1, 11)]
            assert ended["items"] == [GOLD | {"state": "resumed", "epoch": epoch, "from": epoch + 5}]
            await link.nothing()
            script.emit(*ticks(1, begin=10))
            assert prices([await link.push()]) == [11]


async def test_a_file_that_cannot_be_read_ends_it_in_words_that_name_no_path(tmp_path: Path) -> None:
    past, another = tmp_path / "history", Script()
    async with serving(tmp_path / "a", another, record=past) as served:
        await play(served, another, *ticks(5))
    async with serving(tmp_path / "b", Script(), history=[past]) as served, served.link() as link:
        number = (await replay(link, GOLD, step=1))["id"]
        await state(link)
        damage(past)
        assert await control(link, number, "seek", time=AT) == 200
        _, ended = await until_state(link, "stopped")
        assert "log" in ended["reason"]
        assert str(tmp_path) not in ended["reason"]
        assert (await link.ask(HELLO))["ret"] == 200


async def test_what_is_missing_from_a_recording_is_told_before_what_follows(
    tmp_path: Path, script: Script
) -> None:
    """In one run, and between two."""
    folder, other = tmp_path / "ticks", {"kind": "trade", "code": "BTCUSDT"}
    async with serving(tmp_path, script, record=folder) as served:
        await play(served, script, *ticks(3), *ticks(3, "BTCUSDT"))
        recorder = next(feed.recorder for feed in served.engine.market.feeds if feed.recorder is not None)
        await until(lambda: recorder.status().events == 6)  # all are in the journal
        folder.rename(tmp_path / "elsewhere")
        script.emit(*ticks(2, begin=3))
        await until(lambda: not recorder.status().recording)
        (tmp_path / "elsewhere").rename(folder)
        await until(lambda: recorder.status().recording)
        await play(served, script, *ticks(3, begin=5), *ticks(1, "BTCUSDT", begin=3))
        first = served.engine.market.epoch
        async with served.link() as link:
            number = (await replay(link, GOLD, other, to=AT + 10**9, **FAST))["id"]
            pushes, _ = await until_state(link, "complete")
        assert prices(pushes) == [1, 2, 3, 6, 7, 8]
        place = next(place for place, one in enumerate(pushes) if one["cmd_id"] == GAP)
        hole = GOLD | {"epoch": first, "from": first + 5, "gap": 1, "replay": number}
        assert [one["data"] for one in pushes if one["cmd_id"] == GAP] == [hole]
        assert prices(pushes[place + 1 :]) == [6, 7, 8]
    async with serving(tmp_path, script, record=folder) as served:
        await play(served, script, *ticks(1, begin=8))
        epoch = served.engine.market.epoch
        async with served.link() as link:
            number = (await replay(link, GOLD, other, **FAST))["id"]
            pushes, ended = await until_state(link, "live")
        assert prices(pushes) == [1, 2, 3, 6, 7, 8, 9]
        holes = [(one["data"]["code"], one["data"]["epoch"]) for one in pushes if one["cmd_id"] == GAP]
        assert holes == [("GOLD", 0), ("GOLD", epoch)]
        states = {one["code"]: one["state"] for one in ended["items"]}
        assert states["GOLD"] == "resumed"


async def test_a_recording_that_goes_away_ends_it_with_a_reason(
    served: Served, script: Script, tmp_path: Path
) -> None:
    await play(served, script, *ticks(10))
    async with served.link() as link, served.link() as other:
        number = (await replay(link, GOLD, to=AT + 10**9, step=1))["id"]
        await state(link)
        assert await control(link, number, "step") == 200
        assert (await link.push())["cmd_id"] == TRADE_PUSH
        (tmp_path / "ticks").rename(tmp_path / "elsewhere")
        assert await control(link, number, "seek", time=AT) == 200
        _, ended = await until_state(link, "stopped")
        assert "log" in ended["reason"]
        told = await replay(other, GOLD, to=AT + 10**9)
        assert told["items"] == [GOLD | {"state": "unavailable"}]
        (tmp_path / "elsewhere").rename(tmp_path / "ticks")
        await replay(other, GOLD, to=AT + 10**9, **FAST)
        pushes, _ = await until_state(other, "complete")
        assert prices(pushes) == [*range(1, 11)]


async def test_who_seeks_what_was_let_go_of_is_told_so(tmp_path: Path) -> None:
    past = tmp_path / "history"
    for run in range(2):
        another = Script()
        async with serving(tmp_path / f"{run}", another, record=past) as served:
            await play(served, another, *ticks(5, begin=5 * run))
    async with serving(tmp_path / "b", Script(), history=[past]) as served, served.link() as link:
        number = (await replay(link, GOLD, to=AT + 10**9, step=1))["id"]
        await state(link)
        min(past.rglob("*.parquet"), key=lambda path: path.name).unlink()
        assert await control(link, number, "seek", time=AT) == 200
        assert await control(link, number, "resume") == 200
        assert await control(link, number, "speed", speed=0) == 200
        pushes, _ = await until_state(link, "complete")
        some = [one["cmd_id"] for one in pushes if one["cmd_id"] in (GAP, TRADE_PUSH)]
        assert some == [GAP, *[TRADE_PUSH] * 5]
        assert prices(pushes) == [*range(6, 11)]


async def test_a_replay_that_begins_where_something_is_missing_says_so(tmp_path: Path) -> None:
    for run in range(3):
        script = Script()
        async with serving(tmp_path, script, record=tmp_path / "ticks") as served:
            await play(served, script, *ticks(3, begin=10 * run))
            if run < 2:
                continue
            for begin, number, is_told in ((9, 10, True), (10, 10, True), (11, 11, False), (15, 20, True)):
                asked = {"from": AT + begin * 1000, "to": AT + 10**9, **FAST}
                async with served.link() as link:
                    await replay(link, GOLD, **asked)
                    pushes, _ = await until_state(link, "complete")
                kinds = [one["cmd_id"] for one in pushes if one["cmd_id"] in (GAP, TRADE_PUSH)]
                assert (kinds[0] == GAP) is is_told, begin
                assert prices(pushes)[0] == number + 1


async def test_what_another_source_recorded_is_not_missing(tmp_path: Path) -> None:
    """Of a code that another source had for a while."""
    past = tmp_path / "history"
    for name, numbers in (("a", (1, 2, 3, 7, 8, 12)), ("b", (4, 5, 6, 9))):
        recorder = Recorder(past / name, name)
        for number in numbers:
            recorder.record(
                trade("GOLD", f"{number}", at=AT + number), Market.METALS, (AT + number) * 1000, 100 + number
            )
        recorder.close()
    async with serving(tmp_path / "x", Script(), history=[past]) as served, served.link() as link:
        await replay(link, GOLD, to=AT + 10**9, **FAST)
        pushes, _ = await until_state(link, "complete")
        assert prices(pushes) == [*range(1, 10), 12]
        assert [one["data"]["from"] for one in pushes if one["cmd_id"] == GAP] == [112]


async def test_a_client_that_does_not_read_costs_what_its_turn_is(tmp_path: Path, script: Script) -> None:
    settings: dict[str, Any] = {"record": tmp_path / "ticks", "client_buffer": 1 << 20}
    async with serving(tmp_path, script, send_buffer=4096, **settings) as served:
        await play(served, script, *ticks(20_000, step=1))
        async with served.link(max_queue=2) as link, served.link() as quick:
            await replay(link, GOLD, to=AT + 10**9, **FAST)
            await replay(quick, GOLD, to=AT + 10**9, **FAST)
            pushes, _ = await until_state(quick, "complete")
            assert len(pushes) == 20_001
            run = next(iter(served.engine.gateway.replaying._runs.values()))
            assert run.frames is not None
            assert len(run.frames.times) <= ROWS
            assert run.client.unread < 256 * 1024
            pushes, _ = await until_state(link, "complete")
            assert prices(pushes) == [*range(1, 20_001)]


async def test_what_replays_hold_is_let_go_of_and_read_anew_with_nothing_missing_or_twice(
    tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    past, another = tmp_path / "history", Script()
    async with serving(tmp_path / "a", another, record=past) as served:
        await play(served, another, *ticks(2_000, step=2), *ticks(100, "BTCUSDT"))
    rests: list[Playback] = []

    def rest(playback: Playback) -> bool:
        rests.append(playback)
        return letting_go(playback)

    letting_go = Playback.rest
    monkeypatch.setattr(Playback, "rest", rest)
    monkeypatch.setattr(history, "held_bytes", lambda: history.MOST_BYTES + 1)
    async with serving(tmp_path / "b", script, history=[past], record=tmp_path / "ticks") as served:
        await play(served, script, *ticks(3_000, begin=2_000, step=2))
        async with contextlib.AsyncExitStack() as stack:
            links = [await stack.enter_async_context(served.link()) for _ in range(4)]
            for link in links:
                await replay(link, GOLD, **FAST)
            for link in links:
                pushes, _ = await until_state(link, "live")
                assert prices(pushes) == [*range(1, 5_001)]
        await until(lambda: not served.engine.gateway.replaying.clients)
        assert len(rests) > 10
        assert not served.engine.market.history._reading


async def test_who_leaves_or_is_stopped_leaves_nothing_behind(served: Served, script: Script) -> None:
    await play(served, script, *ticks(5_000, step=1))
    replaying = served.engine.gateway.replaying
    for _ in range(5):
        async with served.link() as link:
            await replay(link, GOLD, **FAST)
            await link.push()
        await until(lambda: not replaying.clients)
