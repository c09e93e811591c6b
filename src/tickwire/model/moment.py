"""Milliseconds since the epoch as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(milliseconds: int) -> datetime:
    """The time of so many milliseconds since the epoch, in UTC."""
    return EPOCH + timedelta(milliseconds=milliseconds)
