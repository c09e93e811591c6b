"""The terminal: lines go out, as little of them as has changed; and it is left as it was found."""

from __future__ import annotations

import contextlib
import os
from typing import TextIO

from rich.console import COLOR_SYSTEMS, Console
from rich.style import Style

from .line import Line

CLEAR = "\x1b[2J"
ENTER, LEAVE = f"\x1b[?1049h\x1b[?25l{CLEAR}", "\x1b[?25h\x1b[?1049l"
"""To the other screen of the terminal, without a cursor; and back."""
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"
"""Around a frame, which terminals that know it then show at once."""


class Screen:
    """The screen of a terminal. Colours are what rich makes of the terminal and of NO_COLOR.

    `drawn` is the size of the last frame: columns and lines. What `frame` gives is for the owner to write,
    since a terminal may not take it at once.
    """

    def __init__(self, file: TextIO) -> None:
        self._console = Console(file=file)
        self._file = file
        self._system = COLOR_SYSTEMS.get(self._console.color_system or "")
        self._shown: list[Line] = []
        self.drawn = (0, 0)
        self._styles: dict[str, Style] = {}

    @property
    def able(self) -> bool:
        """Whether it is a terminal whose cursor can be moved."""
        console = self._console
        return console.is_terminal and not (console.is_dumb_terminal or console.legacy_windows)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines that it has now."""
        columns, lines = os.get_terminal_size(self._file.fileno())
        return columns or 80, lines or 24

    def enter(self) -> None:
        """Takes the screen; the next frame is drawn whole."""
        self._shown = []
        self._write(ENTER)

    def leave(self) -> None:
        """Gives it back."""
        with contextlib.suppress(OSError):  # the terminal is gone
            self._write(LEAVE)

    def frame(self, lines: list[Line], size: tuple[int, int]) -> str:
        """What to write to show these, which are made for a screen of that size; "" if they are shown."""
        clear = ""
        if size != self.drawn:
            self.drawn, self._shown, clear = size, [], CLEAR
        before = self._shown
        out = [
            f"\x1b[{place + 1};1H{self._text(line)}"
            for place, line in enumerate(lines)
            if place >= len(before) or line != before[place]
        ]
        self._shown = lines
        return "".join([BEGIN, clear, *out, END]) if out else ""

    def _text(self, line: Line) -> str:
        return "".join([self._style(style).render(text, color_system=self._system) for text, style in line])

    def _style(self, name: str) -> Style:
        found = self._styles.get(name)
        if found is None:
            found = Style.parse(name)
            if self._console.no_color:
                found = found.without_color
            self._styles[name] = found
        return found

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()
