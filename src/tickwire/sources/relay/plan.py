"""What the upstream server allows our token."""

from __future__ import annotations

from typing import NamedTuple

from ...client import Options, Rates
from ...wire import Pace

MARGIN = 0.1
"""Seconds that are added to spacings: what a network adds to the first request and not to the second."""


class UpstreamPlan(NamedTuple):
    """The limits of a token (protocol, section 4); None for no limit, spacings in seconds, 0 for none.

    `connections` are WebSockets of one family, `codes` what one of them may subscribe to of each kind,
    `http_codes` what one request over HTTP may ask for. `connect_spacing` lies between two new connections,
    `subscribe_spacing` between two subscription requests of one interface.
    """

    connections: int | None = None
    codes: int | None = None
    connect_spacing: float = 0.0
    subscribe_spacing: float = 0.0
    http_codes: int | None = None
    rates: Rates = Rates()

    @property
    def streams(self) -> int | None:
        """How many codes of a family can be subscribed to of each kind."""
        if self.connections is None or self.codes is None:
            return None
        return self.connections * self.codes

    def options(self, options: Options) -> Options:
        """These options, with the limits of this plan. A refused token may be replaced by a good one."""
        terms = options.terms._replace(spacing=_spaced(self.subscribe_spacing), codes=self.codes)
        return options._replace(terms=terms, retry_unauthorized=True)

    def subscriptions(self) -> Pace:
        """Paces the subscription requests of one family."""
        return Pace(_spaced(self.subscribe_spacing))

    def connects(self) -> Pace:
        """Paces new connections."""
        return Pace(_spaced(self.connect_spacing))


def _spaced(seconds: float) -> float:
    return seconds + MARGIN if seconds else 0.0
