"""The HTTP API and its error table over real sockets: sections 1 and 3."""

from __future__ import annotations

import itertools
import urllib.parse
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tickwire.access import Token, digest_of, new_id
from tickwire.config import DATABASE
from tickwire.store import open_tokens

from ..serving import OTHER_HTTP, OTHER_WS, STOCK_HTTP, STOCK_WS, Served, serving, upgrade
from .refused import DATA, HEADER, check

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATIC_FIELDS = (
    "symbol name_cn name_en name_hk exchange board currency lot_size total_shares circulating_shares "
    "hk_shares eps eps_ttm bps dividend_yield"
).split()
ENDPOINTS = [
    (base, endpoint)
    for base, endpoint in itertools.product(
        (OTHER_HTTP, STOCK_HTTP), ("/trade-tick", "/depth-tick", "/static_info")
    )
    if (base, endpoint) != (OTHER_HTTP, "/static_info")
]
PATHS = [base + endpoint for base, endpoint in ENDPOINTS]


def query(*codes: str, trace: str = "t") -> dict[str, object]:
    return {"trace": trace, "data": {"symbol_list": [{"code": code} for code in codes]}}


# Success.
async def test_the_body_of_trade_tick(full: Served) -> None:
    response = await full.get(f"{OTHER_HTTP}/trade-tick", query("BTCUSDT", "GOLD", trace="my trace"))
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["access-control-allow-origin"] == "*"
    body = response.json()
    assert list(body) == ["ret", "msg", "trace", "data"]
    assert (body["ret"], body["msg"], body["trace"], list(body["data"])) == (
        200,
        "ok",
        "my trace",
        ["tick_list"],
    )
    first, second = body["data"]["tick_list"]
    assert first.pop("seq").isdigit()
    assert first == {
        "code": "BTCUSDT",
        "tick_time": "1788529064027",
        "price": "79317.70",
        "volume": "0.50000",
        "turnover": "39658.85",
        "trade_direction": 0,
    }
    assert second["code"] == "GOLD"


async def test_the_body_of_depth_tick(full: Served) -> None:
    body = (await full.get(f"{STOCK_HTTP}/depth-tick", query("700.HK", "AAPL.US"))).json()
    hk, us = body["data"]["tick_list"]
    assert list(hk) == ["code", "seq", "tick_time", "bids", "asks"]
    assert hk["seq"].isdigit()
    assert hk["tick_time"] == "1788529064027"
    assert hk["bids"][0] == {"price": "100.000000", "volume": "1"}
    assert (len(hk["bids"]), len(hk["asks"]), len(us["bids"]), len(us["asks"])) == (10, 10, 1, 1)


async def test_the_body_of_static_info(full: Served) -> None:
    body = (await full.get(f"{STOCK_HTTP}/static_info", query("700.HK", "NOPE", "AAPL.US"))).json()
    assert list(body["data"]) == ["static_info_list"]
    assert [one["symbol"] for one in body["data"]["static_info_list"]] == ["700.HK", "AAPL.US"]
    for one in body["data"]["static_info_list"]:
        assert list(one) == STATIC_FIELDS
        assert all(type(value) is str for value in one.values())


async def test_figures_that_are_not_known_stay_empty_but_on_a_simulator(full: Served, tmp_path: Path) -> None:
    figures = STATIC_FIELDS[STATIC_FIELDS.index("total_shares") :]
    asked = query("700.HK", "AAPL.US", "600519.SH")
    answer = await full.get(f"{STOCK_HTTP}/static_info", asked)
    assert "tickwire-simulated" not in answer.headers
    assert {one[name] for one in answer.json()["data"]["static_info_list"] for name in figures} == {""}

    async with serving(tmp_path) as simulated:
        answer = await simulated.get(f"{STOCK_HTTP}/static_info", asked)
        index = await simulated.get(f"{STOCK_HTTP}/static_info", query("HSI.HK"))
    assert answer.headers["tickwire-simulated"] == "1"
    for one in answer.json()["data"]["static_info_list"]:
        assert 0 < int(one["circulating_shares"]) <= int(one["total_shares"])
        assert one["hk_shares"] == (one["total_shares"] if one["symbol"] == "700.HK" else "0")
        assert all(Decimal(one[name]) > 0 for name in ("eps", "eps_ttm", "bps"))
        assert 0 <= Decimal(one["dividend_yield"]) < 30
    assert "tickwire-simulated" not in index.headers
    assert index.json()["data"]["static_info_list"][0]["eps"] == ""


async def test_seq_over_http_is_that_of_the_websocket(full: Served) -> None:
    async with full.link() as link:
        await link.subscribe(22004, "BTCUSDT")
        pushed = (await link.push())["data"]
    body = (await full.get(f"{OTHER_HTTP}/trade-tick", query("BTCUSDT"))).json()
    (tick,) = body["data"]["tick_list"]
    assert tick == {**pushed, "seq": str(pushed["seq"]), "tick_time": str(pushed["tick_time"])}


async def test_an_index_has_an_empty_depth_list_and_a_trade(full: Served) -> None:
    depth = (await full.get(f"{STOCK_HTTP}/depth-tick", query(".DJI.US"))).json()
    assert depth == {"ret": 200, "msg": "ok", "trace": "t", "data": {"tick_list": []}}
    ticks = (await full.get(f"{STOCK_HTTP}/trade-tick", query(".DJI.US"))).json()["data"]["tick_list"]
    assert [tick["code"] for tick in ticks] == [".DJI.US"]


async def test_a_known_code_that_has_not_traded_is_left_out(full: Served) -> None:
    body = (await full.get(f"{OTHER_HTTP}/trade-tick", query("LTCUSDT", "BTCUSDT"))).json()
    assert [tick["code"] for tick in body["data"]["tick_list"]] == ["BTCUSDT"]
    body = (await full.get(f"{OTHER_HTTP}/trade-tick", query("LTCUSDT"))).json()
    assert body == {"ret": 200, "msg": "ok", "trace": "t", "data": {"tick_list": []}}


async def test_unknown_codes_are_dropped_and_a_code_named_twice_is_answered_once(full: Served) -> None:
    body = (await full.get(f"{OTHER_HTTP}/trade-tick", query("NOPE", "BTCUSDT", "700.HK", "BTCUSDT"))).json()
    assert [tick["code"] for tick in body["data"]["tick_list"]] == ["BTCUSDT"]


async def test_an_alias_is_answered_under_the_name_that_was_asked(full: Served) -> None:
    body = (await full.get(f"{OTHER_HTTP}/trade-tick", query("XAUUSD", "GOLD"))).json()
    alias, gold = body["data"]["tick_list"]
    assert (alias["code"], gold["code"]) == ("XAUUSD", "GOLD")
    assert {**alias, "code": "GOLD"} == gold


async def test_head_is_get_without_a_body(full: Served) -> None:
    response = await full.request(
        "HEAD",
        f"{OTHER_HTTP}/trade-tick",
        params={"token": "t", "query": msgspec.json.encode(query("GOLD")).decode()},
    )
    assert (response.status_code, response.content) == (200, b"")


# Tolerances.
@pytest.mark.parametrize(
    "text",
    [
        '{"data":{"symbol_list":[{"code":"BTCUSDT"}]}}',
        '{"trace":null,"data":{"symbol_list":[{"code":"BTCUSDT"}]}}',
        '{"trace":"","seq_id":5,"cmd_id":1,"data":{"symbol_list":[{"code":"BTCUSDT"}],"x":null}}',
        '{"trace":"","data":{"symbol_list":["BTCUSDT"]}}',
        '{"trace":"","data":{"symbol_list":[{"symbol":"BTCUSDT"}]}}',
        '{"trace":"","data":{"symbol_list":[{"code":"BTCUSDT","depth_level":"5"}]}}',
        '{"trace":"","data":{"symbol_list":[{"code":"BTCUSDT"},{"code":"BTCUSDT"}]}}',
        "{'trace':'','data':{'symbol_list':[{'code':'BTCUSDT'}]}}",
        '  {"trace" : "" , "data" : { "symbol_list" : [ { "code" : "BTCUSDT" } ] } }  ',
    ],
)
async def test_it_is_answered(full: Served, text: str) -> None:
    body = (await full.get(f"{OTHER_HTTP}/trade-tick", text)).json()
    assert (body["ret"], body["trace"]) == (200, "")
    assert [tick["code"] for tick in body["data"]["tick_list"]] == ["BTCUSDT"]


@pytest.mark.parametrize("space", ["%20", "+"])
async def test_both_spaces(full: Served, space: str) -> None:
    text = urllib.parse.quote('{"trace":"a b","data":{"symbol_list":[{"code":"BTCUSDT"}]}}').replace(
        "%20", space
    )
    response = await full.request("GET", f"{OTHER_HTTP}/trade-tick?token=t&query={text}")
    assert response.json()["trace"] == "a b"


async def test_the_content_type_of_a_get_is_ignored(full: Served) -> None:
    for kind in ("application/json", "text/plain", "multipart/form-data", "rubbish"):
        response = await full.get(
            f"{OTHER_HTTP}/trade-tick", query("BTCUSDT"), headers={"content-type": kind}
        )
        assert response.status_code == 200


async def test_a_trace_comes_back_as_it_was(full: Served) -> None:
    for trace in ("", "edd5df80-df7f-4acf", "黄金 é", '"\\/<b>', "x" * 64, "黄" * 64, "\u0000"):
        assert (await full.get(f"{OTHER_HTTP}/trade-tick", query("BTCUSDT", trace=trace))).json()[
            "trace"
        ] == trace
        bad = await full.get(f"{OTHER_HTTP}/trade-tick", query("NOPE", trace=trace))
        check(bad, 200, 600, "code invalid", trace)


# 401.
@pytest.mark.parametrize(
    "path",
    [
        *PATHS,
        OTHER_HTTP,
        f"{STOCK_HTTP}/",
        f"{OTHER_HTTP}/nope",
        "/api",
        "/api/suspension/sse",
        OTHER_WS,
        STOCK_WS,
    ],
)
async def test_no_token_is_401(full: Served, path: str) -> None:
    for options in (
        {},
        {"params": {"token": ""}},
        {"params": {"Token": "t"}},
        {"headers": {"authorization": "Basic dDp0"}},
        {"headers": {"authorization": "Bearer"}},
        {"headers": {"token": ""}},
    ):
        check(await full.request("GET", path, **options), 401, 401, "token is required")
    check(await full.request("DELETE", path), 401, 401, "token is required")


async def test_a_token_is_taken_from_url_bearer_or_header(full: Served) -> None:
    text = msgspec.json.encode(query("BTCUSDT")).decode()
    for name, options in {
        "url": {"params": {"token": "t", "query": text}},
        "bearer": {"params": {"query": text}, "headers": {"Authorization": "Bearer t"}},
        "bearer, small": {"params": {"query": text}, "headers": {"authorization": "bearer t"}},
        "header": {"params": {"query": text}, "headers": {"Token": "t"}},
        "empty in the url": {"params": {"query": text, "token": ""}, "headers": {"token": "t"}},
    }.items():
        response = await full.request("GET", f"{OTHER_HTTP}/trade-tick", **options)
        assert (name, response.status_code) == (name, 200)


@pytest.mark.asyncio(loop_scope="function")
async def test_an_unknown_token_is_401(tmp_path: Path, served: Served) -> None:
    with open_tokens(tmp_path / DATABASE) as store:
        digest = digest_of("good", store.key())
        store.add(Token(id=new_id(), digest=digest, name="the one", plan="unlimited"))
    assert await served.engine.gateway.admission.refresh()
    for path in (*PATHS, f"{OTHER_HTTP}/nope", "/api/x", OTHER_WS):
        for options in (
            {"params": {"token": "bad"}},
            {"headers": {"authorization": "Bearer bad"}},
            {"headers": {"token": "bad"}},
            {"params": {"token": "bad"}, "headers": {"token": "good"}},
        ):
            check(await served.request("GET", path, **options), 401, 401, "token invalid")
    check(await served.get(f"{OTHER_HTTP}/trade-tick", token="good"), 402, 402, "query invalid")
    for hello in (upgrade(query="?token=bad"), upgrade(query="", more="Token: bad\r\n")):
        async with served.raw(hello) as raw:
            assert (await raw.head()).startswith(b"http/1.1 401 ")
            assert await raw.rest() == b'{"msg":"token invalid","trace":"","ret":401}'
    async with served.link(token="good") as link:
        assert (await link.ask(22000))["ret"] == 200


# 402.
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "text", [None, "", "hello", "{", "{trace:1}", "{'trace':\"", "%", '{"trace":"\\ud800"}', "[" * 5000]
)
async def test_a_query_that_is_missing_or_no_json_is_402(full: Served, path: str, text: str | None) -> None:
    check(await full.get(path, text), 402, 402, "query invalid")


async def test_a_query_that_cannot_be_decoded_is_402(full: Served) -> None:
    for text in ("%FF%FE", "%7B%22trace%22%3A%22%E9%22%7D", "%C3", "%7B%"):
        response = await full.request("GET", f"{OTHER_HTTP}/trade-tick?token=t&query={text}")
        check(response, 402, 402, "query invalid")


@pytest.mark.parametrize(
    "path",
    [
        OTHER_HTTP,
        STOCK_HTTP,
        f"{OTHER_HTTP}/",
        f"{OTHER_HTTP}/nope",
        f"{OTHER_HTTP}/static_info",
        f"{STOCK_HTTP}/Trade-Tick",
        f"{STOCK_HTTP}/trade-tick/",
        f"{STOCK_HTTP}/trade-tick/x",
        f"{STOCK_HTTP}//trade-tick",
        "/api",
        "/api/",
        "/api/nope",
        "/api/suspension/tse",
        f"{OTHER_WS}/x",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_an_unknown_path_is_402(full: Served, path: str, method: str) -> None:
    response = await full.request(
        method, path, params={"token": "t", "query": msgspec.json.encode(query("BTCUSDT")).decode()}
    )
    check(response, 402, 402, "query invalid")


# 400.
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("text", ["[]", "5", '"x"', "null", "true", '[{"trace":""}]'])
async def test_a_query_that_is_json_but_no_object_is_400(full: Served, path: str, text: str) -> None:
    check(await full.get(path, text), 400, 400, HEADER)


@pytest.mark.parametrize("trace", [5, True, [], {}, "x" * 65])
async def test_an_impossible_trace_is_400(full: Served, trace: object) -> None:
    bad = {"trace": trace, "data": query("BTCUSDT")["data"]}
    check(await full.get(f"{OTHER_HTTP}/trade-tick", bad), 400, 400, HEADER)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "x",
        5,
        {},
        {"symbol_list": None},
        {"symbol_list": []},
        {"symbol_list": {}},
        {"symbol_list": "BTCUSDT"},
        {"symbol_list": [5]},
        {"symbol_list": [None]},
        {"symbol_list": [{}]},
        {"symbol_list": [{"code": 5}]},
        {"symbol_list": [{"code": None}]},
    ],
    ids=str,
)
async def test_impossible_data_is_400_and_the_trace_comes_back(full: Served, path: str, data: object) -> None:
    check(await full.get(path, {"trace": "tr", "data": data}), 400, 400, DATA, "tr")


@pytest.mark.parametrize("path", PATHS)
async def test_missing_data_is_400(full: Served, path: str) -> None:
    check(await full.get(path, {"trace": "tr"}), 400, 400, DATA, "tr")


# 405.
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE"])
async def test_a_method_that_the_endpoint_does_not_have_is_405(full: Served, path: str, method: str) -> None:
    response = await full.request(method, path, params={"token": "t"}, content=b"{}")
    check(response, 405, 402, "query invalid", allow="GET, HEAD")


# 600.
@pytest.mark.parametrize(
    ("path", "codes"),
    [
        (f"{OTHER_HTTP}/trade-tick", ["NOPE"]),
        (f"{OTHER_HTTP}/depth-tick", ["NOPE", ""]),
        (f"{OTHER_HTTP}/trade-tick", ["btcusdt", "Gold"]),
        (f"{OTHER_HTTP}/trade-tick", ["700.HK", "AAPL.US"]),
        (f"{STOCK_HTTP}/trade-tick", ["BTCUSDT", "XAUUSD"]),
        (f"{STOCK_HTTP}/depth-tick", ["00700.HK"]),
        (f"{STOCK_HTTP}/static_info", ["GOLD"]),
    ],
)
async def test_nothing_but_unknown_codes_is_600_with_status_200(
    full: Served, path: str, codes: list[str]
) -> None:
    check(await full.get(path, query(*codes)), 200, 600, "code invalid", "t")


# CORS.
@pytest.mark.parametrize("path", [*PATHS, f"{OTHER_HTTP}/nope", "/api/suspension/sse"])
async def test_a_preflight_needs_no_token(full: Served, path: str) -> None:
    response = await full.request(
        "OPTIONS",
        path,
        headers={
            "Origin": "https://example.com",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        },
    )
    assert response.status_code in (200, 204)
    assert response.headers["access-control-allow-origin"] == "*"
    assert {"GET", "POST"} <= set(response.headers["access-control-allow-methods"].split(", "))
    assert {"content-type", "token", "authorization"} <= set(
        response.headers["access-control-allow-headers"].split(", ")
    )


# strict_protocol.
STRICT: list[tuple[Any, int, int, str]] = [
    ({"data": {"symbol_list": [{"code": "BTCUSDT"}]}}, 400, 400, HEADER),
    ({"trace": None, "data": {"symbol_list": [{"code": "BTCUSDT"}]}}, 400, 400, HEADER),
    ({**query("BTCUSDT"), "cmd_id": 22004}, 400, 400, HEADER),
    ({"trace": "t", "data": {"symbol_list": ["BTCUSDT"]}}, 400, 400, DATA),
    ({"trace": "t", "data": {"symbol_list": [{"symbol": "BTCUSDT"}]}}, 400, 400, DATA),
    ({"trace": "t", "data": {"symbol_list": [{"code": "BTCUSDT", "depth_level": 1}]}}, 400, 400, DATA),
    (query("BTCUSDT", "BTCUSDT"), 400, 400, DATA),
    (query("XAUUSD"), 200, 600, "code invalid"),
    ("{'trace':'t','data':{'symbol_list':[{'code':'BTCUSDT'}]}}", 402, 402, "query invalid"),
]


@pytest.mark.parametrize(("asked", "status", "ret", "msg"), STRICT)
async def test_strict_protocol_refuses_it(
    strict: Served, plain: Served, asked: object, status: int, ret: int, msg: str
) -> None:
    response = await strict.get(f"{OTHER_HTTP}/trade-tick", asked)
    assert (response.status_code, response.json()["ret"], response.json()["msg"]) == (status, ret, msg)
    assert "data" not in response.json()
    assert (await plain.get(f"{OTHER_HTTP}/trade-tick", asked)).json()["ret"] == 200


async def test_strict_protocol_takes_tokens_from_the_url_alone(strict: Served) -> None:
    for headers in ({"authorization": "Bearer t"}, {"token": "t"}):
        response = await strict.request("GET", f"{OTHER_HTTP}/trade-tick", headers=headers)
        check(response, 401, 401, "token is required")
    assert (await strict.get(f"{OTHER_HTTP}/trade-tick", query("BTCUSDT"))).json()["ret"] == 200
    async with strict.raw(upgrade(query="", more="Token: t\r\n")) as raw:
        assert (await raw.head()).startswith(b"http/1.1 401 ")


async def test_requests_on_one_connection_are_answered_in_order(full: Served) -> None:
    texts = [urllib.parse.quote(msgspec.json.encode(query("GOLD", trace=str(n)))) for n in range(20)]
    heads = [
        f"GET {OTHER_HTTP}/trade-tick?token=t&query={text} HTTP/1.1\r\nHost: x\r\n\r\n" for text in texts
    ]
    async with full.raw("".join(heads).encode()) as raw:
        for n in range(20):
            head = await raw.head()
            assert head.startswith(b"http/1.1 200 ")
            size = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            assert msgspec.json.decode(await raw.reader.readexactly(size))["trace"] == str(n)
