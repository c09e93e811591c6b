"""Flags: what a client says of its connection in the URL of the upgrade (an extension, section 6)."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote_plus

from ..model import Slow
from .ret import Ret
from .session import Refused


class Flags(NamedTuple):
    """The flags of a connection; None where it names none."""

    slow: Slow | None = None
    """What becomes of it while it cannot keep up."""


def flags_of(query: str) -> Flags:
    """The flags in the query string of a URL, the first of each name; other names are passed over. Raises
    Refused for a value that a flag cannot have."""
    found: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name in Flags._fields:
            found.setdefault(name, unquote_plus(value))
    return Flags(**{name: _value(name, value) for name, value in found.items()})


def _value(name: str, value: str) -> Slow:
    try:
        return Slow(value)
    except ValueError:
        raise Refused(Ret(400, f"{name} is none of {', '.join(Slow)}", 400)) from None
