"""The keys that are pressed, without waiting for them."""

from __future__ import annotations

import sys
from typing import Self

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
"""What terminals send, and what it means."""
WINDOWS = {"\x00H": "up", "\x00P": "down", "\x00I": "page up", "\x00Q": "page down"}


def named(text: str) -> list[str]:
    """The keys in what a terminal sent; what has no meaning here is left out.

    >>> named("x \\x1b[Bq")
    ['pause', 'down', 'quit']
    """
    found = []
    while text:
        for sent, name in NAMES.items():
            if text.startswith(sent):
                found.append(name)
                text = text[len(sent) :]
                break
        else:
            text = _after_unknown(text)
    return found


def _after_unknown(text: str) -> str:
    """Behind a key without a name: an escape sequence goes on up to a letter or a tilde."""
    if text[:2] not in ("\x1b[", "\x1bO"):
        return text[1:]
    place = 2
    while place < len(text) and not (text[place].isalpha() or text[place] == "~"):
        place += 1
    return text[place + 1 :]


if sys.platform == "win32":

    class Keys:
        """The keys of the console, for `with`."""

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

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
        """The keys of the terminal at standard input, for `with`; none where that is no terminal."""

        def __init__(self) -> None:
            self._fd = sys.stdin.fileno() if sys.stdin.isatty() else -1
            self._before = termios.tcgetattr(self._fd) if self._fd >= 0 else None

        def __enter__(self) -> Self:
            self.enter()
            return self

        def __exit__(self, *_: object) -> None:
            self.leave()

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
