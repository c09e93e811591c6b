"""The targets of fuzzing, by name, and which module each stands in: only that is imported, and guides."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from pathlib import Path

import structlog

CORPUS = Path(__file__).parent / "corpus"
TARGETS = {
    "wire": ("session", "frames", "head", "published", "relayed"),
    "http": ("http",),
    "files": (
        *("settings", "scenario", "recording", "bars", "parquet", "instruments", "suspensions"),
        "journals",
    ),
}
NAMES = {name: module for module, names in TARGETS.items() for name in names}


def target(name: str) -> Callable[[bytes], None]:
    """Takes any bytes; raises where something is wrong with Tickwire."""
    found: Callable[[bytes], None] = getattr(importlib.import_module(f".{NAMES[name]}", __package__), name)
    return found


def quiet() -> None:
    """Says nothing of what is bad: there is much of it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


if __name__ == "__main__":
    print(*NAMES)
