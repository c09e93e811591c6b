"""What an account may do, so that a client asks no faster: section 4."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from ..access import BUILT_IN
from ..access import Plan as Limits
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
