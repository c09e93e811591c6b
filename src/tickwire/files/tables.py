"""Reads tables from CSV files, plain or gzipped: every line hostile until parsed, every bad one named."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import IO, TypeVar, cast

from ..errors import InputError
from .reading import check_regular

NUMBER = r"\d{1,15}(?:\.\d{1,12})?"
"""A plain decimal; bounded, so that no line can make a number that takes gigabytes to write."""
SCIENTIFIC = re.compile(r"\d{1,15}(?:\.\d{1,20})?[eE][+-]?\d{1,2}")
"""A number as pandas and spreadsheets write a small or a large one."""
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
            shape, columns, pattern = _columns(path, file.readline(LINE_LIMIT), shapes)
            patterns = shapes[shape]
            while raw := file.readline(LINE_LIMIT):
                number += 1
                if len(raw) == LINE_LIMIT and not raw.endswith(b"\n"):
                    while raw and not raw.endswith(b"\n"):
                        raw = file.readline(LINE_LIMIT)
                    yield number, f"longer than {LINE_LIMIT} bytes"
                    continue
                if found := pattern.match(raw):
                    yield number, (shape, [text.decode() for text in found.group(*patterns)])
                elif raw.strip():
                    read = _read_again(raw, columns, patterns)
                    yield number, read if isinstance(read, str) else (shape, read)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"Cannot read {path} after line {number - 1}: {reason}.") from error


def _open(path: Path) -> IO[bytes]:
    check_regular(path)
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path)) if compressed else path.open("rb")


def _columns(
    path: Path, header: bytes, shapes: Mapping[Shape, Mapping[str, str]]
) -> tuple[Shape, list[str], re.Pattern[bytes]]:
    """Which shape a file has, its columns, and the pattern of a line, from its first line."""
    names = header.decode("utf-8-sig", "replace").strip().split(",")
    for shape, patterns in shapes.items():
        if set(names) >= patterns.keys():
            if twice := [name for name in patterns if names.count(name) > 1]:
                raise InputError(f"{path}, line 1: the column {twice[0]} is there twice. Remove one of them.")
            groups = (f"(?P<{name}>{patterns[name]})" if name in patterns else "[^,]*" for name in names)
            return shape, names, re.compile(rf"{','.join(groups)}\s*$".encode("ascii"))
    expected = " or ".join(",".join(patterns) for patterns in shapes.values())
    raise InputError(f"{path}, line 1: the columns are {','.join(names)[:100]!r}, expected {expected}.")


def _read_again(raw: bytes, columns: list[str], patterns: Mapping[str, str]) -> list[str] | str:
    """The fields of a line that is not plain: numbers may be in scientific notation. Else what is wrong."""
    fields = raw.decode("utf-8", "replace").rstrip().split(",")
    if len(fields) != len(columns):
        return f"{len(fields)} fields in place of {len(columns)}"
    found = []
    for name, pattern in patterns.items():
        text = fields[columns.index(name)]
        number = f"{Decimal(text):f}" if NUMBER in pattern and SCIENTIFIC.fullmatch(text) else text
        if not re.fullmatch(pattern, number, re.ASCII):
            return f"{name} is {text[:40]!a}, expected {_expected(pattern)}"
        found.append(number)
    return found


def _expected(pattern: str) -> str:
    if NUMBER in pattern:
        return "a number from 0 to below 10^15 with at most 12 decimals"
    if digits := re.fullmatch(r"\\d\{1,(\d+)\}", pattern):
        return f"a whole number of at most {digits[1]} digits"
    return "visible ASCII characters without a comma"
