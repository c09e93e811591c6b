"""Data that older versions have left opens with this one, and holds what it held.

`tests/fixtures/VERSION` is made by a server of that version, as by `tests/fixtures/make_0_1.py`, and never
made anew. The texts of its tokens stand in `expected.json`: they let in nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from .cli.commands import tickwire
from .serving import DEPTH, OTHER_HTTP, STOCK_HTTP, TRADE, Served, serving

VERSIONS = sorted((Path(__file__).parent / "fixtures").glob("[0-9]*"))
SOURCES = ["simulator=BTCUSDT", "publish"]


@pytest.fixture(params=VERSIONS, ids=lambda path: str(path.name))
def version(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.fixture
def expected(version: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((version / "expected.json").read_text("utf-8"))
    return found


@contextlib.asynccontextmanager
async def opened(original: Path, folder: Path) -> AsyncIterator[Served]:
    """A server on a copy of a data directory."""
    shutil.copytree(original, folder)
    async with serving(folder, source=SOURCES) as served:
        yield served


async def data(served: Served, path: str, query: object, token: str) -> Any:
    answer = await served.get(path, {"data": query}, token=token)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def check_bars(served: Served, asked: list[dict[str, Any]], token: str) -> None:
    for one in asked:
        found = (await data(served, f"{one['base']}/kline", one["query"], token))["kline_list"]
        assert found == one["bars"], one["query"]


# What a server left that was stopped.
async def test_tokens_are_let_in_as_before(version: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    async with opened(version / "data", tmp_path / "data") as served:
        for name, one in expected["tokens"].items():
            for path in (OTHER_HTTP, STOCK_HTTP) if one.get("refused") else ():
                answer = await served.get(f"{path}/static_info", token=one["text"])
                assert answer.status_code == 401, name
            for code in one.get("reads", []):
                query = {"code": code, "kline_type": 8, "kline_timestamp_end": 0, "query_kline_num": 1}
                await data(served, f"{OTHER_HTTP}/kline", query, one["text"])
            for code in one.get("not", []):
                query = {"code": code, "kline_type": 8, "kline_timestamp_end": 0, "query_kline_num": 1}
                answer = await served.get(f"{OTHER_HTTP}/kline", {"data": query}, token=one["text"])
                assert answer.json()["ret"] == 604, name
            headers = {"authorization": f"Bearer {one['text']}"}
            published = await served.request("GET", "/v1/publish", headers=headers)
            wanted = 401 if one.get("refused") else 200 if one.get("publish") else 403
            assert published.status_code == wanted, name
            if one.get("publish"):
                assert published.json()["data"]["seq"] == expected["seq"]
        answer = await served.get(f"{OTHER_HTTP}/static_info", token="never made")
        assert answer.status_code == 401


async def test_bars_gaps_suspensions_and_instruments_are_there(
    version: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    token = expected["tokens"]["plain"]["text"]
    async with opened(version / "data", tmp_path / "data") as served:
        await check_bars(served, expected["bars"], token)
        parameters = {"token": token}
        gaps = (await served.request("GET", "/v1/gaps", params=parameters)).json()["data"]["gap_list"]
        before = {gap["begin"] for gap in expected["gaps"]}
        assert [gap for gap in gaps if gap["begin"] in before] == expected["gaps"]
        for name, wanted in expected["suspensions"].items():
            answer = await served.request("GET", f"/api/suspension/{name}", params=parameters)
            assert answer.json()["data"] == wanted, name
        found = await served.request("GET", "/v1/instruments", params=parameters | {"search": "MYIDX"})
        (instrument,) = found.json()["data"]["instrument_list"]
        assert (instrument["code"], instrument["price_decimals"]) == ("MYIDX", 3)


async def test_sequences_go_on_above_all_that_was_given(
    version: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    before = int((version / "data" / "epoch").read_text("ascii").split()[0])
    async with (
        opened(version / "data", tmp_path / "data") as served,
        served.link(token=expected["tokens"]["plain"]["text"]) as link,
    ):
        await link.subscribe(TRADE, "BTCUSDT")
        assert (await link.push())["data"]["seq"] > before


async def test_its_key_is_known_from_now_on(version: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with opened(version / "data", folder):
        pass
    key = bytearray((folder / "token.key").read_bytes())
    key[0] ^= 1
    (folder / "token.key").write_bytes(key)
    ended = await tickwire(tmp_path, "serve", "--port", "0", "--data-dir", str(folder))
    assert (ended.status, ended.out) == (1, "")
    assert "is not the key that the tokens were made with" in ended.err.splitlines()[-1]


async def test_the_command_line_reads_it(version: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(version / "data", folder)
    where = ("--data-dir", str(folder))
    tokens = (await tickwire(tmp_path, "token", "list", "--json", *where)).records
    states = {one["name"]: one["state"].partition(" ")[0] for one in tokens}
    assert states == {
        **dict.fromkeys(("plain", "publish", "admin", "narrow", "rotated"), "valid"),
        "revoked": "revoked",
        "expired": "expired",
    }
    listed = json.loads((await tickwire(tmp_path, "suspend", "list", "--json", *where)).out)
    assert len(listed) == sum(len(wanted) for wanted in expected["suspensions"].values())


# What a killed one left.
async def test_what_was_in_the_log_of_a_killed_server_is_there(
    version: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    wanted = expected["killed"]
    assert (version / "killed" / "tickwire.db-wal").stat().st_size
    async with opened(version / "killed", tmp_path / "data") as served:
        await check_bars(served, wanted["bars"], wanted["plain"])
        headers = {"authorization": f"Bearer {wanted['publish']}"}
        standing = (await served.request("GET", "/v1/publish", headers=headers)).json()["data"]
        assert standing["seq"] == wanted["seq"]
        parameters = {"token": wanted["plain"]}
        answer = await served.request("GET", "/api/suspension/nyse", params=parameters)
        assert [one["symbol"] for one in answer.json()["data"]] == ["IBM"]


# What was recorded.
def trade_in(fields: dict[str, Any]) -> tuple[str, Decimal, Decimal]:
    """A trade that was published, or pushed."""
    time = str(fields.get("tick_time") or fields["time"])
    return time, Decimal(fields["price"]), Decimal(fields["volume"])


def book_in(fields: dict[str, Any]) -> tuple[str, list[Decimal]]:
    """A book that was published, or pushed."""
    levels = [*fields["bids"], *fields["asks"]]
    pairs = [[*level.values()] if isinstance(level, dict) else level for level in levels]
    return str(fields.get("tick_time") or fields["time"]), [Decimal(one) for pair in pairs for one in pair]


async def test_a_recording_holds_what_it_held(
    version: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "ticks"
    shutil.copytree(version / "recording", folder)
    info = json.loads((await tickwire(tmp_path, "record", "info", str(folder), "--json")).out)
    wanted = expected["recording"]["info"]
    assert {name: info[name] for name in wanted} == wanted
    assert info["unsealed_bytes"]


async def test_a_recording_is_replayed_with_what_the_journal_of_a_killed_server_holds(
    version: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    wanted, folder = expected["recording"], tmp_path / "ticks"
    shutil.copytree(version / "recording", folder)
    async with serving(tmp_path / "a", source=["publish"], record=folder):
        pass  # which seals it
    replay: dict[str, Any] = {"source": ["replay"], "file": [folder], "codes": ["GOLD"]}
    async with (
        serving(tmp_path / "b", **replay, speed=0, hold=True, snapshot_on_subscribe=False) as served,
        served.link() as link,
    ):
        await link.subscribe(DEPTH, "GOLD")
        await link.subscribe(TRADE, "GOLD")
        async with asyncio.timeout(120):
            while len(link.pushes) < len(wanted["trades"]) + len(wanted["books"]):
                await link.recv()
    trades = [one["data"] for one in link.pushes if one["cmd_id"] == 22998]
    books = [one["data"] for one in link.pushes if one["cmd_id"] == 22999]
    assert [*map(trade_in, trades)] == [*map(trade_in, wanted["trades"])]
    assert [*map(book_in, books)] == [*map(book_in, wanted["books"])]
