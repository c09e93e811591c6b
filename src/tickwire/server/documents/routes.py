"""The routes of the documents. All are open to everybody and take nothing but GET and HEAD."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from ..guard import Denied
from .frame import found_html, index_html, missing_html, nearest, page_html, refused_html
from .search import LONGEST_QUESTION, Found, Search, Unavailable
from .shelf import FOLDER, Shelf
from .texts import EXCERPTS, excerpts, llms, llms_full

STYLE = Path(__file__).parent / "style.css"
SECURITY = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Headers of every answer: no script at all, and nothing of another origin."""
HTML, MARKDOWN, PLAIN = "text/html", "text/markdown", "text/plain"
RESULTS = 20
"""What a search in the browser lists."""
TOO_LONG = f"A question has up to {LONGEST_QUESTION} characters."
NO_SEARCH = (
    "The SQLite of this server's Python has no full-text search (FTS5). All pages in one: /llms-full.txt."
)


class Library:
    """The pages and the search over them."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError if a page cannot be read."""
        self.shelf = Shelf(folder)
        self.style = STYLE.read_text("utf-8")
        self.search: Search | None
        try:
            self.search = Search(piece for page in self.shelf.pages.values() for piece in page.pieces)
        except Unavailable:
            self.search = None
        self.kept: dict[str, tuple[bytes, str]] = {}
        """What was answered by path and how it is tagged, where it stays the same."""


class Images(StaticFiles):
    """The pictures of the pages."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A picture. Raises HTTPException if there is none."""
        response = await super().get_response(path, scope)
        response.headers.update(SECURITY | {"cache-control": "no-cache"})
        return response


class Documents:
    """`/docs`, its pages, `/llms.txt` and `/llms-full.txt`.

    The pages are read with the first request, in a thread; a server that is never asked has no cost.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._making: asyncio.Future[Library] | None = None
        self._searching = asyncio.Lock()

    def routes(self) -> list[BaseRoute]:
        """What Starlette is given."""
        return [
            Route("/docs", self._index),
            Route("/docs.md", self._list),
            Route("/docs/style.css", self._style),
            Mount("/docs/images", Images(directory=self._folder / "images", check_dir=False)),
            Route("/docs/{name:path}.md", self._plain),
            Route("/docs/{name:path}", self._page),
            Route("/llms.txt", self._llms),
            Route("/llms-full.txt", self._full),
        ]

    async def _index(self, request: Request) -> Response:
        library = await self._library()
        question = request.query_params.get("search", "").strip()
        if not question:
            return _kept(library, request, HTML, index_html)
        try:
            found = await self._find(question, RESULTS)
        except Denied as denied:
            body = refused_html(library.shelf, "No search", denied.reason)
            return _answer(request, body.encode(), HTML, denied.status)
        return _answer(request, found_html(library.shelf, question, found).encode(), HTML)

    async def _page(self, request: Request) -> Response:
        library = await self._library()
        name = request.path_params["name"]
        if not name:
            return RedirectResponse("/docs", 308, SECURITY)
        page = library.shelf.pages.get(name)
        if page is None:
            return _answer(request, missing_html(library.shelf, name).encode(), HTML, 404)
        return _kept(library, request, HTML, lambda shelf: page_html(shelf, page))

    async def _plain(self, request: Request) -> Response:
        library = await self._library()
        name = request.path_params["name"]
        if "ask" in request.query_params:
            return await self._asked(request, library, name)
        page = library.shelf.pages.get(name)
        if page is None:
            near = "".join(f" [{one.title}](/docs/{one.name}.md)" for one in nearest(library.shelf, name))
            text = f"There is no such page. Near it:{near or ' none'}. All pages: [/llms.txt](/llms.txt).\n"
            return _answer(request, text.encode(), MARKDOWN, 404)
        return _kept(library, request, MARKDOWN, lambda _: page.text)

    async def _list(self, request: Request) -> Response:
        library = await self._library()
        if "ask" in request.query_params:
            return await self._asked(request, library, "")
        return _kept(library, request, MARKDOWN, llms)

    async def _llms(self, request: Request) -> Response:
        return _kept(await self._library(), request, PLAIN, llms)

    async def _full(self, request: Request) -> Response:
        return _kept(await self._library(), request, PLAIN, llms_full)

    async def _style(self, request: Request) -> Response:
        library = await self._library()
        return _kept(library, request, "text/css", lambda _: library.style)

    async def _asked(self, request: Request, library: Library, name: str) -> Response:
        """The excerpts that answer a question, of the page of that name first if there is one."""
        page = library.shelf.pages.get(name)
        try:
            question = request.query_params["ask"].strip()
            if not question:
                raise Denied(400, "Ask something: ?ask=QUESTION.")
            found = await self._find(question, EXCERPTS, page.name if page else "")
        except Denied as denied:
            return _answer(request, f"{denied.reason}\n".encode(), MARKDOWN, denied.status)
        return _answer(request, excerpts(found, page.title if page else "").encode(), MARKDOWN)

    async def _find(self, question: str, limit: int, page: str = "") -> list[Found]:
        """Searches, in one thread at a time, however many ask. Raises Denied."""
        if len(question) > LONGEST_QUESTION:
            raise Denied(400, TOO_LONG)
        search = (await self._library()).search
        if search is None:
            raise Denied(501, NO_SEARCH)
        async with self._searching:
            return await asyncio.to_thread(search.find, question, limit, page)

    async def _library(self) -> Library:
        if self._making is None:
            self._making = asyncio.ensure_future(asyncio.to_thread(Library, self._folder))
        return await asyncio.shield(self._making)


def _kept(library: Library, request: Request, kind: str, make: Callable[[Shelf], str]) -> Response:
    """An answer that is made once and always the same."""
    path = request.url.path
    if path not in library.kept:
        body = make(library.shelf).encode()
        library.kept[path] = (body, _tag(body))
    return _answer(request, library.kept[path][0], kind, tag=library.kept[path][1])


def _answer(request: Request, body: bytes, kind: str, status: int = 200, tag: str = "") -> Response:
    """The answer with its headers; 304 where the client has it already."""
    tag = tag or _tag(body)
    headers = SECURITY | {"cache-control": "no-cache", "etag": tag}
    known = request.headers.get("if-none-match", "")
    if status == 200 and tag in (one.strip() for one in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(body, status, headers, f"{kind}; charset=utf-8")


def _tag(body: bytes) -> str:
    """Weak: the same text may be sent compressed."""
    return f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
