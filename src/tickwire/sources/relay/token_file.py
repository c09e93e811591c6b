"""The upstream token: in a file, so that it can be changed while the server runs, and out of all texts."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import structlog

from ...errors import StartError
from ...machine import Disk, Seen

log = structlog.get_logger()


class Secret:
    """The token of the moment. `token` gives it; where that fails, the last good one stays, or none."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._give = token
        self._token = ""

    def __call__(self) -> str:
        """The token."""
        try:
            self._token = self._give()
        except Exception as error:  # whatever it is made of: upstream says what it thinks of the old one
            log.warning("the old token is kept", reason=type(error).__name__)
        return self._token

    def plain(self, text: str) -> str:
        """A text, which upstream may have had a hand in, without the token."""
        if not self._token:
            return text
        forms = "|".join(re.escape(form) for form in (self._token, quote(self._token, safe="")))
        return re.sub(rf"(?<!\w)(?:{forms})(?!\w)", "…", text)


class TokenFile:
    """The token that stands in a file, alone, spaces and line ends around it left out.

    The file is read again when it has changed; while what stands there cannot be used, the last good token
    stays. Raises StartError if there is none at the start. No text that it raises or logs holds a token.
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path, self._disk = path, disk
        try:
            self._seen: Seen | None = disk.look(path)
            self._token = self._told = self._read()
        except (OSError, ValueError) as error:
            raise StartError(f"No token in {path}: {_reason(error)}. Write it there, alone.") from None

    def __call__(self) -> str:
        """The token of the moment."""
        try:
            seen = self._disk.look(self._path)
        except OSError:
            seen = None
        if seen != self._seen:
            self._seen = seen
            try:
                self._token = self._read()
            except (OSError, ValueError) as error:
                log.warning("the old token is kept", file=str(self._path), reason=_reason(error))
        return self._token

    def changed(self) -> bool:
        """Whether it is another one than at the last time that this was asked."""
        before, self._told = self._told, self()
        return self._told != before

    def _read(self) -> str:
        raw = self._disk.read(self._path).removeprefix(codecs.BOM_UTF8)
        if not raw.isascii():
            raise ValueError("it holds more than plain ASCII")
        token = raw.decode().strip()
        if not token:
            raise ValueError("it is empty")
        if not token.isprintable() or " " in token:
            raise ValueError("it holds more than one word")
        return token


def _reason(error: Exception) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)
