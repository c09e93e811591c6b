"""A stop in the trading of a stock, as its exchange announces it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from enum import StrEnum

import msgspec

from ..errors import InputError

UNSAID = frozenset({None, "", "-"})
"""What the exchanges' lists show where they say nothing."""
REASON_SEPARATOR = "; "
"""Between several reasons in one text."""

_SUFFIXES = (".SH", ".SZ", ".HK", ".US")  # of codes; no exchange writes them
_SYMBOL = re.compile(r"[!-~](?:[ -~]{0,30}[!-~])?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class SuspensionList(StrEnum):
    """The exchanges whose suspensions are kept, each a list of its own."""

    SSE = "sse"
    NYSE = "nyse"
    NASDAQ = "nasdaq"

    @property
    def time_zone(self) -> str:
        """The name of the zone that its dates and times are in."""
        return "Asia/Shanghai" if self is SuspensionList.SSE else "America/New_York"


class Suspension(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An entry of an exchange's list: text as clients see it, or None (section 3 of the protocol).

    `symbol` is as the exchange writes it, without a suffix. Dates are YYYY-MM-DD and times HH:MM:SS in the
    exchange's local time; `publish_date` is a date or "YYYY-MM-DD HH:MM:SS". A date or time that is not
    known may also be "" or "-".
    """

    exchange: SuspensionList
    symbol: str
    symbol_name: str | None = None
    halt_reason: tuple[str, ...] = ()
    halt_date: str | None = None
    halt_time: str | None = None
    halt_period: str | None = None
    resume_date: str | None = None
    resume_time: str | None = None
    source_exchange: str | None = None
    pause_threshold_price: str | None = None
    publish_date: str

    @property
    def reason(self) -> str | None:
        """All reasons in one text; None if there is none."""
        return REASON_SEPARATOR.join(self.halt_reason) or None

    @property
    def halt_date_time(self) -> str | None:
        """When the halt began, YYYY-MM-DD HH:MM:SS; None unless date and time are known."""
        return _joined(self.halt_date, self.halt_time)

    @property
    def resume_date_time(self) -> str | None:
        """When trading resumes, YYYY-MM-DD HH:MM:SS; None unless date and time are known."""
        return _joined(self.resume_date, self.resume_time)

    def check(self) -> None:
        """Raises InputError that says which field, as the API names it, is wrong, and what is expected."""
        for name, value, expected in self._mistakes():
            raise InputError(f"{name} is {value[:80]!r}, expected {expected}.")

    def _mistakes(self) -> Iterator[tuple[str, str, str]]:
        """The fields that are wrong: name, value, what is expected."""
        if not _SYMBOL.fullmatch(self.symbol):
            yield "symbol", self.symbol, "1 to 32 visible ASCII characters"
        if self.symbol.endswith(_SUFFIXES):
            yield "symbol", self.symbol, f"{self.symbol[:-3]!r}, as the exchange writes it"
        day, _, time = self.publish_date.partition(" ")
        if not _is_date(day) or not (self.publish_date == day or _TIME.fullmatch(time)):
            yield "publishDate", self.publish_date, "YYYY-MM-DD or YYYY-MM-DD HH:MM:SS"
        for name, text in (("haltDate", self.halt_date), ("resumeDate", self.resume_date)):
            if text and text != "-" and not _is_date(text):
                yield name, text, "YYYY-MM-DD, '-' or nothing"
        for name, text in (("haltTime", self.halt_time), ("resumeTime", self.resume_time)):
            if text and text != "-" and not _TIME.fullmatch(text):
                yield name, text, "HH:MM:SS, '-' or nothing"
        for name, text in (
            ("symbolName", self.symbol_name),
            ("haltPeriod", self.halt_period),
            ("sourceExchange", self.source_exchange),
            ("pauseThresholdPrice", self.pause_threshold_price),
            *(("haltReason", reason) for reason in self.halt_reason),
        ):
            if text and _UNPRINTABLE.search(text):
                yield name, text, "text of one line without control characters"


def _joined(day: str | None, time: str | None) -> str | None:
    return None if day in UNSAID or time in UNSAID else f"{day} {time}"


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return _DATE.fullmatch(text) is not None  # the parser takes 20260904 and 2026-W36-5 too
