"""The HTTP application: the API, the pages and probes that need no token, and the metrics."""

from __future__ import annotations

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..assembly import Engine
from ..wire import PUBLISH_PATH, base_of
from . import terminal
from .admin import Admin
from .api import Api
from .bodies import Bodies
from .documents import Documents
from .guard import Denied, check_admin
from .http_reports import HttpReports
from .metrics import Metrics
from .operating import Failure, Health, Readiness, SourceReadiness, StoreReadiness
from .publish import Publishing
from .schemas import Schemas
from .welcome import welcome


def make_app(engine: Engine) -> ASGIApp:
    """The ASGI application of a server."""
    figures = Metrics(engine)
    bodies = Bodies()
    reports = HttpReports()

    async def index(request: Request) -> Response:
        if terminal.wants_page(request):
            return terminal.page()
        return PlainTextResponse(welcome(engine, str(request.base_url).rstrip("/")))

    async def healthz(_: Request) -> Response:
        return _json(Health("ok"))

    async def readyz(_: Request) -> Response:
        return _json(readiness(engine), 200 if engine.running else 503)

    async def metrics(request: Request) -> Response:
        try:
            check_admin(engine.gateway.admission, request)
        except Denied as denied:
            return _json(Failure(denied.reason), denied.status)
        text, content_type = await figures.scrape(request.headers.get("accept", ""))
        return Response(text, headers={"content-type": content_type})

    probes = [
        Route("/", index),
        terminal.assets(),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
    ]
    pages = Starlette(
        routes=[
            *probes,
            *Admin(engine, bodies, reports).routes(),
            *Documents().routes(),
            *Schemas().routes(),
        ],
        middleware=[Middleware(GZipMiddleware, minimum_size=1400)],
    )
    api = Api(engine, bodies, reports)
    publishing = Publishing(engine)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        chosen: ASGIApp = publishing if path == PUBLISH_PATH else pages if base_of(path) is None else api
        await chosen(scope, receive, send)

    return app


def readiness(engine: Engine) -> Readiness:
    """What /readyz says.

    Ready means: the engine runs. A source that is down makes no server unready: its last state is served.
    """
    sources = [
        SourceReadiness(
            feed.source.name,
            feed.source.simulated,
            feed.source.health.status,
            feed.source.health.since,
            feed.source.health.reason,
            feed.source.health.lag,
            feed.events,
            feed.source.health.bad,
            feed.bars.late,
            feed.source.health.dropped,
            None if feed.recorder is None else feed.recorder.status().recording,
        )
        for feed in engine.market.feeds
    ]
    recordings = [one.recording for one in sources if one.recording is not None]
    return Readiness(
        engine.running,
        engine.market.feeds.name,
        engine.market.feeds.simulated,
        engine.market.events,
        all(recordings) if recordings else None,
        sources,
        _store(engine),
    )


def _store(engine: Engine) -> StoreReadiness:
    failing = [one for one in (engine.database.writes, engine.database.reads) if one.since is not None]
    first = min(failing, key=lambda one: one.since or 0.0, default=None)
    return StoreReadiness(
        first is None,
        None if first is None or first.since is None else int(first.since * 1000),
        "" if first is None else first.reason,
        sum(feed.batches.waiting for feed in engine.market.feeds),
    )


def _json(document: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status, media_type="application/json")
