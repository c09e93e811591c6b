"""Reads suspensions from files: CSV with the API's names as columns, or an answer of the API as JSON."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from ..errors import InputError
from ..files import read_text
from ..model import REASON_SEPARATOR, UNSAID, Suspension, SuspensionList

REQUIRED = ("symbol", "publishDate")


class Entry(msgspec.Struct, kw_only=True, rename="camel"):
    """An entry of any of the lists, as the API shows it; with the list's name if it stands alone."""

    exchange: str | None = None
    symbol: str
    symbol_name: str | None = None
    halt_reason: str | list[str] | None = None
    halt_date: str | None = None
    halt_time: str | None = None
    halt_date_time: str | None = None
    halt_period: str | None = None
    resume_date: str | None = None
    resume_time: str | None = None
    resume_date_time: str | None = None
    source_exchange: str | None = None
    pause_threshold_price: str | None = None
    publish_date: str | None = None


COLUMNS = Entry.__struct_encode_fields__


def read_suspensions(path: Path, exchange: str | None = None) -> Iterator[tuple[str, Suspension | str]]:
    """Each entry of a file with its place: the suspension, or what is wrong with it.

    `exchange` names the list of entries that do not say it. Raises InputError if the file cannot be used.
    """
    text = read_text(path, "the suspensions in")
    rows = _json_rows if text.lstrip()[:1] in ("{", "[") else _csv_rows
    for where, row in rows(path, text, exchange):
        found: Suspension | str
        try:
            found = row if isinstance(row, str) else suspension_of(row, exchange)
        except InputError as error:
            found = str(error)
        yield f"{path}, {where}", found


def suspension_of(
    fields: Mapping[str, Any], exchange: str | None = None, *, now: datetime | None = None
) -> Suspension:
    """The suspension that fields named as in the API describe.

    A reason may be a text, several joined by "; ". `haltDateTime` and `resumeDateTime` count where their
    parts are missing. Without a `publishDate` it is published `now`. Raises InputError that names the field.
    """
    try:
        entry = msgspec.convert(fields, Entry)
    except msgspec.ValidationError as error:
        raise InputError(f"{error}.") from error
    listed = _list(entry.exchange, exchange)
    published = entry.publish_date
    if published in UNSAID and now is not None:
        published = now.astimezone(ZoneInfo(listed.time_zone)).strftime("%Y-%m-%d %H:%M:%S")
    halt_date, halt_time = _parts(entry.halt_date, entry.halt_time, entry.halt_date_time)
    resume_date, resume_time = _parts(entry.resume_date, entry.resume_time, entry.resume_date_time)
    reason = entry.halt_reason or ()
    given = {name: getattr(entry, name) for name in Suspension.__struct_fields__}
    given |= {"exchange": listed, "publish_date": published or ""}
    given |= {"halt_date": halt_date, "halt_time": halt_time}
    given |= {"resume_date": resume_date, "resume_time": resume_time}
    given["halt_reason"] = tuple(reason.split(REASON_SEPARATOR) if isinstance(reason, str) else reason)
    suspension = Suspension(**given)
    suspension.check()
    return suspension


def _list(own: str | None, named: str | None) -> SuspensionList:
    """The list that an entry is of, by its own field and by what all of its file are said to be."""
    if own and named and own.lower() != named.lower():
        raise InputError(f"exchange is {own[:80]!r}, but the file is said to be of {named.lower()!r}.")
    try:
        return SuspensionList((own or named or "").lower())
    except ValueError:
        known = ", ".join(SuspensionList)
        raise InputError(f"exchange is {(own or '')[:80]!r}, expected one of {known}.") from None


def _parts(day: str | None, time: str | None, both: str | None) -> tuple[str | None, str | None]:
    """A date and a time; from `both` if neither is known by itself."""
    if both is None or both in UNSAID or not {day, time} <= UNSAID:
        return day, time
    day, _, time = both.partition(" ")
    return day, time or None


def _json_rows(path: Path, text: str, exchange: str | None) -> Iterator[tuple[str, dict[str, Any] | str]]:
    try:
        document = msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}.") from error
    entries = document.get("data") if isinstance(document, dict) else document
    if not isinstance(entries, list):
        raise InputError(f'{path} holds no suspensions: expected {{"data": [...]}} or a list.')
    rows = [entry if isinstance(entry, dict) else "It is no object." for entry in entries]
    if rows and exchange is None and not any(isinstance(row, dict) and row.get("exchange") for row in rows):
        raise InputError(f"{path} does not say of which exchange it is. Name it with --exchange.")
    yield from ((f"entry {number}", row) for number, row in enumerate(rows, 1))


def _csv_rows(path: Path, text: str, exchange: str | None) -> Iterator[tuple[str, dict[str, Any] | str]]:
    lines = csv.reader(io.StringIO(text), strict=True)
    names: list[str] | None = None
    while True:
        where = f"line {lines.line_num + 1}"  # where it begins: with quotes it may go over several
        try:
            values = next(lines)
        except StopIteration:
            break
        except csv.Error as error:
            if names is None:
                raise InputError(f"{path}, {where}: {error}.") from error
            yield where, f"{error}."
            continue
        if not values:
            continue
        if names is None:
            names = _columns(path, [value.strip() for value in values], exchange)
        elif len(values) != len(names):
            yield where, f"It has {len(values)} fields, the header {len(names)}."
        else:
            texts = zip(names, (value.strip() for value in values), strict=True)
            yield where, {name: text for name, text in texts if text}
    if names is None:
        raise InputError(f"{path} is empty: it holds no suspensions.")


def _columns(path: Path, names: list[str], exchange: str | None) -> list[str]:
    """The columns of a header. All but two may be missing, so that only a known name is no misspelt one."""
    where = f"{path}, line 1"
    for name in names:
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS, n=1, cutoff=0)[0]
            raise InputError(f"{where}: unknown column {name[:80]!r}; the nearest known one is {near}.")
        if names.count(name) > 1:
            raise InputError(f"{where}: the column {name} is there twice.")
    if missing := [name for name in REQUIRED if name not in names]:
        raise InputError(f"{where}: the column {missing[0]} is missing.")
    if exchange is None and "exchange" not in names:
        raise InputError(f"{where}: the column exchange is missing. Add it, or name it with --exchange.")
    return names
