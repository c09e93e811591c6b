"""The names of the package, each imported when it is first used (PEP 562), so that `import tickwire` costs
nothing. `__init__.pyi` tells those who check types what they are.
"""

from __future__ import annotations

import sys
from importlib import import_module

ROOMS = ("client", "errors", "sync")
HOMES = {
    "client": "Api Book ClientError Closed Correction Event Feed Gap HistoryWarning Kline MissingLibrary "
    "Network Overflow Plan Position PositionsError Progress Replay ReplayStatus RequestRefused Rows "
    "TooManyRequests Trade Unauthorized Unavailable Unreadable Untrusted connect load_positions "
    "save_positions",
    "client.events": "Status",
    "downloading": "download",
    "errors": "TickwireError",
    "wire": "MarketState Refusal SourceStatus Spared Subscribed",
}
"""Where the names are at home."""
HOME_OF = {name: home for home, names in HOMES.items() for name in names.split()}

__all__ = ["__version__", *HOME_OF]  # noqa: F822


def __getattr__(name: str) -> object:
    """The thing of that name, remembered."""
    package = sys.modules["tickwire"]
    if name in ROOMS:
        return import_module(f"tickwire.{name}")
    if (home := HOME_OF.get(name)) is None:
        raise AttributeError(f"module 'tickwire' has no attribute {name!r}")
    found: object = getattr(import_module(f"tickwire.{home}"), name)
    setattr(package, name, found)
    return found


def __dir__() -> list[str]:
    """All names of the package."""
    return sorted({*vars(sys.modules["tickwire"]), *HOME_OF, *ROOMS})
