"""/kline and /batch-kline over real sockets: section 3, "K-lines"."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from tickwire import Api
from tickwire.wire import MAX_MESSAGE

from ..serving import HEARTBEAT, OTHER_HTTP, STOCK_HTTP, Script, Served, serving, trade
from .klines import one, post, wrapped
from .refused import DATA, HEADER, check

pytestmark = pytest.mark.asyncio(loop_scope="module")

T0 = 1788480000  # 2026-09-04, a Friday, midnight UTC
MINUTES = 640
"""Minutes of BTCUSDT with one trade each, but for the one after GAP."""
GAP = T0 + 600
TIMES = [at for at in range(T0, T0 + MINUTES * 60, 60) if at != GAP]
LAST = TIMES[-1]
GOLD_BARS = (
    '{"timestamp":"1788480000","open_price":"4415.32","close_price":"4414.90","high_price":"4416.00",'
    '"low_price":"4414.90","volume":"8.75","turnover":"38636.33"}',
    '{"timestamp":"1788480120","open_price":"4410.00","close_price":"4410.00","high_price":"4410.00",'
    '"low_price":"4410.00","volume":"0.00","turnover":"0.00"}',
)
GOLD_DAY = (
    '{"timestamp":"1788480000","open_price":"4415.32","close_price":"4410.00","high_price":"4416.00",'
    '"low_price":"4410.00","volume":"8.75","turnover":"38636.33"}'
)
FIELDS = "timestamp open_price close_price high_price low_price volume turnover".split()


async def taken(served: Served, events: int) -> None:
    """Waits until the server has taken so many events."""
    async with asyncio.timeout(120), served.link() as link:
        while served.engine.market.events < events:
            await link.ask(HEARTBEAT)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def full(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server that has seen trades of many minutes."""
    script = Script()
    events = [trade("BTCUSDT", f"{50000 + at % 997}.5", "0.5", at * 1000 + 1000) for at in TIMES]
    for price, volume, second in (
        ("4415.32", "5", 1),
        ("4416", "3.5", 30),
        ("4414.9", "0.25", 59),
        ("4410", "0", 121),
    ):
        events.append(trade("GOLD", price, volume, (T0 + second) * 1000))
    for day in (0, 1):
        for code, price, volume in (
            ("AAPL.US", "292.46", "10"),
            ("700.HK", "600.5", "100"),
            ("000001.SZ", "11.37", "3"),
            (".DJI.US", "50486.35", "0"),
        ):
            events.append(trade(code, price, volume, (T0 + day * 86400 + 15 * 3600) * 1000))
    async with serving(tmp_path_factory.mktemp("klines"), script) as served:
        script.emit(*events)
        await taken(served, len(events))
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def exact(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server with `strict_protocol` that has seen a trade."""
    script = Script()
    async with serving(tmp_path_factory.mktemp("exact"), script, strict_protocol=True) as served:
        script.emit(trade("BTCUSDT", at=T0 * 1000), trade("GOLD", at=T0 * 1000))
        await taken(served, 2)
        yield served


def base_of(code: str) -> str:
    return STOCK_HTTP if "." in code else OTHER_HTTP


async def kline(served: Served, code: str = "BTCUSDT", kline_type: object = 1, **more: object) -> Any:
    """The `kline_list` of a GET; `num` and `end` are short names."""
    names = {"num": "query_kline_num", "end": "kline_timestamp_end"}
    data = one(code, kline_type, **{names.get(name, name): value for name, value in more.items()})
    response = await served.get(f"{base_of(code)}/kline", wrapped(data))
    body = response.json()
    assert (response.status_code, body["ret"], body["msg"]) == (200, 200, "ok"), body
    assert (body["data"]["code"], body["data"]["kline_type"]) == (code, int(str(kline_type)))
    return body["data"]["kline_list"]


async def groups(served: Served, *entries: object, base: str = OTHER_HTTP) -> Any:
    response = await post(served, wrapped({"data_list": entries}), base)
    body = response.json()
    assert (response.status_code, body["ret"], list(body["data"])) == (200, 200, ["kline_list"]), body
    return body["data"]["kline_list"]


def times(bars: list[dict[str, str]]) -> list[int]:
    return [int(bar["timestamp"]) for bar in bars]


# GET /batch-kline, as three of the vendor's examples send it.
@pytest.mark.parametrize("server", ["full", "exact"])
async def test_a_batch_by_get_is_answered_as_by_post(full: Served, exact: Served, server: str) -> None:
    served = full if server == "full" else exact
    path, asked = f"{OTHER_HTTP}/batch-kline?token=t", wrapped({"data_list": [one("GOLD"), one("GOLD", 8)]})
    posted = await post(served, asked)
    assert posted.json()["ret"] == 200
    for body in (msgspec.json.encode(asked), iter_once(msgspec.json.encode(asked))):
        answer = await served.request("GET", path, content=body)
        assert (answer.status_code, answer.content) == (200, posted.content)
    assert (await served.get(f"{OTHER_HTTP}/batch-kline", asked)).content == posted.content
    head = await served.request("HEAD", path, content=msgspec.json.encode(asked))
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(posted.content)))


async def iter_once(body: bytes) -> AsyncIterator[bytes]:
    """Is sent in chunks."""
    yield body


async def test_a_batch_by_get_goes_by_its_query_if_there_is_one(full: Served) -> None:
    query, other = wrapped({"data_list": [one("GOLD")]}, "q"), wrapped({"data_list": [one()]}, "b")
    for _ in range(2):  # the body is passed over, and the connection goes on
        answer = await full.get(f"{OTHER_HTTP}/batch-kline", query, content=msgspec.json.encode(other))
        assert (answer.json()["trace"], answer.json()["data"]["kline_list"][0]["code"]) == ("q", "GOLD")


async def test_errors_of_a_batch_by_get(full: Served) -> None:
    path = f"{OTHER_HTTP}/batch-kline?token=t"
    check(await full.request("GET", path), 402, 402, "query invalid")
    check(await full.get(f"{OTHER_HTTP}/batch-kline", "{"), 402, 402, "query invalid")
    check(await full.request("GET", path, content=b"{"), 400, 400, HEADER)
    check(await full.request("GET", path, content=b" " * (MAX_MESSAGE + 1)), 413, 413, "body too large")
    bad = msgspec.json.encode(wrapped({"data_list": []}))
    check(await full.request("GET", path, content=bad), 400, 400, DATA, "t")


# JSON as the vendor's examples have it.
LOOSE = "{'trace': 't', 'data': {'data_list': [{'code': 'GOLD', 'kline_type': 1,},],},}"


@pytest.mark.parametrize("marked", [False, True], ids=["quotes and commas", "a byte-order mark"])
async def test_what_is_nearly_json_is_read(full: Served, exact: Served, marked: bool) -> None:
    asked = wrapped({"data_list": [one("GOLD")]})
    expected = (await post(full, asked)).content
    path = f"{OTHER_HTTP}/batch-kline"
    text = "\ufeff" + msgspec.json.encode(asked).decode() if marked else LOOSE
    for ask in (
        lambda served: post(served, text),
        lambda served: served.get(path, text),
        lambda served: served.request("GET", f"{path}?token=t", content=text.encode()),
    ):
        assert (await ask(full)).content == expected
        refused = await ask(exact)
        assert refused.json()["ret"] == (402 if "query=" in str(refused.request.url) else 400)


# Bodies.
async def test_the_bytes_of_kline(full: Served) -> None:
    response = await full.get(
        f"{OTHER_HTTP}/kline", wrapped(one("GOLD", 1, query_kline_num=9, kline_timestamp_end=0), "my trace")
    )
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.text == (
        '{"ret":200,"msg":"ok","trace":"my trace","data":{"code":"GOLD","kline_type":1,"kline_list":['
        + ",".join(GOLD_BARS)
        + "]}}"
    )


async def test_the_bytes_of_batch_kline(full: Served) -> None:
    entries = [one("GOLD", 1, query_kline_num=2), one("GOLD", 8)]
    response = await post(full, wrapped({"data_list": entries}, "é"))
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.text == (
        '{"ret":200,"msg":"ok","trace":"é","data":{"kline_list":['
        f'{{"code":"GOLD","kline_type":1,"kline_data":[{",".join(GOLD_BARS)}]}},'
        f'{{"code":"GOLD","kline_type":8,"kline_data":[{GOLD_DAY}]}}]}}}}'
    )


async def test_a_head_is_a_get_without_a_body(full: Served) -> None:
    query = msgspec.json.encode(wrapped(one())).decode()
    response = await full.request("HEAD", f"{OTHER_HTTP}/kline", params={"token": "t", "query": query})
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize(
    ("code", "price", "volume", "turnover", "midnight"),
    [
        ("AAPL.US", "292.460000", "10", "2924.600000", T0 + 4 * 3600),  # New York, in summer
        ("700.HK", "600.500000", "100", "60050.000000", T0 - 8 * 3600),
        ("000001.SZ", "11.370000", "3", "3411.000000", T0 - 8 * 3600),  # lots of 100 shares
        (".DJI.US", "50486.350000", "0", "0.000000", T0 + 4 * 3600),
    ],
)
async def test_stocks_open_their_days_at_local_midnight(
    full: Served, code: str, price: str, volume: str, turnover: str, midnight: int
) -> None:
    days = await kline(full, code, 8, num=10)
    assert times(days) == [midnight, midnight + 86400]
    for bar in days:
        assert list(bar) == FIELDS
        assert list(bar.values())[1:] == [price] * 4 + [volume, turnover]
    assert times(await kline(full, code, 9, num=10)) == [midnight - 4 * 86400]  # Monday
    assert times(await kline(full, code, 10, num=10)) == [midnight - 3 * 86400]  # the 1st
    assert times(await kline(full, code, 1, num=10)) == [T0 + 15 * 3600, T0 + 39 * 3600]


@pytest.mark.parametrize("code", ["AAPL.US", "700.HK", "000001.SZ", ".DJI.US"])
@pytest.mark.parametrize("kline_type", [6, 7])
async def test_stocks_have_no_types_6_and_7(full: Served, code: str, kline_type: int) -> None:
    assert await kline(full, code, kline_type, num=10) == []
    (group,) = await groups(full, one(code, kline_type), base=STOCK_HTTP)
    assert group == {"code": code, "kline_type": kline_type, "kline_data": []}


# Counts and ends.
@pytest.mark.parametrize(
    ("num", "expected"),
    [(1, 1), ("2", 2), (499, 499), (500, 500), (501, 500), (10**6, 500), (2**64 - 1, 500), (None, 1)],
)
async def test_the_count_is_cut_to_500_and_1_if_missing(full: Served, num: object, expected: int) -> None:
    assert times(await kline(full, num=num)) == TIMES[-expected:]
    if num is None:
        assert times(await kline(full)) == TIMES[-1:]


@pytest.mark.parametrize(("num", "expected"), [(1, 1), (2, 2), (3, 2), ("500", 2), (10**6, 2), (None, 1)])
async def test_the_count_of_a_batch_is_cut_to_2(full: Served, num: object, expected: int) -> None:
    first, second = await groups(full, one(query_kline_num=num), one("GOLD"))
    assert times(first["kline_data"]) == TIMES[-expected:]
    assert times(second["kline_data"]) == [T0 + 120]


@pytest.mark.parametrize(
    ("end", "last"),
    [
        (0, LAST),
        ("0", LAST),
        (None, LAST),
        (LAST, LAST),
        (LAST - 1, LAST - 60),
        (str(LAST - 60), LAST - 60),
        (LAST * 1000, LAST),
        (LAST * 1000 + 999, LAST),
        (LAST * 1000 - 1, LAST - 60),
        (f"{(LAST - 60) * 1000}", LAST - 60),
        (GAP, GAP - 60),
        (GAP + 59, GAP - 60),
        (GAP + 60, GAP + 60),
        (10**11, LAST),  # still seconds
        (2**53, LAST),
        (2**63 - 1, LAST),
    ],
)
async def test_the_end_is_inclusive_in_seconds_or_milliseconds(full: Served, end: object, last: int) -> None:
    expected = [at for at in TIMES if at <= last][-3:]
    assert times(await kline(full, num=3, end=end)) == expected
    (group,) = await groups(full, one(query_kline_num=2, kline_timestamp_end=end))
    assert times(group["kline_data"]) == expected[-2:]


@pytest.mark.parametrize("end", [1, T0 - 1, (T0 * 1000) - 1, 10**11 + 1])
async def test_before_all_history_there_is_an_empty_list(full: Served, end: int) -> None:
    assert await kline(full, num=500, end=end) == []
    assert (await groups(full, one(kline_timestamp_end=end)))[0]["kline_data"] == []


async def test_the_end_is_honoured_for_stocks_too(full: Served) -> None:
    newest, oldest = T0 + 39 * 3600, T0 + 15 * 3600
    assert times(await kline(full, "700.HK", 1, num=5, end=newest - 1)) == [oldest]
    assert await kline(full, "700.HK", 1, num=5, end=oldest - 1) == []


@pytest.mark.parametrize("page", [50, 500])
async def test_paging_with_oldest_minus_one_gives_each_bar_once(full: Served, page: int) -> None:
    whole: list[dict[str, str]] = []
    end = 0
    while found := await kline(full, num=page, end=end):
        assert times(found) == sorted(times(found))
        whole, end = found + whole, int(found[0]["timestamp"]) - 1
    assert times(whole) == TIMES


@pytest.mark.parametrize(
    ("kline_type", "seconds"), list(enumerate((60, 300, 900, 1800, 3600, 7200, 14400, 86400), 1))
)
async def test_every_type_lies_on_its_grid_and_holds_all_trades(
    full: Served, kline_type: int, seconds: int
) -> None:
    bars = await kline(full, "BTCUSDT", str(kline_type), num=500)
    assert times(bars) == sorted({at - at % seconds for at in TIMES})[-500:]
    expected = [f"{sum(at - at % seconds == opened for at in TIMES) * 0.5:.5f}" for opened in times(bars)]
    assert [bar["volume"] for bar in bars] == expected
    assert all(type(value) is str for bar in bars for value in bar.values())


# Fields.
@pytest.mark.parametrize("adjust", [0, 1, 2, "1", None])
async def test_adjust_type_is_taken_and_answered_unadjusted(full: Served, adjust: object) -> None:
    assert await kline(full, "AAPL.US", 8, num=5, adjust_type=adjust) == await kline(
        full, "AAPL.US", 8, num=5
    )


async def test_an_alias_is_answered_under_the_name_that_was_asked(full: Served) -> None:
    assert await kline(full, "XAUUSD", 1, num=9) == await kline(full, "GOLD", 1, num=9)
    found = await groups(full, one("XAUUSD", query_kline_num=2), one("GOLD", query_kline_num=2))
    assert [group["code"] for group in found] == ["XAUUSD", "GOLD"]
    assert found[0]["kline_data"] == found[1]["kline_data"]


async def test_a_batch_keeps_its_order_drops_the_unknown_and_answers_twice_as_once(full: Served) -> None:
    found = await groups(
        full, one("GOLD", 8), one("NOPE"), one("BTCUSDT"), one("700.HK"), one("GOLD", 8), one("GOLD", 1)
    )
    assert [(group["code"], group["kline_type"]) for group in found] == [
        ("GOLD", 8),
        ("BTCUSDT", 1),
        ("GOLD", 1),
    ]
    assert all(list(group) == ["code", "kline_type", "kline_data"] for group in found)


async def test_a_known_code_without_a_trade_has_an_empty_list(full: Served) -> None:
    assert await kline(full, "ETHUSDT", 1, num=10) == []
    assert (await groups(full, one("ETHUSDT"), one()))[0]["kline_data"] == []


@pytest.mark.parametrize(
    "text",
    [
        '{"data":{"code":"GOLD","kline_type":8}}',
        '{"trace":"","data":{"symbol":"GOLD","kline_type":"8","x":1,"query_kline_num":null}}',
        "{'trace':'','data':{'code':'GOLD','kline_type':8,'kline_timestamp_end':'0'}}",
    ],
)
async def test_what_programs_send_is_answered(full: Served, text: str) -> None:
    response = await full.get(f"{OTHER_HTTP}/kline", text)
    assert GOLD_DAY in response.text
    assert response.json()["trace"] == ""


# strict_protocol.
async def test_strict_takes_what_is_documented(exact: Served) -> None:
    whole = one(kline_timestamp_end=0, query_kline_num=2, adjust_type=0)
    assert len(await kline(exact, num=2, end=0, adjust_type=0)) == 1
    assert len(await kline(exact, num=501)) == 1
    found = await groups(exact, whole, one("GOLD", 8), one("GOLD", 1))
    assert [len(group["kline_data"]) for group in found] == [1, 1, 1]


@pytest.mark.parametrize(
    "entry",
    [
        one(kline_type="1"),
        one(query_kline_num="1"),
        one(kline_timestamp_end="0"),
        one(kline_timestamp_end=None),
        one(adjust_type="0"),
        one(extra=1),
        {"symbol": "BTCUSDT", "kline_type": 1},
    ],
    ids=str,
)
async def test_strict_refuses_what_is_not(exact: Served, entry: dict[str, object]) -> None:
    check(await exact.get(f"{OTHER_HTTP}/kline", wrapped(entry)), 400, 400, DATA, "t")
    check(await post(exact, wrapped({"data_list": [entry]})), 400, 400, DATA, "t")


async def test_strict_refuses_twice_the_same_and_knows_no_alias(exact: Served) -> None:
    check(await post(exact, wrapped({"data_list": [one(), one()]})), 400, 400, DATA, "t")
    check(await exact.get(f"{OTHER_HTTP}/kline", wrapped(one("XAUUSD"))), 200, 600, "code invalid", "t")
    single = str(wrapped(one()))
    check(await exact.get(f"{OTHER_HTTP}/kline", single), 402, 402, "query invalid")


async def test_bars_name_their_source_in_a_header_whatever_it_is_called(tmp_path: Path) -> None:
    source = Script()
    source.name = "replay:Tage, 20 %\nü"
    async with serving(tmp_path, source) as served:
        source.emit(trade())
        await taken(served, 1)
        for _ in range(2):  # the page is kept
            answer = await served.get(f"{OTHER_HTTP}/kline", wrapped(one()))
            assert answer.headers["tickwire-source"] == "replay:Tage, 20 %25%0A%C3%BC"
            assert "tickwire-source" in answer.headers["access-control-expose-headers"]
        other = await served.get(f"{OTHER_HTTP}/trade-tick", wrapped({"symbol_list": [{"code": "BTCUSDT"}]}))
        assert "tickwire-source" not in other.headers
        async with Api(served.url) as api:
            bars = await api.klines("BTCUSDT", "1m", 1)
        assert (len(bars), bars.source) == (1, "replay:Tage, 20 %�ü")
