"""Where a server's families are, and how it says when to come back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from ..model import Family, Slow
from ..wire import HTTP_BASES, WS_PATHS
from .shown import plain

PLAIN, SECURE = {"http", "ws"}, {"https", "wss"}
MOST_WAIT = 3600.0
"""Seconds that a server may ask to wait at the most."""


def websocket_url(base: str, family: Family) -> str:
    """The WebSocket of a family on the server at `base`, such as http://HOST:PORT. Raises ValueError."""
    return _joined(base, "ws", next(path for path, one in WS_PATHS.items() if one is family))


def http_url(base: str, family: Family | None) -> str:
    """The base of a family over HTTP, or that of the server itself. Raises ValueError."""
    path = next((path for path, one in HTTP_BASES.items() if one is family), "")
    return _joined(base, "http", path)


def parts_of(url: str) -> SplitResult | None:
    """The parts of a URL; None where it has no host, or a port that nothing can listen on."""
    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and parts.port != 0  # which raises for what is no port
    except ValueError:
        return None
    return parts if whole and all(one.isprintable() and one != " " for one in url) else None


def shown_url(url: str) -> str:
    """A URL as it may be shown: without a name and a password."""
    return plain(_USER.sub(r"\1", url))


_USER = re.compile(r"^(\w+://)?[^/]*@")


def _joined(base: str, scheme: str, path: str) -> str:
    parts = parts_of(base)
    if parts is None or parts.scheme not in PLAIN | SECURE:
        raise ValueError(f"{shown_url(base)!r} is no address of a server, such as http://127.0.0.1:8600")
    if parts.scheme in SECURE:
        scheme += "s"
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + path, "", ""))


def with_token(url: str, token: str) -> str:
    """The URL with the token as the vendor takes it: in the query (section 1)."""
    return f"{url}{'&' if '?' in url else '?'}token={quote(token, safe='')}"


def with_flags(url: str, slow: Slow | None, *, times: bool) -> str:
    """The URL with the flags that say what becomes of us while we cannot keep up (None: the server says), and
    that pushes are to say when they came and went."""
    flags = ([] if slow is None else [f"slow={slow}"]) + ["times=1"] * times
    return "&".join([f"{url}{'&' if '?' in url else '?'}{flags[0]}", *flags[1:]]) if flags else url


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as the headers say (RFC 9110, 10.2.3), an hour at the most; None if they do not.

    A date counts from the server's own `Date`: clocks differ.
    """
    try:
        text = headers.get("Retry-After", "").strip()
        if text.isascii() and text.isdigit():
            return min(float(text[:9]), MOST_WAIT)
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("Date", ""))
        return min(max(wait.total_seconds(), 0.0), MOST_WAIT)
    except (ValueError, TypeError, LookupError, OverflowError):  # also where one is there twice
        return None
