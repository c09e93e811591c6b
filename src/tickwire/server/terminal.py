"""The terminal in the browser: the files that `web/` of the repository was built into."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "web"
SECURITY = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Headers of the page and its parts: nothing of another origin, nothing inline, in nobody's frame."""


def wants_page(request: Request) -> bool:
    """Whether it is a browser that asks, and not a program."""
    return "text/html" in request.headers.get("accept", "")


def page() -> Response:
    """The terminal; asked for anew each time, so that a newer server is seen at once."""
    headers = SECURITY | {"cache-control": "no-cache", "vary": "accept"}
    return FileResponse(FOLDER / "index.html", media_type="text/html; charset=utf-8", headers=headers)


def assets() -> Mount:
    """The route of the page's parts."""
    return Mount("/assets", Assets(directory=FOLDER / "assets"))


class Assets(StaticFiles):
    """The page's parts. Their names hold a digest of what is in them, so they are kept for ever."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A part, or what says that there is none. Raises HTTPException."""
        response = await super().get_response(path, scope)
        response.headers.update(SECURITY | {"cache-control": "public, max-age=31536000, immutable"})
        return response
