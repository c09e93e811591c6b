"""/v1/gaps: docs/protocol.md, "Gaps"."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tickwire.access import Token, digest_of, new_id, new_secret
from tickwire.config import DATABASE
from tickwire.model import Market
from tickwire.sources import Began, Broke
from tickwire.store import open_tokens

from ..serving import PLAIN, Script, Served, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")
alone = pytest.mark.asyncio(loop_scope="function")

PATH = "/v1/gaps"
T0 = 1788480000000  # 2026-09-04T00:00Z
GAPS: list[tuple[str, Market, list[str], int, int | None, int | None]] = [
    ("alltick", Market.CRYPTO, ["BTCUSDT", "ETHUSDT"], T0, T0 + 1000, T0 + 5000),
    ("alltick", Market.US_STOCK, ["AAPL.US"], T0, T0 + 1000, None),
    ("script", Market.METALS, ["GOLD"], T0 + 60_000, T0 + 90_000, None),
    ("script", Market.CRYPTO, ["BTCUSDT"], T0 + 3_600_000, None, None),
]


def fill(served: Served) -> None:
    """Writes the gaps above into the ledger."""
    ledger = served.engine.market.gaps
    for source, market, codes, begin, end, filled in GAPS:
        number = ledger.open(source, market, codes, begin, "lost")
        if end is not None:
            ledger.end(number, end)
        if filled is not None:
            ledger.fill(number, filled)


class Desk:
    """A server whose ledger holds the gaps above, and one client for all requests to it."""

    def __init__(self, served: Served, client: httpx.AsyncClient) -> None:
        self.served = served
        self.client = client

    async def get(self, **parameters: str) -> list[dict[str, Any]]:
        answer = await self.client.get(PATH, params={"token": "t", **parameters})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert list(answer.json()) == ["ret", "msg", "trace", "data"]
        assert (answer.json()["ret"], answer.json()["msg"], answer.json()["trace"]) == (200, "ok", "")
        (found,) = answer.json()["data"].values()
        assert list(answer.json()["data"]) == ["gap_list"]
        return [*found]

    async def begins(self, **parameters: str) -> list[int]:
        """The begins in seconds since T0."""
        return [(one["begin"] - T0) // 1000 for one in await self.get(**parameters)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    async with (
        serving(tmp_path_factory.mktemp("gaps"), Script()) as served,
        httpx.AsyncClient(base_url=served.url, verify=PLAIN, timeout=120) as client,
    ):
        await served.engine.market.gap_entries.drain()  # it ends what an earlier run left open
        fill(served)
        yield Desk(served, client)


@alone
async def test_without_gaps_the_list_is_empty(served: Served) -> None:
    assert (await served.get(PATH)).json()["data"] == {"gap_list": []}


async def test_all_the_newest_first(desk: Desk) -> None:
    lasting, metals, stock, crypto = await desk.get()
    assert list(crypto) == ["source", "market", "codes", "begin", "end", "reason", "filled"]
    assert crypto == {
        "source": "alltick",
        "market": "crypto",
        "codes": ["BTCUSDT", "ETHUSDT"],
        "begin": T0,
        "end": T0 + 1000,
        "reason": "lost",
        "filled": T0 + 5000,
    }
    assert (stock["codes"], stock["filled"]) == (["AAPL.US"], None)
    assert (metals["source"], metals["codes"]) == ("script", ["GOLD"])
    assert (lasting["begin"], lasting["end"], lasting["filled"]) == (T0 + 3_600_000, None, None)


async def test_of_one_code_under_any_of_its_names(desk: Desk) -> None:
    assert [(one["begin"], one["codes"]) for one in await desk.get(code="BTCUSDT")] == [
        (T0 + 3_600_000, ["BTCUSDT"]),
        (T0, ["BTCUSDT"]),
    ]
    assert await desk.begins(code="AAPL.US") == [0]
    assert await desk.get(code="XAUUSD") == await desk.get(code="GOLD") != []
    assert await desk.get(code="700.HK") == []


@pytest.mark.parametrize(
    ("parameters", "begins"),
    [
        ({"from": str(T0 + 1000)}, [3600, 60]),
        ({"from": "2026-09-04T00:01:29Z"}, [3600, 60]),
        ({"from": "2026-09-04T00:01:30Z"}, [3600]),
        ({"from": "2030-01-01"}, [3600]),
        ({"to": str(T0)}, []),
        ({"to": "2026-09-04 00:01"}, [0, 0]),
        ({"to": "2026-09-04T02:01:00.001+02:00"}, [60, 0, 0]),
        ({"from": str(T0 + 50_000), "to": str(T0 + 61_000)}, [60]),
        ({"from": "0", "to": "9" * 15}, [3600, 60, 0, 0]),
        ({"from": "0001-01-01", "to": "9999-12-31"}, [3600, 60, 0, 0]),
        ({"limit": "1"}, [3600]),
        ({"limit": "1000"}, [3600, 60, 0, 0]),
        ({"limit": "2", "to": str(T0 + 1)}, [0, 0]),
        ({"other": "x"}, [3600, 60, 0, 0]),
    ],
    ids=str,
)
async def test_between_times_and_not_too_many(
    desk: Desk, parameters: dict[str, str], begins: list[int]
) -> None:
    assert await desk.begins(**parameters) == begins


async def test_a_hundred_unless_asked_otherwise(desk: Desk) -> None:
    for n in range(150):
        desk.served.engine.market.gaps.open("many", Market.FOREX, ["EURUSD"], n, "x")
    assert len(await desk.get(code="EURUSD")) == 100
    assert len(await desk.get(code="EURUSD", limit="1000")) == 150


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"from": ""}, "from is '', expected milliseconds or a time such as 2026-11-22T09:30Z."),
        ({"from": "yesterday"}, "from is 'yesterday', expected milliseconds"),
        ({"to": "-1"}, "to is '-1', expected milliseconds"),
        ({"to": "1e9"}, "to is '1e9', expected milliseconds"),
        ({"to": "9" * 100}, "to is '9999999999999999999999999999999999999999', expected"),
        ({"to": "٣"}, "to is '٣', expected milliseconds"),
        ({"from": "2026-02-30"}, "from is '2026-02-30', expected milliseconds"),
        ({"from": "\x00"}, "from is '\\x00', expected milliseconds"),
        ({"from": "2", "to": "1"}, "to lies before from."),
        ({"to": "0001-01-01"}, "to lies before from."),
        *(
            ({"limit": limit}, f"limit is '{limit}', expected a whole number from 1 to 1000.")
            for limit in ("0", "1001", "-1", "x", "", "1.5", "9" * 40)
        ),
    ],
    ids=str,
)
async def test_bad_parameters_are_told(desk: Desk, parameters: dict[str, str], text: str) -> None:
    answer = await desk.client.get(PATH, params={"token": "t", **parameters})
    assert (answer.status_code, [*answer.json()]) == (400, ["msg", "trace", "ret"])
    assert answer.json()["ret"] == 400
    assert answer.json()["msg"].startswith(text)


async def test_unknown_codes_are_600(desk: Desk) -> None:
    for code in ("NOPE", "", "btcusdt", "x" * 1000, "%"):
        answer = await desk.client.get(PATH, params={"token": "t", "code": code})
        assert (answer.status_code, answer.json()) == (200, {"msg": "code invalid", "trace": "", "ret": 600})


async def test_as_every_other_endpoint_of_the_api(desk: Desk) -> None:
    refused = await desk.client.get(PATH)
    assert (refused.status_code, refused.json()["msg"]) == (401, "token is required")
    posted = await desk.client.post(PATH, params={"token": "t"}, json={})
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")
    head = await desk.client.head(PATH, params={"token": "t"})
    assert (head.status_code, head.content) == (200, b"")


@alone
async def test_a_limited_token_sees_what_it_may_read_and_its_plan_counts(tmp_path: Path) -> None:
    secret = new_secret()
    with open_tokens(tmp_path / DATABASE) as made:
        fields: dict[str, Any] = {"markets": frozenset({Market.METALS}), "codes": frozenset({"BTCUSDT"})}
        made.add(Token(id=new_id(), digest=digest_of(secret, made.key()), name="desk", plan="free", **fields))
    now = 1000.0
    async with serving(tmp_path, Script(), clock=lambda: now) as served:
        fill(served)
        answer = await served.get(PATH, token=secret)
        assert [one["codes"] for one in answer.json()["data"]["gap_list"]] == [
            ["BTCUSDT"],
            ["GOLD"],
            ["BTCUSDT"],
        ]
        assert "q=1000;w=86400" in answer.headers["ratelimit-policy"]
        assert (await served.get(PATH, token=secret)).status_code == 429
        for code, ret in (("AAPL.US", 604), ("NOPE", 600), ("GOLD", 200)):
            now += 10
            asked = {"token": secret, "code": code}
            assert (await served.request("GET", PATH, params=asked)).json()["ret"] == ret
        assert (await served.get(PATH, token="wrong")).json()["msg"] == "token invalid"


@alone
async def test_an_outage_of_a_source_is_a_gap(served: Served, script: Script) -> None:
    async def until(whole: bool) -> dict[str, Any]:
        async with asyncio.timeout(120):
            while True:
                found = (await served.get(PATH)).json()["data"]["gap_list"]
                if found and whole is (found[0]["end"] is not None):
                    return dict(found[0])
                await asyncio.sleep(0.01)

    script.now = T0
    script.emit(Began(("BTCUSDT",), T0), Broke(("BTCUSDT",), T0 + 5, "connection lost"))
    gap = {"source": "script", "market": "crypto", "codes": ["BTCUSDT"], "begin": T0 + 5}
    assert await until(whole=False) == gap | {"end": None, "reason": "connection lost", "filled": None}
    script.emit(Began(("BTCUSDT",), T0 + 9))
    assert await until(whole=True) == gap | {"end": T0 + 9, "reason": "connection lost", "filled": None}


@alone
async def test_strict_protocol_knows_no_aliases(tmp_path: Path) -> None:
    async with serving(tmp_path, Script(), strict_protocol=True) as served:
        asked = {"token": "t", "code": "XAUUSD"}
        assert (await served.request("GET", PATH, params=asked)).json()["ret"] == 600


@alone
async def test_a_ledger_that_cannot_be_read_is_500(monkeypatch: pytest.MonkeyPatch, served: Served) -> None:
    monkeypatch.setattr("tickwire.market.bars.batches.FINAL_WAIT", 0.0)  # nothing can be written at the end
    served.engine.database.close()
    answer = await served.get(PATH)
    assert (answer.status_code, answer.json()) == (500, {"msg": "server error", "trace": "", "ret": 500})
    assert (await served.get("/v1/markets")).status_code == 200
