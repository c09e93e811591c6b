"""How people name what the protocol numbers: the stretches of K-lines."""

from __future__ import annotations

from ..model import KlineType

INTERVALS = dict(zip("1m 5m 15m 30m 1h 2h 4h 1d 1w 1mo".split(), KlineType, strict=True))
INTERVAL_OF = {kline_type: name for name, kline_type in INTERVALS.items()}
DAY_MS = 86_400_000
LENGTHS = dict(
    zip(
        KlineType,
        (*(minutes * 60_000 for minutes in (1, 5, 15, 30, 60, 120, 240)), DAY_MS, 7 * DAY_MS, 31 * DAY_MS),
        strict=True,
    )
)
"""How long a bar lasts at the most, in milliseconds, changes of clocks aside."""
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
