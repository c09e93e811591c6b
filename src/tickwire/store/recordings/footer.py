"""What a sealed file says of itself in its footer, so that a folder is listed without reading its events."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pyarrow as pa
from pyarrow import parquet

from ...errors import InputError
from ...files import check_regular

KEY = b"tickwire"
"""The key of the Parquet metadata under which it stands, as JSON."""
VERSION = 2
"""In version 1 the column `arrival` is called `order`, a word that SQL keeps for itself."""


class CodeNote(msgspec.Struct, frozen=True, array_like=True):
    """What a file holds of a code: how many events, and the most decimals of its prices and volumes."""

    events: int
    price_decimals: int
    volume_decimals: int


class Footer(msgspec.Struct, frozen=True):
    """The note of a sealed file.

    `first_time` and `last_time` are of the source, in milliseconds since the epoch; `first_received` and
    `last_received` are ours, in microseconds. `journal` is the id of the journal that it was made of.
    """

    source: str
    journal: str
    first_time: int
    last_time: int
    first_received: int
    last_received: int
    codes: dict[str, CodeNote]
    version: int = VERSION


UNREADABLE = OSError, ValueError, pa.ArrowException
"""What a Parquet file that cannot be read raises: a name in it that is no UTF-8 is no error of Arrow's."""


def read_footer(path: Path) -> Footer:
    """The note of a file. Raises InputError."""
    try:
        check_regular(path)
        metadata = parquet.read_metadata(path).metadata or {}
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    try:
        footer = msgspec.json.decode(metadata[KEY], type=Footer)
    except (KeyError, ValueError) as error:
        raise InputError(f"{path} is no file of a recording. Move it away.") from error
    if footer.version > VERSION:
        raise InputError(f"{path} was written by a newer Tickwire. Update Tickwire.")
    return footer


def unreadable(path: Path, error: Exception) -> InputError:
    """What is said of a Parquet file that cannot be read."""
    reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
    return InputError(f"Cannot read {path}: {reason.rstrip('.')}. Move it away, or put it back from a copy.")
