"""Reads tables from CSV files, plain or gzipped: every line hostile until parsed, every bad one named."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TypeVar, cast

from .errors import InputError

NUMBER = r"\d{1,15}(?:\.\d{1,12})?"
"""A plain decimal; bounded, so that no line can make a number that takes gigabytes to write."""
CODE = r"[!-+\--~]{1,32}"
LINE_LIMIT = 4096
"""Bytes of the longest line."""

Shape = TypeVar("Shape")


def read_table(
    path: Path, shapes: Mapping[Shape, Mapping[str, str]]
) -> Iterator[tuple[int, tuple[Shape, list[str]] | str]]:
    """Each line of a file with its number: the shape of the file and the fields, or what is wrong with it.

    A shape is told by its columns; their order is free, others are ignored. `shapes` gives for each the
    pattern of every column. Raises InputError if the file cannot be read or has no known columns.
    """
    number = 1
    try:
        with _open(path) as file:
            shape, names, pattern = _columns(path, file.readline(LINE_LIMIT), shapes)
            while raw := file.readline(LINE_LIMIT):
                number += 1
                if len(raw) == LINE_LIMIT and not raw.endswith(b"\n"):
                    while raw and not raw.endswith(b"\n"):
                        raw = file.readline(LINE_LIMIT)
                    yield number, f"longer than {LINE_LIMIT} bytes"
                    continue
                if found := pattern.match(raw):
                    yield number, (shape, [text.decode() for text in found.group(*names)])
                elif raw.strip():
                    yield number, f"not {', '.join(names)} in plain numbers"
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"Cannot read {path} after line {number - 1}: {reason}.") from error


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path)) if compressed else path.open("rb")


def _columns(
    path: Path, header: bytes, shapes: Mapping[Shape, Mapping[str, str]]
) -> tuple[Shape, list[str], re.Pattern[bytes]]:
    """Which shape a file has, the columns of that shape, and the pattern of a line, from its first line."""
    names = header.decode("utf-8-sig", "replace").strip().split(",")
    for shape, patterns in shapes.items():
        if set(names) >= patterns.keys():
            groups = (f"(?P<{name}>{patterns[name]})" if name in patterns else "[^,]*" for name in names)
            return shape, list(patterns), re.compile(rf"{','.join(groups)}\s*$".encode("ascii"))
    expected = " or ".join(",".join(patterns) for patterns in shapes.values())
    raise InputError(f"{path}, line 1: the columns are {','.join(names)[:100]!r}, expected {expected}.")
