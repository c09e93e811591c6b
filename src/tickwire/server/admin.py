"""The admin API: scenarios and connections, for loopback or an admin token, never for a web page.

What it takes must be JSON, which a page may not send without a preflight that is never granted.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable

import msgspec
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..bus import ScenarioRun, Supplier
from ..errors import InputError
from ..gateway.gateway import Gateway
from ..sandbox import library, load_scenario, scenario_of
from ..wire import MAX_MESSAGE, Deviation, Refused
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
from .peers import MARKET, Peers

CONNECTIONS = "connections"
"""What a process is asked for those that it serves."""

Answer = Callable[[Request], Awaitable[msgspec.Struct]]
_list = msgspec.msgpack.Decoder(ConnectionList).decode


class Admin:
    """The routes below /admin."""

    def __init__(
        self, gateway: Gateway, market: Supplier, bodies: Bodies, reports: HttpReports, peers: Peers
    ) -> None:
        """`market` takes the commands; `peers` serve clients as well."""
        self._gateway = gateway
        self._market = market
        self._bodies = bodies
        self._reports = reports
        self._peers = peers
        gateway.sayings.by_question[CONNECTIONS] = self._said

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
        others = await self._peers.ask(CONNECTIONS)
        others.pop(MARKET, None)  # which serves no clients
        lists = [self._own(), *(_list(one) for one in others.values() if one is not None)]
        counts: defaultdict[str | None, Counter[tuple[Deviation, str]]] = defaultdict(Counter)
        for one in (one for some in lists for one in some.http):
            for each in one.deviations:
                counts[one.token][each.deviation, each.detail] += each.count
        return ConnectionList(
            [one for some in lists for one in some.connections],
            [HttpDeviations(token, _deviations(found.items())) for token, found in counts.items()],
            [name for name, one in others.items() if one is None] if self._peers.names else UNSET,
        )

    def _own(self) -> ConnectionList:
        """Those of this process."""
        now, place = self._gateway.clock(), self._gateway.place
        worker = place.name if place.of else UNSET
        return ConnectionList(
            [
                ConnectionInfo(
                    caller.client.connection,
                    None if caller.token is None else caller.token.name,
                    caller.plan.name,
                    caller.client.family,
                    round(now - caller.client.opened, 3),
                    round(now - peer.last_heard, 3),
                    _deviations(caller.report.items()),
                    worker,
                )
                for peer, caller in self._gateway.callers.items()
                if caller.client.family is not None  # every WebSocket has one
            ],
            [
                HttpDeviations(name, _deviations(report.items()))
                for name, report in self._reports.by_token.items()
            ],
        )

    async def _said(self, _: str) -> bytes:
        return msgspec.msgpack.encode(self._own())


def _deviations(counts: Iterable[tuple[tuple[Deviation, str], int]]) -> list[DeviationCount]:
    return [DeviationCount(deviation, detail, count) for (deviation, detail), count in counts]


def _json(document: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status, media_type="application/json")
