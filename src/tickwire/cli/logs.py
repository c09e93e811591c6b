"""The log: one event a line, to standard error."""

from __future__ import annotations

import logging
import sys
from typing import TextIO, cast

import structlog

from ..config import LogLevel


class StandardError:
    """Whatever standard error is when something is written to it: loggers are kept, and it may be another one
    by then."""

    def write(self, text: str) -> None:
        sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure(level: LogLevel) -> None:
    """Sets the log up for this process: readable on a terminal, key=value lines elsewhere."""
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
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
