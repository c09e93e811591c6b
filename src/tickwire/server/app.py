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
from ..bus import Figures
from ..wire import PUBLISH_PATH
from ..wire.entry import base_of
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
from .schemas import schema_routes
from .welcome import welcome


def make_app(engine: Engine) -> ASGIApp:
    """The ASGI application of a server."""
    gateway = engine.gateway
    figures = Metrics(gateway)
    bodies = Bodies()
    reports = HttpReports()

    async def index(request: Request) -> Response:
        if terminal.wants_page(request):
            return terminal.page()
        told, guarded = await gateway.reads.figures(), gateway.admission.guarded
        return PlainTextResponse(welcome(told, str(request.base_url).rstrip("/"), guarded=guarded))

    async def healthz(_: Request) -> Response:
        return _json(Health("ok"))

    async def readyz(_: Request) -> Response:
        told = readiness(await gateway.reads.figures(), ready=engine.running)
        return _json(told, 200 if told.ready else 503)

    async def metrics(request: Request) -> Response:
        try:
            check_admin(gateway.admission, request)
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
            *Admin(gateway, engine.market, bodies, reports).routes(),
            *Documents().routes(),
            *schema_routes(),
        ],
        middleware=[Middleware(GZipMiddleware, minimum_size=1400)],
    )
    api = Api(gateway, bodies, reports)
    publishing = Publishing(gateway, engine.market)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        chosen: ASGIApp = publishing if path == PUBLISH_PATH else pages if base_of(path) is None else api
        await chosen(scope, receive, send)

    return app


def readiness(figures: Figures, *, ready: bool) -> Readiness:
    """What /readyz says.

    Ready means: the engine runs. A source that is down makes no server unready: its last state is served.
    """
    names = SourceReadiness.__struct_fields__
    sources = [SourceReadiness(**{name: getattr(one, name) for name in names}) for one in figures.sources]
    recordings = [one.recording for one in sources if one.recording is not None]
    failing = [one for one in figures.store if one.since is not None]
    first = min(failing, key=lambda one: one.since or 0.0, default=None)
    store = StoreReadiness(
        first is None,
        None if first is None or first.since is None else int(first.since * 1000),
        "" if first is None else first.reason,
        sum(one.waiting_bars for one in figures.sources),
    )
    recording = all(recordings) if recordings else None
    return Readiness(
        ready,
        figures.name,
        figures.simulated,
        figures.events,
        recording,
        figures.round_the_clock,
        sources,
        store,
    )


def _json(document: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status, media_type="application/json")
