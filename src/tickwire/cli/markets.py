"""`tickwire markets`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .output import fields, json_line, note, put, table
from .upstream import AsJson, CaFile, Config, Plan, Token, Url, ask, upstream

if TYPE_CHECKING:
    from ..client import MarketInfo

HEADER = ("CALENDAR", "STATE", "NEXT OPEN", "NEXT CLOSE", "TIME ZONE", "CODES", "MARKETS")


def markets(
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
    plan: Plan = None,
    config: Config = None,
    ca_file: CaFile = None,
) -> None:
    """Print which markets are open, and when they open and close.

    Times are those of the market. Only a Tickwire answers this, AllTick does not.

    Example: tickwire markets
    """
    server = upstream(url, token, plan, config, ca_file)
    found = ask(server, lambda api: api.markets(), "markets")
    if as_json:
        put("".join(json_line(fields(one)) for one in found))
    else:
        put(table(HEADER, map(_row, found), {"CODES"}))
    for one in found:
        if one.expected and not as_json:
            days = ", ".join(map(str, one.expected[:3]))
            note(
                f"the holidays of {one.calendar} are official until {one.known_until}; after that they are "
                f"expected: {days} and so on."
            )
    if any(one.round_the_clock for one in found):
        note("this server keeps no hours: all its markets are open, whatever their calendars say.")


def _row(market: MarketInfo) -> list[str | None]:
    return [
        market.calendar,
        market.state,
        _local(market.next_open_ms, market.timezone),
        _local(market.next_close_ms, market.timezone),
        market.timezone,
        str(market.instruments),
        " ".join(market.markets),
    ]


def _local(milliseconds: int | None, timezone: str) -> str | None:
    """A time as a clock at the market shows it; in UTC if the zone is unknown here."""
    if milliseconds is None:
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    try:
        return f"{moment.astimezone(ZoneInfo(timezone)):%a %Y-%m-%d %H:%M}"
    except (ZoneInfoNotFoundError, ValueError):
        return f"{moment:%a %Y-%m-%d %H:%MZ}"
