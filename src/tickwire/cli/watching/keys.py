"""The keys that are pressed, without waiting for them."""

from __future__ import annotations

import re
import sys

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
    import contextlib
    import os
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
