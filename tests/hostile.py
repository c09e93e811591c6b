"""What means no good, thrown by dice: bytes, frames, messages, queries and heads."""

from __future__ import annotations

import json
import random
import urllib.parse
from typing import Any

from .serving import CANCEL, DEPTH, HEARTBEAT, OTHER_HTTP, OTHER_WS, STOCK_HTTP, STOCK_WS, TRADE, masked

ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 5, 1.5, 1e308, -0.0, 2**31, 2**32, 2**53, 2**63, 2**64, 10**30, 10**400),
    *(
        "",
        "x",
        "\0",
        "é" * 40,
        "x" * 65,
        "1",
        "22004",
        "1e5",
        "NaN",
        "-0",
        "9" * 400,
        "١٢٣",
        "\u202e",
        "%s%n",
    ),
    *("BTCUSDT", "GOLD", "700.HK", "XAUUSD", "../../etc/passwd", "' OR 1=1 --", "{{7*7}}"),
    *([], {}, [[]], [None], {"a": {}}, [{"code": "BTCUSDT"}], ["GOLD", 5], {"code": "GOLD"}),
]
VALID: list[dict[str, Any]] = [
    {"cmd_id": HEARTBEAT, "seq_id": 1, "trace": "h", "data": {}},
    {
        "cmd_id": TRADE,
        "seq_id": 2,
        "trace": "t",
        "data": {"symbol_list": [{"code": "BTCUSDT"}, {"code": "GOLD"}]},
    },
    {"cmd_id": TRADE, "seq_id": 2, "trace": "t", "data": {"symbol_list": [{"code": "700.HK"}]}},
    {
        "cmd_id": DEPTH,
        "seq_id": 3,
        "trace": "d",
        "data": {"symbol_list": [{"code": "BTCUSDT", "depth_level": 3}]},
    },
    {
        "cmd_id": DEPTH,
        "seq_id": 3,
        "trace": "d",
        "data": {"symbol_list": [{"code": "700.HK", "depth_level": 7}]},
    },
    {"cmd_id": CANCEL, "seq_id": 4, "trace": "c", "data": {"cancel_type": 0}},
]


def spoiled(value: Any, dice: random.Random) -> Any:
    """The value with a part of it replaced, dropped, doubled or added, at any depth."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        value = dict(value)
        name = dice.choice(sorted(value))
        match dice.randrange(6):
            case 0:
                del value[name]
            case 1:
                value[str(dice.choice(ODD))] = value[name]
            case _:
                value[name] = spoiled(value[name], dice)
        return value
    if isinstance(value, list) and value and dice.random() < 0.7:
        value = list(value)
        place = dice.randrange(len(value))
        value[place] = spoiled(value[place], dice)
        return value * dice.choice((1, 1, 2, 50))
    return dice.choice(ODD)


def noise(dice: random.Random) -> bytes:
    return dice.randbytes(dice.choice((0, 1, 2, 5, 20, 125, 126, 200, 3000)))


def odd_text(dice: random.Random) -> str:
    """A request that is valid, spoiled, cut, or none at all."""
    request = dice.choice(VALID)
    for _ in range(dice.choice((0, 1, 1, 2, 3))):
        request = spoiled(request, dice)
    text = json.dumps(request, ensure_ascii=dice.random() < 0.5)
    match dice.randrange(10):
        case 8:
            return repr(request)
        case 9:
            return text.replace("}", ",}").replace('"', dice.choice(["'", '"']))
        case 0:
            place = dice.randrange(len(text) + 1)
            return (
                text[:place]
                + dice.choice(["", "\\", '"', "\\ud800", "[" * 3000, "\0", "9" * 500])
                + text[place:]
            )
        case 1:
            return text[: dice.randrange(len(text) + 1)]
        case 2:
            return noise(dice).decode("latin-1")
        case _:
            return text


def odd_frames(dice: random.Random) -> bytes:
    """Some frames: whole, cut in fragments, with flags and opcodes of any kind, or no frames at all."""
    text = odd_text(dice).encode("utf-8", "surrogatepass")
    match dice.randrange(8):
        case 0:
            return noise(dice)
        case 1:
            return masked(
                dice.randrange(16), noise(dice)[:125], fin=dice.random() < 0.5, rsv=dice.randrange(8)
            )
        case 2:
            cut = dice.randrange(len(text) + 1)
            middle = masked(dice.choice((0, 9, 10)), b"p", fin=dice.random() < 0.5)
            return masked(1, text[:cut], fin=False) + middle + masked(0, text[cut:])
        case 3:
            return masked(
                8, dice.choice((b"", b"\x03", b"\x03\xe8", b"\x03\xe8bye", b"\x0f\xa0", noise(dice)[:125]))
            )
        case 4:
            size = dice.choice((2**16, 2**20, 2**31, 2**63, 2**64 - 1))
            return b"\x81\xff" + size.to_bytes(8, "big") + dice.randbytes(50)
        case 5:
            frame = bytearray(masked(1, text))
            frame[dice.randrange(len(frame))] ^= 1 << dice.randrange(8)
            return bytes(frame)
        case _:
            return masked(dice.choice((1, 1, 2)), text)


def odd_query(dice: random.Random) -> str:
    match dice.randrange(6):
        case 0:
            return noise(dice).decode("latin-1").replace(" ", "").replace("\r", "").replace("\n", "")
        case 1:
            return "&".join(
                dice.choice(["token", "query", "token=", "token=t", "=", "query=%", "query=%zz", "query=%ff"])
                for _ in range(5)
            )
        case _:
            query = spoiled({"trace": "t", "data": dice.choice(VALID)["data"]}, dice)
            return "token=t&query=" + urllib.parse.quote(json.dumps(query))


def odd_head(dice: random.Random) -> bytes:
    """The head of an HTTP request, of which hardly anything needs to be right."""
    base = dice.choice((OTHER_HTTP, STOCK_HTTP, OTHER_WS, STOCK_WS, "/api", "", "//", "http://x:y@z/", "*"))
    tail = dice.choice(
        (
            "",
            "/",
            "/trade-tick",
            "/depth-tick",
            "/static_info",
            "/%2e%2e/",
            "/%ff",
            "/\xe9",
            "/healthz",
            "/readyz",
        )
    )
    method = dice.choice(
        (
            "GET",
            "GET",
            "GET",
            "HEAD",
            "POST",
            "PUT",
            "DELETE",
            "OPTIONS",
            "PATCH",
            "TRACE",
            "CONNECT",
            "PRI",
            "get",
            "X",
        )
    )
    version = dice.choice(("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9.9", ""))
    fields = [
        "Host: x",
        "Host: [",
        "Host: x:99999999",
        "Host: " + noise(dice).decode("latin-1"),
        "Connection: close",
        "Connection: Upgrade",
        "Connection: keep-alive, Upgrade",
        "Upgrade: websocket",
        "Upgrade: h2c",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99",
        "Sec-WebSocket-Protocol: " + "x," * dice.choice((1, 5000)),
        "Content-Length: " + dice.choice(("0", "5", "-1", "99999999999999999999", "x")),
        "Transfer-Encoding: " + dice.choice(("chunked", "gzip", "chunked, chunked")),
        "Expect: 100-continue",
        "Authorization: Bearer \xff\xfe",
        "Token: " + "t" * dice.choice((1, 9000)),
        "Origin: null",
        "X" * dice.choice((1, 9000)) + ": y",
        " folded",
        "no colon",
        ": empty",
    ]
    chosen = dice.sample(fields, dice.randrange(10))
    ending = dice.choice(("\r\n", "\r\n", "\r\n", "\n", "\r"))
    head = ending.join([f"{method} {base}{tail}?{odd_query(dice)} {version}", *chosen, "", ""]).encode(
        "latin-1", "replace"
    )
    match dice.randrange(8):
        case 0:
            return head[: dice.randrange(len(head))]
        case 1:
            return noise(dice) + head
        case 2:
            return head * 3
        case _:
            return head + dice.choice(
                (b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"fffffffffffffffff\r\n", noise(dice))
            )
