"""The documents: their pages, and a server that has nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette

from tickwire.server.documents import Documents
from tickwire.server.documents.page import Page, Piece, read_page
from tickwire.server.documents.search import Search
from tickwire.server.documents.shelf import Shelf

DOCS = Path(__file__).parents[3] / "docs"
NAMES = sorted(path.stem for path in DOCS.glob("*.md"))


@cache
def shelf() -> Shelf:
    """The pages, read when a test asks for them."""
    return Shelf()


def pieces() -> list[Piece]:
    return [piece for page in shelf().pages.values() for piece in page.pieces]


@cache
def search() -> Search:
    return Search(pieces())


class Html(HTMLParser):
    """What a page links to, what can be linked to, and its tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.add(tag)
        self.attributes |= found.keys()
        self.ids += [found["id"] or ""] if "id" in found else []
        self.links += [found["href"] or ""] if tag == "a" else []


class Ready(uvicorn.Server):
    """A server that tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()


@contextlib.asynccontextmanager
async def serving(documents: Documents) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server that has nothing but the documents."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    app = Starlette(routes=documents.routes())
    server = Ready(uvicorn.Config(app, lifespan="off", log_config=None))
    running = asyncio.create_task(server.serve([listener]))
    try:
        await server.listens.wait()
        host, port = listener.getsockname()
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=120) as client:
            yield client
    finally:
        server.should_exit = True
        await running


async def ask(client: httpx.AsyncClient, question: str, page: str = "/docs.md") -> list[str]:
    """The links of the excerpts that answer."""
    answer = await client.get(page, params={"ask": question})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert "full-text search" in answer.text.splitlines()[0]
    assert "not an answer by a person or a model" in answer.text.splitlines()[0]
    return re.findall(r"^## \[.*\]\((/docs/.*)\)$", answer.text, re.MULTILINE)


def page(text: str, *names: str) -> Page:
    return read_page("mine", text, names)
