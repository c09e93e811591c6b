"""Plans: what a token may do. The vendor's are in section 4 of the protocol; a deployment defines more."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

UNITS = {"s": 1, "min": 60, "h": 3600, "day": 86_400}
MOST = 10_000
"""Requests per window at the most: the time of each is remembered."""
RATE = re.compile(r"(?P<count>\d{1,6}) ?/ ?(?P<length>\d{1,5})? ?(?P<unit>s|min|h|day)")


class Rate(NamedTuple):
    """So many requests in so many seconds."""

    requests: int
    seconds: int

    @classmethod
    def read(cls, text: str) -> Rate:
        """A rate as a person writes it: `1/10s`, `60/min`. Raises ValueError."""
        found = RATE.fullmatch(text.strip())
        rate = cls(int(found["count"]), int(found["length"] or 1) * UNITS[found["unit"]]) if found else None
        if rate is None or not (1 <= rate.requests <= MOST and 1 <= rate.seconds <= UNITS["day"]):
            raise ValueError(f"{text!r} is no rate such as 1/10s or 60/min (from 1 to {MOST}, up to a day)")
        return rate

    def __str__(self) -> str:
        return f"{self.requests}/{self.seconds}s"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Limits; None means that there is none. Those of WebSockets count per family.

    `refuse` answers 603 to more codes or groups than allowed; else the first ones are taken. `http_codes`
    is for /trade-tick, /depth-tick and /static_info, `batch_groups` for /batch-kline (codes × types),
    `replays` for those of all connections together. `connection_spacing` is in seconds.
    """

    name: str
    connections: int | None = None
    connection_spacing: float = 0
    subscriptions: Rate | None = None
    codes: int | None = None
    http_codes: int | None = None
    batch_groups: int | None = None
    replays: int | None = None
    refuse: bool = False
    endpoint: Rate | None = None
    batch_kline: Rate | None = None
    suspension: Rate | None = None
    http: Rate | None = None
    per_day: int | None = None

    @property
    def meters_http(self) -> bool:
        """Whether requests over HTTP are counted at all."""
        return any((self.endpoint, self.batch_kline, self.suspension, self.http, self.per_day))

    @property
    def is_shared(self) -> bool:
        """Whether it limits what all connections and requests of a token do together."""
        return bool(self.connections or self.connection_spacing or self.subscriptions or self.meters_http)

    def limits(self) -> dict[str, str | int]:
        """What it limits, by name; a rate as a person writes it."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name != "refuse"}
        numbers = {name: str(one) if isinstance(one, Rate) else one for name, one in fields.items()}
        return {name: one for name, one in numbers.items() if one is not None and one != 0}

    def rate_of(self, endpoint: str) -> Rate | None:
        """The rate of one endpoint of HTTP, by its name: `batch-kline`, `suspension/sse`, `kline`."""
        if endpoint == "batch-kline":
            return self.batch_kline
        return self.suspension if endpoint.startswith("suspension/") else self.endpoint


UNLIMITED = Plan(name="unlimited")
_METERED = "connections codes http_codes batch_groups endpoint batch_kline http per_day".split()
_VENDOR: dict[str, tuple[Any, ...]] = {
    "free": (1, 5, 5, 5, Rate(1, 10), Rate(1, 10), Rate(10, 60), 1_000),
    "basic": (1, 100, None, 100, Rate(1, 1), Rate(1, 3), Rate(60, 60), 86_400),
    "premium": (3, 200, None, 200, Rate(10, 1), Rate(1, 2), Rate(600, 60), 864_000),
    "professional": (10, 3_000, None, 500, Rate(20, 1), Rate(1, 1), Rate(1_200, 60), 1_728_000),
}


def _vendor(name: str) -> Plan:
    limits = dict(zip(_METERED, _VENDOR[name], strict=True))
    return Plan(name=name, subscriptions=Rate(1, 1), suspension=Rate(1, 60), **limits)


BUILT_IN = {**{name: _vendor(name) for name in _VENDOR}, UNLIMITED.name: UNLIMITED}
"""The plans of section 4, by name."""


COUNTS = ("connections", "codes", "http_codes", "batch_groups", "replays", "per_day")
RATES = ("subscriptions", "endpoint", "batch_kline", "suspension", "http")
NO_LIMIT = "unlimited"
BASE = "base"


def read_plan(name: str, fields: Mapping[str, Any]) -> Plan:
    """A plan as the settings define it: what it leaves out is as in its `base`, the unlimited plan unless
    said otherwise. Raises ValueError that names the field.
    """
    base = fields.get(BASE, UNLIMITED.name)
    if not isinstance(base, str) or base not in BUILT_IN:
        raise ValueError(f"plan {name}: base {base!r} is none of {', '.join(BUILT_IN)}")
    values = {field: _limit(name, field, value) for field, value in fields.items() if field != BASE}
    return msgspec.structs.replace(BUILT_IN[base], name=name, **values)


def _limit(name: str, field: str, value: Any) -> Any:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if field in (*COUNTS, *RATES) and value == NO_LIMIT:
        return None
    if field in COUNTS and whole and 1 <= value <= 10**12:
        return value
    if field in RATES and isinstance(value, str):
        try:
            return Rate.read(value)
        except ValueError as error:
            raise ValueError(f"plan {name}: {field}: {error}") from None
    if field == "refuse" and isinstance(value, bool):
        return value
    if field == "connection_spacing" and (whole or isinstance(value, float)) and 0 <= value <= 3600:
        return float(value)
    expected = {"refuse": "true or false", "connection_spacing": "seconds, from 0 to 3600"}
    expected |= dict.fromkeys(COUNTS, f"a number from 1, or {NO_LIMIT!r}")
    expected |= dict.fromkeys(RATES, f"a text such as '10/min', or {NO_LIMIT!r}")
    if field not in expected:
        near = difflib.get_close_matches(field, [BASE, *expected], n=1, cutoff=0)
        raise ValueError(f"plan {name}: {field} is unknown; the nearest known one is {near[0]}")
    raise ValueError(f"plan {name}: {field} is {value!r}, expected {expected[field]}")
