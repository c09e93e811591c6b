"""The WebSocket side as an AsyncAPI 3.0 document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ... import __version__, wire
from ...model import Kind
from ...wire import messages
from ...wire import ret as table
from ...wire.flags import Flags, OptionsData
from ...wire.items import (
    ChangeData,
    ChangedData,
    DataResponse,
    GapData,
    HelloData,
    ListedData,
    ResumeData,
    ResumedData,
)
from ...wire.messages import CancelData, Command, DepthSymbolList, HttpSuccess, Nothing, Push
from ...wire.reader import Envelope
from ...wire.replays import ControlData, ReplayData, ReplayedData, ReplayStateData
from ...wire.session import SUBSCRIPTIONS
from ...wire.spared import SparedData
from ...wire.states import StateData
from .components import Schema, incoming, outgoing, ref
from .errors import WHEN
from .shapes import LINE, LINES
from .written import EXAMPLES, succeeded, written

SENT = (
    Push[messages.TradeData],
    Push[messages.SeveralTradesData],
    Push[messages.BookData],
    Push[messages.ReplayedTradeData],
    Push[messages.ReplayedBookData],
    Push[messages.KlineData],
    Push[messages.CorrectionData],
    Push[messages.ReplayedCorrectionData],
    Push[wire.StatusData],
    Push[ReplayStateData],
    Push[SparedData],
    Push[StateData],
    Push[GapData],
    messages.Response,
    DataResponse[HelloData],
    DataResponse[ChangedData],
    DataResponse[ListedData],
    DataResponse[ResumedData],
    DataResponse[ReplayedData],
    DataResponse[OptionsData],
    DataResponse[wire.PublisherHello],
    HttpSuccess[wire.Tally],
)
TIMED = (
    messages.TradeData,
    messages.SeveralTradesData,
    messages.BookData,
    messages.ReplayedTradeData,
    messages.ReplayedBookData,
    messages.KlineData,
    messages.CorrectionData,
    messages.ReplayedCorrectionData,
)
"""What gains times, for who asks for them."""
TAKEN = (
    Envelope[Nothing],
    Envelope[messages.SymbolList],
    Envelope[DepthSymbolList],
    Envelope[messages.KlineSymbolList],
    Envelope[CancelData],
    Envelope[ChangeData],
    Envelope[ResumeData],
    Envelope[ReplayData],
    Envelope[ControlData],
    Envelope[Flags],
    Command,
    *LINES,
)
REFUSED = (
    table.CODE_INVALID,
    table.LEVEL_TOO_LOW,
    table.CODE_UNAUTHORIZED,
    table.TOO_FAST,
    table.TOO_FAST_CLOSED,
)
"""What a subscription may be answered beside what any request may."""
NOT_SPACED = REFUSED[:3]
"""And what 28024 may be."""
SPACED = (table.TOO_FAST, table.TOO_FAST_CLOSED)
"""And what one that changes lists may be answered: each item has a state of its own."""
PUBLISHER = "publisherHello"
"""The message in which a publisher asks how it stands."""
STREAMS = "stock", "other"
"""The channels of the two families, whose messages are the same."""
WRITTEN = written("asyncapi")
ASKS, PUSHES = WRITTEN["asks"], WRITTEN["pushes"]
ITEMS = (Command.CHANGE, Command.RESUME, Command.REPLAY)
"""Requests of items: what is wrong with one of them is its state."""


def asyncapi_document() -> dict[str, Any]:
    """The document as JSON values."""
    document: dict[str, Any] = WRITTEN["document"]
    info = document["info"] | {"version": __version__}
    channels = {name: _channel(name, **one) for name, one in WRITTEN["channels"].items()}
    parts = document["components"] | {"messages": _messages(), "schemas": schemas()}
    return document | {"info": info, "channels": channels, "operations": _operations(), "components": parts}


def schemas() -> dict[str, Schema]:
    """The schemas of the document, by name."""
    pushes = {
        "title": "PushCommand",
        "description": "`cmd_id` of what the server sends unasked.",
        "type": "integer",
        "enum": [*messages.PUSH_COMMANDS],
        "x-enum-varnames": [
            *(kind.name for kind in messages.PUSH_COMMAND),
            "STATUS",
            "REPLAY",
            "SPARED",
            "STATE",
            "GAP",
        ],
    }
    found = incoming(*TAKEN) | outgoing(*SENT)
    for one in TIMED:
        found[one.__name__]["properties"] |= outgoing(messages.TimesData)["TimesData"]["properties"]
    return found | {"PushCommand": pushes, "Line": LINE}


def _channel(name: str, address: str, description: str, closes: list[str]) -> dict[str, Any]:
    asked = [message for ask in (*ASKS, "unknown") for message in (ask, f"{ask}Answer")]
    said = [*asked, *PUSHES] if name in STREAMS else ["lines", "tally", PUBLISHER, f"{PUBLISHER}Answer"]
    return {
        "address": address,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in said},
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
        "x-closes": [close for group in closes for close in WRITTEN["closes"][group]],
    }


def _operations() -> dict[str, Any]:
    made: dict[str, Any] = {}
    for channel in STREAMS:
        for name, one in ASKS.items():
            made[f"{channel}_{name}"] = _asked(channel, name, f"{name}Answer", one["summary"])
        made[f"{channel}_unknown"] = _asked(
            channel, "unknown", "unknownAnswer", "Whatever else a client sends."
        )
        for name, one in PUSHES.items():
            made[f"{channel}_{name}"] = {
                "action": "send",
                "summary": one["summary"],
                **_place(channel, name),
            }
    made["publish_lines"] = _asked(
        "publish", "lines", "tally", "Takes lines; the answer comes when they have been taken."
    )
    made["publish_hello"] = _asked(
        "publish", PUBLISHER, f"{PUBLISHER}Answer", "Asks how the publisher stands, to go on there."
    )
    return made


def _asked(channel: str, name: str, answer: str, summary: str) -> dict[str, Any]:
    reply = _place(channel, answer)
    return {"action": "receive", "summary": summary, **_place(channel, name), "reply": reply}


def _place(channel: str, message: str) -> dict[str, Any]:
    return {
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"}],
    }


def _messages() -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, one in ASKS.items():
        command = Command[one["command"]]
        asked = {"cmd_id": int(command), "seq_id": 7, "trace": "desk-7", "data": EXAMPLES.get(name, {})}
        made[name] = _message(name, one["summary"], _numbered(f"{one['data']}Request", command), asked)
        rets = [table.OK, table.HEADER_INVALID, table.DATA_INVALID]
        rets += REFUSED if command in SUBSCRIPTIONS else SPACED if command in ITEMS else ()
        rets += NOT_SPACED if command is Command.STATES else ()
        answer, held = [ref("Response")], one.get("answer")
        if held:
            answer.append(ref(f"{held}Response"))
        schema = {"allOf": [*_any_of(answer), {"properties": {"cmd_id": {"const": command + 1}}}]}
        made |= _answer(f"{name}Answer", f"Answers {name}.", schema, command + 1, rets, held)
    for name, one in PUSHES.items():
        kind = one.get("kind")
        number = messages.PUSH_COMMAND[Kind[kind]] if kind else getattr(messages, one["command"])
        push = {"cmd_id": number, "data": EXAMPLES[one["data"]]}
        made[name] = _message(name, one["summary"], _numbered(f"{one['data']}Push", number), push)
    return made | _others()


def _others() -> dict[str, Any]:
    """What has no number of its own."""
    answers = [*(command + 1 for command in Command), *messages.PUSH_COMMANDS]
    unknown = {"allOf": [ref("Response"), {"properties": {"cmd_id": {"not": {"enum": answers}}}}]}
    summary = "Answers what is no request: its `cmd_id` + 1, or 0 if it has none or that would be a push."
    taken = succeeded({"message": 7} | EXAMPLES["Tally"])
    hello = {"cmd_id": int(Command.HELLO), "seq_id": 7, "trace": "desk-7", "data": {}}
    stands = {
        "allOf": [ref("PublisherHelloResponse"), {"properties": {"cmd_id": {"const": Command.HELLO + 1}}}]
    }
    return {
        "unknown": _message(
            "unknown", "What is no request: no JSON, no object, no known `cmd_id`.", {}, {"cmd_id": 1}
        ),
        **_answer("unknownAnswer", summary, unknown, 0, [table.HEADER_INVALID]),
        "lines": {
            "name": "lines",
            "title": "lines",
            "summary": "One line or many, each a JSON object, with a line feed between them.",
            "contentType": "application/x-ndjson",
            "payload": ref("Line"),
            "examples": [{"name": name, "payload": line} for name, line in EXAMPLES["lines"].items()],
        },
        PUBLISHER: _message(
            PUBLISHER,
            "Asks how the publisher stands, and who the server is: a message by itself.",
            _numbered("NothingRequest", Command.HELLO),
            hello,
        ),
        **_answer(
            f"{PUBLISHER}Answer",
            "Says what of it was taken and is durable, by stream too.",
            stands,
            Command.HELLO + 1,
            [table.OK],
            "PublisherHello",
        ),
        "tally": _message("tally", "What has become of the lines of a message.", ref("TallyAnswer"), taken),
    }


def _message(name: str, summary: str, payload: Schema, *payloads: Any) -> dict[str, Any]:
    shown = [{"payload": one} for one in payloads]
    return {"name": name, "title": name, "summary": summary, "payload": payload, "examples": shown}


def _answer(
    name: str,
    summary: str,
    payload: Schema,
    number: int,
    rets: Iterable[table.Ret],
    held: str | None = None,
) -> dict[str, Any]:
    """The message that answers a request with one of these rows, by its name; `held` is the type of what it
    holds if all is well."""
    header = {"cmd_id": number, "seq_id": 7, "trace": "desk-7"}
    data = {ret: EXAMPLES[held] if held and ret is table.OK else {} for ret in rets}
    said = [{"ret": ret.code, "msg": ret.msg, **header, "data": data[ret]} for ret in rets]
    rows = [{"ret": ret.code, "msg": ret.msg, "when": WHEN[ret]} for ret in rets]
    return {name: _message(name, summary, payload, *said) | {"x-rets": rows}}


def _any_of(schemas: list[Schema]) -> list[Schema]:
    return schemas if len(schemas) == 1 else [{"anyOf": schemas}]


def _numbered(name: str, number: int) -> Schema:
    """The schema of that name, with that `cmd_id`."""
    return {"allOf": [ref(name), {"properties": {"cmd_id": {"const": int(number)}}}]}
