"""Errors of /kline and /batch-kline over real sockets: section 3, "K-lines"."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from tickwire.wire import MAX_MESSAGE

from ..serving import OTHER_HTTP, STOCK_HTTP, Served
from .klines import one, post, wrapped
from .refused import DATA, HEADER, check

pytestmark = pytest.mark.asyncio(loop_scope="module")

BAD: dict[str, list[object]] = {
    "kline_type": [0, 11, -1, 1.5, "", "x", "0", None, True, [1], 2**64],
    "query_kline_num": [0, -1, "0", "-5", "x", 1.5, []],
    "kline_timestamp_end": [-1, "-1", "x", 1.5, 2**63, {}],
    "adjust_type": ["x", [], 0.5],
}
BAD_ENTRIES: list[dict[str, object]] = [
    *({**one(), name: value} for name, values in BAD.items() for value in values),
    {"kline_type": 1},
    {"code": "BTCUSDT"},
    {"code": 5, "kline_type": 1},
    {},
]


@pytest.mark.parametrize("entry", BAD_ENTRIES, ids=str)
async def test_an_impossible_field_is_400(plain: Served, entry: dict[str, object]) -> None:
    check(await plain.get(f"{OTHER_HTTP}/kline", wrapped(entry)), 400, 400, DATA, "t")
    document = wrapped({"data_list": [one(), entry]})
    check(await post(plain, document), 400, 400, DATA, "t")


@pytest.mark.parametrize("data", [None, [], "x", 5, {}, {"data_list": None}, {"data_list": {}}], ids=str)
async def test_impossible_data_is_400(plain: Served, data: object) -> None:
    check(await plain.get(f"{OTHER_HTTP}/kline", wrapped(data)), 400, 400, DATA, "t")
    check(await post(plain, wrapped(data)), 400, 400, DATA, "t")
    check(await post(plain, wrapped({"data_list": []})), 400, 400, DATA, "t")


@pytest.mark.parametrize("document", ["[]", "5", '"x"', "null", '{"trace":5}', f'{{"trace":"{"x" * 65}"}}'])
async def test_an_impossible_envelope_is_400(plain: Served, document: str) -> None:
    for response in (await plain.get(f"{OTHER_HTTP}/kline", document), await post(plain, document)):
        check(response, 400, 400, HEADER)


@pytest.mark.parametrize("text", ["{", "rubbish", "\x00"])
async def test_what_is_no_json_is_402_as_a_query_and_400_as_a_body(plain: Served, text: str) -> None:
    check(await plain.get(f"{OTHER_HTTP}/kline", text), 402, 402, "query invalid")
    check(await post(plain, text), 400, 400, HEADER)


async def test_no_query_and_no_body(plain: Served) -> None:
    for base in (OTHER_HTTP, STOCK_HTTP):
        check(await plain.get(f"{base}/kline"), 402, 402, "query invalid")
        check(await plain.get(f"{base}/kline", ""), 402, 402, "query invalid")
        check(await post(plain, b"", base), 400, 601, "body empty")
    query = msgspec.json.encode(wrapped({"data_list": [one()]})).decode()
    response = await plain.request("POST", f"{OTHER_HTTP}/batch-kline", params={"token": "t", "query": query})
    check(response, 400, 601, "body empty")


async def test_a_body_that_is_too_large_is_413(plain: Served) -> None:
    check(await post(plain, b" " * (MAX_MESSAGE + 1)), 413, 413, "body too large")
    fits = msgspec.json.encode(wrapped({"data_list": [one()]}))
    assert (await post(plain, fits.ljust(MAX_MESSAGE))).status_code == 200


@pytest.mark.parametrize(
    ("base", "code"),
    [
        (OTHER_HTTP, "NOPE"),
        (OTHER_HTTP, "gold"),
        (OTHER_HTTP, "700.HK"),
        (STOCK_HTTP, "GOLD"),
        (STOCK_HTTP, "XAUUSD"),
    ],
)
async def test_an_unknown_code_is_600(plain: Served, base: str, code: str) -> None:
    check(await plain.get(f"{base}/kline", wrapped(one(code))), 200, 600, "code invalid", "t")
    check(await post(plain, wrapped({"data_list": [one(code)]}), base), 200, 600, "code invalid", "t")


@pytest.mark.parametrize(
    ("method", "base"), [*itertools.product(["GET", "POST", "PUT", "DELETE"], [OTHER_HTTP, STOCK_HTTP])]
)
async def test_a_method_that_an_endpoint_has_not_is_405(plain: Served, method: str, base: str) -> None:
    for path, methods in (("/kline", "GET, HEAD"), ("/batch-kline", "GET, HEAD, POST")):
        if method not in methods:
            response = await plain.request(method, f"{base}{path}?token=t")
            check(response, 405, 402, "query invalid", allow=methods)


@pytest.mark.parametrize(("method", "path"), [("GET", "/kline"), ("POST", "/batch-kline")])
async def test_no_token(plain: Served, method: str, path: str) -> None:
    response = await plain.request(method, OTHER_HTTP + path)
    check(response, 401, 401, "token is required")


@pytest.mark.parametrize("path", ["/klines", "/kline/", "/batch-kline/x", "/Kline"])
async def test_an_unknown_path(plain: Served, path: str) -> None:
    check(await plain.get(OTHER_HTTP + path, wrapped(one())), 402, 402, "query invalid")
