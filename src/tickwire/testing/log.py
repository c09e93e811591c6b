"""What a server inside another program logs: nothing below its level. The program's own log is left alone."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, MutableMapping
from typing import Any

import structlog

LEVELS = logging.getLevelNamesMapping()


@contextlib.contextmanager
def threshold(level: str) -> Iterator[None]:
    """Drops what this thread logs below a level.

    structlog has one configuration for a whole process, and that is not ours here: a processor is put
    before those that there are, and taken away again.
    """
    thread, least = threading.get_ident(), LEVELS[level.upper()]

    def drop(_logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if threading.get_ident() == thread and LEVELS.get(method.upper(), least) < least:
            raise structlog.DropEvent
        return event

    processors = structlog.get_config()["processors"]
    processors.insert(0, drop)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # the program may have configured its log anew
            processors.remove(drop)
