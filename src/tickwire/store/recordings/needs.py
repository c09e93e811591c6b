"""pyarrow, which only recordings need."""

from __future__ import annotations

from ...errors import TickwireError


def need_pyarrow(error: type[TickwireError]) -> None:
    """Raises that error, with the command that mends it, if pyarrow is missing."""
    try:
        import pyarrow.json
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise error("Recordings need one more package: pip install 'tickwire[parquet]'.") from None
