"""Subjects and buckets of a cluster, by its name. Pure."""

from __future__ import annotations

import re
from random import Random
from typing import NamedTuple

_OTHERS = re.compile(r"[^0-9A-Za-z_-]")


class Names(NamedTuple):
    """What a cluster of that name calls things."""

    cluster: str

    @property
    def owner(self) -> str:
        """Where the owner says that it is."""
        return f"tw.v1.{self.cluster}.owner"

    @property
    def who(self) -> str:
        """Where all that are there answer."""
        return f"tw.v1.{self.cluster}.who"

    def of(self, epoch: int) -> str:
        """Beneath it is all that an owner of that epoch says and is told."""
        return f"tw.v1.{self.cluster}.{epoch}"

    def node(self, identity: str) -> str:
        """Answered as long as that market is connected."""
        return f"tw.v1.{self.cluster}.node.{identity}"

    def session(self, name: str, dice: Random) -> str:
        """A new one of a client side: nothing of an earlier one is taken for its own."""
        return f"{_OTHERS.sub('-', name)}-{dice.getrandbits(48):012x}"

    @property
    def lease(self) -> str:
        """The bucket of JetStream in which the lease stands, as long as it is renewed."""
        return f"tickwire-{self.cluster}-lease"

    @property
    def notes(self) -> str:
        """That in which stands what outlives it."""
        return f"tickwire-{self.cluster}-notes"
