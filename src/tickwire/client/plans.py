"""What an account may do, so that a client asks no faster: section 4."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from .pacer import Rates

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


PLANS: Mapping[str, Plan] = MappingProxyType(
    {
        "free": Plan(5, 5, 5, rates=Rates((1, 10.0), (1, 10.0), (1, 60.0), (10, 60.0), 1_000)),
        "basic": Plan(100, None, 100, rates=Rates((1, 1.0), (1, 3.0), (1, 60.0), (60, 60.0), 86_400)),
        "premium": Plan(200, None, 200, rates=Rates((10, 1.0), (1, 2.0), (1, 60.0), (600, 60.0), 864_000)),
        "professional": Plan(
            3_000, None, 500, rates=Rates((20, 1.0), (1, 1.0), (1, 60.0), (1_200, 60.0), 1_728_000)
        ),
        "unlimited": Plan(subscribe_spacing=0.0),
    }
)
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
