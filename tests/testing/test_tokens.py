"""Tokens of a test's server: who is let in, and for how long."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tickwire.errors import InputError
from tickwire.testing import AllTickServer

from ..serving import DEPTH, TRADE
from .conftest import Linked


def refused(server: AllTickServer, token: str) -> int:
    """The status of the upgrade, 101 if it is let in."""
    try:
        with connect(server.websocket_url(token=token)):
            return 101
    except InvalidStatus as refusal:
        return refusal.response.status_code


def test_from_the_first_token_on_only_tokens_are_let_in(linked: Linked) -> None:
    with AllTickServer() as server:
        stranger = linked(server, token="any")
        token = server.token("premium", name="desk")
        assert stranger.closing() == (1008, "token invalid")
        assert (refused(server, token), refused(server, "any")) == (101, 401)
        assert server.token() != token
        with pytest.raises(InputError, match="desk"):
            server.token(name="desk")


def test_a_token_has_its_plan_and_its_codes(linked: Linked) -> None:
    with AllTickServer(quiet=True) as server:
        token = server.token("free", markets=["hk_stock"], codes=("AAPL.US", "XAUUSD"))
        client = linked(server, "stock", token=token)
        assert refused(server, token) == 101, "the other family"
        client.subscribe(TRADE, "700.HK", "AAPL.US")
        client.send(DEPTH, {"symbol_list": ["MSFT.US"]})
        assert client.read()["ret"] == 604
        linked(server, token=token).subscribe(TRADE, "GOLD")
        with pytest.raises(InvalidStatus, match="429"):
            linked(server, "stock", token=token)


@pytest.mark.parametrize("by", ["text", "name"])
def test_a_revoked_token_is_out_when_revoke_returns(linked: Linked, by: str) -> None:
    with AllTickServer() as server:
        keep, token = server.token(), server.token(name="desk")
        client = linked(server, token=token)
        server.revoke(token if by == "text" else "desk")
        assert (refused(server, token), refused(server, keep)) == (401, 101)
        assert client.closing() == (1008, "token revoked")


def test_a_token_expires(linked: Linked) -> None:
    with AllTickServer() as server:
        assert refused(server, server.token(expires_in=0)) == 401
        client = linked(server, token=server.token(expires_in=0.5))
        assert client.closing() == (1008, "token expired")


def test_a_plan_of_ones_own() -> None:
    with AllTickServer(plans={"desk": {"connections": 1}}, plan="desk") as server:
        with connect(server.websocket_url()):
            assert refused(server, "test") == 429
        server.token("desk")


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda server: server.token("fere"), "'fere' is none of free"),
        (lambda server: server.token(markets=["moon"]), "'moon' is none of"),
        (lambda server: server.token(codes=["NOPE"]), "'NOPE' is unknown"),
        (lambda server: server.revoke("tw_secret"), "no token of that text or name"),
    ],
)
def test_a_wrong_token_is_told_without_its_text(
    quiet: AllTickServer, use: Callable[[AllTickServer], object], words: str
) -> None:
    with pytest.raises(ValueError, match=words) as told:
        use(quiet)
    assert "secret" not in str(told.value)
    assert refused(quiet, "any") == 101, "no token was made"
