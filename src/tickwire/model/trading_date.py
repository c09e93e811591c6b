"""Trading dates: what bars of days, weeks and months are known by."""

from __future__ import annotations

from datetime import date, timedelta

from .moment import EPOCH, moment

AHEAD = timedelta(hours=13)
"""How far an exchange lies ahead of UTC at the most; none lies eleven hours behind it."""
MILLISECOND = timedelta(milliseconds=1)


def trading_date(opened: int) -> date:
    """The date of a bar of a day that opens then, in milliseconds since the epoch; of one of a week or a
    month, its first date.

    Such a bar opens at midnight of its exchange (section 3, "K-lines"), so that its date does not depend on
    knowing which exchange that is.

    >>> trading_date(1794758400000), trading_date(1794805200000)  # midnight in Hong Kong, and in New York
    (datetime.date(2026, 11, 16), datetime.date(2026, 11, 16))
    """
    return (moment(opened) + AHEAD).date()


def earliest_open(day: date) -> int:
    """The first moment, in milliseconds since the epoch, at which a bar of that date may open."""
    midnight = EPOCH + timedelta(days=(day - EPOCH.date()).days)
    return (midnight - AHEAD - EPOCH) // MILLISECOND
