"""The terminal: lines go out, as few of them as have changed; keys come in; it is left as it was found."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import TextIO

from rich.console import COLOR_SYSTEMS, Console
from rich.style import Style

from .line import Line

CLEAR = "\x1b[2J"
ENTER, LEAVE = f"\x1b[?1049h\x1b[?25l{CLEAR}", "\x1b[?25h\x1b[?1049l"
"""To the other screen of the terminal, without a cursor; and back."""
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"
"""Around a frame, which terminals that know it then show at once."""
NAMES = {
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1bOA": "up",
    "\x1bOB": "down",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "k": "up",
    "j": "down",
    " ": "pause",
    "q": "quit",
    "Q": "quit",
}
KEY = re.compile(r"\x1b[\[O].*?(?:[A-Za-z~]|$)|.", re.DOTALL)
"""What one key sends: an escape sequence goes on up to a letter or a tilde."""
WINDOWS = {"\x00H": "up", "\x00P": "down", "\x00I": "page up", "\x00Q": "page down"}


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
        found = Style.parse(name)  # which keeps what it has read
        return found.without_color if self._console.no_color else found

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()


def named(text: str) -> list[str]:
    """The keys in what a terminal sent; what has no meaning here is left out.

    >>> named("x \\x1b[Bq")
    ['pause', 'down', 'quit']
    """
    return [NAMES[key] for key in KEY.findall(text) if key in NAMES]


if sys.platform == "win32":

    class Keys:
        """The keys of the console."""

        def enter(self) -> None:
            """Nothing is needed here."""

        def leave(self) -> None:
            """Nothing is needed here."""

        def pressed(self) -> list[str]:
            """Those since the last call."""
            import msvcrt

            found = []
            while msvcrt.kbhit():
                key = msvcrt.getwch()
                if key in ("\x00", "\xe0"):
                    found.append(WINDOWS.get("\x00" + msvcrt.getwch(), ""))
                else:
                    found += named(key)
            return found

else:
    import select
    import termios
    import tty

    class Keys:
        """The keys of the terminal at standard input; none where that is no terminal."""

        def __init__(self) -> None:
            self._fd = sys.stdin.fileno() if sys.stdin.isatty() else -1
            self._before = termios.tcgetattr(self._fd) if self._fd >= 0 else None

        def enter(self) -> None:
            """Keys come at once and are not shown; Ctrl-C stays what it is."""
            if self._before is not None:
                tty.setcbreak(self._fd)

        def leave(self) -> None:
            """As it was."""
            if self._before is not None:
                with contextlib.suppress(termios.error):  # the terminal is gone
                    termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

        def pressed(self) -> list[str]:
            """Those since the last call. Raises OSError when the terminal is gone."""
            if self._before is None or not select.select([self._fd], [], [], 0)[0]:
                return []
            return named(os.read(self._fd, 1024).decode(errors="replace"))
