"""The upstream token, kept in a file so that it can be changed while the server runs."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import TypeAlias

import structlog

from ...errors import StartError
from ...files import check_regular

MOST_BYTES = 4096
"""Bytes of the file at the most."""

Seen: TypeAlias = tuple[int, int, int]
"""By what a file is told from what it was: time of change in ns, size, number."""

log = structlog.get_logger()


class TokenFile:
    """The token that stands in a file, alone, spaces and line ends around it left out.

    The file is read again when it has changed; while what stands there cannot be used, the last good token
    stays. Raises StartError if there is none at the start. No text that it raises or logs holds a token.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._seen: Seen | None = self._look()
            self._token = self._told = self._read()
        except (OSError, ValueError) as error:
            raise StartError(f"No token in {path}: {_reason(error)}. Write it there, alone.") from None

    def __call__(self) -> str:
        """The token of the moment."""
        try:
            seen = self._look()
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

    def _look(self) -> Seen:
        found = self._path.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> str:
        check_regular(self._path)
        with self._path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1).removeprefix(codecs.BOM_UTF8)
        if len(raw) > MOST_BYTES:
            raise ValueError(f"it is longer than {MOST_BYTES} bytes")
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
