"""Reads what Tickwire tells beyond the protocol (docs/protocol.md, "Extensions")."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from .errors import Unreadable

T = TypeVar("T")


def entries(data: Any, name: str, shape: type[T]) -> list[T]:
    """The list of that name in an answer. Raises Unreadable."""
    try:
        found = data[name] if isinstance(data, dict) else None
        return msgspec.convert(found, list[shape])  # type: ignore[valid-type]
    except (KeyError, msgspec.ValidationError) as error:
        raise Unreadable(f"an answer cannot be read: {error}", status=200) from None
