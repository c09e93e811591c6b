"""/v1/markets and /v1/instruments: docs/protocol.md, "Markets and instruments"."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tickwire.access import Token, digest_of, new_id, new_secret
from tickwire.calendars import KEYS, load
from tickwire.config import DATABASE
from tickwire.model import Market
from tickwire.sources import Simulator
from tickwire.store import load_catalogue, open_tokens

from ..calendars.moments import at
from ..serving import PLAIN, Script, Served, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

alone = pytest.mark.asyncio(loop_scope="function")

CATALOGUE = load_catalogue()
MARKETS, INSTRUMENTS = "/v1/markets", "/v1/instruments"
MARKET_FIELDS = (
    "calendar markets instruments timezone state round_the_clock time next_open next_close holidays "
    "known_until expected"
).split()
INSTRUMENT_FIELDS = (
    "code aliases family market calendar state name_en name_cn name_hk exchange currency lot_size "
    "depth_levels price_decimals volume_decimals turnover_decimals last_trade learned negative_prices"
).split()


class Hours(Script):
    """A source whose markets keep their hours, at a time that a test sets."""

    round_the_clock = False

    def __init__(self) -> None:
        super().__init__()
        self.now = at("2026-11-25 15:00")


class Desk:
    """A server and one client for all requests to it."""

    def __init__(self, served: Served, source: Hours, client: httpx.AsyncClient) -> None:
        self.served = served
        self.source = source
        self.client = client

    async def get(self, path: str, **parameters: str) -> Any:
        answer = await self.client.get(path, params={"token": "t", **parameters})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        found = answer.json()
        assert list(found) == ["ret", "msg", "trace", "data"]
        assert (found["ret"], found["msg"], found["trace"]) == (200, "ok", "")
        return found["data"]

    async def markets(self) -> dict[str, dict[str, Any]]:
        return {one["calendar"]: one for one in (await self.get(MARKETS))["market_list"]}

    async def codes(self, search: str) -> list[str]:
        return [one["code"] for one in (await self.get(INSTRUMENTS, search=search))["instrument_list"]]

    async def states(self, *codes: str) -> list[str]:
        """By the server's list of all, which is the same as of one."""
        found = {one["code"]: one["state"] for one in (await self.get(INSTRUMENTS))["instrument_list"]}
        return [found[code] for code in codes]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    source = Hours()
    async with (
        serving(tmp_path_factory.mktemp("hours"), source) as served,
        httpx.AsyncClient(base_url=served.url, verify=PLAIN, timeout=120) as client,
    ):
        yield Desk(served, source, client)


# Shapes.
async def test_a_market(desk: Desk) -> None:
    desk.source.now = at("2026-11-25 15:00")  # the day before Thanksgiving, 10:00 in New York
    data = await desk.get(MARKETS)
    assert list(data) == ["market_list"]
    for one in data["market_list"]:
        assert list(one) == MARKET_FIELDS
    found = await desk.markets()
    assert [*found] == sorted({one.calendar for one in CATALOGUE})
    assert {*found} <= {*KEYS}
    assert sum(one["instruments"] for one in found.values()) == len(CATALOGUE)
    holidays = found["XNYS"].pop("holidays")
    assert found["XNYS"] == {
        "calendar": "XNYS",
        "markets": ["index", "us_stock"],
        "instruments": sum(one.calendar == "XNYS" for one in CATALOGUE),
        "timezone": "America/New_York",
        "state": "open",
        "round_the_clock": False,
        "time": desk.source.now,
        "next_open": at("2026-11-27 04:00", "America/New_York"),
        "next_close": at("2026-11-25 20:00", "America/New_York"),
        "known_until": str(load("XNYS").horizon),
        "expected": [],
    }
    assert "2027-02-08" in found["XSHG"]["expected"]
    assert {"2026-11-26", "2026-12-25", "2027-01-01"} <= {*holidays}
    assert holidays == sorted(holidays)
    assert all(
        "2026-11-25" <= day <= "2027-11-26" and date.fromisoformat(day).weekday() < 5 for day in holidays
    )
    crypto = found["crypto"]
    assert (crypto["state"], crypto["next_open"], crypto["next_close"], crypto["holidays"]) == (
        "open",
        None,
        None,
        [],
    )


async def test_an_instrument(desk: Desk) -> None:
    desk.source.now = at("2026-11-25 15:00")
    data = await desk.get(INSTRUMENTS)
    assert list(data) == ["instrument_list"]
    assert [one["code"] for one in data["instrument_list"]] == [one.code for one in CATALOGUE]
    for one in data["instrument_list"]:
        assert list(one) == INSTRUMENT_FIELDS
    by_code = {one["code"]: one for one in data["instrument_list"]}
    assert by_code["AAPL.US"] == {
        "code": "AAPL.US",
        "aliases": [],
        "family": "stock",
        "market": "us_stock",
        "calendar": "XNYS",
        "state": "open",
        "name_en": "Apple, Inc.",
        "name_cn": "苹果",
        "name_hk": "蘋果",
        "exchange": "NASD",
        "currency": "USD",
        "lot_size": "1",
        "depth_levels": 1,
        "price_decimals": 6,
        "volume_decimals": 0,
        "turnover_decimals": 6,
        "last_trade": None,
        "learned": False,
        "negative_prices": False,
    }
    levels = {code: by_code[code]["depth_levels"] for code in ("700.HK", "600519.SH", "BTCUSDT", "HSI.HK")}
    assert levels == {"700.HK": 10, "600519.SH": 5, "BTCUSDT": 5, "HSI.HK": 0}
    assert (by_code["GOLD"]["aliases"], by_code["Silver"]["aliases"]) == (["XAUUSD"], ["XAGUSD"])


# Search.
@pytest.mark.parametrize(
    ("search", "codes"),
    [
        ("AAPL.US", ["AAPL.US"]),
        ("aapl", ["AAPL.US"]),
        ("tencent hold", ["700.HK"]),
        ("TENCENT  ", ["700.HK"]),
        ("苹果", ["AAPL.US"]),
        ("蘋果", ["AAPL.US"]),
        ("茅台", ["600519.SH"]),
        ("xauusd", ["GOLD"]),
        ("XAGUSD", ["Silver"]),
        ("no such thing", []),
        ("%", []),
        (".*", []),
        ("\x00", []),
    ],
)
async def test_search(desk: Desk, search: str, codes: list[str]) -> None:
    found = await desk.codes(search)
    assert {*codes} <= {*found}
    assert len(found) == len(codes)


async def test_search_for_a_part_gives_all_that_hold_it(desk: Desk) -> None:
    assert await desk.codes(".hk") == [
        one.code
        for one in CATALOGUE
        if ".hk" in f"{one.code}\n{one.name_en}\n{one.name_cn}\n{one.name_hk}".lower()
    ]
    everything = [one.code for one in CATALOGUE]
    for search in ("", "   "):
        assert await desk.codes(search) == everything
    answer = await desk.client.get(f"{INSTRUMENTS}?token=t&search=TENCENT+hold&search=aapl")
    assert [one["code"] for one in answer.json()["data"]["instrument_list"]] == ["700.HK"]
    assert (await desk.client.get(f"{INSTRUMENTS}?token=t&search=%ff%fe")).status_code == 200


@pytest.mark.parametrize(("search", "limit"), [("", "100"), ("", "2000"), (".us", "7"), ("apple", "1")])
async def test_pages_hold_what_the_whole_list_holds(desk: Desk, search: str, limit: str) -> None:
    pages, asked = [], {"search": search, "limit": limit}
    while True:
        page = await desk.get(INSTRUMENTS, **asked)
        codes = [one["code"] for one in page["instrument_list"]]
        pages.append(codes)
        if "next" not in page:
            break
        assert page["next"] == codes[-1]
        asked["after"] = page["next"]
    assert [code for page in pages for code in page] == await desk.codes(search)
    assert all(len(page) == int(limit) for page in pages[:-1])
    assert pages[-1]


@pytest.mark.parametrize(
    ("asked", "msg"),
    [
        ({"limit": "0"}, "limit is '0', expected a whole number from 1 to 2000."),
        ({"limit": "2001"}, "limit is '2001', expected a whole number from 1 to 2000."),
        ({"limit": "-1"}, "limit is '-1', expected a whole number from 1 to 2000."),
        ({"limit": ""}, "limit is '', expected a whole number from 1 to 2000."),
        ({"after": "NO.SUCH"}, "after is 'NO.SUCH', expected a code of this list."),
        ({"after": "x" * 5000}, f"after is '{'x' * 40}', expected a code of this list."),
    ],
)
async def test_a_page_that_is_not_there(desk: Desk, asked: dict[str, str], msg: str) -> None:
    answer = await desk.client.get(INSTRUMENTS, params={"token": "t"} | asked)
    assert (answer.status_code, answer.json()) == (400, {"msg": msg, "trace": "", "ret": 400})


# States.
@pytest.mark.parametrize(
    ("moment", "zone", "states"),
    [  # of AAPL.US, 700.HK, 600519.SH, GOLD, BTCUSDT
        ("2026-11-25 03:59", "America/New_York", "closed closed closed open open"),
        ("2026-11-25 04:00", "America/New_York", "open closed closed open open"),
        ("2026-11-25 19:59", "America/New_York", "open closed closed open open"),
        ("2026-11-25 20:00", "America/New_York", "closed pre-open closed open open"),
        ("2026-11-25 09:30", "Asia/Hong_Kong", "closed open open open open"),
        ("2026-11-25 12:30", "Asia/Hong_Kong", "closed break break open open"),
        ("2026-11-25 13:00", "Asia/Hong_Kong", "closed open open open open"),
        ("2026-11-25 16:30", "Asia/Hong_Kong", "closed closed closed open open"),
        ("2026-11-26 10:00", "America/New_York", "closed closed closed open open"),  # Thanksgiving
        ("2026-11-28 12:00", "UTC", "closed closed closed closed open"),
        ("2026-04-06 10:00", "Asia/Hong_Kong", "closed closed closed open open"),  # Easter Monday, Qingming
        ("2026-07-01 10:00", "Asia/Hong_Kong", "closed closed open open open"),
    ],
)
async def test_states_by_calendar(desk: Desk, moment: str, zone: str, states: str) -> None:
    desk.source.now = at(moment, zone)
    codes = ("AAPL.US", "700.HK", "600519.SH", "GOLD", "BTCUSDT")
    assert " ".join(await desk.states(*codes)) == states
    found = await desk.markets()
    assert " ".join(found[CATALOGUE[code].calendar]["state"] for code in codes) == states
    for key, one in found.items():
        assert one["state"] == load(key).state(desk.source.now)
        for name in ("next_open", "next_close"):
            assert one[name] is None or one[name] > desk.source.now


async def test_the_next_open_and_close_over_a_weekend(desk: Desk) -> None:
    zone = "Asia/Hong_Kong"
    desk.source.now = at("2026-11-28 12:00", zone)
    hong_kong = (await desk.markets())["XHKG"]
    assert (hong_kong["state"], hong_kong["time"]) == ("closed", desk.source.now)
    assert hong_kong["next_open"] == at("2026-11-30 09:30", zone)
    assert hong_kong["next_close"] == at("2026-11-30 12:00", zone)
    desk.source.now = at("2026-11-30 12:15", zone)
    assert (await desk.markets())["XHKG"]["next_open"] == at("2026-11-30 13:00", zone)


async def test_a_scenario_stands_before_the_calendar(desk: Desk) -> None:
    desk.source.now = at("2026-11-25 15:00")
    steps = [{"do": "close-market", "codes": ["BTCUSDT"]}, {"do": "halt", "codes": ["700.HK"]}]
    begun = (await desk.client.post("/admin/scenario", json={"step": steps})).json()
    assert await desk.states("BTCUSDT", "700.HK", "AAPL.US") == ["closed", "halted", "open"]
    await desk.client.delete(f"/admin/scenario/{begun['number']}")
    assert await desk.states("BTCUSDT", "700.HK") == ["open", "closed"]


@alone
@pytest.mark.parametrize("hours", [True, False])
async def test_a_simulator_keeps_hours_if_it_is_told_to(tmp_path: Path, hours: bool) -> None:
    saturday = at("2026-11-28 12:00")
    feed = Simulator(CATALOGUE, ["BTCUSDT", "AAPL.US"], seed=1, rate=1, hours=hours, clock=lambda: saturday)
    async with serving(tmp_path, feed) as served:
        markets = (await served.get(MARKETS)).json()["data"]["market_list"]
        asked = {"token": "t", "search": "AAPL.US"}
        found = (await served.request("GET", INSTRUMENTS, params=asked)).json()["data"]
    (stock,) = found["instrument_list"]
    assert {one["round_the_clock"] for one in markets} == {not hours}
    closed = {one["calendar"] for one in markets if one["state"] == "closed"}
    assert closed == ({one["calendar"] for one in markets} - {"crypto"} if hours else set())
    assert stock["state"] == ("closed" if hours else "open")


# Who may ask.
@pytest.mark.parametrize("path", [MARKETS, INSTRUMENTS])
async def test_as_every_other_endpoint_of_the_api(desk: Desk, path: str) -> None:
    refused = await desk.client.get(path)
    assert (refused.status_code, refused.json()["msg"]) == (401, "token is required")
    by_header = await desk.client.get(
        path, headers={"authorization": "Bearer t", "origin": "http://x.example"}
    )
    assert (by_header.status_code, by_header.headers["access-control-allow-origin"]) == (200, "*")
    posted = await desk.client.post(path, params={"token": "t"}, json={})
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")
    for wrong in (f"{path}/", f"{path}/x", path.upper(), "/v1", "/v1/"):
        answer = await desk.client.get(wrong, params={"token": "t"})
        assert (wrong, answer.status_code) == (wrong, 404 if wrong == path.upper() else 402)
    head = await desk.client.head(path, params={"token": "t"})
    assert (head.status_code, head.content) == (200, b"")


@alone
async def test_a_limited_token_sees_what_it_may_read_and_its_plan_counts(tmp_path: Path) -> None:
    secret = new_secret()
    with open_tokens(tmp_path / DATABASE) as made:
        fields: dict[str, Any] = {"markets": frozenset({Market.METALS}), "codes": frozenset({"AAPL.US"})}
        made.add(Token(id=new_id(), digest=digest_of(secret, made.key()), name="desk", plan="free", **fields))
    now = 1000.0
    async with serving(tmp_path, Hours(), clock=lambda: now) as served:
        answer = await served.get(INSTRUMENTS, token=secret)
        found = answer.json()["data"]["instrument_list"]
        assert {one["code"] for one in found if one["market"] != "metals"} == {"AAPL.US"}
        metals = {one.code for one in CATALOGUE if one.market is Market.METALS}
        assert {one["code"] for one in found if one["market"] == "metals"} == metals
        assert "q=1000;w=86400" in answer.headers["ratelimit-policy"]
        for hidden in ("BTCUSDT", "NO.SUCH"):  # a code that it may not read is none
            now += 60
            answer = await served.request("GET", f"{INSTRUMENTS}?token={secret}&after={hidden}")
            assert answer.json()["msg"] == f"after is '{hidden}', expected a code of this list."
        now += 60
        answer = await served.request("GET", f"{INSTRUMENTS}?token={secret}&limit=1&after=AAPL.US")
        assert "BTCUSDT" not in answer.text
        now += 60
        answer = await served.get(INSTRUMENTS, token=secret)
        statuses = []
        for path in (INSTRUMENTS, MARKETS, MARKETS):  # each by itself once in ten seconds
            answer = await served.get(path, token=secret)
            statuses.append(answer.status_code)
        assert statuses == [429, 200, 429]
        assert answer.json()["msg"] == "too many requests"
        for _ in range(4):  # 2 + 8 in a minute, and no more
            now += 10
            answers = [await served.get(path, token=secret) for path in (INSTRUMENTS, MARKETS)]
            assert [one.status_code for one in answers] == [200, 200]
        now += 10
        assert (await served.get(INSTRUMENTS, token=secret)).status_code == 429
        now += 10
        assert (await served.get(INSTRUMENTS, token=secret)).status_code == 200
        assert (await served.get(MARKETS, token="wrong")).json()["msg"] == "token invalid"
