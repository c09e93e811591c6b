"""The HTTP application: the API, the pages and probes that need no token, and the metrics."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import UNSET
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..assembly import Engine, GatewayEngine
from ..bus import Figures
from ..wire import PUBLISH_PATH
from ..wire.entry import base_of
from ..wire.ret import STOPPING
from . import terminal
from .admin import Admin
from .api import Api
from .bodies import Bodies
from .documents import Documents
from .flow import WHOLE, refuse
from .guard import Denied, check_admin
from .http_reports import HttpReports
from .metrics import Metrics
from .operating import Failure, Health, Readiness, SourceReadiness, StoreReadiness, WorkerReadiness
from .peers import Peers
from .publish import Publishing
from .schemas import schema_routes
from .traffic import GONE, Routes
from .usage import UsageOfAll
from .vitals import Vitals
from .welcome import welcome

PROBES = ("/healthz", "/readyz", "/metrics")
"""What is answered on while the server drains."""
NO_OTHERS: Mapping[str, bool] = {}


def make_app(engine: Engine | GatewayEngine, vitals: Vitals, peers: Peers | None = None) -> ASGIApp:
    """The ASGI application of a server; requests are counted in `vitals`. `peers` are its other processes."""
    peers = peers or Peers(engine)
    gateway, clock = engine.gateway, engine.machine.monotonic
    traffic, guests = vitals.traffic, vitals.guests
    figures = Metrics(engine, vitals, peers)
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
        status = "draining" if gateway.draining else "ready" if engine.running else "starting"
        if status == "ready" and guests.acceptance.full:
            status = "full"
        told = readiness(await gateway.reads.figures(), status, peers.up)
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
            *Admin(gateway, engine.market, bodies, reports, peers).routes(),
            *Documents().routes(),
            *schema_routes(),
        ],
        middleware=[Middleware(GZipMiddleware, minimum_size=1400)],
    )
    api = Api(gateway, bodies, reports, UsageOfAll(gateway, peers))
    publishing = Publishing(gateway, engine.market)

    routes = Routes([*api.paths, PUBLISH_PATH], pages.routes)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        chosen: ASGIApp = publishing if path == PUBLISH_PATH else pages if base_of(path) is None else api
        if gateway.draining and path not in PROBES:
            chosen = _stopping
        began, status = clock(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await chosen(scope, receive, send if chosen is api else noted)
            status = status or scope.get("extensions", {}).get(WHOLE, {}).get("status", GONE)
        except BaseException as error:
            status = status or (500 if isinstance(error, Exception) else 503)  # see `HttpProtocol`
            raise
        finally:
            traffic.answered(routes.name(path), status, clock() - began)

    return app


async def _stopping(scope: Scope, _receive: Receive, _send: Send) -> None:
    await refuse(scope, STOPPING)


def readiness(figures: Figures, status: str, up: Mapping[str, bool] = NO_OTHERS) -> Readiness:
    """What /readyz says of a server that is starting, ready or draining; `up` are its processes, where there
    are several, and whether they answer.

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
        status == "ready",
        status,
        figures.name,
        figures.simulated,
        figures.events,
        recording,
        figures.round_the_clock,
        sources,
        store,
        [WorkerReadiness(*one) for one in up.items()] if up else UNSET,
    )


def _json(document: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status, media_type="application/json")
