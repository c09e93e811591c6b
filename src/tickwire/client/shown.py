"""What a server or a user wrote, as it may stand in one line of a message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..wire import Key

MOST_TEXT = 200
MOST_NAMED = 5


def plain(text: str) -> str:
    """A text in one line that is safe to show."""
    return "".join(one if one.isprintable() else "�" for one in text[:MOST_TEXT])


def codes_of(keys: Iterable[Key]) -> list[str]:
    """The codes of streams, each once."""
    return [*dict.fromkeys(key if isinstance(key, str) else key[0] for key in keys)]


def some(codes: Iterable[str]) -> str:
    """Codes, and how many more where they are too many for a line."""
    named = [*codes]
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    return f"{plain(', '.join(named[:MOST_NAMED]))}{more}"


def told_nearest(near: Mapping[str, str]) -> str:
    """In words the codes that may have been meant by others."""
    codes = dict.fromkeys(near.values())
    return f"the nearest {'code is' if len(codes) == 1 else 'codes are'} {some(codes)}"
