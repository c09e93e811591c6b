"""Tokens of a test's server, kept as `tickwire token` keeps them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Collection, Iterable

from ..access import BUILT_IN, Token, digest_of, new_id, new_secret
from ..assembly import Engine
from ..model import Market
from ..store import TokenStore
from .ticks import instrument_of

NUMBERS = itertools.count(1)


def create(
    store: TokenStore,
    engine: Engine,
    *,
    plan: str,
    name: str | None,
    markets: Iterable[str],
    codes: Iterable[str],
    expires_in: float | None,
) -> str:
    """Keeps a new token and returns its text. Raises ValueError, or InputError if its name is taken."""
    plans: Collection[str] = [*BUILT_IN, *engine.settings.plans]
    if plan not in plans:
        raise ValueError(f"The plan {plan!r} is none of {', '.join(plans)}.")
    if unknown := [market for market in markets if market not in [*Market]]:
        raise ValueError(f"The market {unknown[0]!r} is none of {', '.join(Market)}.")
    secret, now = new_secret(), int(time.time() * 1000)
    store.add(
        Token(
            id=new_id(),
            digest=digest_of(secret, store.key()),
            name=name or f"test-{next(NUMBERS)}",
            plan=plan,
            markets=frozenset(map(Market, markets)),
            codes=frozenset(instrument_of(engine.catalogue, code).code for code in codes),
            created=now,
            expires=None if expires_in is None else now + round(expires_in * 1000),
        )
    )
    return secret


def revoke(store: TokenStore, which: str) -> None:
    """Revokes the token of that text, name or id. Raises ValueError if there is none."""
    for token in store.tokens():
        if digest_of(which, store.key()) == token.digest or which in (token.name, token.id):
            store.revoke(token, int(time.time() * 1000))
            return
    raise ValueError("There is no token of that text or name.")  # which may be a secret
