"""The WebSocket side as an AsyncAPI 3.0 document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ... import __version__, wire
from ...wire import Command, HttpSuccess, Push
from ...wire.messages import CancelData, DepthSymbolList, Nothing
from . import examples
from .closes import CLIENT_CLOSES, PUBLISHER_CLOSES, Closes
from .commands import ASKS, PUSHES
from .components import Schema, incoming, outgoing, ref
from .errors import WHEN
from .lines import LINE, LINES
from .shapes import Request

SENT = (
    Push[wire.TradeData],
    Push[wire.BookData],
    Push[wire.KlineData],
    Push[wire.StatusData],
    wire.Response,
    HttpSuccess[wire.Tally],
)
TAKEN = (
    Request[Nothing],
    Request[wire.SymbolList],
    Request[DepthSymbolList],
    Request[wire.KlineSymbolList],
    Request[CancelData],
    Command,
    *LINES,
)
STREAMS = "stock", "other"
"""The channels of the two families, whose messages are the same."""


def asyncapi_document() -> dict[str, Any]:
    """The document as JSON values."""
    channels = {
        "stock": _channel("/quote-stock-b-ws-api", "Stocks and stock indices.", _stream(), CLIENT_CLOSES),
        "other": _channel(
            "/quote-b-ws-api", "Forex, metals, energy, crypto, CFD indices.", _stream(), CLIENT_CLOSES
        ),
        "publish": _channel(wire.PUBLISH_PATH, "Prices of your own.", ["lines", "tally"], PUBLISHER_CLOSES),
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tickwire over WebSocket",
            "version": __version__,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "tickwire": {
                "host": "{host}",
                "protocol": "ws",
                "variables": {"host": {"default": "127.0.0.1:8600"}},
                "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in SECURITY],
            }
        },
        "channels": channels,
        "operations": _operations(),
        "components": {
            "messages": _messages(),
            "schemas": schemas(),
            "securitySchemes": SECURITY,
        },
    }


def schemas() -> dict[str, Schema]:
    """The schemas of the document, by name."""
    pushes = {
        "title": "PushCommand",
        "description": "`cmd_id` of what the server sends unasked.",
        "type": "integer",
        "enum": [*wire.PUSH_COMMAND.values(), wire.STATUS_PUSH],
        "x-enum-varnames": [*(kind.name for kind in wire.PUSH_COMMAND), "STATUS"],
    }
    return incoming(*TAKEN) | outgoing(*SENT) | {"PushCommand": pushes, "Line": LINE}


DESCRIPTION = """\
The AllTick protocol, and extensions from `cmd_id` 28000 on, of which nothing is sent to a client that did
not ask.

One JSON object a text frame. A request is answered with its `cmd_id` + 1, its `seq_id` and its `trace`;
`ret` 200 means that it was carried out, any other `ret` that nothing has changed. A message of up to 1 MiB is
read. The server reads more than the schemas of requests say: missing header fields, numbers as texts, plain
texts as codes, single quotes, trailing commas and a byte-order mark.

With the setting `legacy_string_ids` the `seq` and `tick_time` of pushes are texts. A running scenario may
answer any request with any `ret`, and close a connection with any code.

A refused upgrade is answered over HTTP: see `/openapi.json`."""

SECURITY: dict[str, Any] = {
    "token": {
        "type": "httpApiKey",
        "in": "query",
        "name": "token",
        "description": "While the server has no tokens, any text is one for the two streams; publishing then "
        "takes no token, and is open to the server's own machine alone.",
    },
    "tokenHeader": {"type": "httpApiKey", "in": "header", "name": "token"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


def _stream() -> list[str]:
    """The names of the messages of a family's channel."""
    asked = [name for one in ASKS for name in (one.name, f"{one.name}Answer")]
    return [*asked, "unknown", "unknownAnswer", *(name for name, *_ in PUSHES)]


def _channel(address: str, description: str, messages: Iterable[str], closes: Closes) -> dict[str, Any]:
    return {
        "address": address,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
        "x-closes": [close._asdict() for close in closes],
    }


def _operations() -> dict[str, Any]:
    made: dict[str, Any] = {}
    for channel in STREAMS:
        for one in ASKS:
            made[f"{channel}_{one.name}"] = _asked(channel, one.name, f"{one.name}Answer", one.summary)
        made[f"{channel}_unknown"] = _asked(
            channel, "unknown", "unknownAnswer", "Whatever else a client sends."
        )
        for name, _, _, summary, _ in PUSHES:
            made[f"{channel}_{name}"] = {"action": "send", "summary": summary, **_place(channel, name)}
    made["publish_lines"] = _asked(
        "publish", "lines", "tally", "Takes lines; the answer comes when they have been taken."
    )
    return made


def _asked(channel: str, name: str, answer: str, summary: str) -> dict[str, Any]:
    return {
        "action": "receive",
        "summary": summary,
        **_place(channel, name),
        "reply": _place(channel, answer),
    }


def _place(channel: str, message: str) -> dict[str, Any]:
    return {
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"}],
    }


def _messages() -> dict[str, Any]:
    made: dict[str, Any] = {}
    for one in ASKS:
        header = {"seq_id": 7, "trace": "desk-7"}
        made[one.name] = _message(
            one.name,
            one.summary,
            _numbered(f"{one.data.__name__}Request", one.command),
            [{"cmd_id": int(one.command), **header, "data": one.example}],
        )
        rets = (wire.OK, wire.HEADER_INVALID, wire.DATA_INVALID, *one.refused)
        made[f"{one.name}Answer"] = _message(
            f"{one.name}Answer",
            f"Answers {one.name}.",
            _numbered("Response", one.command + 1),
            [_response(ret, one.command + 1) for ret in rets],
        ) | {"x-rets": [_row(ret) for ret in rets]}
    for name, number, data, summary, example in PUSHES:
        made[name] = _message(
            name, summary, _numbered(f"{data}Push", number), [{"cmd_id": number, "data": example}]
        )
    return made | _others()


def _others() -> dict[str, Any]:
    """What has no number of its own."""
    answers = [*(command + 1 for command in Command), *wire.PUSH_COMMANDS]
    unknown = {"allOf": [ref("Response"), {"properties": {"cmd_id": {"not": {"enum": answers}}}}]}
    lines = [{"name": name, "payload": line} for name, line in examples.LINES.items()]
    taken = examples.succeeded({"message": 7} | examples.TALLY)
    return {
        "unknown": _message(
            "unknown", "What is no request: no JSON, no object, no known `cmd_id`.", {}, [{"cmd_id": 1}]
        ),
        "unknownAnswer": _message(
            "unknownAnswer",
            "Answers what is no request: its `cmd_id` + 1, or 0 if it has none or that would be a push.",
            unknown,
            [_response(wire.HEADER_INVALID, 0)],
        )
        | {"x-rets": [_row(wire.HEADER_INVALID)]},
        "lines": {
            "name": "lines",
            "title": "lines",
            "summary": "One line or many, each a JSON object, with a line feed between them.",
            "contentType": "application/x-ndjson",
            "payload": ref("Line"),
            "examples": lines,
        },
        "tally": _message("tally", "What has become of the lines of a message.", ref("TallyAnswer"), [taken]),
    }


def _message(name: str, summary: str, payload: Schema, payloads: Iterable[Any]) -> dict[str, Any]:
    return {
        "name": name,
        "title": name,
        "summary": summary,
        "payload": payload,
        "examples": [{"payload": one} for one in payloads],
    }


def _numbered(name: str, number: int) -> Schema:
    """The schema of that name, with that `cmd_id`."""
    return {"allOf": [ref(name), {"properties": {"cmd_id": {"const": int(number)}}}]}


def _response(ret: wire.Ret, number: int) -> dict[str, Any]:
    return {
        "ret": ret.code,
        "msg": ret.msg,
        "cmd_id": int(number),
        "seq_id": 7,
        "trace": "desk-7",
        "data": {},
    }


def _row(ret: wire.Ret) -> dict[str, Any]:
    return {"ret": ret.code, "msg": ret.msg, "when": WHEN[ret]}
