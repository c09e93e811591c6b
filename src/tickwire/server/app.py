"""The HTTP application: the API, and the pages and probes that need no token."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..engine import Engine
from ..wire import base_of
from .admin import Admin
from .api import Api
from .welcome import welcome


def make_app(engine: Engine) -> ASGIApp:
    """The ASGI application of a server."""

    async def index(request: Request) -> Response:
        return PlainTextResponse(welcome(engine, str(request.base_url).rstrip("/")))

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        """Ready means: the source runs, or waits for its first subscription."""
        state = {
            "ready": engine.running,
            "source": engine.source.name,
            "simulated": engine.source.simulated,
            "events": engine.events,
            "recording": None if engine.recorder is None else engine.recorder.status().recording,
        }
        return JSONResponse(state, 200 if engine.running else 503)

    probes = [Route("/", index), Route("/healthz", healthz), Route("/readyz", readyz)]
    pages = Starlette(routes=[*probes, *Admin(engine).routes()])
    api = Api(engine)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        chosen = pages if base_of(scope["path"]) is None else api
        await chosen(scope, receive, send)

    return app
