"""Who may publish: this machine, tokens that may, and never a web page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tickwire.config import DATABASE
from tickwire.model import Market
from tickwire.store import open_tokens

from ..serving import Raw, upgrade
from .publishing import NDJSON, NEW, PATH, Desk, a_token, a_trade, desk_in, packed

pytestmark = pytest.mark.asyncio(loop_scope="module")
FOLDER: dict[str, Path] = {}
TOKENS: dict[str, str] = {}
ORIGINS = ["http://evil.example", "http://127.0.0.1:1", "http://localhost", "null", "file://", "{host}.evil"]
PROXIED = ["forwarded", "x-forwarded-for", "x-real-ip", "via"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A server without tokens."""
    async with desk_in(tmp_path_factory.mktemp("open")) as desk:
        yield desk


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A server with tokens."""
    folder = FOLDER["guarded"] = tmp_path_factory.mktemp("guarded")
    async with desk_in(folder) as desk:
        TOKENS.update(
            desk=a_token(folder, publish=True),
            reader=a_token(folder),
            admin=a_token(folder, admin=True),
            expired=a_token(folder, publish=True, expires=1),
            gold=a_token(folder, publish=True, codes=frozenset({"GOLD"})),
            forex=a_token(folder, publish=True, markets=frozenset({Market.FOREX})),
            wrong="tw_wrong",
        )
        await desk.served.engine.gateway.check_tokens()
        yield desk


def bearer(which: str) -> dict[str, str]:
    return {"authorization": f"Bearer {TOKENS[which]}"}


async def refused(desk: Desk, status: int, query: str = "", **headers: str) -> list[str]:
    """Asserts that neither a body nor an upgrade passes, and that no page may read why; the texts."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    before = desk.served.engine.market.feeds.first.events
    texts = []
    for method in ("POST", "GET"):
        content = packed(a_trade()) if method == "POST" else None
        answer = await desk.client.request(method, PATH + query, content=content, headers=NDJSON | named)
        assert (method, answer.status_code) == (method, status)
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.json()["ret"] == status
        texts.append(answer.json()["msg"])
    more = "".join(f"{name}: {value}\r\n" for name, value in named.items() if name != "host")
    host = named.get("host", "127.0.0.1")
    hello = upgrade(PATH, query, more).replace(b"Host: x", b"Host: " + host.encode())
    async with desk.served.raw(hello) as raw:
        head = await raw.head()
    assert head.split(b" ")[1] == str(status).encode()
    assert b"access-control" not in head
    assert desk.served.engine.market.feeds.first.events == before
    return texts


# Without tokens.
async def test_from_this_machine_no_token_is_needed(desk: Desk) -> None:
    assert (await desk.data(packed(a_trade())))["accepted"] == 1
    assert (await desk.data(packed(a_trade()), host="localhost:1"))["accepted"] == 1
    async with desk.socket() as talk:
        assert (await talk.send(a_trade()))["accepted"] == 1


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::2]:80", "0.0.0.0"]
)
async def test_a_name_that_was_bound_anew_to_this_machine(desk: Desk, host: str) -> None:
    await refused(desk, 403, host=host)
    await refused(desk, 403, "?token=any", host=host)


@pytest.mark.parametrize("header", PROXIED)
async def test_through_a_proxy(desk: Desk, header: str) -> None:
    await refused(desk, 403, **{header: "127.0.0.1"})


# Pages.
@pytest.mark.parametrize("origin", ORIGINS)
async def test_a_page_of_another_origin(desk: Desk, guarded: Desk, origin: str) -> None:
    for one in (desk, guarded):
        host = one.served.url.removeprefix("http://")
        token = {"authorization": bearer("desk")["authorization"]} if one is guarded else {}
        await refused(one, 403, origin=origin.format(host=host), host=host, **token)


async def test_a_page_of_another_site(desk: Desk) -> None:
    await refused(desk, 403, sec_fetch_site="cross-site")


async def test_a_preflight_grants_nothing(desk: Desk) -> None:
    answer = await desk.client.options(
        PATH,
        headers={
            "origin": "http://evil.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        },
    )
    assert answer.status_code in (403, 405)
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_page_of_this_server(desk: Desk) -> None:
    assert (await desk.data(packed(a_trade()), origin=desk.served.url))["accepted"] == 1
    async with desk.socket(origin=desk.served.url) as talk:
        assert (await talk.send(a_trade()))["accepted"] == 1


# With tokens.
async def test_a_token_in_each_of_its_places(guarded: Desk) -> None:
    secret = TOKENS["desk"]
    for query, headers in (
        ("", bearer("desk")),
        ("", {"token": secret}),
        (f"?token={secret}", {}),
    ):
        answer = await guarded.client.post(PATH + query, content=packed(a_trade()), headers=NDJSON | headers)
        assert answer.json()["data"]["accepted"] == 1
        async with guarded.socket(query, additional_headers=headers) as talk:
            assert (await talk.send(a_trade()))["accepted"] == 1


@pytest.mark.parametrize(
    ("which", "status"), [("reader", 403), ("admin", 403), ("expired", 401), ("wrong", 401)]
)
async def test_a_token_that_may_not(guarded: Desk, which: str, status: int) -> None:
    texts = await refused(guarded, status, **bearer(which))
    assert all(TOKENS[which] not in text for text in texts)


async def test_from_this_machine_a_token_is_needed_once_there_are_some(guarded: Desk) -> None:
    await refused(guarded, 401)


async def test_from_elsewhere_a_token_is_enough(guarded: Desk) -> None:
    await_headers = bearer("desk") | {"host": "data.example", "x-forwarded-for": "203.0.113.9"}
    answer = await guarded.client.post(PATH, content=packed(a_trade()), headers=NDJSON | await_headers)
    assert answer.status_code == 200


async def test_a_token_publishes_what_it_may_read(guarded: Desk) -> None:
    lines = packed(a_trade(), a_trade(code="GOLD"), NEW, a_trade(code="EURUSD", price="1.1"))
    bad = {}
    for which in ("gold", "forex"):
        answer = await guarded.client.post(PATH, content=lines, headers=NDJSON | bearer(which))
        bad[which] = {one["line"]: one["reason"] for one in answer.json()["data"]["bad"]}
    assert bad["gold"].keys() == {1, 3, 4}
    assert bad["forex"].keys() == {1, 2, 3}
    assert bad["gold"][1] == "the token may not publish BTCUSDT"


async def test_each_token_has_a_sequence_of_its_own(guarded: Desk) -> None:
    async def seq_of(which: str) -> tuple[str, int]:
        standing = (await guarded.client.get(PATH, headers=bearer(which))).json()["data"]
        return standing["publisher"], standing["seq"]

    await guarded.client.post(PATH, content=packed(a_trade(70)), headers=NDJSON | bearer("desk"))
    one, other = await seq_of("desk"), await seq_of("gold")
    assert one[1] == 70
    assert other[1] == 0
    assert one[0] != other[0]


async def test_a_revoked_token_ends_its_connection_and_its_body(guarded: Desk) -> None:
    secret = a_token(FOLDER["guarded"], name="leaving", publish=True)
    await guarded.served.engine.gateway.check_tokens()
    hello = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nToken: {secret}\r\nContent-Type: application/json\r\n"
    async with (
        guarded.socket(additional_headers={"token": secret}) as talk,
        guarded.served.raw(f"{hello}Transfer-Encoding: chunked\r\n\r\n".encode()) as raw,
    ):
        assert (await talk.send(a_trade(1)))["accepted"] == 1
        await chunk(raw, packed(a_trade(2)) + b"\n")
        with open_tokens(FOLDER["guarded"] / DATABASE) as store:
            store.revoke(store.find("leaving"), 1)
        await guarded.served.engine.gateway.check_tokens()
        with pytest.raises(ConnectionClosed) as ended:
            await talk.answer()
        assert ended.value.rcvd is not None
        assert (ended.value.rcvd.code, ended.value.rcvd.reason) == (1008, "token revoked")
        await chunk(raw, packed(a_trade(3)) + b"\n")
        assert b" 401 " in await raw.head()


async def chunk(raw: Raw, data: bytes) -> None:
    await raw.send(b"%x\r\n%s\r\n" % (len(data), data))


async def test_the_first_token_ends_what_needed_none(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("first")
    async with desk_in(folder) as desk, desk.socket() as talk:
        await talk.send(a_trade())
        a_token(folder)
        await desk.served.engine.gateway.check_tokens()
        with pytest.raises(ConnectionClosed) as ended:
            await talk.answer()
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 1008


async def test_where_nothing_is_published(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with desk_in(tmp_path_factory.mktemp("simulator"), source="simulator") as desk:
        assert isinstance(desk.client, httpx.AsyncClient)
        with pytest.raises(InvalidStatus) as answered:
            async with desk.socket():
                pass
        assert answered.value.response.status_code == 404
