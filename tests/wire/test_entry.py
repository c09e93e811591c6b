"""How a request comes in: bases, parameters, tokens (section 1)."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.wire.entry import base_of, parameters, token_of


# Parameters of the URL.
@pytest.mark.parametrize(
    ("query", "token", "text"),
    [
        (b"", None, None),
        (b"token=t", "t", None),
        (b"token=t&query={}", "t", "{}"),
        (b"query={}&token=t", "t", "{}"),
        (b"token=", "", None),
        (b"token", "", None),
        (b"&&token=t&", "t", None),
        (b"token=a=b", "a=b", None),
        (b"Token=t", None, None),
        (b"xtoken=t", None, None),
        (b"token=a%20b+c%2Bd", "a b c+d", None),
        (b"query=%7B%22a%22%3A+1%7D", None, '{"a": 1}'),
        (b"query=%7b%22%e8%b7%9f%22%7d", None, '{"跟"}'),
        ("query=跟".encode(), None, "跟"),
        (b"token=100%", "100%", None),
        (b"token=%zz", "%zz", None),
        (b"token=a;b", "a;b", None),
    ],
)
def test_percent_and_plus_are_decoded(query: bytes, token: str | None, text: str | None) -> None:
    assert parameters(query) == (token, text)


@pytest.mark.parametrize(
    "query", [b"token=%ff&query=%c3", b"token=\xff&query=\xc3", b"token=%ed%a0%80&query=%80"]
)
def test_what_is_not_utf_8_counts_as_missing(query: bytes) -> None:
    assert parameters(query) == (None, None)


@pytest.mark.parametrize(
    ("query", "token"), [(b"token=a&token=b", "a"), (b"token=&token=b", ""), (b"token=%ff&token=b", None)]
)
def test_the_first_of_a_name_wins(query: bytes, token: str | None) -> None:
    assert parameters(query).token == token
    assert parameters(query.replace(b"token", b"query")).query == token


@settings(max_examples=200)
@given(st.text(), st.text(), st.sampled_from([quote, quote_plus]))
def test_any_text_comes_back_from_a_url(token: str, query: str, encode: object) -> None:
    assert callable(encode)
    url = f"a=1&query={encode(query, safe='')}&token={encode(token, safe='')}"
    assert parameters(url.encode()) == (token, query)


@settings(max_examples=200)
@given(st.binary(max_size=40))
def test_any_bytes_are_text_or_missing(query: bytes) -> None:
    found = parameters(b"token=" + query)
    first = query.split(b"&")[0]
    if b"%" not in first:
        assert found.token == (first.replace(b"+", b" ").decode() if decodes(first) else None)


def decodes(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


# The token.
@pytest.mark.parametrize(
    ("url_token", "headers", "token"),
    [
        ("u", [], "u"),
        ("u", [("authorization", "Bearer b"), ("token", "h")], "u"),
        (None, [("authorization", "Bearer b"), ("token", "h")], "b"),
        ("", [("authorization", "Bearer b")], "b"),
        (None, [("authorization", "bearer  b ")], "b"),
        (None, [("authorization", "BEARER b")], "b"),
        (None, [("token", "h")], "h"),
        (None, [("authorization", "Basic x"), ("token", "h")], "h"),
        (None, [("authorization", "Bearer"), ("token", "h")], "h"),
        (None, [("authorization", "Bearer ")], None),
        (None, [("sec-websocket-protocol", "tickwire, tickwire.token.w6_wn56B")], "\u00ef\U0001f781"),
        ("", [("sec-websocket-protocol", "tickwire.token.Yg,other")], "b"),
        (None, [("sec-websocket-protocol", "tickwire.token.Yg"), ("token", "h")], "h"),
        (None, [("sec-websocket-protocol", "tickwire.token.")], None),
        (None, [("sec-websocket-protocol", "tickwire.token.Y")], None),
        (None, [("sec-websocket-protocol", "tickwire.token._w")], None),
        (None, [("sec-websocket-protocol", "tickwire.token.\u00e9")], None),
        (None, [("sec-websocket-protocol", "tickwire")], None),
        (None, [("authorization", "Basic x")], None),
        (None, [("authorization", "b")], None),
        (None, [("token", "")], None),
        (None, [("x-token", "h")], None),
        (None, [], None),
        ("", [], None),
    ],
)
def test_a_token_comes_from_the_url_then_bearer_then_its_header(
    url_token: str | None, headers: list[tuple[str, str]], token: str | None
) -> None:
    assert token_of(url_token, headers, strict=False) == token


@pytest.mark.parametrize("headers", [[("authorization", "Bearer b")], [("token", "h")]])
def test_strict_knows_no_token_in_a_header(headers: list[tuple[str, str]]) -> None:
    assert token_of(None, headers, strict=True) is None
    assert token_of("", headers, strict=True) is None
    assert token_of("u", headers, strict=True) == "u"


# Paths.
@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("/quote-stock-b-api", "/quote-stock-b-api"),
        ("/quote-stock-b-api/trade-tick", "/quote-stock-b-api"),
        ("/quote-b-api/", "/quote-b-api"),
        ("/quote-b-api/a/b", "/quote-b-api"),
        ("/quote-b-ws-api", "/quote-b-ws-api"),
        ("/quote-b-ws-api/x", "/quote-b-ws-api"),
        ("/quote-stock-b-ws-api", "/quote-stock-b-ws-api"),
        ("/api", "/api"),
        ("/api/suspension/sse", "/api"),
        ("/", None),
        ("", None),
        ("/apix", None),
        ("/quote-b-apix", None),
        ("/quote-b-ws-apis", None),
        ("/x/quote-b-api", None),
        ("//quote-b-api", None),
        ("/Quote-b-api", None),
        ("/healthz", None),
    ],
)
def test_a_path_belongs_to_the_base_that_it_begins_with_as_a_whole_segment(
    path: str, base: str | None
) -> None:
    assert base_of(path) == base
