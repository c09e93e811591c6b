"""What is asked for with plain parameters: suspensions (section 3), and the extensions below /v1."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple
from urllib.parse import parse_qs

from ..bus import Lack
from ..errors import StoreError
from ..gateway.admission import Caller
from ..gateway.gateway import Gateway
from ..model import SuspensionList
from ..wire import Refused
from ..wire.http import success
from ..wire.overview import GapList
from ..wire.ret import DATA_INVALID, Ret
from ..wire.suspension import page_and_size, suspension_error, suspension_page, whole_number
from .flow import Header
from .overview import find_codes, gap_list, instrument_list, market_list, named_instruments
from .usage import UsageOfAll

NO_PARAMETERS: dict[str, str] = {}
DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
"""Gaps of one answer."""
MAX_INSTRUMENTS = 2000
"""Instruments of one page."""
MAX_CODES = 500
"""Codes that are asked for by name."""


def partial_headers(*lacks: Lack | None) -> list[Header]:
    """What an answer lacks, and how a web page may read of it; nothing for one that is whole."""
    if not any(lacks):
        return []
    value = ", ".join(sorted({one for one in lacks if one is not None})).encode()
    return [(b"tickwire-partial", value), (b"access-control-expose-headers", b"tickwire-partial")]


class Listed(NamedTuple):
    """An answer: its HTTP status and body, and what it lacks something of, if it does."""

    status: int
    body: bytes
    lacks: Lack | None = None


class Lists:
    """The paths that take plain parameters."""

    def __init__(self, gateway: Gateway, usage: UsageOfAll) -> None:
        self._gateway = gateway
        self._use = usage
        self._reads = gateway.reads
        self.by_path: dict[str, Callable[[Caller, dict[str, str]], Awaitable[Listed]]] = {
            "/v1/markets": self._markets,
            "/v1/instruments": self._instruments,
            "/v1/gaps": self._gaps,
            "/v1/usage": self._usage,
            **{f"/api/suspension/{one}": partial(self._suspensions, one) for one in SuspensionList},
        }
        """What a path answers, for a caller and the parameters."""

    async def _suspensions(self, exchange: SuspensionList, _: Caller, asked: dict[str, str]) -> Listed:
        now = datetime.fromtimestamp(self._gateway.wall(), UTC).strftime("%Y-%m-%dT%H:%M:%S")
        try:
            wanted = page_and_size(asked.get("page"), asked.get("size"))
        except ValueError as error:
            return Listed(400, suspension_error(str(error)))
        page, size = wanted or (None, None)
        try:
            offset = (page - 1) * size if page and size else 0
            found = await self._reads.suspension_page(exchange, offset=offset, limit=size)
        except StoreError:  # which has been said
            return Listed(500, suspension_error("The server cannot read its suspensions now."))
        body = suspension_page(now, found.total, found.entries, page, size)
        return Listed(200, body, found.lacks)

    async def _markets(self, _: Caller, __: dict[str, str]) -> Listed:
        return Listed(200, success(await market_list(self._reads), ""))

    async def _instruments(self, caller: Caller, asked: dict[str, str]) -> Listed:
        text = asked.get("limit")
        try:
            if "codes" in asked:
                names = _codes(asked["codes"])
                lacks = await find_codes(self._gateway, caller, names)
                found = await named_instruments(self._reads, caller, names)
                return Listed(200, success(found, ""), lacks)
            limit = None if text is None else whole_number("limit", text, MAX_INSTRUMENTS)
            found = await instrument_list(
                self._reads, caller, asked.get("search", ""), asked.get("after", ""), limit
            )
        except ValueError as error:
            raise _bad(error) from None
        return Listed(200, success(found, ""))

    async def _gaps(self, caller: Caller, asked: dict[str, str]) -> Listed:
        try:
            begin, end = _moment("from", asked.get("from")), _moment("to", asked.get("to"))
            if end is not None and end < (begin or 0):
                raise ValueError("to lies before from.")
            text = asked.get("limit")
            limit = DEFAULT_LIMIT if text is None else whole_number("limit", text, MAX_LIMIT)
        except ValueError as error:
            raise _bad(error) from None
        found = await gap_list(self._gateway, caller, asked.get("code"), begin or 0, end, limit)
        return Listed(200, success(GapList(found.gaps), ""), found.lacks)

    async def _usage(self, caller: Caller, _: dict[str, str]) -> Listed:
        found, is_whole = await self._use.usage(caller)
        return Listed(200, success(found, ""), None if is_whole else Lack.WORKERS)


def _codes(text: str) -> list[str]:
    """The codes of a list with commas. Raises ValueError."""
    codes = [*dict.fromkeys(text.split(","))]
    if len(codes) > MAX_CODES:
        raise ValueError(f"codes are {len(codes)}, expected at most {MAX_CODES}.")
    return codes


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


def _moment(name: str, text: str | None) -> int | None:
    """Milliseconds since the epoch of a time in milliseconds, or as a person writes it. Raises ValueError."""
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{1,15}", text):
        return int(text)
    try:
        read = datetime.fromisoformat(text)
        return int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{name} is {text[:40]!r}, expected milliseconds or a time such as 2026-11-22T09:30Z."
        ) from None


def _bad(error: ValueError) -> Refused:
    """What is answered to a parameter that is wrong."""
    return Refused(Ret(DATA_INVALID.code, str(error), DATA_INVALID.status))
