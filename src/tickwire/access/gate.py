"""The check of a token. Pure: the tokens themselves are data at rest."""

from __future__ import annotations

from typing import Protocol


class Gate(Protocol):
    """Decides on tokens."""

    def admits(self, token: str) -> bool:
        """Whether the token, which is not empty, is known and valid."""
        ...


class OpenGate:
    """Admits any token: the local default while no token store is configured (section 1)."""

    def admits(self, token: str) -> bool:
        """Always true."""
        return True
