"""/v1/usage: what tokens use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tickwire.model import Kind
from tickwire.server.usage import Use, together

from ..serving import Script, serving
from .bench import issue, usage_of


async def test_tokens_are_told_of_one_by_one_up_to_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script
) -> None:
    monkeypatch.setattr("tickwire.server.usage.MOST_TOKENS", 2)
    secrets = [issue(tmp_path, f"desk-{number}") for number in range(5)]
    boss = issue(tmp_path, "boss", admin=True)
    async with serving(tmp_path, script) as served:
        for secret in secrets:
            assert (await served.get("/v1/markets", token=secret)).status_code == 200
        uses = (await usage_of(served, boss))["token_list"]
        assert [(one["token"], one["requests"]) for one in uses] == [
            ("desk-0", 1),
            ("desk-1", 1),
            ("(others)", 4),
        ]
        mine = (await usage_of(served, secrets[4]))["token_list"]
        assert [(one["token"], one["requests"]) for one in mine] == [("desk-4", 2)]


def test_the_use_of_several_processes_is_added_up_and_a_code_counts_once() -> None:
    btc, gold = (Kind.TRADE, "BTCUSDT"), (Kind.DEPTH, "GOLD")
    one = [Use("desk", 1, 2, 3, 4, frozenset({btc})), Use("boss", 1)]
    two = [Use("other", 9), Use("desk", 10, 20, 30, 40, frozenset({btc, gold}))]
    assert together([one, two]) == [
        Use("desk", 11, 22, 33, 44, frozenset({btc, gold})),
        Use("boss", 1),
        Use("other", 9),
    ]
    assert one == [Use("desk", 1, 2, 3, 4, frozenset({btc})), Use("boss", 1)], "what is added stays as it was"
