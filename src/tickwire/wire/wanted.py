"""What is wanted of one kind: by name, and by patterns that mean many names. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias, TypeVar

ANY = "*"
"""What stands for any text in a name."""

Key: TypeAlias = str | tuple[str, int]
"""A stream among those of its kind: a code, or for bars a code and a type."""


def code_of(key: Key) -> str:
    """The code, or the pattern, of a stream."""
    return key if isinstance(key, str) else key[0]


def matches(pattern: str, code: str) -> bool:
    """Whether a code is one of those that a name with `*` in it means.

    >>> matches("*.HK", "700.HK"), matches("BTC*", "ETHBTC")
    (True, False)
    """
    first, *middle, last = pattern.split(ANY)
    if not code.startswith(first) or not code.endswith(last):
        return False
    at, end = len(first), len(code) - len(last)
    for part in middle:  # each as early as it can be
        if (found := code.find(part, at, end)) < 0:
            return False
        at = found + len(part)
    return at <= end


class Entry(Protocol):
    """What is kept of a name; `implied` if it is wanted because of a pattern alone."""

    implied: bool


T = TypeVar("T", bound=Entry)


class Wanted(dict[Key, T]):
    """What is wanted, by name; what patterns imply stands here from its first event on."""

    __slots__ = ("_patterns",)

    def __init__(self) -> None:
        super().__init__()
        self._patterns: list[Key] = []

    @property
    def patterns(self) -> list[Key]:
        """Those of the names that mean others."""
        return [*self._patterns]

    def want(self, key: Key, make: Callable[[], T]) -> T:
        """Wants it by its name; it goes on, if a pattern implied it."""
        one = self.get(key)
        if one is None:
            one = self[key] = make()
            if ANY in code_of(key):
                self._patterns.append(key)
        one.implied = False
        return one

    def drop(self, key: Key) -> T | None:
        """Wants the name no more, nor what only it implied; None if it was not wanted by that name."""
        one = self.get(key)
        if one is None or one.implied:
            return None
        if key in self._patterns:
            self._patterns.remove(key)
            del self[key]
            for name in [name for name, other in self.items() if other.implied]:
                if self._pattern_of(name) is None:
                    del self[name]
        elif self._pattern_of(key) is not None:
            one.implied = True
        else:
            del self[key]
        return one

    def imply(self, key: Key, make: Callable[[T], T]) -> T | None:
        """Something of a name came that is not wanted by itself: it is, if a pattern means it, and is made of
        what is kept of that."""
        if (pattern := self._pattern_of(key)) is None:
            return None
        one = self[key] = make(self[pattern])
        one.implied = True
        return one

    def _pattern_of(self, key: Key) -> Key | None:
        for pattern in self._patterns:
            if isinstance(pattern, str) and isinstance(key, str):
                if matches(pattern, key):
                    return pattern
            elif pattern[1] == key[1] and matches(pattern[0], key[0]):
                return pattern
        return None
