"""Who may use the admin API: this machine, administrators, and never a web page."""

from __future__ import annotations

import asyncio
import time

import httpx
import msgspec
import pytest

from tickwire.server.app import make_app

from .desk import HALT, PATH, TOKENS, Desk, bearer, granted

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("nothing_runs")]

FOREIGN_NAMES = """
    evil.example evil.example:8600 127.0.0.1.evil.example localhost.evil.example:80 127.0.0.1@evil.example
    127.0.0.1:80@evil.example evil.example#127.0.0.1 10.0.0.1 0.0.0.0 [::] [::2]:80 2130706433 127.1
"""
FOREIGN_ORIGINS = """
    http://evil.example http://evil.example:8600 https://evil.example http://127.0.0.1:1 http://127.0.0.1
    http://localhost null file:// chrome-extension://abcdefgh http://{host}.evil.example
    http://{host}@evil.example http://evil.example/{host} {host}
"""
PROXY = "forwarded x-forwarded-for x-forwarded-host x-real-ip X-Forwarded-For x-forwarded-proto via"


# From this machine.
async def test_from_this_machine_no_token_is_needed(desk: Desk) -> None:
    begun = await desk.request("POST", PATH, json=HALT)
    assert begun.status_code == 200
    assert begun.headers["content-type"] == "application/json"
    number = begun.json()["number"]
    (running,) = (await desk.request("GET", PATH)).json()["running"]
    assert running == begun.json() | {"seconds": running["seconds"]}
    assert (await desk.request("DELETE", f"{PATH}/{number}")).json() == {"stopped": [number]}
    assert (await desk.request("GET", PATH)).json()["running"] == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost:8600", "[::1]:8600", "127.9.9.9:1"])
async def test_names_of_this_machine(desk: Desk, host: str) -> None:
    assert await desk.status(headers={"host": host}) == 200


@pytest.mark.parametrize("host", [*FOREIGN_NAMES.split(), ""])
async def test_a_name_that_was_bound_anew_to_this_machine(desk: Desk, host: str) -> None:
    """DNS rebinding: the page's own name, which Host tells, leads here."""
    await desk.refuses(403, {"host": host})
    same = {"origin": f"http://{host}", "sec-fetch-site": "same-origin"}
    await desk.refuses(403, {"host": host, **same})


@pytest.mark.parametrize("host", ["[", "[::1", "[x]"])
async def test_a_host_that_is_none(desk: Desk, host: str) -> None:
    assert await desk.status(headers={"host": host}) in (400, 403)


# From a page.
@pytest.mark.parametrize("origin", [*FOREIGN_ORIGINS.split(), ""])
async def test_pages_of_other_origins(desk: Desk, origin: str) -> None:
    await desk.refuses(403, {"origin": origin.format(host=desk.host)})


async def test_an_origin_that_is_none(desk: Desk) -> None:
    await desk.refuses(403, {"origin": "http://["})


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything", ""])
async def test_pages_of_other_sites(desk: Desk, site: str) -> None:
    await desk.refuses(403, {"sec-fetch-site": site})


async def test_its_own_origin_and_whoever_typed_the_address(desk: Desk) -> None:
    own = {"origin": desk.served.url, "sec-fetch-site": "same-origin"}
    for headers in (own, {"sec-fetch-site": "none"}):
        assert await desk.status("POST", json=HALT, headers=headers) == 200


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "text/plain; application/json",
        "text/json",
        "application/json-seq",
        "",
        None,
    ],
)
async def test_what_a_form_can_send(desk: Desk, kind: str | None) -> None:
    headers = {} if kind is None else {"content-type": kind}
    answer = await desk.request("POST", PATH, content=msgspec.json.encode(HALT), headers=headers)
    assert (answer.status_code, list(answer.json())) == (415, ["error"])
    assert desk.served.engine.market.scenarios.running == ()


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/json ;x=1"]
)
async def test_ways_to_write_the_type(desk: Desk, kind: str) -> None:
    headers = {"content-type": kind}
    assert await desk.status("POST", content=msgspec.json.encode(HALT), headers=headers) == 200


@pytest.mark.parametrize("path", [PATH, f"{PATH}/1", "/admin/connections", "/admin", "/admin/x"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", None])
async def test_a_preflight_is_granted_nothing(desk: Desk, path: str, origin: str | None) -> None:
    headers = {
        "origin": origin or desk.served.url,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type, authorization",
        "access-control-request-private-network": "true",
    }
    answer = await desk.request("OPTIONS", path, headers=headers)
    assert answer.status_code >= 400
    assert granted(answer) == []


# Through a proxy.
@pytest.mark.parametrize("name", PROXY.split())
async def test_what_comes_through_a_proxy(desk: Desk, name: str) -> None:
    await desk.refuses(403, {name: "127.0.0.1"})


# With a token.
@pytest.mark.parametrize("which", ["wrong", "ordinary", "expired"])
async def test_a_token_that_is_none_of_an_administrator(guarded: Desk, which: str) -> None:
    await guarded.refuses(401, bearer(which))
    await guarded.refuses(401, {"token": TOKENS[which]})


async def test_any_token_where_there_is_none(desk: Desk) -> None:
    await desk.refuses(401, bearer("t"))


@pytest.mark.parametrize("host", ["quotes.example", "10.0.0.1:8600", "x"])
async def test_an_admin_token_opens_under_any_name_and_through_a_proxy(guarded: Desk, host: str) -> None:
    for token in (bearer("admin"), {"token": TOKENS["admin"]}):
        headers = {"host": host, "x-forwarded-for": "203.0.113.9", **token}
        assert await guarded.status(headers=headers) == 200


async def test_an_admin_token_does_not_open_for_a_page_of_another_site(guarded: Desk) -> None:
    token = bearer("admin")
    await guarded.refuses(403, {**token, "origin": "http://evil.example"})
    await guarded.refuses(403, {**token, "sec-fetch-site": "cross-site"})


async def test_a_token_in_the_url_does_not_count(guarded: Desk) -> None:
    path = f"{PATH}?token={TOKENS['admin']}"
    assert await guarded.status(path=path, headers={"host": "quotes.example"}) == 403


async def test_a_revoked_admin_token_ends(guarded: Desk) -> None:
    secret = guarded.create("brief", admin=True)
    token = guarded.store.find("brief")
    statuses: list[int] = []

    async def until(status: int) -> None:
        async with asyncio.timeout(120):
            while not statuses or statuses[-1] != status:
                statuses.append(await guarded.status(headers=bearer(secret)))

    await until(200)
    guarded.store.revoke(token, int(time.time() * 1000))
    await until(401)


@pytest.mark.parametrize(
    "peer", [("10.0.0.1", 5000), ("192.168.1.2", 1), ("2001:db8::1", 1), ("::ffff:10.0.0.1", 1), ("", 0)]
)
async def test_from_another_machine_only_with_an_admin_token(guarded: Desk, peer: tuple[str, int]) -> None:
    transport = httpx.ASGITransport(
        make_app(guarded.served.engine, guarded.served.server.vitals),
        client=peer,
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8600") as client:
        tokens: list[dict[str, str]] = [{}, bearer("ordinary"), bearer("wrong"), bearer("admin")]
        statuses = [(await client.get(PATH, headers=token)).status_code for token in tokens]
    assert statuses == [403, 401, 401, 200]
