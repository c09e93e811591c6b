"""The admin API: who may use it, what it takes, what it answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from tickwire.access import Token, digest_of, new_id, new_secret
from tickwire.config import DATABASE
from tickwire.sandbox import library
from tickwire.server.app import make_app
from tickwire.store import KEY_FILE, SqliteFile, TokenStore
from tickwire.wire import MAX_MESSAGE

from ..serving import PLAIN, STOCK_WS, Served, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/admin/scenario"
TOKENS: dict[str, str] = {}
HALT = {"step": [{"do": "halt", "codes": ["AAPL.US"]}]}
ROUTES = [
    ("GET", PATH),
    ("HEAD", PATH),
    ("POST", PATH),
    ("DELETE", PATH),
    ("DELETE", f"{PATH}/1"),
    ("GET", "/admin/connections"),
]
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


class Desk:
    """A server, one client for all requests to it, and the tokens that it knows."""

    def __init__(self, served: Served, client: httpx.AsyncClient, folder: Path) -> None:
        self.served = served
        self.request = client.request
        self.file = SqliteFile(folder / DATABASE)
        self.store = TokenStore(self.file, folder / KEY_FILE)
        self.host = served.url.removeprefix("http://")

    def create(self, name: str, **fields: Any) -> str:
        """Makes a token and returns its text."""
        secret = new_secret()
        digest = digest_of(secret, self.store.key())
        self.store.add(Token(id=new_id(), digest=digest, name=name, plan="unlimited", **fields))
        return secret

    async def status(self, method: str = "GET", path: str = PATH, **options: Any) -> int:
        return (await self.request(method, path, **options)).status_code

    async def refuses(self, status: int, headers: dict[str, str]) -> None:
        """Asserts that no route answers, that nothing begins, and that a page may not read why."""
        for method, path in ROUTES:
            posts = method == "POST"
            given = ({"content-type": "application/json"} if posts else {}) | headers
            content = msgspec.json.encode(HALT) if posts else None
            answer = await self.request(method, path, headers=given, content=content)
            assert (method, answer.status_code) == (method, status)
            assert method == "HEAD" or list(answer.json()) == ["error"]
            assert granted(answer) == []
        assert self.served.engine.market.scenarios.running == ()


def granted(answer: httpx.Response) -> list[str]:
    """What a page of another origin is allowed."""
    return [name for name in answer.headers if name.startswith("access-control")]


@asynccontextmanager
async def desk_in(folder: Path) -> AsyncIterator[Desk]:
    async with (
        serving(folder, codes=["BTCUSDT"]) as served,
        httpx.AsyncClient(base_url=served.url, verify=PLAIN) as client,
    ):
        desk = Desk(served, client, folder)
        yield desk
        desk.file.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A server without tokens."""
    async with desk_in(tmp_path_factory.mktemp("open")) as desk:
        yield desk


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A server with tokens."""
    async with desk_in(tmp_path_factory.mktemp("guarded")) as desk:
        TOKENS.update(
            admin=desk.create("boss", admin=True),
            ordinary=desk.create("desk"),
            expired=desk.create("gone", admin=True, expires=1),
            wrong="tw_wrong",
        )
        await desk.served.engine.gateway.admission.refresh()
        yield desk


@pytest.fixture(autouse=True)
async def nothing_runs(desk: Desk, guarded: Desk) -> AsyncIterator[None]:
    """Each test leaves as it came."""
    yield
    for scenarios in (desk.served.engine.market.scenarios, guarded.served.engine.market.scenarios):
        for run in scenarios.running:
            scenarios.stop(run.number)


def bearer(which: str) -> dict[str, str]:
    return {"authorization": f"Bearer {TOKENS.get(which, which)}"}


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
        async with asyncio.timeout(20):
            while not statuses or statuses[-1] != status:
                statuses.append(await guarded.status(headers=bearer(secret)))

    await until(200)
    guarded.store.revoke(token, int(time.time() * 1000))
    await until(401)


@pytest.mark.parametrize(
    "peer", [("10.0.0.1", 5000), ("192.168.1.2", 1), ("2001:db8::1", 1), ("::ffff:10.0.0.1", 1), ("", 0)]
)
async def test_from_another_machine_only_with_an_admin_token(guarded: Desk, peer: tuple[str, int]) -> None:
    transport = httpx.ASGITransport(make_app(guarded.served.engine), client=peer)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8600") as client:
        tokens: list[dict[str, str]] = [{}, bearer("ordinary"), bearer("wrong"), bearer("admin")]
        statuses = [(await client.get(PATH, headers=token)).status_code for token in tokens]
    assert statuses == [403, 401, 401, 200]


# What it takes.
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"hello",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"step": [{"do": "jump", "percent": NaN}]}',
        b'{"step": [{"do": "jump", "percent": Infinity}]}',
        b'{"step": [{"do": "jump", "percent": 1e400}]}',
        b'{"step": [{"do": "halt", "at": 1e999}]}',
        b'{"step": [{"do": "halt", "at": -1}]}',
        b'{"step": [{"do": "halt", "codes": ["NOPE"]}]}',
        b'{"step": [{"do": "halt", "codes": "AAPL.US"}]}',
        b'{"step": [{"do": "explode"}]}',
        b'{"step": [{"do": "burst", "times": 9' + b"9" * 5000 + b"}]}",
        b'{"step": [{"do": "clock", "to": "1999-01-01T00:00:00Z"}]}',
        b'{"step": []}',
        b'{"name": "halt-and-resume", "seed": 1}',
        b'{"name": "\\ud800"}',
        b'{"name": "no-such-scenario"}',
        b'{"name": "../scenarios/halt-and-resume"}',
        b'{"name": "/etc/passwd"}',
        b'{"name": ["halt-and-resume"]}',
        b'{"name": null}',
    ],
    ids=lambda body: repr(body[:40]),
)
async def test_bodies_that_are_no_scenario(desk: Desk, body: bytes) -> None:
    answer = await desk.request("POST", PATH, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert 10 < len(answer.json()["error"]) < 2000
    assert desk.served.engine.market.scenarios.running == ()


async def test_a_body_that_is_too_large(desk: Desk) -> None:
    headers = {"content-type": "application/json"}
    for size, status in ((MAX_MESSAGE, 400), (MAX_MESSAGE + 1, 413)):
        answer = await desk.request("POST", PATH, content=b" " * size, headers=headers)
        assert (answer.status_code, list(answer.json())) == (status, ["error"])


# What it answers.
async def test_a_scenario_by_its_name_and_the_list(desk: Desk) -> None:
    first = (await desk.request("POST", PATH, json={"name": "halt-and-resume"})).json()
    given = {
        "name": "mine",
        "description": "d",
        "step": [{"do": "gap", "for": 60}, {"do": "gap", "at": 9}],
    }
    second = (await desk.request("POST", PATH, json=given)).json()
    assert second["number"] == first["number"] + 1
    listed = (await desk.request("GET", PATH)).json()
    assert listed["library"] == {name: one.description for name, one in library().items()}
    now = [run.pop("seconds") for run in listed["running"]]
    assert all(0 <= run.pop("seconds") <= then for run, then in zip((first, second), now, strict=True))
    assert listed["running"] == [first, second]
    assert (first["name"], first["description"]) == (
        "halt-and-resume",
        library()["halt-and-resume"].description,
    )
    assert first["active"] == []  # it begins after five seconds
    assert [step["do"] for step in first["ahead"]] == ["halt"]
    active, ahead = [{"do": "gap", "for": 60.0}], [{"do": "gap", "at": 9.0}]
    given = {"name": "mine", "description": "d", "active": active, "ahead": ahead}
    assert second == {"number": second["number"], **given}
    assert (await desk.request("DELETE", PATH)).json() == {"stopped": [first["number"], second["number"]]}
    assert (await desk.request("DELETE", PATH)).json() == {"stopped": []}


@pytest.mark.parametrize("number", ["0", "99999", "x", "-1", "1.0", "9" * 400, "%31%00", "٣"])
async def test_to_stop_what_does_not_run(desk: Desk, number: str) -> None:
    answer = await desk.request("DELETE", f"{PATH}/{number}")
    assert (answer.status_code, list(answer.json())) == (404, ["error"])


async def test_a_number_is_not_used_twice(desk: Desk) -> None:
    numbers = []
    for _ in range(3):
        numbers.append((await desk.request("POST", PATH, json=HALT)).json()["number"])
        answers = [await desk.request("DELETE", f"{PATH}/{numbers[-1]}") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 404]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]


async def test_connections_without_their_tokens(desk: Desk, guarded: Desk) -> None:
    async with guarded.served.link(STOCK_WS, TOKENS["ordinary"]), desk.served.link(token="secret-text"):
        (one,) = (await guarded.request("GET", "/admin/connections")).json()["connections"]
        shown = await desk.request("GET", "/admin/connections")
    assert (one["token"], one["plan"], one["family"]) == ("desk", "unlimited", "stock")
    assert 0 <= one["silent_seconds"] < 10
    assert 0 <= one["seconds"] < 10
    assert [one["token"] for one in shown.json()["connections"]] == [None]
    assert "secret-text" not in shown.text


async def test_tokens_that_a_step_names_are_not_shown(desk: Desk) -> None:
    step = {"do": "expire-token", "tokens": ["secret-text"]}
    begun = await desk.request("POST", PATH, json={"step": [step]})
    assert begun.status_code == 200
    assert "secret-text" not in begun.text + (await desk.request("GET", PATH)).text
