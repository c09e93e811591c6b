"""Tokens: long random texts, of which only a keyed hash is kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from ..model import Instrument, Market, Reach

PREFIX = "tw_"
"""What tokens begin with, so that a search for leaked secrets finds them."""
KEY_SIZE = 32
"""Bytes of the key of the hashes."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token at rest: all but its text. Times are in milliseconds since the epoch.

    It may read the instruments of `markets` and those of `codes`; all if neither is given. `admin` opens
    what is closed to all but loopback; `publish` lets it send prices of what it may read.
    """

    id: str
    digest: bytes
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    plan: str
    markets: frozenset[Market] = frozenset()
    codes: frozenset[str] = frozenset()
    admin: bool = False
    publish: bool = False
    created: int = 0
    expires: int | None = None
    revoked: int | None = None

    def valid(self, wall: float) -> bool:
        """Whether it counts at that time, in seconds since the epoch."""
        return self.revoked is None and (self.expires is None or wall * 1000 < self.expires)

    @property
    def reach(self) -> Reach | None:
        """What it may read, and publish if it may; None for everything."""
        return Reach(self.markets, self.codes) if self.markets or self.codes else None

    def reads(self, instrument: Instrument) -> bool:
        """Whether it may read that instrument."""
        return (reach := self.reach) is None or reach.covers(instrument)


def new_secret() -> str:
    """A new token's text: 256 bits of chance."""
    return PREFIX + secrets.token_urlsafe(32)


def new_id() -> str:
    """What a token is called in lists and logs, where its text never stands."""
    return secrets.token_hex(4)


def digest_of(secret: str, key: bytes) -> bytes:
    """The keyed hash of a token's text."""
    return hashlib.blake2b(secret.encode("utf-8", "surrogatepass"), key=key, digest_size=32).digest()


class Register:
    """The tokens that there are, found by their text."""

    def __init__(self, tokens: Iterable[Token], key: bytes) -> None:
        self._key = key
        self._by_digest = {token.digest: token for token in tokens}

    def __iter__(self) -> Iterator[Token]:
        return iter(self._by_digest.values())

    def find(self, secret: str, wall: float) -> Token | None:
        """The token with that text, if there is one that counts at that time (seconds since the epoch).

        What is looked up is a hash that nobody without the key can steer, so the time it takes says nothing
        about the tokens; the last comparison takes the same time wherever two differ.
        """
        digest = digest_of(secret, self._key)
        found = self._by_digest.get(digest)
        if found is None or not hmac.compare_digest(found.digest, digest):
            return None
        return found if found.valid(wall) else None

    def holds(self, token: Token, wall: float) -> bool:
        """Whether a token that was found earlier still counts."""
        found = self._by_digest.get(token.digest)
        return found is not None and found.valid(wall)
