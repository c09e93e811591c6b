"""Which server, with which token, by which limits (section 4), so that a client asks no faster."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlsplit

from ..access import BUILT_IN
from ..access import Plan as Limits
from .address import http_url
from .errors import Unauthorized
from .link import Token
from .network import Network, is_local
from .pacer import Rates

DEFAULT_URL = "http://127.0.0.1:8600"
"""Where `tickwire serve` is."""
LOCAL_TOKEN = "local"  # noqa: S105  # a server without tokens of its own takes any
VENDOR = "alltick.co"
VENDOR_PLAN = "basic"
MARGIN = 0.1
"""Seconds that are added to spacings: what a network adds to the first request and not to the second."""


class Plan(NamedTuple):
    """The limits of a token; None for no limit, spacings in seconds, 0 for none.

    `codes` is what a connection may subscribe to of each kind, `http_codes` and `batch_groups` what one
    request over HTTP may ask for. `subscribe_spacing` lies between two subscription requests of a kind,
    `connect_spacing` between two new connections.
    """

    codes: int | None = None
    http_codes: int | None = None
    batch_groups: int | None = None
    subscribe_spacing: float = 1.0
    connect_spacing: float = 0.0
    rates: Rates = Rates()


def _of(plan: Limits) -> Plan:
    """What a plan means to whoever keeps within it."""
    spacing = plan.subscriptions.seconds / plan.subscriptions.requests if plan.subscriptions else 0.0
    return Plan(
        plan.codes,
        plan.http_codes,
        plan.batch_groups,
        spacing,
        plan.connection_spacing,
        Rates(plan.endpoint, plan.batch_kline, plan.suspension, plan.http, plan.per_day),
    )


PLANS: Mapping[str, Plan] = MappingProxyType({name: _of(plan) for name, plan in BUILT_IN.items()})
"""The plans by name: the vendor's, and one without limits."""
CAUTIOUS = Plan()
"""What holds where nobody says: subscriptions a second apart, all else until the server refuses it."""


def plan_of(plan: str | Plan) -> Plan:
    """The plan of that name. Raises ValueError that names those there are."""
    if isinstance(plan, Plan):
        return plan
    if plan not in PLANS:
        raise ValueError(f"{plan!r} is no plan: use one of {', '.join(PLANS)}, or a Plan of your own")
    return PLANS[plan]


def spaced(seconds: float) -> float:
    """A spacing with what a network may add."""
    return seconds + MARGIN if seconds else 0.0


class Account(NamedTuple):
    """A server, what it knows us by, and how it is reached."""

    url: str
    token: Token
    plan: Plan
    network: Network = Network()

    @property
    def is_vendors(self) -> bool:
        """Whether the server is one of the vendor's own."""
        return _is_vendors(urlsplit(self.url).hostname or "")


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
        plan = VENDOR_PLAN if _is_vendors(host) else CAUTIOUS
    network = network or Network()
    network.check()
    network.proxy_for(url)
    return Account(url, token, plan_of(plan), network)


def _is_vendors(host: str) -> bool:
    return host == VENDOR or host.endswith(f".{VENDOR}")
