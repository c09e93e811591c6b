"""Lines of a screen: pieces of text, each in a style. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from rich.cells import cell_len, set_cell_size

Span: TypeAlias = tuple[str, str]
"""A text without control characters, and its style as rich names it, "" for none."""
Line: TypeAlias = list[Span]


def right(text: str, width: int) -> str:
    """The text at the right of so many columns; longer texts are cut."""
    missing = width - cell_len(text)
    return " " * missing + text if missing >= 0 else set_cell_size(text, width)


def fitted(line: Iterable[Span], width: int) -> Line:
    """The line in exactly so many columns: cut, or filled with blanks."""
    found: Line = []
    room = width
    for text, style in line:
        if (size := cell_len(text)) > room:
            text, size = set_cell_size(text, room), room
        if text:
            found.append((text, style))
        room -= size
    if room:
        found.append((" " * room, ""))
    return found
