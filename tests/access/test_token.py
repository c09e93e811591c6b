"""Tokens: their texts, their hashes, and who is found by them."""

from __future__ import annotations

import hmac
import math
import re
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.access import KEY_SIZE, Register, Token, digest_of, new_id, new_secret
from tickwire.access import token as module
from tickwire.model import Market
from tickwire.store import load_catalogue

CATALOGUE = load_catalogue()
KEY = bytes(range(KEY_SIZE))
NOW = 1_800_000_000.0


def a_token(secret: str, **fields: object) -> Token:
    name = fields.pop("name", secret)
    return msgspec.structs.replace(
        Token(id=new_id(), digest=digest_of(secret, KEY), name=str(name), plan="free"), **fields
    )


# Texts.
def test_texts_are_long_random_and_fit_into_a_url_and_a_header() -> None:
    secrets = {new_secret() for _ in range(1000)}
    assert len(secrets) == 1000
    for secret in secrets:
        assert re.fullmatch(r"tw_[A-Za-z0-9_-]{43}", secret)  # 256 bits
        assert quote(secret, safe="") == secret
    for place in range(3, 45):  # each character varies
        assert len({secret[place] for secret in secrets}) > 40


def test_ids_are_short_and_no_part_of_the_text() -> None:
    assert re.fullmatch(r"[0-9a-f]{8}", new_id())
    assert len({new_id() for _ in range(100)}) == 100


# Hashes.
@given(st.text(max_size=100), st.text(max_size=100))
def test_a_hash_is_of_the_text_and_of_the_key(one: str, other: str) -> None:
    found = digest_of(one, KEY)
    assert len(found) == 32
    assert found == digest_of(one, KEY)
    assert found != digest_of(one, bytes(KEY_SIZE))
    assert (found == digest_of(other, KEY)) is (one == other)


@pytest.mark.parametrize("text", ["", "\ud800", "\0", "跟", "x" * 2**20])
def test_whatever_may_come_as_a_token_has_a_hash(text: str) -> None:
    assert Register([a_token("t")], KEY).find(text, NOW) is None


def test_no_text_and_no_key_stands_in_what_is_printed_of_a_register() -> None:
    secret = new_secret()
    one = a_token(secret, name="desk")
    for shown in (repr(one), str(one), repr(Register([one], KEY)), msgspec.json.encode(one).decode()):
        assert secret[3:] not in shown
        assert repr(KEY) not in shown


# Who is found.
def test_a_token_is_found_by_its_text_only() -> None:
    first, second = a_token("first"), a_token("second")
    register = Register([first, second], KEY)
    assert (register.find("first", NOW), register.find("second", NOW)) == (first, second)
    for text in ("", "First", "first ", "firs", first.id, first.digest.hex(), first.digest.decode("latin-1")):
        assert register.find(text, NOW) is None
    assert Register([first], bytes(KEY_SIZE)).find("first", NOW) is None
    assert Register([], KEY).find("first", NOW) is None
    assert [*register] == [first, second]


def test_a_token_counts_up_to_its_expiry_and_until_it_is_revoked() -> None:
    expires = a_token("e", expires=int(NOW * 1000))
    revoked = a_token("r", revoked=int(NOW * 1000))
    register = Register([expires, revoked], KEY)
    assert register.find("e", NOW - 0.001) == expires
    assert register.find("e", NOW) is None
    assert register.find("e", math.inf) is None
    for wall in (0, NOW - 1, NOW + 1):
        assert register.find("r", wall) is None, "even if the clock is set back"


def test_one_that_was_found_is_held_while_it_counts() -> None:
    one, other = a_token("one", expires=int(NOW * 1000)), a_token("other")
    assert Register([one, other], KEY).holds(one, NOW - 1)
    assert not Register([one, other], KEY).holds(one, NOW)
    assert not Register([other], KEY).holds(one, NOW - 1)
    revoked = msgspec.structs.replace(one, revoked=1)
    assert not Register([revoked], KEY).holds(one, NOW - 1), "what the register says counts"
    rotated = msgspec.structs.replace(one, digest=digest_of("new", KEY))
    assert not Register([rotated], KEY).holds(one, NOW - 1)
    assert Register([rotated], KEY).holds(rotated, NOW - 1)


def test_digests_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def watched(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(module, "hmac", type("watched", (), {"compare_digest": staticmethod(watched)}))
    one = a_token("one")
    assert Register([one], KEY).find("one", NOW) == one
    assert compared == [(one.digest, one.digest)]


# What it reads.
@pytest.mark.parametrize(
    ("markets", "codes", "may", "may_not"),
    [
        ([], [], "GOLD BTCUSDT AAPL.US 700.HK .DJI.US 600000.SH", ""),
        (["crypto"], [], "BTCUSDT ETHUSDT", "GOLD AAPL.US"),
        (["crypto", "us_stock"], [], "BTCUSDT AAPL.US", "GOLD 700.HK .DJI.US"),
        ([], ["GOLD", "700.HK"], "GOLD 700.HK", "Silver BTCUSDT 5.HK"),
        (["crypto"], ["GOLD"], "GOLD BTCUSDT ETHUSDT", "Silver AAPL.US"),
        ([], ["NOSUCH"], "", "GOLD AAPL.US"),
    ],
)
def test_it_reads_the_instruments_of_its_markets_and_its_codes(
    markets: list[str], codes: list[str], may: str, may_not: str
) -> None:
    one = a_token("t", markets=frozenset(map(Market, markets)), codes=frozenset(codes))
    assert [code for code in may.split() if not one.reads(CATALOGUE[code])] == []
    assert [code for code in may_not.split() if one.reads(CATALOGUE[code])] == []
