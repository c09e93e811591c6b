"""How far each publisher is in a recording: the `seq` up to which its events are there.

The journal carries what is reached with each record. When it is sealed, that goes into a file of the folder,
which names the recording too: positions only mean something beside bars that were kept with the same one.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog

from .durable import sync_folder

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
    """What the file says; new ones if there is none, or if it cannot be understood. Raises OSError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Positions)
    except FileNotFoundError:
        return Positions()
    except ValueError as error:  # msgspec.ValidationError among them
        log.warning(
            "positions of publishers cannot be read, they begin anew", file=str(path), reason=str(error)
        )
        return Positions()


def write_positions(path: Path, positions: Positions) -> None:
    """Puts the file in place of the one before, at once. Raises OSError."""
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(msgspec.json.encode(positions))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_folder(path.parent)
