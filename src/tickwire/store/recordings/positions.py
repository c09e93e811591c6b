"""How far each publisher is in a recording: the `seq` up to which its events are there.

The journal carries what is reached with each record. When it is sealed, that goes into a file of the folder,
which names the recording too: positions only mean something beside bars that were kept with the same one.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog

from ...machine import Disk
from .folder import sync

MOST = 16 << 20
"""Bytes that are read of the file: more than ten times what 10 000 publishers take."""

log = structlog.get_logger()


class Positions(msgspec.Struct):
    """What the file holds."""

    id: str = msgspec.field(default_factory=lambda: uuid.uuid4().hex)
    publishers: dict[str, int] = msgspec.field(default_factory=dict)
    """The `seq` that each has reached."""


def advance(positions: dict[str, int], reached: Mapping[str, int]) -> None:
    """Takes over what lies further: a `seq` never goes back."""
    for name, seq in reached.items():
        if seq > positions.get(name, 0):
            positions[name] = seq


def read_positions(path: Path) -> Positions:
    """What the file says; new ones if there is none, or if it cannot be understood. It is set aside then.

    Raises OSError.
    """
    try:
        return msgspec.json.decode(Disk().read(path, MOST), type=Positions)
    except FileNotFoundError:
        return Positions()
    except (ValueError, RecursionError) as error:
        log.warning(
            "positions of publishers cannot be read and are set aside: the recording goes on from where the "
            "bars are, and may lack what came just before a kill",
            file=str(path),
            reason=str(error),
            kept_in=str(Disk().set_aside(path)),
        )
        return Positions()


def write_positions(path: Path, positions: Positions) -> None:
    """Puts the file in place of the one before, at once. Raises OSError."""
    Disk().replace(path, msgspec.json.encode(positions))
    sync(path.parent)
