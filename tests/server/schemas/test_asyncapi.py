"""The AsyncAPI document: it is whole, and whatever crosses the server's WebSockets is in it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tickwire.config import DATABASE
from tickwire.model import Kind, Position
from tickwire.server import websocket
from tickwire.server.schemas.asyncapi import asyncapi_document
from tickwire.server.schemas.openapi import openapi_document
from tickwire.sources import Status
from tickwire.store import open_tokens
from tickwire.wire.messages import Command

from ...serving import OTHER_WS, STOCK_WS, Script, Served, masked, serving, trade, until, upgrade
from ..documented import closed, dangling, faults, unused, validator
from ..publishing import NEW, PATH, a_token, a_trade, now

DOCUMENT: dict[str, Any] = json.loads(json.dumps(asyncapi_document()))
CLOSED = closed(DOCUMENT)
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]
CHANNELS = {channel["address"]: name for name, channel in DOCUMENT["channels"].items()}
SENT = {
    reference["$ref"].rpartition("/")[2]
    for operation in DOCUMENT["operations"].values()
    for reference in (operation if operation["action"] == "send" else operation["reply"])["messages"]
}
"""The messages that the server sends."""


def number(message: dict[str, Any]) -> int | None:
    """The `cmd_id` of a message of the document; None if it is not fixed."""
    for part in message["payload"].get("allOf", ()):
        if "const" in (found := part.get("properties", {}).get("cmd_id", {})):
            fixed: int = found["const"]
            return fixed
    return None


VALIDATORS = {name: validator(CLOSED, message["payload"]) for name, message in MESSAGES.items()}
SEVERAL = "severalTrades"
REPLAYED = {"trade": "replayedTrade", "book": "replayedBook", "correction": "replayedCorrection"}
NAMES = {
    number(message): name
    for name, message in MESSAGES.items()
    if number(message) is not None
    and name not in (SEVERAL, *REPLAYED.values(), "publisherHello", "publisherHelloAnswer")
}
"""Names of messages by their `cmd_id`, which `severalTrades` and `replayedTrade` share with `trade`, and
`publisherHello` with `hello`."""

PUSHED = 22998, 22999, 28998, 28997, 28996, 28995, 28994, 28993, 28992
ANY = "any"


class Ledger:
    """What has crossed the sockets: how often which message, answer and end."""

    def __init__(self) -> None:
        self.messages: Counter[str] = Counter()
        self.answers: Counter[tuple[str, int]] = Counter()
        self.closes: Counter[tuple[str, int, str]] = Counter()
        self.forced = False
        """Whether a scenario answers what no table says."""

    def came(self, path: str, text: str | bytes) -> dict[str, Any]:
        """A message of the server: it is one of the document's, field by field."""
        assert isinstance(text, str)
        message: dict[str, Any] = json.loads(text)
        name = NAMES.get(message.get("cmd_id"), "")
        if name == "trade" and "trades" in message["data"]:
            name = SEVERAL
        if "replay" in message.get("data", ()):
            name = REPLAYED[name]
        if path == PATH and name == "helloAnswer":
            name = "publisherHelloAnswer"
        if "ret" in message and not name.endswith("Answer"):  # of what is no request, or has none
            name = "tally" if path == PATH else "unknownAnswer"
        assert name in SENT, text
        assert name in DOCUMENT["channels"][CHANNELS[path]]["messages"]
        assert [error.message for error in VALIDATORS[name].iter_errors(message)] == [], text
        self.messages[name] += 1
        if "ret" in message and not self.forced:
            rows = MESSAGES[name].get("x-rets", [{"ret": 200, "msg": "ok"}])
            assert (message["ret"], message["msg"]) in {(row["ret"], row["msg"]) for row in rows}, text
            self.answers[name, message["ret"]] += 1
        return message

    def went(self, text: str) -> None:
        """A message of the client; counted if it is one of the document's as it stands there."""
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        found = (name for name in set(NAMES.values()) - SENT if VALIDATORS[name].is_valid(document))
        self.messages[next(found, "unknown")] += 1

    def ended(self, path: str, code: int | None, reason: str | None) -> None:
        """A connection was closed: the document says that this may be."""
        rows = DOCUMENT["channels"][CHANNELS[path]]["x-closes"]
        said = [row for row in rows if row["code"] == code and re.search(row["reason"], reason or "")]
        assert said, (code, reason)
        self.closes[path, said[0]["code"], said[0]["reason"]] += 1


class Tap:
    """A client, all of whose messages go through the ledger."""

    def __init__(self, ledger: Ledger, path: str, socket: ClientConnection) -> None:
        self.ledger = ledger
        self.path = path
        self.socket = socket

    async def recv(self) -> dict[str, Any]:
        async with asyncio.timeout(120):
            return self.ledger.came(self.path, await self.socket.recv())

    async def answer(self) -> dict[str, Any]:
        """The next answer; pushes before it are checked."""
        while "ret" not in (message := await self.recv()):
            pass
        return message

    async def send(self, message: Any) -> dict[str, Any]:
        """Sends a text, or a value as JSON; what is answered."""
        text = message if isinstance(message, str) else json.dumps(message)
        self.ledger.went(text)
        await self.socket.send(text)
        return await self.answer()

    async def ask(self, command: int, data: Any, **header: Any) -> int:
        """Sends a request; the `ret` of its answer."""
        answer = await self.send({"cmd_id": command, "seq_id": 1, "trace": "t", "data": data} | header)
        ret: int = answer["ret"]
        return ret

    async def until(self, *names: str) -> None:
        """Takes messages until each of these has come once more."""
        before = Counter(self.ledger.messages)
        while any(self.ledger.messages[name] == before[name] for name in names):
            await self.recv()

    async def publish(self, *lines: Any) -> dict[str, Any]:
        """Publishes lines in one message; what is answered."""
        self.ledger.messages["lines"] += 1
        await self.socket.send("\n".join(json.dumps(line) for line in lines))
        return await self.recv()

    async def end(self) -> None:
        """Takes messages until the server closes."""
        async with asyncio.timeout(120):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    self.ledger.came(self.path, await self.socket.recv())
            await self.socket.wait_closed()
        self.ledger.ended(self.path, self.socket.close_code, self.socket.close_reason)


@contextlib.asynccontextmanager
async def tapped(ledger: Ledger, served: Served, path: str, token: str = ANY) -> AsyncIterator[Tap]:
    url = f"{served.url.replace('http', 'ws', 1)}{path}?token={token}"
    async with connect(url, ping_interval=None, compression=None) as socket:
        yield Tap(ledger, path, socket)


def codes(*names: str, **more: Any) -> dict[str, Any]:
    return {"symbol_list": [{"code": name} | more for name in names]}


RIGHT: dict[int, Any] = {
    Command.HEARTBEAT: lambda code: {},
    Command.DEPTH: lambda code: codes(code, depth_level=2),
    Command.TRADE: lambda code: codes(code),
    Command.CANCEL: lambda code: {"cancel_type": 3},
    Command.KLINE: lambda code: codes(code, kline_type=1),
    Command.KLINE_CANCEL: lambda code: {},
    Command.STATUS: lambda code: {},
    Command.STATUS_CANCEL: lambda code: {},
    Command.OPTIONS: lambda code: {"slow": "close"},
    Command.STATES: lambda code: codes(code),
    Command.STATES_CANCEL: lambda code: {},
    Command.CORRECTION: lambda code: codes(code),
    Command.CORRECTION_CANCEL: lambda code: {},
    Command.HELLO: lambda code: {},
    Command.CHANGE: lambda code: {"add": [{"kind": "trade", "code": code}]},
    Command.LIST: lambda code: {},
    Command.RESUME: lambda code: {"items": [{"kind": "trade", "code": code, "epoch": 1, "seq": 1}]},
    Command.REPLAY: lambda code: {"items": [{"kind": "trade", "code": code}]},
}
"""The data of each request about a code."""
SUBSCRIPTIONS = (Command.DEPTH, Command.TRADE, Command.KLINE, Command.CORRECTION)
NONSENSE = (
    "",
    "no JSON",
    "[]",
    "1",
    '"22000"',
    "null",
    '{"cmd_id":null}',
    '{"cmd_id":1}',
    '{"cmd_id":-5}',
    "{}",
)
NOT_HEARD: tuple[Any, ...] = (
    True,
    {"cmd_id": []},
    {"cmd_id": 4294967295},
    {"cmd_id": 22001},
    {"cmd_id": 22998},
)


# The document.
def test_nothing_of_it_leads_nowhere_or_is_left_over() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert dangling(DOCUMENT) == []
    # Constants for the terminal; those who publish see a line as it is.
    assert unused(DOCUMENT, "schemas") == {"Command", "PushCommand"}
    assert unused(DOCUMENT, "messages") == set()
    assert unused(DOCUMENT, "securitySchemes") == set()
    in_operations = {
        (operation["channel"]["$ref"], reference["$ref"])
        for operation in DOCUMENT["operations"].values()
        for part in (operation, operation.get("reply", {}))
        for reference in part.get("messages", ())
    }
    for channel, reference in in_operations:
        assert reference.startswith(f"{channel}/messages/")
    in_channels = {
        f"#/channels/{name}/messages/{message}"
        for name, channel in DOCUMENT["channels"].items()
        for message in channel["messages"]
    }
    assert {reference for _, reference in in_operations} == in_channels


def test_both_families_have_all_commands_and_pushes() -> None:
    assert CHANNELS.keys() == {STOCK_WS, OTHER_WS, PATH}
    assert DOCUMENT["channels"]["stock"]["messages"] == DOCUMENT["channels"]["other"]["messages"]
    commands = [int(command) for command in Command]
    assert NAMES.keys() == {*commands, *(one + 1 for one in commands), *PUSHED}
    assert number(MESSAGES[SEVERAL]) == 22998
    assert {NAMES[one] for one in commands} & SENT == set()


@pytest.mark.parametrize("name", MESSAGES)
def test_examples_are_what_they_show(name: str) -> None:
    assert MESSAGES[name]["examples"]
    for example in MESSAGES[name]["examples"]:
        assert faults(CLOSED, MESSAGES[name]["payload"], example["payload"]) == []


def test_what_both_documents_hold_is_the_same() -> None:
    others = openapi_document()["components"]["schemas"]
    shared = others.keys() & DOCUMENT["components"]["schemas"].keys()
    assert {"TradeLine", "LevelData", "Market"} <= shared
    assert {name for name in shared if others[name] != DOCUMENT["components"]["schemas"][name]} == set()


def test_a_status_is_one_of_those_that_a_source_has() -> None:
    assert DOCUMENT["components"]["schemas"]["StatusData"]["properties"]["status"]["enum"] == [*Status]
    assert DOCUMENT["components"]["schemas"]["PushCommand"]["x-enum-varnames"] == [
        *("DEPTH", "TRADE", "KLINE", "CORRECTION"),
        "STATUS",
        "REPLAY",
        "SPARED",
        "STATE",
        "GAP",
    ]
    assert len(Kind) == 4


def test_the_ledger_finds_what_no_schema_knows() -> None:
    good = {"cmd_id": 22998, "data": MESSAGES["trade"]["examples"][0]["payload"]["data"]}
    Ledger().came(OTHER_WS, json.dumps(good))
    for bad in (
        good | {"cmd_id": 22997},
        good | {"more": 1},
        good | {"data": good["data"] | {"more": 1}},
        good | {"data": {name: of for name, of in good["data"].items() if name != "turnover"}},
        good | {"data": good["data"] | {"price": 1.5}},
        {"cmd_id": 22005, "seq_id": 1, "trace": "", "ret": 200, "msg": "fine", "data": {}},
        {"cmd_id": 22001, "seq_id": 1, "trace": "", "ret": 600, "msg": "code invalid", "data": {}},
        {"cmd_id": 22004, "seq_id": 1, "trace": "t", "data": {"symbol_list": [{"code": "GOLD"}]}},
    ):
        with pytest.raises(AssertionError):
            Ledger().came(OTHER_WS, json.dumps(bad))
    with pytest.raises(AssertionError):
        Ledger().ended(OTHER_WS, 1008, "no reason")


# The wire: what is done on a server, the ledger looking on.
async def every_command_right_and_wrong(
    ledger: Ledger, folder: Path, path: str, code: str, strict: bool
) -> None:
    async with serving(folder, strict_protocol=strict) as served, tapped(ledger, served, path) as tap:
        for nonsense in (*NONSENSE, *NOT_HEARD):
            assert (await tap.send(nonsense))["ret"] == 400
        for command, data in RIGHT.items():
            assert await tap.ask(command, data(code)) == 200
            assert await tap.ask(command, data(code), trace="t" * 65) == 400
            assert await tap.ask(command, "nonsense") == 400
            loose = await tap.ask(command, data(code) | {"more": 1}, seq_id="5")
            assert loose == (400 if strict else 200)
        for command in (*SUBSCRIPTIONS, Command.STATES):
            assert await tap.ask(command, {"symbol_list": []}) == 400
            assert await tap.ask(command, RIGHT[command]("NONSENSE")) == 600
            assert await tap.ask(command, RIGHT[command](code)) == 200
        assert await tap.ask(Command.STATES, codes(code)) == 200
        await tap.until("state")
        assert await tap.ask(Command.STATUS, {}) == 200
        await tap.until("trade", "book", "kline", "status")
        assert await tap.ask(Command.CANCEL, {"cancel_type": 0}) == 200


MESSY: list[dict[str, Any]] = [
    {"do": "burst", "times": 2},
    {"do": "duplicate", "chance": 0.5},
    {"do": "out-of-order", "chance": 0.5},
    {"do": "late", "by": 0.05, "chance": 0.5},
    {"do": "jump", "percent": "3.5"},
    {"do": "limit-up", "codes": ["GOLD"]},
    {"do": "limit-down", "codes": ["EURUSD"]},
    {"do": "delist", "codes": ["ETHUSDT"]},
    {"do": "delay", "by": 0.01},
    {"do": "answer", "ret": 603, "requests": [22002], "chance": 0.5},
    {"do": "answer", "ret": 77777, "msg": "whatever you say", "requests": [22006]},
]
ALL = ("BTCUSDT", "GOLD", "EURUSD", "ETHUSDT", "NAS100")


async def a_market_with_everything_wrong(ledger: Ledger, folder: Path) -> None:
    async with serving(folder, seed=7) as served, tapped(ledger, served, OTHER_WS) as tap:
        assert await tap.ask(Command.DEPTH, codes(*ALL)) == 200
        assert await tap.ask(Command.TRADE, codes(*ALL)) == 200
        begun = await served.request("POST", "/admin/scenario", json={"step": MESSY})
        assert begun.status_code == 200, begun.text
        ledger.forced = True
        assert await tap.ask(Command.CANCEL, {"cancel_type": 3}) == 77777
        assert {await tap.ask(Command.DEPTH, codes(*ALL)) for _ in range(16)} == {200, 603}
        assert await tap.ask(Command.KLINE, codes(*ALL, kline_type=1)) == 200
        ledger.forced = False
        empty = 0
        while empty < 4:  # books without a side
            message = await tap.recv()
            empty += any(level["volume"].strip("0.") == "" for level in message["data"].get("bids", ()))


async def what_a_plan_and_a_token_refuse(ledger: Ledger, folder: Path) -> None:
    few = a_token(folder, plan="one", codes=("BTCUSDT", "ETHUSDT"))
    fast = a_token(folder, plan="premium")
    async with serving(folder, plans={"one": {"codes": 1, "refuse": True}}) as served:
        async with tapped(ledger, served, OTHER_WS, few) as tap:
            for command in SUBSCRIPTIONS:
                kline = {"kline_type": 1} if command is Command.KLINE else {}
                assert await tap.ask(command, codes("BTCUSDT", "ETHUSDT", **kline)) == 603
                assert await tap.ask(command, codes("GOLD", **kline)) == 604
            assert await tap.ask(Command.STATES, codes("GOLD")) == 604
            assert await tap.ask(Command.STATES, codes(*("GOLD",) * 3_001)) == 603
        for command in (*SUBSCRIPTIONS, Command.CHANGE, Command.RESUME, Command.REPLAY):
            async with tapped(ledger, served, OTHER_WS, fast) as tap:
                rets = [await tap.ask(command, RIGHT[command]("GOLD")) for _ in range(4)]
                assert rets == [200, 605, 605, 606]
                await tap.end()


async def ids_that_are_texts(ledger: Ledger, folder: Path) -> None:
    async with (
        serving(folder, legacy_string_ids=True) as served,
        tapped(ledger, served, OTHER_WS) as tap,
    ):
        for command in SUBSCRIPTIONS:
            assert await tap.ask(command, RIGHT[command]("BTCUSDT")) == 200
        await tap.until("trade", "book", "kline")


async def pushes_that_say_their_times(ledger: Ledger, folder: Path) -> None:
    async with (
        serving(folder, source="simulator") as served,
        tapped(ledger, served, OTHER_WS, f"{ANY}&times=1") as tap,
    ):
        for command in SUBSCRIPTIONS:
            assert await tap.ask(command, RIGHT[command]("BTCUSDT")) == 200
        await tap.until("trade", "book", "kline")
        while "publish_time" not in (message := await tap.recv())["data"]:
            pass
        assert "send_time" in message["data"]


async def publishing(ledger: Ledger, folder: Path) -> None:
    async with serving(folder, source="publish") as served, tapped(ledger, served, PATH) as tap:
        quote = {"type": "quote", "code": "GOLD", "time": now(), "bid": "1", "ask": 2}
        whole = {"type": "book", "code": "BTCUSDT", "time": now(), "bids": [[1, 2]], "asks": [["3", "4.5"]]}
        change = {"type": "delta", "code": "BTCUSDT", "time": now(), "bids": [["1", "0"]], "asks": []}
        lines: list[Any] = [a_trade(1), quote, whole, change, NEW, a_trade(1), {"type": "nonsense"}, None, []]
        for line in lines[:5]:
            assert faults(CLOSED, MESSAGES["lines"]["payload"], line) == []
        answer = (await tap.publish(*lines))["data"]
        assert (answer["accepted"], answer["duplicates"], answer["bad_lines"]) == (5, 1, 3)
        assert (await tap.publish())["data"]["message"] == 2
        hello = {"cmd_id": Command.HELLO, "seq_id": 1, "trace": "t", "data": {}}
        assert faults(CLOSED, MESSAGES["publisherHello"]["payload"], hello) == []
        ledger.messages["publisherHello"] += 1
        await tap.socket.send(json.dumps(hello))
        standing = (await tap.recv())["data"]
        assert [(one["kind"], one["code"], one["seq"]) for one in standing["streams"]] == [
            ("trade", "BTCUSDT", 1)
        ]
        async with tapped(ledger, served, OTHER_WS) as client:
            assert await client.ask(Command.CORRECTION, codes("BTCUSDT")) == 200
            at = {"code": "BTCUSDT", "time": now(), "trade": 1}
            changes = [
                {"type": "correct", "price": "99", "volume": 1, "seq": 2} | at,
                {"type": "cancel", "seq": 3} | at,
            ]
            for line in changes:
                assert faults(CLOSED, MESSAGES["lines"]["payload"], line) == []
            assert (await tap.publish(*changes))["data"]["bad"] == []
            await client.until("correction")


async def a_client_that_is_spared(ledger: Ledger, folder: Path) -> None:
    source = Script()
    hello = upgrade(query="?token=t&slow=conflate")
    async with serving(folder, source) as served, served.raw(hello, receive_buffer=4096) as raw:
        await raw.head()
        request = {"cmd_id": Command.TRADE, "data": codes("BTCUSDT")}
        await raw.send(masked(1, json.dumps(request).encode()))
        await raw.frame()
        while not served.engine.gateway.hub.outboxes.marks.moved:
            source.emit(*(trade(at=1788529064027 + n) for n in range(1000)))
            await asyncio.sleep(0)
        while not (ledger.messages[SEVERAL] and ledger.messages["spared"]):
            ledger.came(OTHER_WS, (await raw.frame())[1].decode())


async def a_client_that_cannot_be_given_what_it_missed(ledger: Ledger, folder: Path) -> None:
    source = Script()
    async with serving(folder, source) as served, tapped(ledger, served, OTHER_WS) as tap:
        market = served.engine.market
        source.emit(trade("GOLD"))
        await tap.ask(Command.TRADE, codes("GOLD"))
        await tap.until("trade")
        await tap.ask(Command.TRADE, codes("BTCUSDT"))

        async def missed(kind: Kind, code: str, after: Position, kline_type: int = 0) -> Any:
            raise OSError("gone")

        vars(market)["missed"] = missed
        item = {"kind": "trade", "code": "GOLD", "epoch": market.epoch, "seq": 0}
        await tap.ask(Command.RESUME, {"items": [item]})
        await tap.until("gap")


async def a_replay(ledger: Ledger, folder: Path) -> None:
    async with serving(folder, source="publish", record=folder / "ticks") as served:
        at = {"code": "GOLD", "time": now()}
        quote = {"type": "quote", "bid": "1", "ask": 2} | at
        async with tapped(ledger, served, PATH) as tap:
            await tap.publish(a_trade(1, "GOLD"), quote | {"seq": 2})
            await tap.publish({"type": "cancel", "trade": 1, "seq": 3} | at)
        recorder = served.engine.market.feeds.first.recorder
        assert recorder is not None
        await until(lambda: recorder.status().events == 4)
        async with tapped(ledger, served, OTHER_WS) as tap:
            items = [{"kind": kind, "code": "GOLD"} for kind in ("trade", "depth", "correction")]
            assert await tap.ask(Command.REPLAY, {"items": items, "step": 1}) == 200
            for action in ("pause", "resume"):
                assert await tap.ask(Command.REPLAY_CONTROL, {"id": 1, "action": action}) == 200
            await tap.until(*REPLAYED.values())
            await tap.until("replayState")
            assert await tap.ask(Command.REPLAY_CONTROL, {"id": 9, "action": "stop"}) == 400


# How connections end.
async def ends_of_a_stream(ledger: Ledger, folder: Path) -> None:
    clock = [1000.0]
    source = Script()
    secret, admin = a_token(folder), a_token(folder, admin=True)
    async with serving(folder, source, clock=lambda: clock[0], client_buffer=65536) as served:
        for wrong in ("x" * (2**20 + 1), b"\xff\xfe"):
            async with tapped(ledger, served, OTHER_WS, secret) as tap:
                await tap.socket.send(wrong, text=True)
                await tap.end()
        async with tapped(ledger, served, OTHER_WS, secret) as tap:
            clock[0] += 31
            await tap.end()
        hello = upgrade(query=f"?token={secret}")
        async with served.raw(hello) as raw:
            await raw.head()
            await raw.send(masked(1, b"{}", rsv=4))
            ledger.ended(OTHER_WS, *await raw.closing())
        async with served.raw(hello, receive_buffer=4096) as raw:
            await raw.head()
            request = {"cmd_id": Command.TRADE, "data": codes("BTCUSDT")}
            await raw.send(masked(1, json.dumps(request).encode()))
            await raw.frame()
            while served.engine.gateway.callers:
                source.emit(*(trade(at=1788529064027 + n) for n in range(1000)))
                await asyncio.sleep(0)
            ledger.ended(OTHER_WS, *await raw.closing())
        async with tapped(ledger, served, OTHER_WS, secret) as tap:
            expiry = {"step": [{"do": "expire-token"}]}
            headers = {"Authorization": f"Bearer {admin}"}
            begun = await served.request("POST", "/admin/scenario", json=expiry, headers=headers)
            assert begun.status_code == 200, begun.text
            await tap.end()


async def ends_of_a_strict_stream(ledger: Ledger, folder: Path) -> None:
    async with serving(folder, Script(), strict_protocol=True) as served:
        async with tapped(ledger, served, OTHER_WS) as tap:
            await tap.socket.send(b"{}")
            await tap.end()
        async with tapped(ledger, served, OTHER_WS) as tap:
            served.server.stop()
            await tap.end()


async def an_end_of_pings(ledger: Ledger, folder: Path) -> None:
    hello = upgrade(PATH).replace(b"Host: x", b"Host: localhost")
    async with (
        serving(folder, source="publish", client_buffer=2**16) as served,
        served.raw(hello, receive_buffer=4096) as raw,
    ):
        await raw.head()
        sending = asyncio.create_task(raw.send(masked(9, b"p" * 125) * 50_000))
        (socket,) = served.server._websockets._publishers
        while socket._ending is None:  # noqa: ASYNC110
            await asyncio.sleep(0)
        ledger.ended(PATH, *await raw.closing())
        sending.cancel()


async def ends_of_publishing(ledger: Ledger, folder: Path) -> None:
    async with serving(folder, source="publish") as served:
        for wrong in ("x" * (2**20 + 1), b"\xff\xfe"):
            async with tapped(ledger, served, PATH) as tap:
                await tap.socket.send(wrong, text=True)
                await tap.end()
        async with served.raw(upgrade(PATH).replace(b"Host: x", b"Host: localhost")) as raw:
            await raw.head()
            await raw.send(masked(1, b"{}", rsv=4))
            ledger.ended(PATH, *await raw.closing())
        async with tapped(ledger, served, PATH) as tap:
            secret = a_token(folder, publish=True)
            await tap.end()
        async with tapped(ledger, served, PATH, secret) as tap:
            with open_tokens(folder / DATABASE) as store:
                store.revoke(store.tokens()[0], now())
            await tap.end()
        secret = a_token(folder, publish=True)
        await served.engine.gateway.check_tokens()
        async with tapped(ledger, served, PATH, secret) as tap:
            served.server.stop()
            await tap.end()


PARTS: tuple[Callable[[Ledger, Path], Awaitable[None]], ...] = (
    *(
        functools.partial(every_command_right_and_wrong, path=path, code=code, strict=strict)
        for path, code in ((OTHER_WS, "BTCUSDT"), (STOCK_WS, "700.HK"))
        for strict in (False, True)
    ),
    a_market_with_everything_wrong,
    what_a_plan_and_a_token_refuse,
    ids_that_are_texts,
    pushes_that_say_their_times,
    publishing,
    a_client_that_is_spared,
    a_client_that_cannot_be_given_what_it_missed,
    a_replay,
    ends_of_a_stream,
    ends_of_a_strict_stream,
    ends_of_publishing,
    an_end_of_pings,
)
RARE = ("took its place", "nothing heard", "server error", "hardly anything", "not completed")
"""Ends for which much must happen; other tests look at them."""


async def test_whatever_crosses_the_wire_is_in_the_document_and_all_of_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "SWEEP", 0.02)
    ledger = Ledger()
    for number, part in enumerate(PARTS):
        (tmp_path / str(number)).mkdir()
        await part(ledger, tmp_path / str(number))
    assert MESSAGES.keys() - ledger.messages.keys() == set()
    rows = {(name, row["ret"]) for name, message in MESSAGES.items() for row in message.get("x-rets", ())}
    assert rows - ledger.answers.keys() == set()
    for path, channel in CHANNELS.items():
        if path != STOCK_WS:
            ends = {(path, row["code"], row["reason"]) for row in DOCUMENT["channels"][channel]["x-closes"]}
            missing = ends - ledger.closes.keys()
            assert {end for end in missing if not any(rare in end[2] for rare in RARE)} == set()
