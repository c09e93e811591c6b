"""Which server, with which token, by which limits."""

from __future__ import annotations

import pytest

from tickwire import Unauthorized
from tickwire.client import PLANS, account
from tickwire.client.account import CAUTIOUS


def test_the_account_comes_from_arguments_then_the_environment_then_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("TICKWIRE_URL", "TICKWIRE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert account()[:2] == ("http://127.0.0.1:8600", "local")
    with pytest.raises(Unauthorized, match=r"no token for quote\.alltick\.co"):
        account("https://quote.alltick.co")
    monkeypatch.setenv("TICKWIRE_URL", "https://quote.alltick.co")
    monkeypatch.setenv("TICKWIRE_TOKEN", "secret")
    assert account()[:3] == ("https://quote.alltick.co", "secret", PLANS["basic"])
    assert account("http://feeds.example", plan="free")[:3] == (
        "http://feeds.example",
        "secret",
        PLANS["free"],
    )
    assert account("http://feeds.example").plan is CAUTIOUS
    with pytest.raises(ValueError, match="no plan: use one of free"):
        account(plan="gold")
    with pytest.raises(ValueError, match="no address of a server"):
        account("quote.alltick.co")
