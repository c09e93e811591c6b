"""Who may use what is closed to web pages: the admin API, the metrics, publishing.

A browser sends a page's requests from the user's own machine, so loopback alone proves nothing. Whoever has
no token must therefore also name the server as itself in `Host` (a page that rebinds its own name cannot),
come without a foreign `Origin` and without a proxy in between. Nothing of this is open to other origins, so
what a page may only send after a preflight, such as a body of JSON, it may not send.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.requests import Request

from ..gateway.admission import Admission
from ..wire.entry import token_of

FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
"""Headers of a proxy: what comes through one is not from this machine."""


class Denied(Exception):
    """A request that is not answered: status and reason."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        self.reason = reason


def check_admin(admission: Admission, request: Request) -> None:
    """Lets this machine and admin tokens pass, and no web page. Raises Denied."""
    check_page(request.headers)
    token = token_of(None, request.headers.items(), strict=False)
    if token is not None:
        if not admission.is_admin(token):
            raise Denied(401, "That is no admin token. Create one: tickwire token create --admin.")
    elif not is_local(request.headers, request.client.host if request.client else ""):
        raise Denied(403, "Use 127.0.0.1 on the server's own machine, or send an admin token as Bearer.")


def check_page(headers: Mapping[str, str]) -> None:
    """Lets no page of another origin or site pass; names of headers are in lower case. Raises Denied."""
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        raise Denied(403, "A page of another origin may not use this.")
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Denied(403, "A page of another site may not use this.")


def is_local(headers: Mapping[str, str], client: str) -> bool:
    """Whether a request comes from this machine, straight, to a name of this machine.

    `client` is the address it comes from; names of headers are in lower case.
    """
    host = _host_of(headers.get("host", ""))
    proxied = any(name in headers for name in FORWARDED)
    return not proxied and _is_loopback(client) and (host == "localhost" or _is_loopback(host))


def _host_of(header: str) -> str:
    """The name or address in a Host header, without port and brackets; empty if it is none."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
