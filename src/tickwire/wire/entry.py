"""How a request comes in: which family a path belongs to, and the token it carries (section 1)."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from ..model import Family

WS_PATHS = {"/quote-stock-b-ws-api": Family.STOCK, "/quote-b-ws-api": Family.OTHER}
HTTP_BASES = {"/quote-stock-b-api": Family.STOCK, "/quote-b-api": Family.OTHER}
ROOT_API = "/api"
"""The base of what belongs to no family: suspensions."""
EXTENSIONS = "/v1"
"""The base of what the vendor does not have."""
PUBLISH_PATH = f"{EXTENSIONS}/publish"
"""Where prices are sent to: outside CORS, other than all that is below the bases."""
SUBPROTOCOL = "tickwire"
"""What a web page asks for beside its token: a browser must be answered one of what it names."""
TOKEN_SUBPROTOCOL = f"{SUBPROTOCOL}.token."
"""What a web page's token follows, in base64url: a page can choose no other header of an upgrade."""
BASES = {*HTTP_BASES, *WS_PATHS, ROOT_API, EXTENSIONS}


class Parameters(NamedTuple):
    """The parameters that the protocol knows; None if missing, `query` also if it is not UTF-8."""

    token: str | None
    query: str | None


def base_of(path: str) -> str | None:
    """The base that a path belongs to; None if it is none of the API's."""
    cut = path.find("/", 1)
    base = path if cut < 0 else path[:cut]
    return base if base in BASES else None


def parameters(query_string: bytes) -> Parameters:
    """The first `token` and the first `query` of a URL's query string. `%20` and `+` both mean space."""
    return _remembered(query_string) if len(query_string) <= 1024 else _parameters(query_string)


def _parameters(query_string: bytes) -> Parameters:
    found: dict[bytes, str | None] = {}
    for part in query_string.split(b"&"):
        name, _, value = part.partition(b"=")
        if name in (b"token", b"query") and name not in found:
            try:
                found[name] = unquote_to_bytes(value.replace(b"+", b" ")).decode()
            except UnicodeDecodeError:
                found[name] = None
    return Parameters(found.get(b"token"), found.get(b"query"))


_remembered = lru_cache(maxsize=1024)(_parameters)  # programs ask the same again and again


def request_token(data: bytes) -> str | None:
    """The token in the URL of a request to the API whose head these bytes are, and nothing else."""
    if not data.endswith(b"\r\n\r\n") or data.startswith(b"OPTIONS "):
        return None
    target = data[: data.find(b"\r\n")].split(b" ")[1:2]
    path, _, query = target[0].partition(b"?") if target else (b"", b"", b"")
    if path == PUBLISH_PATH.encode() or base_of(path.decode("latin-1")) is None:
        return None
    return _parameters(query).token


def token_of(url_token: str | None, headers: Iterable[tuple[str, str]], *, strict: bool) -> str | None:
    """The token of a request: `?token=`, else `Authorization: Bearer`, else a `token` header, else a
    subprotocol of an upgrade.

    Headers are pairs with names in lower case. The vendor offers no header form, so `strict` has none.
    """
    if url_token or strict:
        return url_token or None
    by_name = dict(headers)
    scheme, _, bearer = by_name.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and bearer.strip():
        return bearer.strip()
    return by_name.get("token") or page_token(by_name.items())


def page_token(headers: Iterable[tuple[str, str]]) -> str | None:
    """The token among the subprotocols that a web page offers; None if there is none, or it is unreadable."""
    for name in dict(headers).get("sec-websocket-protocol", "").split(","):
        if name.strip().startswith(TOKEN_SUBPROTOCOL):
            text = name.strip().removeprefix(TOKEN_SUBPROTOCOL)
            try:
                return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).decode() or None
            except ValueError:
                return None
    return None
