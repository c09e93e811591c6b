"""How a page is read: HTML, anchors, links, pieces; and where the links of the repository's pages lead."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tickwire.server.documents.page import PIECE, Page, anchor_of, from_anywhere, plain_text, read_page
from tickwire.server.documents.search import Search
from tickwire.server.documents.shelf import GROUPS, Shelf
from tickwire.server.documents.words import MOST_WORDS, SAID, words_of

ROOT = Path(__file__).parents[2]
WRITTEN = sorted(
    [
        *(ROOT / "docs").glob("*.md"),
        *ROOT.glob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
    ]
)
SHELF = Shelf()
PIECES = [piece for page in SHELF.pages.values() for piece in page.pieces]
SEARCH = Search(PIECES)


def page(text: str, *names: str) -> Page:
    return read_page("mine", text, names)


def links_of(path: Path) -> Iterator[str]:
    """The links of a Markdown file that lead to something in the repository."""
    for token in MarkdownIt("commonmark").enable("table").parse(path.read_text("utf-8")):
        for child in token.children or []:
            if child.type == "link_open" and ":" not in (href := str(child.attrGet("href"))):
                yield href


@pytest.mark.parametrize("path", WRITTEN, ids=[str(path.relative_to(ROOT)) for path in WRITTEN])
def test_links_lead_to_files_and_anchors_that_are_there(path: Path) -> None:
    for link in links_of(path):
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), f"{link}: there is no such file"
        if anchor:
            there = {one.anchor for one in read_page("", target.read_text("utf-8"), ()).headings}
            assert anchor in there, f"{link}: there is no such heading"


def test_every_page_of_a_group_exists() -> None:
    assert {name for names in GROUPS.values() for name in names} <= SHELF.pages.keys()


@pytest.mark.parametrize("name", SHELF.pages)
def test_a_page_opens_with_what_the_reader_can_do(name: str) -> None:
    one = SHELF.pages[name]
    assert "\nAfter this page" in one.text
    assert [heading.level for heading in one.headings].count(1) == 1
    assert one.headings[0].level == 1
    assert one.summary[0].isupper()
    assert one.summary.endswith(".")
    assert "After this page" not in one.summary
    assert "[" not in one.summary


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
    for one in SHELF.pages.values():
        words = re.findall(r"\w{4,}", plain_text(re.sub("<!--.*-->", "", one.text)))
        found = " ".join(f"{piece.trail} {piece.heading} {piece.plain}" for piece in one.pieces)
        assert {word for word in words if word not in found} <= {word for word in words if "docs" in word}
    assert max(len(piece.markdown) for piece in PIECES) < 2 * PIECE


@given(
    st.text(max_size=500)
    | st.lists(st.sampled_from('" * ( ) NOT AND OR NEAR ^ : - + a _ \0 piece'.split(" "))).map(" ".join)
)
def test_no_question_is_an_error(question: str) -> None:
    assert len(words_of(question)) <= MOST_WORDS
    found = SEARCH.find(question, 5, "protocol")
    assert len(found) <= 5
    assert len({one.piece for one in found}) == len(found)


def test_what_holds_parts_of_words_is_found_where_no_word_is() -> None:
    assert not SEARCH.find("qqqqq", 5)
    (first, *_) = SEARCH.find("imestam", 5)
    assert "\x02imestam\x03" in first.line
    pieces = page("# A\n\n苹果公司\n\n## B\n\n香蕉\n").pieces
    assert [one.piece.anchor for one in Search(pieces).find("青苹果", 5)] == ["a"]


@pytest.mark.parametrize("said", SAID)
def test_the_words_of_the_pages_are_words_of_the_pages(said: str) -> None:
    for word in SAID[said].split():
        assert SEARCH._matching(f'"{word}"', 1), word
    assert SEARCH.find(said, 1)


def test_the_page_of_settings_is_what_the_script_makes() -> None:
    script = ROOT / "scripts/make_settings_docs.py"
    made = subprocess.run([sys.executable, str(script), "-"], capture_output=True, text=True, check=True)
    assert made.stdout == (ROOT / "docs/settings.md").read_text("utf-8"), f"run {script.relative_to(ROOT)}"
