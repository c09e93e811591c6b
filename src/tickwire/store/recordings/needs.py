"""pyarrow, which only recordings need."""

from __future__ import annotations

import sys

from ...errors import TickwireError


def need_pyarrow(error: type[TickwireError]) -> None:
    """Raises that error, with the command that mends it, if pyarrow is missing."""
    try:
        import pyarrow.json
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise error("Recordings need one more package: pip install 'tickwire[parquet]'.") from None


def held_bytes() -> int:
    """What tables take that are held now."""
    arrow = sys.modules.get("pyarrow")
    return 0 if arrow is None else int(arrow.total_allocated_bytes())


def give_back() -> None:
    """Lets the system have what tables took that are gone. May take milliseconds."""
    if (arrow := sys.modules.get("pyarrow")) is not None:
        arrow.default_memory_pool().release_unused()
