"""What is asked for with plain parameters: suspensions (section 3), and the extensions below /v1."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from urllib.parse import parse_qs

import structlog

from ..admission import Caller
from ..engine import Engine
from ..errors import StoreError
from ..model import SuspensionList
from ..wire import page_and_size, success, suspension_error, suspension_page
from .overview import instrument_list, market_list

log = structlog.get_logger()
NO_PARAMETERS: dict[str, str] = {}


class Listing(NamedTuple):
    """A path and what it answers: an HTTP status and a body, for a caller and the parameters."""

    name: str
    answer: Callable[[Caller, dict[str, str]], Awaitable[tuple[int, bytes]]]
    methods: tuple[str, ...] = ("GET", "HEAD")


class Lists:
    """The paths that take plain parameters."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._by_path = {
            "/v1/markets": Listing("v1/markets", self._markets),
            "/v1/instruments": Listing("v1/instruments", self._instruments),
        }
        for exchange in SuspensionList:
            self._by_path[f"/api/suspension/{exchange}"] = self._suspension_list(exchange)

    def find(self, path: str) -> Listing | None:
        """What a path lists, if it does."""
        return self._by_path.get(path)

    def _suspension_list(self, exchange: SuspensionList) -> Listing:
        async def answer(_: Caller, asked: dict[str, str]) -> tuple[int, bytes]:
            return self._suspensions(exchange, asked)

        return Listing(f"suspension/{exchange}", answer)

    def _suspensions(self, exchange: SuspensionList, asked: dict[str, str]) -> tuple[int, bytes]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        sources = ("", self._engine.source.name)
        try:
            wanted = page_and_size(asked.get("page"), asked.get("size"))
        except ValueError as error:
            return 400, suspension_error(str(error))
        page, size = wanted or (None, None)
        try:
            offset = (page - 1) * size if page and size else 0
            total, entries = self._engine.suspensions.page(exchange, sources, offset=offset, limit=size)
        except StoreError as error:
            log.error("suspensions cannot be read", reason=str(error))
            return 500, suspension_error("The server cannot read its suspensions now.")
        return 200, suspension_page(now, total, entries, page, size)

    async def _markets(self, _: Caller, __: dict[str, str]) -> tuple[int, bytes]:
        today = self._today()
        return 200, success(market_list(self._engine, today, today + timedelta(days=366)), "")

    async def _instruments(self, caller: Caller, asked: dict[str, str]) -> tuple[int, bytes]:
        return 200, success(instrument_list(self._engine, caller, asked.get("search", "")), "")

    def _today(self) -> date:
        return datetime.fromtimestamp(self._engine.source.market_time() / 1000, UTC).date()


def plain_parameters(query_string: bytes) -> dict[str, str]:
    """The first value of each parameter of a URL."""
    if not query_string:
        return NO_PARAMETERS
    text = query_string.decode("latin-1")
    try:
        found = parse_qs(text, keep_blank_values=True, errors="replace", max_num_fields=100)
    except ValueError:  # more of them than anyone needs
        return NO_PARAMETERS
    return {name: values[0] for name, values in found.items()}
