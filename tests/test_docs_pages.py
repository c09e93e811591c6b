"""The pages of the repository: where their links lead, how they begin, and what a program writes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tickwire.server.documents.page import read_page

from .server.documents.reading import NAMES, shelf

ROOT = Path(__file__).parents[1]
WRITTEN = sorted(
    [
        *(ROOT / "docs").glob("*.md"),
        *ROOT.glob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
    ]
)


def links_of(path: Path) -> Iterator[str]:
    """The links of a Markdown file that lead to something in the repository."""
    for token in MarkdownIt("commonmark").enable("table").parse(path.read_text("utf-8")):
        for child in token.children or []:
            if child.type == "link_open" and ":" not in (href := str(child.attrGet("href"))):
                yield href


@cache
def anchors_of(path: Path) -> set[str]:
    """What links may name of a page; hundreds name something of a few."""
    return {one.anchor for one in read_page("", path.read_text("utf-8"), ()).headings}


@pytest.mark.parametrize("path", WRITTEN, ids=[str(path.relative_to(ROOT)) for path in WRITTEN])
def test_links_lead_to_files_and_anchors_that_are_there(path: Path) -> None:
    for link in links_of(path):
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), f"{link}: there is no such file"
        if anchor:
            assert anchor in anchors_of(target.resolve()), f"{link}: there is no such heading"


@pytest.mark.parametrize("name", NAMES)
def test_a_page_opens_with_what_the_reader_can_do(name: str) -> None:
    one = shelf().pages[name]
    assert "\nAfter this page" in one.text
    assert [heading.level for heading in one.headings].count(1) == 1
    assert one.headings[0].level == 1
    assert one.summary[0].isupper()
    assert one.summary.endswith(".")
    assert "After this page" not in one.summary
    assert "[" not in one.summary


def test_the_page_of_settings_is_what_the_script_makes() -> None:
    script = ROOT / "scripts/make_settings_docs.py"
    made = subprocess.run([sys.executable, str(script), "-"], capture_output=True, text=True, check=True)
    assert made.stdout == (ROOT / "docs/settings.md").read_text("utf-8"), f"run {script.relative_to(ROOT)}"
