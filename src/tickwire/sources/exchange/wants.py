"""Which streams of an exchange somebody wants. Pure: time, in seconds, is an argument."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

from ...model import Kind
from ..source import ASKED, SUBSCRIBED

Key: TypeAlias = tuple[Kind, str]
"""A stream: trades or books of a code."""


class Wants:
    """The streams that are always kept, and those that somebody wants for a while."""

    def __init__(self, keep: Iterable[Key]) -> None:
        self._keep = frozenset(keep)
        self._until: dict[Key, float] = {}

    def want(self, keys: Iterable[Key], now: float, *, subscribed: bool) -> None:
        """Somebody wants these."""
        until = now + (SUBSCRIBED if subscribed else ASKED)
        for key in keys:
            if key not in self._keep:
                self._until[key] = max(until, self._until.get(key, until))

    def wanted(self, now: float) -> Collection[Key]:
        """All that is wanted; what lapsed is forgotten."""
        self._until = {key: until for key, until in self._until.items() if until > now}
        return self._keep | self._until.keys()


def keys_of(kind: Kind, codes: Iterable[str], levels: Mapping[str, int]) -> list[Key]:
    """The streams that give a kind of event: bars are made of trades, and some instruments have no book."""
    if kind is Kind.DEPTH:
        return [(kind, code) for code in codes if levels.get(code)]
    return [(Kind.TRADE, code) for code in codes if code in levels]
