"""The admin API: scenarios and connections, for loopback or an admin token, never for a web page.

What it takes must be JSON, which a page may not send without a preflight that is never granted.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..bus import ScenarioRun, Supplier
from ..errors import InputError
from ..gateway.gateway import Gateway
from ..sandbox import library, load_scenario, scenario_of
from ..wire import MAX_MESSAGE, Refused, Report
from ..wire.ret import BODY_TOO_LARGE
from .bodies import Bodies
from .guard import Denied, check_admin
from .http_reports import HttpReports
from .operating import (
    ConnectionInfo,
    ConnectionList,
    DeviationCount,
    Failure,
    HttpDeviations,
    ScenarioList,
    StoppedList,
)

Answer = Callable[[Request], Awaitable[msgspec.Struct]]


class Admin:
    """The routes below /admin."""

    def __init__(self, gateway: Gateway, market: Supplier, bodies: Bodies, reports: HttpReports) -> None:
        """`market` takes the commands."""
        self._gateway = gateway
        self._market = market
        self._bodies = bodies
        self._reports = reports

    def routes(self) -> list[Route]:
        """What Starlette is given."""
        return [
            Route("/admin/scenario", self._guarded(self._scenarios), methods=["GET", "POST", "DELETE"]),
            Route("/admin/scenario/{number}", self._guarded(self._stop), methods=["DELETE"]),
            Route("/admin/connections", self._guarded(self._connections), methods=["GET"]),
        ]

    def _guarded(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            try:
                self._check(request)
                return _json(await answer(request))
            except Denied as denied:
                return _json(Failure(denied.reason), denied.status)
            except InputError as error:
                return _json(Failure(str(error)), 400)

        return guarded

    def _check(self, request: Request) -> None:
        """Raises Denied."""
        check_admin(self._gateway.admission, request)
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.method == "POST" and content_type != "application/json":
            raise Denied(415, "Send application/json.")

    async def _scenarios(self, request: Request) -> ScenarioList | ScenarioRun | StoppedList:
        match request.method:
            case "POST":
                return await self._begin(request)
            case "DELETE":
                return await self._stop_all()
            case _:
                return ScenarioList(
                    await self._market.running(),
                    {name: one.description for name, one in library().items()},
                )

    async def _begin(self, request: Request) -> ScenarioRun:
        """The body is `{"name": …}` for a scenario of the library, or a scenario itself."""
        try:
            body = await self._bodies.read(request.receive)
        except Refused as refused:
            large = f"A scenario has at most {MAX_MESSAGE} bytes."
            said = large if refused.ret == BODY_TOO_LARGE else f"{refused.ret.msg.capitalize()}."
            raise Denied(refused.ret.status, said) from None
        try:
            document = msgspec.json.decode(body.removeprefix(codecs.BOM_UTF8))
        except (ValueError, RecursionError):
            raise Denied(400, 'Send JSON: {"name": "halt-and-resume"}, or a whole scenario.') from None
        if isinstance(document, dict) and document.keys() == {"name"}:
            name = document["name"]
            if not isinstance(name, str) or name not in library():
                raise Denied(400, f"name is none of {', '.join(library())}.")
            scenario = load_scenario(name)
        else:
            scenario = scenario_of(document, "the scenario")
        return await self._market.run_scenario(scenario)

    async def _stop(self, request: Request) -> StoppedList:
        number = request.path_params["number"]
        known = re.fullmatch(r"[0-9]{1,9}", number)
        if not known or not await self._market.stop_scenario(int(number)):
            raise Denied(404, f"No scenario runs under the number {number[:20]!r}.")
        return StoppedList([int(number)])

    async def _stop_all(self) -> StoppedList:
        numbers = [run.number for run in await self._market.running()]
        return StoppedList([number for number in numbers if await self._market.stop_scenario(number)])

    async def _connections(self, _: Request) -> ConnectionList:
        now = self._gateway.clock()
        return ConnectionList(
            [
                ConnectionInfo(
                    caller.client.connection,
                    None if caller.token is None else caller.token.name,
                    caller.plan.name,
                    caller.client.family,
                    round(now - caller.client.opened, 3),
                    round(now - peer.last_heard, 3),
                    _deviations(caller.report),
                )
                for peer, caller in self._gateway.callers.items()
                if caller.client.family is not None  # every WebSocket has one
            ],
            [HttpDeviations(name, _deviations(report)) for name, report in self._reports.by_token.items()],
        )


def _deviations(report: Report) -> list[DeviationCount]:
    return [DeviationCount(deviation, detail, count) for (deviation, detail), count in report.items()]


def _json(document: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status, media_type="application/json")
