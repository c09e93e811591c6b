"""How people name what the protocol numbers: the stretches of K-lines."""

from __future__ import annotations

from ..model import KlineType

INTERVALS = {
    "1m": KlineType.MINUTE,
    "5m": KlineType.MINUTES_5,
    "15m": KlineType.MINUTES_15,
    "30m": KlineType.MINUTES_30,
    "1h": KlineType.HOUR,
    "2h": KlineType.HOURS_2,
    "4h": KlineType.HOURS_4,
    "1d": KlineType.DAY,
    "1w": KlineType.WEEK,
    "1mo": KlineType.MONTH,
}
INTERVAL_OF = {kline_type: name for name, kline_type in INTERVALS.items()}
ALSO = {"60m": "1h", "1wk": "1w"}
"""Other names that are in use elsewhere."""


def kline_type_of(interval: str | int) -> KlineType:
    """The type of a name, or of the protocol's number. Raises ValueError that names those there are.

    >>> kline_type_of("1h"), kline_type_of(5), kline_type_of("60m")
    (<KlineType.HOUR: 5>, <KlineType.HOUR: 5>, <KlineType.HOUR: 5>)
    """
    found = interval if isinstance(interval, int) else INTERVALS.get(ALSO.get(interval, interval))
    try:
        return KlineType(found)  # type: ignore[arg-type]  # None is refused like any other
    except ValueError:
        raise ValueError(f"{interval!r} is no interval: use one of {', '.join(INTERVALS)}") from None
