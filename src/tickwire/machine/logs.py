"""The log: one event a line, to standard error."""

from __future__ import annotations

import logging
import sys
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict


class StandardError:
    """Whatever standard error is when something is written to it: loggers are kept, and it may be another one
    by then."""

    def write(self, text: str) -> None:
        sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure(level: str, process: str = "") -> None:
    """Sets the log up for this process: readable on a terminal, key=value lines elsewhere. Of several
    processes each line names its own."""
    terminal = sys.stderr.isatty()

    def name(_logger: object, _method: str, event: EventDict) -> EventDict:
        return {**event, "process": process} if process else event

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=True)
            if terminal
            else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", StandardError())),
        cache_logger_on_first_use=True,
    )
