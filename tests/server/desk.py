"""A server, and one client for all requests to its admin API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tickwire.access import Token, digest_of, new_id, new_secret
from tickwire.config import DATABASE
from tickwire.store import KEY_FILE, SqliteFile, TokenStore

from ..serving import PLAIN, Served, serving

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
        httpx.AsyncClient(base_url=served.url, verify=PLAIN, timeout=120) as client,
    ):
        desk = Desk(served, client, folder)
        yield desk
        desk.file.close()


def bearer(which: str) -> dict[str, str]:
    return {"authorization": f"Bearer {TOKENS.get(which, which)}"}
