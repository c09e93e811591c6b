"""Files that a person hands in: read whole, each fault of them in one line, and none waited for."""

from __future__ import annotations

import errno
import os
import re
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InputError

MOST = 2**24
"""Bytes of a file that a person writes, unless less is enough."""
MOST_TOML = 2**22
"""Bytes of TOML: `tomllib` takes seconds for each MiB of it."""
DEEP_KEY = re.compile(r"""(?<![\w"'-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){30}""")
"""A dotted key for which `tomllib` needs memory by the square of its parts: 40 GB for 200 KB."""


def read_bytes(path: Path, what: str, most: int = MOST) -> bytes:
    """What is in a file; `what` says what it is, such as "the instruments in".

    Raises InputError if it cannot be read, is larger than `most` bytes, or is no regular file: a pipe would
    be waited for, and a device never ends.
    """
    try:
        check_regular(path)
        with path.open("rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"Cannot read {what} {path}: {reason}.") from error
    if len(data) > most:
        raise InputError(
            f"Cannot read {what} {path}: it is larger than {most // 2**20} MiB. Is it the right file?"
        )
    return data


def check_regular(path: Path) -> None:
    """Raises OSError if it is no file that can be read to its end."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device; write what it gives into a file first")


class Version(NamedTuple):
    """How a file is: its size in bytes, and when it was changed, in nanoseconds since the epoch."""

    size: int
    changed: int

    def is_cut(self, now: Version) -> bool:
        """Whether it has been cut short since; what is left is taken for good."""
        return now.size < self.size

    def is_rewritten(self, now: Version) -> bool:
        """Whether it has been written in since, and not only to its end."""
        return now.size == self.size and now != self

    @classmethod
    def of(cls, found: os.stat_result) -> Version:
        """That of a file, from its state."""
        return cls(found.st_size, found.st_mtime_ns)


def version_of(path: Path) -> Version:
    """How a file is now. Raises InputError."""
    try:
        return Version.of(path.stat())
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error


def is_folder(path: Path) -> bool:
    """Whether it is one, such as a recording, rather than a file."""
    return path.is_dir()


def read_text(path: Path, what: str, most: int = MOST) -> str:
    """The text in a file in UTF-8, without its byte-order mark. Raises InputError, as `read_bytes` does."""
    try:
        return read_bytes(path, what, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 (byte {error.start}). Save it as UTF-8.") from error


def read_toml(
    path: Path, what: str, most: int = MOST_TOML, parse_float: Callable[[str], Any] = float
) -> dict[str, Any]:
    """The tables in a TOML file. Raises InputError, as `read_text` does."""
    return toml_in(read_text(path, what, most), str(path), parse_float)


def toml_in(text: str, where: str, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """The tables in a text of TOML, wherever it comes from. Raises InputError that says where."""
    if deep := DEEP_KEY.search(text):
        line = text.count("\n", 0, deep.start()) + 1
        raise InputError(f"{where}, line {line}: a key of too many parts.")
    try:
        return tomllib.loads(text, parse_float=parse_float)
    except RecursionError as error:
        raise InputError(f"{where}: lists or tables are nested too deeply.") from error
    except ValueError as error:
        raise InputError(f"{where} is not TOML: {error}.") from error
