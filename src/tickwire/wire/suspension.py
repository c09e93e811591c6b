"""The answers of /api/suspension, without HTTP: section 3, "Suspension"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from ..model import Suspension, SuspensionList
from .messages import to_json

DEFAULT_SIZE = 20
MAX_SIZE = 1000
MAX_PAGE = 10**9


class SseEntry(msgspec.Struct, rename="camel"):
    """An entry of /api/suspension/sse."""

    symbol: str
    symbol_name: str | None
    halt_reason: str | None
    halt_date: str | None
    halt_time: str | None
    halt_period: str | None
    resume_date: str | None
    resume_time: str | None
    publish_date: str


class NyseEntry(msgspec.Struct, rename="camel"):
    """An entry of /api/suspension/nyse."""

    symbol: str
    symbol_name: str | None
    halt_reason: str | None
    halt_date: str | None
    halt_time: str | None
    halt_date_time: str | None
    resume_date: str | None
    resume_time: str | None
    resume_date_time: str | None
    source_exchange: str | None
    publish_date: str


class NasdaqEntry(msgspec.Struct, rename="camel"):
    """An entry of /api/suspension/nasdaq: several reasons, and no `haltDateTime`, as the live service."""

    symbol: str
    symbol_name: str | None
    halt_date: str | None
    halt_time: str | None
    source_exchange: str | None
    halt_reason: tuple[str, ...]
    pause_threshold_price: str | None
    resume_date: str | None
    resume_time: str | None
    resume_date_time: str | None
    publish_date: str


Entry: TypeAlias = SseEntry | NyseEntry | NasdaqEntry
SHAPES: dict[SuspensionList, type[Entry]] = {
    SuspensionList.SSE: SseEntry,
    SuspensionList.NYSE: NyseEntry,
    SuspensionList.NASDAQ: NasdaqEntry,
}


class SuspensionPage(msgspec.Struct, kw_only=True, rename="camel"):
    """A successful answer. `current_size` is the number of entries on this page."""

    success: bool = True
    timestamp: str
    total_count: int
    total_pages: int | UnsetType = UNSET
    current_page: int | UnsetType = UNSET
    current_size: int | UnsetType = UNSET
    data: list[Entry]


class SuspensionError(msgspec.Struct):
    """An answer that says what went wrong."""

    success: bool
    error: str


def suspension_entry(suspension: Suspension) -> Entry:
    """The entry in the shape of its exchange's list."""
    shape = SHAPES[suspension.exchange]
    fields = {name: getattr(suspension, name) for name in shape.__struct_fields__}
    if shape is not NasdaqEntry:
        fields["halt_reason"] = suspension.reason
    return shape(**fields)


def suspension_page(
    now: str, total: int, entries: Iterable[Suspension], page: int | None = None, size: int | None = None
) -> bytes:
    """The body of a successful answer at `now` (YYYY-MM-DDTHH:MM:SS).

    `entries` are those of the page, or all if there is no `page` and `size`; `total` counts all.
    """
    answer = SuspensionPage(timestamp=now, total_count=total, data=[suspension_entry(one) for one in entries])
    if page is not None and size is not None:
        answer.total_pages = -(-total // size)
        answer.current_page = page
        answer.current_size = len(answer.data)
    return to_json(answer)


def suspension_error(text: str) -> bytes:
    """The body of an error."""
    return to_json(SuspensionError(False, text))


def page_and_size(page: str | None, size: str | None) -> tuple[int, int] | None:
    """The parameters of a paged request; None if neither is given. One alone: page 1, size 20.

    Raises ValueError with a sentence for a person.
    """
    if page is None and size is None:
        return None
    return (
        1 if page is None else whole_number("page", page, MAX_PAGE),
        DEFAULT_SIZE if size is None else whole_number("size", size, MAX_SIZE),
    )


def whole_number(name: str, text: str, most: int) -> int:
    """The number that a parameter of that name asks for. Raises ValueError with a sentence for a person."""
    number = int(text) if re.fullmatch(r"[0-9]{1,20}", text) else 0
    if not 1 <= number <= most:
        raise ValueError(f"{name} is {text[:40]!r}, expected a whole number from 1 to {most}.")
    return number
