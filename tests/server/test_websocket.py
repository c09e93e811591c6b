"""The WebSocket's upgrade over real sockets: section 2."""

from __future__ import annotations

import msgspec
import pytest

from ..serving import OTHER_HTTP, OTHER_WS, STOCK_WS, Served, upgrade

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("path", [OTHER_WS, STOCK_WS])
@pytest.mark.parametrize("bad", ["", "?token=", "?tokens=t", "?x=1"])
async def test_an_upgrade_without_a_token_is_401(full: Served, path: str, bad: str) -> None:
    async with full.raw(upgrade(path, bad)) as raw:
        head = await raw.head()
        assert head.startswith(b"http/1.1 401 ")
        assert b"content-type: application/json\r\n" in head
        assert b"access-control-allow-origin: *\r\n" in head
        assert await raw.rest() == b'{"msg":"token is required","trace":"","ret":401}'


@pytest.mark.parametrize(
    ("bad", "more"),
    [("", "Authorization: Bearer t\r\n"), ("", "Token: t\r\n"), ("?token=t&x=1", ""), ("?x=1&token=t", "")],
)
async def test_an_upgrade_takes_the_token_wherever_it_stands(full: Served, bad: str, more: str) -> None:
    async with full.raw(upgrade(OTHER_WS, bad, more)) as raw:
        assert (await raw.head()).startswith(b"http/1.1 101 ")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/nope", 404), ("/", 404), (OTHER_HTTP, 402), (f"{OTHER_WS}/x", 402), ("/api/x", 402)],
)
async def test_an_upgrade_elsewhere_is_refused_as_json(full: Served, path: str, status: int) -> None:
    async with full.raw(upgrade(path)) as raw:
        assert (await raw.head()).startswith(b"http/1.1 %d " % status)
        assert set(msgspec.json.decode(await raw.rest())) == {"msg", "trace", "ret"}


@pytest.mark.parametrize("path", [OTHER_WS, STOCK_WS])
async def test_a_plain_get_at_a_websocket_path_is_426(full: Served, path: str) -> None:
    response = await full.request("GET", path, params={"token": "t"})
    assert response.status_code == 426
    assert set(response.json()) == {"msg", "trace", "ret"}


@pytest.mark.parametrize(
    "head",
    [
        b"GET %b?token=t HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET %b?token=t HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        b"GET %b?token=t HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n",
        b"POST %b?token=t HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        b"Content-Length: 0\r\n\r\n",
    ],
    ids=["no key", "old version", "bad key", "POST"],
)
async def test_a_broken_handshake_is_refused_and_the_socket_ends(full: Served, head: bytes) -> None:
    async with full.raw(head % OTHER_WS.encode()) as raw:
        status = (await raw.head()).split(b" ")[1:2]
        assert status[0].startswith(b"4")
        await raw.rest()


async def test_a_head_that_asks_for_another_protocol_is_answered_over_http(full: Served) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"
    async with full.raw(head) as raw:
        assert (await raw.head()).startswith(b"http/1.1 200 ")
