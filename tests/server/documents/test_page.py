"""How a page is read: HTML, anchors, links, pieces."""

from __future__ import annotations

import re

import pytest

from tickwire.server.documents.page import PIECE, anchor_of, from_anywhere, plain_text

from .reading import page, pieces, shelf


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [  # as GitHub makes them
        ("K-line push", "k-line-push"),
        ("/static_info", "static_info"),
        ("What's `new`, then?", "whats-new-then"),
        ("Ticks & bars", "ticks--bars"),
        ("K线 推送", "k线-推送"),
        ("28004 → 28005", "28004--28005"),
    ],
)
def test_anchors(heading: str, anchor: str) -> None:
    assert anchor_of(heading, ()) == anchor


def test_the_same_heading_twice_has_two_anchors() -> None:
    found = page("# A\n\n## Gaps\n\n## Gaps\n\n## Gaps\n").headings
    assert [one.anchor for one in found] == ["a", "gaps", "gaps-1", "gaps-2"]


def test_markup_in_a_page_is_text_and_comments_are_nothing() -> None:
    made = page(
        "# A\n\n<!-- mine -->\n<b onclick=x>b</b> [x](javascript:alert(1))\n\n```html\n<i>\n```\n"
    ).content
    assert "<b" not in made
    assert "<i" not in made
    assert "mine" not in made
    assert 'href="javascript' not in made


def test_links_of_a_page() -> None:
    text = (
        "[a](relay.md) [b](relay.md#run) [c](#d) [e](https://x.org/y.md) "
        "[f](../README.md) [g](gone.md#x) [h](../examples/client) [i](/openapi.json)\n"
    )
    made = page(text, "relay").content
    assert re.findall(r'href="([^"]*)"', made) == [
        "/docs/relay",
        "/docs/relay#run",
        "#d",
        "https://x.org/y.md",
        "/openapi.json",
    ]
    assert " f g h " in made
    (piece,) = page(text, "relay").pieces
    assert "[a](/docs/relay.md) [b](/docs/relay.md#run) [c](/docs/mine.md#d) [e](https://x.org/y.md)" in (
        piece.markdown
    )
    assert "f [g](/docs/gone.md#x) h [i](/openapi.json)" in piece.markdown


def test_images_are_found_from_anywhere() -> None:
    assert from_anywhere("terminal", "![a](images/a.png)") == "![a](/docs/images/a.png)"


def test_a_table_can_be_scrolled_and_its_columns_stand_right_without_a_style() -> None:
    made = page("| a | b |\n|---|--:|\n| `x|y` | 1 |\n").content
    assert made.startswith('<div class="table"><table>')
    assert '<td class="right">' in made
    assert "style" not in made


def test_a_page_is_cut_where_its_thoughts_end() -> None:
    text = (
        "# Title\n\nLead.\n\n## One\n\nText of *one*.\n\n### Two\n\n| a | b |\n|---|---|\n| `x` | y\\|z |\n\n"
        "**Does it?** It does.\n\nTwice.\n\n## Three\n\n**Both\nsides.** Yes.\n"
    )
    assert [(one.trail, one.heading, one.anchor, one.plain) for one in page(text).pieces] == [
        ("", "Title", "title", "Lead."),
        ("Title", "One", "one", "Text of *one*."),
        ("Title › One", "Two", "two", "a b x y|z"),
        ("Title › One › Two", "Does it?", "two", "Does it? It does. Twice."),
        ("Title › Three", "Both sides.", "three", "Both sides. Yes."),
    ]


def test_long_tables_and_examples_are_taken_apart_with_their_ends() -> None:
    table = "| a | b |\n|---|---|\n" + "".join(f"| {n} | {'x' * 60} |\n" for n in range(60))
    fence = "```sh\n" + "".join(f"echo {n} {'y' * 60}\n" for n in range(60)) + "```\n"
    pieces = page(f"# T\n\n{table}\n{fence}").pieces
    assert len(pieces) > 6
    assert all(len(one.markdown) <= PIECE for one in pieces)
    rows = [line for one in pieces for line in one.markdown.splitlines()]
    assert [line for line in rows if "x" in line] == table.splitlines()[2:]
    assert [line for line in rows if "y" in line] == fence.splitlines()[1:-1]
    for one in pieces:
        first, second, *_, last = one.markdown.splitlines()
        assert (first, second) == ("| a | b |", "|---|---|") or (first, last) == ("```sh", "```")


def test_no_piece_is_lost_and_none_is_too_long_to_be_an_answer() -> None:
    for one in shelf().pages.values():
        words = re.findall(r"\w{4,}", plain_text(re.sub("<!--.*-->", "", one.text)))
        found = " ".join(f"{piece.trail} {piece.heading} {piece.plain}" for piece in one.pieces)
        assert {word for word in words if word not in found} <= {word for word in words if "docs" in word}
    assert max(len(piece.markdown) for piece in pieces()) < 2 * PIECE
