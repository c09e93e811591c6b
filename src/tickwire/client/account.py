"""Which server, with which token, by which limits."""

from __future__ import annotations

import os
from typing import NamedTuple
from urllib.parse import urlsplit

from .address import http_url
from .errors import Unauthorized
from .link import Token
from .network import Network, is_local
from .plans import CAUTIOUS, Plan, plan_of

DEFAULT_URL = "http://127.0.0.1:8600"
"""Where `tickwire serve` is."""
LOCAL_TOKEN = "local"  # noqa: S105  # a server without tokens of its own takes any
VENDOR = "alltick.co"
VENDOR_PLAN = "basic"


class Account(NamedTuple):
    """A server, what it knows us by, and how it is reached."""

    url: str
    token: Token
    plan: Plan
    network: Network = Network()


def account(
    url: str | None = None,
    token: Token | None = None,
    plan: str | Plan | None = None,
    network: Network | None = None,
) -> Account:
    """What is given; else what TICKWIRE_URL and TICKWIRE_TOKEN say; else the server on this machine.

    A server on this machine needs no token. The limits are those of `plan`, else those of the vendor's basic
    plan on the vendor's hosts, and CAUTIOUS on all others. Raises ValueError for what is no URL, no plan or
    no network (a proxy of the environment's included), Unauthorized where a token is missing.
    """
    url = url or os.environ.get("TICKWIRE_URL") or DEFAULT_URL
    http_url(url, None)  # which says so where it is none
    host = urlsplit(url).hostname or ""
    token = token or os.environ.get("TICKWIRE_TOKEN") or (LOCAL_TOKEN if is_local(host) else None)
    if token is None:
        raise Unauthorized(f"no token for {host}: give token=…, or set TICKWIRE_TOKEN")
    if plan is None:
        plan = VENDOR_PLAN if host == VENDOR or host.endswith(f".{VENDOR}") else CAUTIOUS
    network = network or Network()
    network.check()
    network.proxy_for(url)
    return Account(url, token, plan_of(plan), network)
